/** The training loop: epochs of shuffled batches, validation, progress, callbacks. Steps run off the main thread, many in a hand-over. */
import { fail, UnrolledError } from '../core/errors.ts';
import type { Result } from '../engine/compile.ts';
import { Averages } from './averages.ts';
import { type Batch, batchesOf, Pace, walkBatches } from './batches.ts';
import type { Callback, Logs, TrainedModel, TrainingRun } from './callbacks.ts';
import type { ClassWeight, Dataset, ModelData } from './data.ts';
import { History } from './history.ts';
import { TrainingInterrupted } from './interrupted.ts';
import { ProgressBar, processWriter } from './progress.ts';
import { haltedLeaf, resultOf } from './steps.ts';
import type { Trainer } from './trainer.ts';

/** 0 silent, 1 a bar, 2 a line an epoch, `auto`: 1 on a terminal, else 2. */
export type Verbosity = 0 | 1 | 2 | 'auto';

export interface FitOptions {
  /** Epochs up to which to train. Default 1. */
  readonly epochs?: number;
  /** The epoch to start with, counted from 0. Default 0. */
  readonly initialEpoch?: number;
  /** Samples in a step. Default 32, or the model's fixed batch. The last batch may be smaller. */
  readonly batchSize?: number;
  /** Shuffle the samples anew for every epoch. Default true. */
  readonly shuffle?: boolean;
  /** Share of the samples, from the end and before shuffling, that is held out for validation. */
  readonly validationSplit?: number;
  /** Data for validation; goes before `validationSplit`. */
  readonly validationData?: readonly [x: ModelData, y: ModelData, sampleWeight?: ModelData];
  /** (N), or one for every entry of the loss: (N, T). */
  readonly sampleWeight?: ModelData;
  /** A weight for each label, such as `{ 0: 1, 1: 3.5 }`. */
  readonly classWeight?: ClassWeight;
  /** (N, T), 0 or 1: which steps of the input count. */
  readonly mask?: ModelData;
  readonly verbose?: Verbosity;
  readonly callbacks?: readonly Callback[];
  /** Stops the training after the steps that have been handed over; fit then rejects with `TrainingInterrupted`. */
  readonly signal?: AbortSignal;
  /** Where progress is written. Default: the standard output. */
  readonly write?: (text: string) => void;
}

const optionNames: ReadonlySet<string> = new Set([
  'epochs',
  'initialEpoch',
  'batchSize',
  'shuffle',
  'validationSplit',
  'validationData',
  'sampleWeight',
  'classWeight',
  'mask',
  'verbose',
  'callbacks',
  'signal',
  'write',
] satisfies (keyof FitOptions)[]);

/** Refuses what `fit` does not know, so that nothing is ignored. */
export function checkFitOptions(options: FitOptions): void {
  for (const key of Object.keys(options))
    if (!optionNames.has(key)) fail('ARGUMENT', 'fit', `options among ${[...optionNames].join(', ')}`, `'${key}'`);
  const whole = (name: 'epochs' | 'initialEpoch') => {
    const value = options[name];
    if (value !== undefined && (!Number.isInteger(value) || value < 0))
      fail('ARGUMENT', `fit: ${name}`, 'a whole number from 0 on', String(value));
  };
  whole('epochs');
  whole('initialEpoch');
  if (options.verbose !== undefined && ![0, 1, 2, 'auto'].includes(options.verbose))
    fail('ARGUMENT', 'fit: verbose', "0, 1, 2 or 'auto'", String(options.verbose));
}

/** Keras's order on screen: names sorted. */
function sorted(logs: Logs): Record<string, number> {
  return Object.fromEntries(
    Object.keys(logs)
      .sort()
      .map((key) => [key, logs[key]]),
  );
}

export interface FitSets {
  readonly training: Dataset;
  readonly validation: Dataset | null;
}

/** Runs the epochs on data that has been checked. */
export async function runFit(
  model: TrainedModel,
  trainer: Trainer,
  { training, validation }: FitSets,
  options: FitOptions,
  batchSize: number,
): Promise<History> {
  const { epochs = 1, initialEpoch = 0, shuffle = true, callbacks = [], signal } = options;
  const history = new History();
  trainer.checkBatches(training.count, batchSize, 'fit');
  if (validation) trainer.checkBatches(validation.count, batchSize, 'fit: validation');
  const batches = batchesOf(training.count, batchSize);
  const writer = options.write ? { write: options.write, dynamic: true, terminal: true } : processWriter();
  const verbose =
    options.verbose === undefined || options.verbose === 'auto' ? (writer.terminal ? 1 : 2) : options.verbose;
  const limit = callbacks.some((c) => c.onBatchBegin || c.onBatchEnd) ? 1 : Number.POSITIVE_INFINITY;
  const pace = new Pace();
  let stopped = false;
  const run: TrainingRun = { model, epochs, steps: batches.length, stop: () => void (stopped = true) };
  const interrupt = (epoch: number, batch: number) => {
    if (signal?.aborted) throw new TrainingInterrupted(epoch, batch, history, signal.reason);
  };

  let logs: Record<string, number> = {};
  for (const callback of callbacks) await callback.onTrainBegin?.(run);
  for (let epoch = initialEpoch; epoch < epochs && !stopped; epoch++) {
    interrupt(epoch, 0);
    for (const callback of callbacks) await callback.onEpochBegin?.(epoch, run);
    if (verbose && epochs > 1) writer.write(`Epoch ${epoch + 1}/${epochs}\n`);
    const bar = new ProgressBar({
      target: batches.length,
      verbose,
      dynamic: writer.dynamic,
      write: writer.write,
      now: () => performance.now() / 1000,
    });
    const averages = new Averages(trainer.objective.reported);
    const order = shuffle ? trainer.order(training.count) : null;
    let done = 0;
    for (const callback of limit === 1 ? callbacks : []) await callback.onBatchBegin?.(0, run);
    const walk = walkBatches({
      session: trainer.session,
      set: training,
      batches,
      order,
      pace,
      limit,
      stepFor: (shapes) => trainer.trainStep(shapes),
      keepsRows: trainer.keepsRows,
      extra: (batch) => trainer.trainFeed(batch.index - done),
    });
    for await (const { batches: group, results } of walk) {
      trainer.advance(goodSteps(trainer, group, results, epoch));
      results.forEach((result, i) => averages.add(result, group[i].to - group[i].from));
      done += group.length;
      logs = averages.logs();
      if (done < batches.length) bar.update(done, sorted(logs));
      for (const callback of limit === 1 ? callbacks : []) await callback.onBatchEnd?.(done - 1, logs, run);
      interrupt(epoch, done);
      if (stopped) break;
      if (done < batches.length)
        for (const callback of limit === 1 ? callbacks : []) await callback.onBatchBegin?.(done, run);
    }
    if (validation) {
      const measured = await trainer.evaluate(validation, batchSize);
      for (const [name, value] of Object.entries(measured)) logs[`val_${name}`] = value;
    }
    bar.update(batches.length, { ...sorted(averages.logs()), ...sorted(pick(logs, 'val_')) }, true);
    history.add(epoch, logs);
    for (const callback of callbacks) await callback.onEpochEnd?.(epoch, logs, run);
  }
  for (const callback of callbacks) await callback.onTrainEnd?.(logs, run);
  return history;
}

function pick(logs: Logs, prefix: string): Record<string, number> {
  return Object.fromEntries(Object.entries(logs).filter(([key]) => key.startsWith(prefix)));
}

/**
 * How many steps of a hand-over were written; all, or it throws NUMERIC, naming the batch. The step itself has kept the weights at the last
 * good one.
 */
function goodSteps(trainer: Trainer, group: readonly Batch[], results: readonly Result[], epoch: number): number {
  const bad = results.findIndex((result) => resultOf(result, 'good')[0] === 0);
  if (bad < 0) return results.length;
  trainer.advance(bad);
  trainer.session.set(haltedLeaf, Float32Array.of(0));
  const loss = resultOf(results[bad], 'loss')[0];
  const what = Number.isFinite(loss) ? 'a gradient is not' : `${loss}`;
  throw new UnrolledError(
    'NUMERIC',
    `fit: epoch ${epoch + 1}, batch ${group[bad].index + 1}: expected a finite loss and gradients, received ${what}. ` +
      'The weights are those of the last good step. Try a smaller learningRate, or globalClipnorm: 1 in the optimizer.',
  );
}
