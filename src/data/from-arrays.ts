/** Data sets out of what is in memory, or of a function. */
import { type ArrayInput, NdArray, type NdArrayData } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import type { RandomKey } from '../core/random.ts';
import { sizeOf } from '../core/shape.ts';
import { Dataset } from './dataset.ts';

/**
 * Samples along the first axis: an array, lists of unequal length, a list of `NdArray` for several inputs, or an object of arrays by name.
 */
export type Rows =
  | ArrayInput
  | readonly ArrayLike<number>[]
  | readonly NdArray[]
  | { readonly [name: string]: ArrayInput };

interface RowReader {
  readonly count: number;
  row(i: number): unknown;
}

function readerOf(rows: unknown, where: string): RowReader {
  if (rows instanceof NdArray) return arrayReader(rows, where);
  if (ArrayBuffer.isView(rows) && !(rows instanceof DataView)) return arrayReader(NdArray.from(rows as never), where);
  if (Array.isArray(rows)) {
    if (rows.length && rows.every((own) => own instanceof NdArray))
      return together(
        rows.map((own, i) => readerOf(own, `${where}[${i}]`)),
        (read) => read,
        where,
      );
    const arrays: unknown[] = rows.map((own, i) => rowOf(own, `${where}: sample ${i}`));
    return { count: arrays.length, row: (i) => arrays[i] };
  }
  if (typeof rows === 'object' && rows !== null) {
    const names = Object.keys(rows);
    const readers = names.map((name) => readerOf((rows as Record<string, unknown>)[name], `${where}.${name}`));
    return together(readers, (read) => Object.fromEntries(names.map((name, i) => [name, read[i]])), where);
  }
  return fail('DATA', where, 'arrays, lists or an object of them', typeof rows);
}

function rowOf(row: unknown, where: string): unknown {
  if (typeof row === 'number') return row;
  if (typeof row === 'boolean') return row ? 1 : 0;
  try {
    return NdArray.from(row as ArrayInput);
  } catch (error) {
    return fail('DATA', where, 'numbers', error instanceof Error ? error.message : String(error));
  }
}

function arrayReader(array: NdArray, where: string): RowReader {
  const [count, ...shape] = array.shape;
  if (count === undefined) fail('SHAPE', where, 'samples along the first axis', 'a single number');
  const size = sizeOf(shape);
  return {
    count,
    row: (i) => NdArray.from(array.data.subarray(i * size, (i + 1) * size) as NdArrayData, shape, array.dtype),
  };
}

function together(readers: readonly RowReader[], make: (rows: unknown[]) => unknown, where: string): RowReader {
  const count = readers[0]?.count ?? 0;
  const odd = readers.findIndex((own) => own.count !== count);
  if (odd >= 0) fail('SHAPE', where, `${count} samples in all parts`, `${readers[odd].count} in part ${odd}`);
  return { count, row: (i) => make(readers.map((own) => own.row(i))) };
}

/**
 * A data set of samples: `[x, y]`, `[x, y, sampleWeight]`, or `x` alone.
 *
 * @param x samples along the first axis; lists of token ids may have different lengths
 * @throws SHAPE where x, y and weights have different numbers of samples
 * @example
 * const reviews = dataset.fromArrays([[4, 8, 2], [7, 1]], [1, 0]);
 * await model.fit(reviews.shuffle().paddedBatch(32), { epochs: 3 });
 */
export function fromArrays<T = unknown>(x: Rows, y?: Rows, sampleWeight?: Rows): Dataset<T> {
  const where = 'dataset.fromArrays';
  if (y === undefined && sampleWeight !== undefined) fail('ARGUMENT', `${where}: y`, 'targets beside weights', 'none');
  const parts = [readerOf(x, `${where}: x`)];
  if (y !== undefined) parts.push(readerOf(y, `${where}: y`));
  if (sampleWeight !== undefined) parts.push(readerOf(sampleWeight, `${where}: sampleWeight`));
  const all = parts.length === 1 ? parts[0] : together(parts, (rows) => rows, where);
  return new Dataset<T>(function* () {
    for (let i = 0; i < all.count; i++) yield all.row(i) as T;
  }, all.count);
}

/**
 * A data set out of a function that gives its elements; it is called for every pass.
 *
 * @param make a generator function, async or not; its key is another one for every pass, for draws that are the same in every run
 * @param size number of elements, where it is known
 * @example
 * const lines = dataset.fromGenerator(async function* () {
 *   for await (const line of createInterface({ input: createReadStream('reviews.tsv') })) yield parse(line);
 * });
 */
export function fromGenerator<T>(
  make: (random: RandomKey) => Iterable<T> | AsyncIterable<T>,
  size: number | null = null,
): Dataset<T> {
  if (typeof make !== 'function')
    fail(
      'ARGUMENT',
      'dataset.fromGenerator',
      'a function that gives something to iterate over',
      typeof make,
      'Write `() => iterable`.',
    );
  return new Dataset<T>(make, size);
}
