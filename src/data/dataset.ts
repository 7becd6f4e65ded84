/**
 * Data one element after the other: immutable descriptions of where elements come from and what is done with them. Nothing is read before
 * somebody iterates, and a pass with the same key gives the same elements in the same order. Source of the operations: `tf.data`.
 */
import { fail } from '../core/errors.ts';
import { RandomKey } from '../core/random.ts';
import { type BatchOptions, type PaddedBatchOptions, padBatch, stackBatch } from './batching.ts';
import { type BucketOptions, Buckets } from './buckets.ts';

type Start<T> = (random: RandomKey) => Iterable<T> | AsyncIterable<T>;

/** What a pass is when nobody says which: the first. */
const firstPass = RandomKey.from(0);

function whole(value: unknown, where: string, from: number): number {
  if (value !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(value) || (value as number) < from))
    fail('ARGUMENT', where, `a whole number from ${from} on`, String(value));
  return value as number;
}

const known = (size: number | null, change: (size: number) => number): number | null =>
  size === null ? null : change(size);

/**
 * Elements one after the other, each a sample or, after `batch`, a batch. Every method gives a new data set.
 *
 * @example
 * const batches = dataset.fromArrays(reviews, labels).shuffle(10_000, 1).bucketByLength({ tokensPerBatch: 4096 }).prefetch(2);
 * await model.fit(batches, { epochs: 3 });
 */
export class Dataset<T> implements AsyncIterable<T> {
  /** Number of elements: null where only reading them tells, Infinity without end. */
  readonly size: number | null;
  private readonly start: Start<T>;

  /** Use `dataset.fromArrays` or `dataset.fromGenerator`. */
  constructor(start: Start<T>, size: number | null) {
    this.start = start;
    this.size = size;
  }

  /**
   * One pass over the elements. `fit` gives each epoch another key, so that `shuffle` gives it another order.
   *
   * @param random which pass; the same one gives the same elements
   */
  async *iterate(random: RandomKey): AsyncGenerator<T> {
    yield* this.start(random);
  }

  /** The first pass. */
  [Symbol.asyncIterator](): AsyncGenerator<T> {
    return this.iterate(firstPass);
  }

  private derive<R>(
    change: (elements: Start<T>, random: RandomKey) => AsyncIterable<R>,
    size: number | null,
  ): Dataset<R> {
    return new Dataset((random) => change(this.start, random), size);
  }

  /** Each element changed. @param change may be async; `index` counts from 0 in every pass */
  map<R>(change: (element: T, index: number) => R | Promise<R>): Dataset<R> {
    return this.derive(async function* (start, random) {
      let index = 0;
      for await (const element of start(random)) yield await change(element, index++);
    }, this.size);
  }

  /** The elements for which `keep` says so. */
  filter(keep: (element: T) => boolean | Promise<boolean>): Dataset<T> {
    return this.derive(async function* (start, random) {
      for await (const element of start(random)) if (await keep(element)) yield element;
    }, null);
  }

  /**
   * Another order in every pass: each element that comes out is drawn from those in a buffer, and the next one takes its place.
   *
   * @param buffer elements that it holds; only one of all elements mixes them evenly. Default: all
   * @param seed from which all orders follow. Default 0
   */
  shuffle(buffer = Number.POSITIVE_INFINITY, seed = 0): Dataset<T> {
    whole(buffer, 'dataset.shuffle: buffer', 1);
    const key = RandomKey.from(seed).split('shuffle');
    return this.derive(async function* (start, random) {
      const draw = drawer(key.split(random.words[0]).split(random.words[1]));
      const held: T[] = [];
      const take = (): T => {
        const at = draw(held.length);
        const element = held[at];
        held[at] = held[held.length - 1];
        held.pop();
        return element;
      };
      for await (const element of start(random)) {
        held.push(element);
        if (held.length > buffer) yield take();
      }
      while (held.length) yield take();
    }, this.size);
  }

  /**
   * Elements stacked along a new first axis: numbers become a vector, vectors a matrix. Throws SHAPE where they differ in shape.
   *
   * @param size elements in a batch; the last may have fewer
   */
  batch(size: number, options: BatchOptions = {}): Dataset<unknown> {
    return this.groups(size, options, 'dataset.batch', stackBatch);
  }

  /** `batch` for sequences of different lengths: each is padded to the longest of its batch. */
  paddedBatch(size: number, options: PaddedBatchOptions = {}): Dataset<unknown> {
    return this.groups(size, options, 'dataset.paddedBatch', (elements, where) =>
      padBatch(elements, options, null, where),
    );
  }

  private groups(
    size: number,
    { dropRemainder = false }: BatchOptions,
    where: string,
    make: (elements: readonly unknown[], where: string) => unknown,
  ): Dataset<unknown> {
    whole(size, `${where}: size`, 1);
    return this.derive(
      async function* (start, random) {
        let held: T[] = [];
        for await (const element of start(random)) {
          held.push(element);
          if (held.length < size) continue;
          yield make(held, where);
          held = [];
        }
        if (held.length && !dropRemainder) yield make(held, where);
      },
      known(this.size, (n) => (dropRemainder ? Math.floor(n / size) : Math.ceil(n / size))),
    );
  }

  /**
   * Batches of sequences of about the same length, padded to a few lengths, so that little is padding and few shapes are compiled. Elements
   * come in the order in which their batches are full.
   *
   * With `tokensPerBatch` a batch has as many rows as fit: rows times padded length stay within it. With `boundaries` and `batchSizes` it is
   * Keras's and TensorFlow's `bucket_by_sequence_length`.
   *
   * Errors: DATA for an element that is longer than the budget.
   *
   * @example dataset.fromArrays(ids, labels).shuffle().bucketByLength({ tokensPerBatch: 4096 })
   */
  bucketByLength(options: BucketOptions<T>): Dataset<unknown> {
    const buckets = new Buckets(options, 'dataset.bucketByLength');
    return this.derive(async function* (start, random) {
      const open = buckets.open();
      for await (const element of start(random)) {
        const batch = open.add(element);
        if (batch) yield batch;
      }
      yield* open.rest();
    }, null);
  }

  /**
   * Windows of neighbouring elements, stacked along a new first axis.
   *
   * @param size elements in a window
   */
  window(size: number, options: WindowOptions = {}): Dataset<unknown> {
    const { shift = 1, stride = 1, dropRemainder = true } = options;
    const where = 'dataset.window';
    whole(size, `${where}: size`, 1);
    whole(shift, `${where}: shift`, 1);
    whole(stride, `${where}: stride`, 1);
    const reach = (size - 1) * stride + 1;
    return this.derive(
      async function* (start, random) {
        let held: T[] = [];
        let skip = 0;
        const window = () => held.slice(0, reach).filter((_, i) => i % stride === 0);
        const move = () => {
          skip = Math.max(0, shift - held.length);
          held = held.slice(shift);
        };
        for await (const element of start(random)) {
          if (skip > 0) {
            skip--;
            continue;
          }
          held.push(element);
          if (held.length < reach) continue;
          yield stackBatch(window(), where);
          move();
        }
        while (!dropRemainder && held.length) {
          yield stackBatch(window(), where);
          move();
        }
      },
      known(this.size, (n) =>
        dropRemainder ? Math.max(0, Math.floor((n - reach) / shift) + 1) : Math.ceil(n / shift),
      ),
    );
  }

  /** Reads so many elements ahead while the last one is used. Changes nothing but the time. */
  prefetch(count: number): Dataset<T> {
    whole(count, 'dataset.prefetch: count', 1);
    return this.derive((start, random) => prefetched(start(random), count), this.size);
  }

  /** All elements so many times, shuffled anew each time. @param times default: without end */
  repeat(times = Number.POSITIVE_INFINITY): Dataset<T> {
    whole(times, 'dataset.repeat: times', 0);
    return this.derive(
      async function* (start, random) {
        for (let i = 0; i < times; i++) {
          let empty = true;
          for await (const element of start(i ? random.split(i) : random)) {
            empty = false;
            yield element;
          }
          if (empty) return;
        }
      },
      known(this.size, (n) => (n === 0 || times === 0 ? 0 : n * times)),
    );
  }

  /** The first so many elements. */
  take(count: number): Dataset<T> {
    whole(count, 'dataset.take: count', 0);
    return this.derive(
      async function* (start, random) {
        let left = count;
        if (!left) return;
        for await (const element of start(random)) {
          yield element;
          if (--left === 0) return;
        }
      },
      known(this.size, (n) => Math.min(n, count)),
    );
  }

  /** All but the first so many elements. */
  skip(count: number): Dataset<T> {
    whole(count, 'dataset.skip: count', 0);
    return this.derive(
      async function* (start, random) {
        let left = count;
        for await (const element of start(random))
          if (left > 0) left--;
          else yield element;
      },
      known(this.size, (n) => (n === Number.POSITIVE_INFINITY ? n : Math.max(0, n - count))),
    );
  }

  /** All elements of the first pass in a list. */
  async toArray(): Promise<T[]> {
    const elements: T[] = [];
    for await (const element of this) elements.push(element);
    return elements;
  }
}

export interface WindowOptions {
  /** Elements between the starts of two windows. Default 1. */
  readonly shift?: number;
  /** Elements between two of a window. Default 1. */
  readonly stride?: number;
  /** Leave out windows that are not full. Default true. */
  readonly dropRemainder?: boolean;
}

const drawsAtOnce = 1024;

/** Whole numbers from 0 to below a bound, one after the other. */
function drawer(key: RandomKey): (below: number) => number {
  let values: Int32Array = new Int32Array(0);
  let at = 0;
  let round = 0;
  return (below) => {
    if (at === values.length) {
      values = key.split(round++).integers(drawsAtOnce, 0, 2 ** 31);
      at = 0;
    }
    return Math.floor((values[at++] / 2 ** 31) * below);
  };
}

async function* prefetched<T>(elements: Iterable<T> | AsyncIterable<T>, count: number): AsyncGenerator<T> {
  const iterator = Symbol.asyncIterator in elements ? elements[Symbol.asyncIterator]() : elements[Symbol.iterator]();
  type Outcome = { readonly result: IteratorResult<T> } | { readonly error: unknown };
  const waiting: Promise<Outcome>[] = [];
  let ended = false;
  // One after the other: iterators need not stand being asked twice at once.
  let last: Promise<unknown> = Promise.resolve();
  const ask = () => {
    const outcome = last.then(async (): Promise<Outcome> => {
      if (ended) return { result: { done: true, value: undefined } };
      try {
        const result = await iterator.next();
        ended ||= result.done === true;
        return { result };
      } catch (error) {
        ended = true;
        return { error };
      }
    });
    last = outcome;
    waiting.push(outcome);
  };
  try {
    for (;;) {
      while (waiting.length <= count) ask();
      const outcome = await (waiting.shift() as Promise<Outcome>);
      if ('error' in outcome) throw outcome.error;
      if (outcome.result.done) return;
      yield outcome.result.value;
    }
  } finally {
    if (!ended) {
      ended = true;
      await last;
      await iterator.return?.();
    }
  }
}
