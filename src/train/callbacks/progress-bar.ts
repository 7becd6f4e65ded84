/** Shows how far the training is. Source: Keras 3, `keras/src/callbacks/progbar_logger.py`. */
import { type OptionsIn, option, parseOptions } from '../../layers/options.ts';
import { ProgressBar, type ProgressWriter, processWriter } from '../progress.ts';
import type { Callback, Logs } from './callback.ts';

/** Between two calls, so that the bar costs nothing. */
const drawMilliseconds = 100;

const options = {
  /** 0 silent, 1 a bar, 2 a line an epoch, `auto`: 1 on a terminal, else 2. Default `auto`. */
  verbose: option<0 | 1 | 2 | 'auto'>("0, 1, 2 or 'auto'", (v) => [0, 1, 2, 'auto'].includes(v as number), 'auto'),
  /** Takes the text, in place of the standard output, as a terminal would. Default: the standard output. */
  write: option<((text: string) => void) | null>('a function', (v) => v === null || typeof v === 'function', null),
};

export type ProgressBarOptions = OptionsIn<typeof options>;

/** Keras's order on screen: what steps measure and what validation does, sorted, then what callbacks added. */
function shown(logs: Logs, measured: ReadonlySet<string>): Record<string, number> {
  const group = (name: string) => (measured.has(name) ? 0 : name.startsWith('val_') ? 1 : 2);
  const names = Object.keys(logs);
  const order = (a: string, b: string) => {
    const byGroup = group(a) - group(b);
    return byGroup || (group(a) === 2 ? names.indexOf(a) - names.indexOf(b) : a < b ? -1 : 1);
  };
  return Object.fromEntries([...names].sort(order).map((name) => [name, logs[name]]));
}

/**
 * The bar that `fit` shows by itself; in the list of callbacks it takes that one's place.
 *
 * @example await model.fit(x, y, { callbacks: [callbacks.progressBar({ verbose: 2, write: (line) => log.info(line) })] })
 */
export function progressBar(given?: ProgressBarOptions): Callback {
  const { verbose, write } = parseOptions(options, given, 'callbacks.progressBar');
  const measured = new Set<string>();
  let writer: ProgressWriter = processWriter();
  let level: 0 | 1 | 2 = 0;
  let bar: ProgressBar | null = null;
  let target: number | null = null;
  let seen = 0;
  let lastTime = 0;
  let frequency = 1;
  /** As many steps as take about a tenth of a second. */
  const learn = (steps: number) => {
    const now = performance.now();
    const wanted = Math.round((steps * drawMilliseconds) / Math.max(now - lastTime, 0.01));
    frequency = Math.max(1, Math.min(wanted, frequency * 8));
    lastTime = now;
  };
  const open = () => new ProgressBar({ ...writer, target, verbose: level, now: () => performance.now() / 1000 });
  return {
    name: 'progressBar',
    get batchFrequency() {
      return frequency;
    },
    onTrainBegin({ steps }) {
      const own = processWriter();
      writer = write ? { write, dynamic: true } : own;
      level = verbose === 'auto' ? (write || own.terminal ? 1 : 2) : verbose;
      target = steps;
    },
    onEpochBegin(epoch, { epochs }) {
      bar = open();
      seen = 0;
      lastTime = performance.now();
      if (level && epochs > 1) writer.write(`Epoch ${epoch + 1}/${epochs}\n`);
    },
    onBatchEnd(batch, logs) {
      for (const name of Object.keys(logs)) measured.add(name);
      learn(batch + 1 - seen);
      seen = batch + 1;
      bar ??= open();
      bar.update(seen, shown(logs, measured), false);
    },
    onEpochEnd(_epoch, logs) {
      target ??= seen;
      bar?.update(target, shown(logs, measured), true);
      bar = null;
    },
  };
}
