/** Writes logs as JSON, an object a line (jsonlines.org), for programs that read a training while it runs. */
import { AppendedFile } from '../../formats/appended-file.ts';
import { flag, type OptionsIn, option, parseOptions } from '../../layers/options.ts';
import type { Callback, Logs, TrainingRun } from './callback.ts';
import { checkState } from './state.ts';
import { StepCounter, stepFrequency } from './step-counter.ts';

const options = {
  filename: option<string, true>('a path', (v) => typeof v === 'string' && v.length > 0, undefined, true),
  /** Write behind what is there. Default false: begin anew. */
  append: flag(false),
  /** `epoch`: a line for every epoch; a number: also one after every so many steps. Default `epoch`. */
  updateFreq: stepFrequency(),
};

export type JsonLinesLoggerOptions = OptionsIn<typeof options>;

interface State {
  readonly bytes: number;
  readonly steps: unknown;
}

/**
 * `{"epoch":0,"loss":0.69,"val_loss":0.68}` for every epoch, counted from 0; with `updateFreq` in steps also
 * `{"epoch":0,"batch":99,"loss":0.7}` with the averages so far. What is not finite is written as null.
 *
 * A run that is resumed goes on behind the last line of its snapshot. Errors: IO where the disk refuses.
 *
 * @example callbacks.jsonLinesLogger({ filename: 'runs/log.jsonl', updateFreq: 100 })
 */
export function jsonLinesLogger(given: JsonLinesLoggerOptions): Callback {
  const { filename, append, updateFreq } = parseOptions(options, given, 'callbacks.jsonLinesLogger');
  const steps = updateFreq === 'epoch' ? null : new StepCounter(updateFreq);
  let file: AppendedFile | null = null;
  let resumedAt: number | null = null;
  const write = (entry: object) => file?.append(`${JSON.stringify(entry)}\n`);
  const callback: Callback = {
    name: 'jsonLinesLogger',
    async onTrainBegin() {
      steps?.begin();
      file?.close();
      file = await AppendedFile.open(filename, resumedAt ?? (append ? 'end' : 'empty'));
      resumedAt = null;
    },
    onEpochBegin: (epoch) => steps?.epoch(epoch),
    onEpochEnd: (epoch, logs) => write({ epoch, ...logs }),
    onTrainEnd() {
      file?.close();
    },
    onTrainError() {
      file?.close();
    },
    state: (): State => ({ bytes: file?.mark() ?? resumedAt ?? 0, steps: steps?.state() ?? null }),
    restore(state) {
      const kept = checkState<State>(state, ['bytes', 'steps'], 'jsonLinesLogger');
      resumedAt = kept.bytes;
      steps?.restore(kept.steps);
    },
  };
  if (!steps) return callback;
  return steps.listen(callback, (batch: number, logs: Logs, _run: TrainingRun) =>
    write({ epoch: steps.current, batch, ...logs }),
  );
}
