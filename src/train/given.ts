/** What a call may be given as data: arrays, or a stream of batches in one of its forms. */

import type { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { RandomKey } from '../core/random.ts';
import { Dataset } from '../data/dataset.ts';
import { showValue } from '../layers/options.ts';
import type { ModelData, NamedData, OutputData } from './data.ts';
import type { AnyIterator } from './source.ts';

/** One batch of a stream: a list of up to three, or an object. The number of rows and steps may change from batch to batch. */
export type BatchData =
  | readonly [x: ModelData | NamedData, y?: OutputData | null, sampleWeight?: OutputData | null]
  | BatchFields
  | NdArray;

export interface BatchFields {
  readonly x: ModelData | NamedData;
  readonly y?: OutputData | null;
  readonly sampleWeight?: OutputData | null;
  readonly mask?: ModelData | NamedData | null;
}

/**
 * Batches one after the other: a `Dataset`, anything that can be iterated (at once or with waiting), or a function that gives such a thing; a
 * function is called anew for every pass over the data. What iterates itself, such as a generator that has been started, can be read once.
 */
export type BatchStream =
  | Dataset<unknown>
  | Iterable<unknown>
  | AsyncIterable<unknown>
  | ((random: RandomKey) => Iterable<unknown> | AsyncIterable<unknown> | AnyIterator);

interface Iterating {
  readonly [Symbol.iterator]?: () => Iterator<unknown>;
  readonly [Symbol.asyncIterator]?: () => AsyncIterator<unknown>;
  readonly next?: unknown;
}

/** Whether data comes as a stream of batches. Lists and typed arrays are data themselves. */
export function isStream(x: unknown): x is BatchStream {
  if (typeof x === 'function') return true;
  if (typeof x !== 'object' || x === null || Array.isArray(x) || ArrayBuffer.isView(x)) return false;
  const own = x as Iterating;
  return (
    x instanceof Dataset || Symbol.asyncIterator in own || Symbol.iterator in own || typeof own.next === 'function'
  );
}

/** Whether there is one pass only: the thing is its own iterator. */
export function isOnce(stream: BatchStream): boolean {
  if (typeof stream === 'function' || stream instanceof Dataset) return false;
  const own = stream as Iterating;
  if (!(Symbol.asyncIterator in own || Symbol.iterator in own)) return true;
  // Only iterators have `next`; asking one for its iterator gives itself.
  return typeof own.next === 'function';
}

/** Batches in a pass, where the stream tells. */
export function countOf(stream: BatchStream): number | null {
  return stream instanceof Dataset && Number.isFinite(stream.size) ? stream.size : null;
}

/** Whether the stream says that it never ends. */
export function isEndless(stream: BatchStream): boolean {
  return stream instanceof Dataset && stream.size === Number.POSITIVE_INFINITY;
}

/** Starts a pass. @param number which one: what shuffles gives each pass another order, and the same one always the same */
export function iterate(stream: BatchStream, number: number, where: string): AnyIterator {
  const key = RandomKey.from(0).split('pass').split(number);
  if (stream instanceof Dataset) return stream.iterate(key)[Symbol.asyncIterator]();
  const given = typeof stream === 'function' ? stream(key) : stream;
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) {
    const own = given as Iterating;
    if (own[Symbol.asyncIterator]) return (own as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    if (own[Symbol.iterator]) return (own as Iterable<unknown>)[Symbol.iterator]();
    if (typeof own.next === 'function') return given as AnyIterator;
  }
  return fail(
    'ARGUMENT',
    where,
    'a function that gives batches to iterate over, such as a generator function',
    showValue(given),
    'Write `function* () { yield [x, y]; }`.',
  );
}

const fieldNames = ['x', 'y', 'sampleWeight', 'mask'];

/** The parts of a batch. */
export function fieldsOf(item: unknown, where: string): BatchFields {
  const next = 'Yield [x, y], [x, y, sampleWeight] or { x, y, sampleWeight, mask }.';
  if (Array.isArray(item)) {
    if (item.length < 1 || item.length > 3)
      fail('DATA', where, 'a list of one to three', `a list of ${item.length}`, next);
    const [x, y, sampleWeight] = item;
    if (typeof x === 'number') fail('DATA', where, 'a list [x, y] of arrays', 'a list of numbers', next);
    return { x, y, sampleWeight };
  }
  if (typeof item === 'object' && item !== null && 'x' in item && !ArrayBuffer.isView(item)) {
    for (const key of Object.keys(item))
      if (!fieldNames.includes(key)) fail('DATA', where, `an object of ${fieldNames.join(', ')}`, `'${key}'`, next);
    return item as BatchFields;
  }
  if (typeof item === 'object' && item !== null) return { x: item as NdArray };
  return fail('DATA', where, 'a batch', showValue(item), next);
}
