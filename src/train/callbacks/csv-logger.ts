/** Writes the logs of every epoch to a table. Source: Keras 3, `keras/src/callbacks/csv_logger.py`. */
import { AppendedFile } from '../../formats/appended-file.ts';
import { csvLine } from '../../formats/csv.ts';
import { flag, type OptionsIn, option, parseOptions } from '../../layers/options.ts';
import type { Callback } from './callback.ts';
import { pythonFloat } from './file-name.ts';
import { checkState } from './state.ts';

const options = {
  filename: option<string, true>('a path', (v) => typeof v === 'string' && v.length > 0, undefined, true),
  /** Between values. Default a comma. */
  separator: option<string>(
    'one character, no quote and no end of line',
    (v) => typeof v === 'string' && [...v].length === 1 && !/["\r\n]/.test(v),
    ',',
  ),
  /** Write behind what is there, without a second header. Default false: begin anew. */
  append: flag(false),
};

export type CsvLoggerOptions = OptionsIn<typeof options>;

interface State {
  readonly keys: readonly string[] | null;
  readonly bytes: number;
}

/**
 * A line for every epoch: `epoch`, from 0, then the names of the first epoch's logs, sorted. What an epoch does not have is NA. Without
 * validation in the first epoch there are columns for it all the same, because it may come later.
 *
 * A run that is resumed goes on behind the last line of its snapshot. Errors: IO where the disk refuses.
 *
 * @example callbacks.csvLogger({ filename: 'runs/log.csv' })
 */
export function csvLogger(given: CsvLoggerOptions): Callback {
  const { filename, separator, append } = parseOptions(options, given, 'callbacks.csvLogger');
  let file: AppendedFile | null = null;
  let keys: readonly string[] | null = null;
  let header = true;
  let resumed: State | null = null;
  return {
    name: 'csvLogger',
    async onTrainBegin() {
      file?.close();
      keys = resumed?.keys ?? null;
      file = await AppendedFile.open(filename, resumed ? resumed.bytes : append ? 'end' : 'empty');
      header = file.size === 0;
      resumed = null;
    },
    onEpochEnd(epoch, logs) {
      if (keys === null) {
        const names = Object.keys(logs).sort();
        keys = names.some((name) => name.startsWith('val_'))
          ? names
          : [...names, ...names.map((name) => `val_${name}`)];
      }
      const values = keys.map((key) => (logs[key] === undefined ? 'NA' : pythonFloat(logs[key])));
      const line = csvLine([String(epoch), ...values], separator);
      file?.append(header ? csvLine(['epoch', ...keys], separator) + line : line);
      header = false;
    },
    onTrainEnd() {
      file?.close();
    },
    onTrainError() {
      file?.close();
    },
    state: (): State => ({ keys, bytes: file?.mark() ?? resumed?.bytes ?? 0 }),
    restore(state) {
      resumed = checkState<State>(state, ['keys', 'bytes'], 'csvLogger');
    },
  };
}
