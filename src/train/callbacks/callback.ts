/**
 * Hooks into training. A callback is an object with the hooks that it needs; a hook may be async, and training waits for it. While one runs,
 * the model is at rest: its weights may be read, written and saved. Source of the order of the calls: Keras 3, `keras/src/callbacks`.
 */
import type { NdArray } from '../../core/array.ts';
import type { Shape } from '../../core/shape.ts';
import type { NumericError } from '../anomaly.ts';
import type { ModelData } from '../data.ts';
import type { Gradients } from '../derivatives.ts';
import type { History } from '../history.ts';
import type { Inspection } from '../inspect.ts';
import type { InspectBatchOptions } from '../inspect-batch.ts';
import type { ModelStructure } from '../structure.ts';
import type { SummaryOptions } from '../summary.ts';

/** Averages of the epoch so far: `loss`, the metrics, and at the end of an epoch the same with `val_` in front. */
export type Logs = Readonly<Record<string, number>>;

/** The logs of a whole epoch: what a hook adds goes into the history and on screen, as `learning_rate` does. */
export type EpochLogs = Record<string, number>;

/** Whether smaller or larger values of a metric are better. */
export type Direction = 'min' | 'max';

/** The model as hooks see it. */
export interface TrainedModel {
  readonly name: string;
  /** May be changed; it holds from the next steps that are handed over. */
  learningRate: number;
  /** Steps of the optimizer so far. */
  readonly iterations: number;
  /** The weights in the order of `getWeights`. */
  readonly weights: readonly { readonly path: string; readonly shape: Shape; readonly trainable: boolean }[];
  getWeights(): NdArray[];
  setWeights(weights: readonly NdArray[]): void;
  /** The weights with the moving averages in the place of those that have one. Throws STATE where the optimizer keeps none. */
  averagedWeights(): NdArray[];
  /** Writes the whole model, optimizer included. */
  save(path: string): Promise<void>;
  /** Writes weights and the optimizer's values as safetensors. */
  saveWeights(path: string): Promise<void>;
  /** Which values of `loss` and of every metric, by their names in the logs without `val_`, are better; null: not known. */
  metricDirections(): Readonly<Record<string, Direction | null>>;
  summary(options?: SummaryOptions): string;
  structure(): ModelStructure;
  toKerasConfig(): Record<string, unknown>;
  lossAndGradients(
    x: ModelData,
    y: ModelData,
    options?: { readonly sampleWeight?: ModelData },
  ): Promise<Gradients & { loss: number }>;
}

/** What a hook may do with the run that it is called from. */
export interface TrainingRun {
  readonly model: TrainedModel;
  /** Number of epochs. */
  readonly epochs: number;
  /** Steps in an epoch; null where the data does not tell. */
  readonly steps: number | null;
  /** The epoch that runs or comes next, counted from 0. */
  readonly epoch: number;
  /** Steps of this epoch that are done. */
  readonly batch: number;
  /** Of `fit`'s options. */
  readonly signal?: AbortSignal;
  /** Of the epochs that are finished. */
  readonly history: History;
  /** Looks inside at work on the batch of the last step: see `inspect`. Throws STATE before the first step. */
  inspect(options?: InspectBatchOptions): Promise<Inspection>;
  /**
   * Within `onNonFinite`: runs the step that is not finite once more with everything in view, and gives the error that `fit` would reject with;
   * its `report` says in which layer and at which step it began. Throws STATE elsewhere.
   */
  nonFinite(): Promise<NumericError>;
  /** Everything that exact resume needs, as bytes: `fit(x, y, { resumeFrom })` takes them. */
  snapshot(): Uint8Array;
  /** Where the progress of the run is written. */
  readonly write?: (text: string) => void;
  /** Ends the training after this hook, without an error. */
  stop(reason?: string): void;
}

type Hook<A extends readonly unknown[]> = (...args: A) => void | Promise<void>;

/**
 * Hooks of one's own.
 *
 * @example
 * const halveAtFive: Callback = {
 *   name: 'halveAtFive',
 *   onEpochBegin(epoch, { model }) {
 *     if (epoch === 5) model.learningRate /= 2;
 *   },
 * };
 */
export interface Callback {
  /** Names it in messages, and, with its place in the list, in a snapshot. */
  readonly name?: string;
  /** Call its hooks after those of the others: it looks at what they did. */
  readonly last?: boolean;
  /** Before the first epoch; after `restore` where a run is resumed. */
  onTrainBegin?: Hook<[run: TrainingRun]>;
  onTrainEnd?: Hook<[logs: Logs, run: TrainingRun]>;
  /**
   * In place of `onTrainEnd` where the training ends with an error or is aborted: what was opened is to be closed here. What it throws is not
   * told, so that the first error is.
   *
   * @param error what `fit` rejects with
   */
  onTrainError?: Hook<[error: unknown, run: TrainingRun]>;
  onEpochBegin?: Hook<[epoch: number, run: TrainingRun]>;
  /** After validation. What it adds to `logs` goes into the history. */
  onEpochEnd?: Hook<[epoch: number, logs: EpochLogs, run: TrainingRun]>;
  /** Before a hand-over of steps. @param batch index within the epoch */
  onBatchBegin?: Hook<[batch: number, run: TrainingRun]>;
  /** After a hand-over of steps. @param batch index within the epoch, of the last of them */
  onBatchEnd?: Hook<[batch: number, logs: Logs, run: TrainingRun]>;
  /** Around validation within `fit`. */
  onTestBegin?: Hook<[run: TrainingRun]>;
  /** @param logs without `val_` */
  onTestEnd?: Hook<[logs: Logs, run: TrainingRun]>;
  /**
   * The loss or a gradient stopped being finite; the weights are those of the last good step. Where a hook calls `run.stop()`, training ends
   * without an error, else `fit` rejects with NUMERIC.
   *
   * @param batch index within the epoch
   * @param loss of that step
   */
  onNonFinite?: Hook<[batch: number, loss: number, run: TrainingRun]>;
  /**
   * Steps until the next call of the batch hooks; read before each hand-over. They are also called at the last step of an epoch, and count anew
   * from there. Default 1 where there is a batch hook, and then every step is handed over alone.
   */
  readonly batchFrequency?: number;
  /** What has to be kept, as JSON, for a resumed run to go on as if it had not been interrupted. Read after all hooks of that moment. */
  state?(): unknown;
  /** Takes what `state` gave. */
  restore?(state: unknown): void;
  /** A snapshot to go on with, asked for before anything else; null: there is none. Goes before `resumeFrom`. */
  resume?(): Promise<Uint8Array | null>;
}
