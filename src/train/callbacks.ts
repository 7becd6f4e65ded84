/** Hooks into training. A callback is an object with the hooks that it needs; a hook may be async, and training waits for it. */
import type { NdArray } from '../core/array.ts';

/** Averages of the epoch so far: `loss`, the metrics, and at the end of an epoch the same with `val_` in front. */
export type Logs = Readonly<Record<string, number>>;

/** The model as hooks see it: all of `Model`, of which these are what most hooks need. */
export interface TrainedModel {
  readonly name: string;
  /** May be changed; it holds from the next steps that are handed over. */
  learningRate: number;
  /** Steps of the optimizer so far. */
  readonly iterations: number;
  getWeights(): NdArray[];
  setWeights(weights: readonly NdArray[]): void;
  save(path: string): Promise<void>;
}

/** What a hook may do with the run that it is called from. */
export interface TrainingRun {
  readonly model: TrainedModel;
  /** Number of epochs and of steps in one. */
  readonly epochs: number;
  readonly steps: number;
  /** Ends the training after this hook, without an error. */
  stop(): void;
}

type Hook<A extends readonly unknown[]> = (...args: A) => void | Promise<void>;

/** Hooks of one's own. While one runs, the model is at rest: weights may be read and written, and saved. */
export interface Callback {
  onTrainBegin?: Hook<[run: TrainingRun]>;
  onTrainEnd?: Hook<[logs: Logs, run: TrainingRun]>;
  onEpochBegin?: Hook<[epoch: number, run: TrainingRun]>;
  onEpochEnd?: Hook<[epoch: number, logs: Logs, run: TrainingRun]>;
  /** With this hook or the next, steps are handed over one at a time. */
  onBatchBegin?: Hook<[batch: number, run: TrainingRun]>;
  onBatchEnd?: Hook<[batch: number, logs: Logs, run: TrainingRun]>;
}
