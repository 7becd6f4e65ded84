/** Windows that slide over a series. Source: Keras 3, `keras/src/utils/timeseries_dataset_utils.py`. */
import { type ArrayInput, NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { RandomKey } from '../core/random.ts';
import { sizeOf } from '../core/shape.ts';
import { Dataset } from './dataset.ts';

export interface TimeseriesOptions {
  /** Steps in a window. */
  readonly sequenceLength: number;
  /** Steps between the starts of two windows. Default 1. */
  readonly sequenceStride?: number;
  /** Steps between two in a window. Default 1. */
  readonly samplingRate?: number;
  /** Windows in a batch; null: single windows. Default 128. */
  readonly batchSize?: number | null;
  /** Windows in random order, another one in every pass. Default false: in the order of time. */
  readonly shuffle?: boolean;
  /** Of the order. Default 0. */
  readonly seed?: number;
  /** The first step that is used. Default 0. */
  readonly startIndex?: number;
  /** The step before which data ends. Default: the end. */
  readonly endIndex?: number;
}

/** The rows of an array that are named, under each other. */
function take(array: NdArray, rows: readonly number[]): NdArray {
  const shape = array.shape.slice(1);
  const size = sizeOf(shape);
  const data = new (array.data.constructor as { new (n: number): NdArray['data'] })(rows.length * size);
  rows.forEach((row, i) => data.set(array.data.subarray(row * size, (row + 1) * size), i * size));
  return NdArray.from(data, [rows.length, ...shape], array.dtype);
}

/**
 * Batches of windows over a series, (B, sequenceLength, ...), and the target of each: `targets[i]` belongs to the window that starts at step i.
 *
 * @param data (T, ...): a step along the first axis
 * @param targets (T, ...), or null: the elements are windows alone
 * @example
 * // The next value from the ten before it.
 * const windows = dataset.timeseries(values.slice(0, -10), values.slice(10), { sequenceLength: 10, batchSize: 32 });
 */
export function timeseries(data: ArrayInput, targets: ArrayInput | null, options: TimeseriesOptions): Dataset<unknown> {
  const where = 'dataset.timeseries';
  const {
    sequenceLength,
    sequenceStride = 1,
    samplingRate = 1,
    batchSize = 128,
    shuffle = false,
    seed = 0,
    startIndex = 0,
  } = options;
  const series = NdArray.from(data);
  const length = series.shape[0] ?? fail('SHAPE', where, 'steps along the first axis', 'a single number');
  const { endIndex = length } = options;
  const positive = (name: string, value: unknown, below: number) => {
    if (!Number.isSafeInteger(value) || (value as number) < 1 || (value as number) > below)
      fail('ARGUMENT', `${where}: ${name}`, `a whole number from 1 to ${below}`, String(value));
  };
  positive('sequenceLength', sequenceLength, length);
  positive('sequenceStride', sequenceStride, Math.max(1, length - 1));
  positive('samplingRate', samplingRate, Math.max(1, length - 1));
  if (batchSize !== null) positive('batchSize', batchSize, Number.MAX_SAFE_INTEGER);
  if (!Number.isSafeInteger(startIndex) || startIndex < 0 || startIndex >= length)
    fail('ARGUMENT', `${where}: startIndex`, `a whole number from 0 to ${length - 1}`, String(startIndex));
  if (!Number.isSafeInteger(endIndex) || endIndex <= startIndex || endIndex > length)
    fail('ARGUMENT', `${where}: endIndex`, `a whole number from ${startIndex + 1} to ${length}`, String(endIndex));
  const wanted = targets === null ? null : NdArray.from(targets);
  const fitting = endIndex - startIndex - (sequenceLength - 1) * samplingRate;
  const last = wanted ? Math.min(fitting, wanted.shape[0] ?? 0, (wanted.shape[0] ?? 0) - startIndex) : fitting;
  const starts: number[] = [];
  for (let start = 0; start < last; start += sequenceStride) starts.push(startIndex + start);
  if (!starts.length)
    fail(
      'DATA',
      where,
      `data for a window of ${(sequenceLength - 1) * samplingRate + 1} steps`,
      `${endIndex - startIndex} steps`,
    );
  const key = RandomKey.from(seed).split('timeseries');
  const windows = new Dataset<unknown>(function* (random) {
    const order = shuffle ? key.split(random.words[0]).split(random.words[1]).permutation(starts.length) : null;
    for (let i = 0; i < starts.length; i++) {
      const start = starts[order ? order[i] : i];
      const steps = Array.from({ length: sequenceLength }, (_, t) => start + t * samplingRate);
      const window = take(series, steps);
      if (!wanted) yield window;
      else {
        const target = take(wanted, [start]);
        yield [window, NdArray.from(target.data, wanted.shape.slice(1), wanted.dtype)];
      }
    }
  }, starts.length);
  return batchSize === null ? windows : windows.batch(batchSize);
}
