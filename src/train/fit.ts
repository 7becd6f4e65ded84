/** What `fit` takes, checked. */
import { fail } from '../core/errors.ts';
import { showValue } from '../layers/options.ts';
import type { Callback } from './callbacks/callback.ts';
import { checkCallback } from './callbacks/hook-names.ts';
import type { ClassWeight, ModelData, NamedData, OutputData } from './data.ts';
import type { BatchFields, BatchStream } from './given.ts';
import { refuseUnknown } from './model-options.ts';
import type { Truncation } from './truncation.ts';

/** 0 silent, 1 a bar, 2 a line an epoch, `auto`: 1 on a terminal, else 2. */
export type Verbosity = 0 | 1 | 2 | 'auto';

/** Arrays, or a stream of batches. */
export type ValidationData =
  | readonly [x: ModelData | NamedData, y: OutputData, sampleWeight?: OutputData]
  | BatchFields
  | BatchStream;

export interface FitOptions {
  /** Epochs up to which to train. Default 1. */
  readonly epochs?: number;
  /** The epoch to start with, counted from 0. Default 0. */
  readonly initialEpoch?: number;
  /** Samples in a step. Default 32, or the model's fixed batch. The last batch may be smaller. Streams decide by themselves. */
  readonly batchSize?: number;
  /** Shuffle the samples anew for every epoch. Default true for arrays; streams come in their own order. */
  readonly shuffle?: boolean;
  /**
   * Steps of an epoch. Default: all of the data. The next epoch goes on where the last one stopped; where the data ends within an epoch, the
   * epoch ends with a warning.
   */
  readonly stepsPerEpoch?: number;
  /** Share of the samples, from the end and before shuffling, that is held out for validation. Arrays only. */
  readonly validationSplit?: number;
  /** Data for validation, `[x, y]`, `[x, y, sampleWeight]` or a stream of batches; goes before `validationSplit`. */
  readonly validationData?: ValidationData;
  /** Batches of a validation. Default: all. Each one starts at the beginning of the data. */
  readonly validationSteps?: number;
  /** Samples in a batch of the validation. Default: `batchSize`. */
  readonly validationBatchSize?: number;
  /** After every so many epochs, or after those in the list, counted from 1. Default 1. */
  readonly validationFreq?: number | readonly number[];
  /** (N), or one for every entry of the loss: (N, T). For several outputs a list, or an object by their names. */
  readonly sampleWeight?: OutputData;
  /** A weight for each label, such as `{ 0: 1, 1: 3.5 }`; validation counts all labels alike. */
  readonly classWeight?: ClassWeight;
  /** (N, T), 0 or 1: which steps of the input count. */
  readonly mask?: ModelData | NamedData;
  /**
   * Truncated backpropagation through time: sequences are trained on in windows of so many steps, an optimizer step for each, and the state
   * goes on without a gradient. Steps of an epoch are then windows. For models whose outputs follow time.
   *
   * @example await model.fit(x, y, { tbptt: { window: 100, stride: 50 } });
   */
  readonly tbptt?: Truncation;
  readonly verbose?: Verbosity;
  readonly callbacks?: readonly Callback[];
  /** Stops the training after the steps that have been handed over; fit then rejects with `TrainingInterrupted`. */
  readonly signal?: AbortSignal;
  /**
   * A snapshot of an interrupted run, its path or its bytes, to go on with: the same model, compiled alike, and the same data and options end in
   * the same bits as without the interruption. `callbacks.backupAndRestore` writes and finds them by itself.
   */
  readonly resumeFrom?: string | Uint8Array;
  /** Where progress is written. Default: the standard output. */
  readonly write?: (text: string) => void;
}

const optionNames: ReadonlySet<string> = new Set([
  'epochs',
  'initialEpoch',
  'batchSize',
  'shuffle',
  'stepsPerEpoch',
  'validationSplit',
  'validationData',
  'validationSteps',
  'validationBatchSize',
  'validationFreq',
  'sampleWeight',
  'classWeight',
  'mask',
  'tbptt',
  'verbose',
  'callbacks',
  'signal',
  'resumeFrom',
  'write',
] satisfies (keyof FitOptions)[]);

/** Refuses what `fit` does not know, so that nothing is ignored. */
export function checkFitOptions(options: FitOptions, where: string): void {
  refuseUnknown(options, [...optionNames], where);
  const whole = (name: keyof FitOptions, from: number) => {
    const value = options[name];
    if (value !== undefined && (!Number.isInteger(value) || (value as number) < from))
      fail('ARGUMENT', `${where}: ${name}`, `a whole number from ${from} on`, showValue(value));
  };
  whole('epochs', 0);
  whole('initialEpoch', 0);
  whole('stepsPerEpoch', 1);
  whole('validationSteps', 1);
  whole('validationBatchSize', 1);
  const { verbose, validationFreq, resumeFrom, callbacks, shuffle, signal } = options;
  if (shuffle !== undefined && typeof shuffle !== 'boolean')
    fail('ARGUMENT', `${where}: shuffle`, 'true or false', showValue(shuffle));
  if (signal !== undefined && typeof (signal as Partial<AbortSignal> | null)?.addEventListener !== 'function')
    fail(
      'ARGUMENT',
      `${where}: signal`,
      'an AbortSignal',
      showValue(signal),
      'Give the `signal` of an AbortController.',
    );
  if (verbose !== undefined && ![0, 1, 2, 'auto'].includes(verbose))
    fail('ARGUMENT', `${where}: verbose`, "0, 1, 2 or 'auto'", String(verbose));
  const epochs = Array.isArray(validationFreq) ? validationFreq : [validationFreq ?? 1];
  if (!epochs.every((epoch) => Number.isInteger(epoch) && epoch > 0))
    fail('ARGUMENT', `${where}: validationFreq`, 'a positive integer or a list of them', showValue(validationFreq));
  if (resumeFrom !== undefined && typeof resumeFrom !== 'string' && !(resumeFrom instanceof Uint8Array))
    fail('ARGUMENT', `${where}: resumeFrom`, 'a path or bytes', showValue(resumeFrom));
  if (callbacks !== undefined && !Array.isArray(callbacks))
    fail('ARGUMENT', `${where}: callbacks`, 'a list', showValue(callbacks), 'Write `callbacks: [callback]`.');
  callbacks?.forEach((callback: unknown, i) => {
    checkCallback(callback, `${where}: callbacks[${i}]`);
  });
}

/** Whether an epoch, counted from 0, is followed by a validation. */
export function validatesAfter(epoch: number, freq: number | readonly number[] = 1): boolean {
  return typeof freq === 'number' ? (epoch + 1) % freq === 0 : freq.includes(epoch + 1);
}
