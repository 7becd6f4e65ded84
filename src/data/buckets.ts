/** Batches of sequences of about the same length. Source of the form with boundaries: `tf.data.Dataset.bucket_by_sequence_length`. */
import { fail } from '../core/errors.ts';
import { checkPadding, isArrayLeaf, leafArray, type PaddingOptions, padBatch } from './batching.ts';

export interface BucketOptions<T> extends PaddingOptions {
  /** Rows times padded length of a batch, at most. */
  readonly tokensPerBatch?: number;
  /** Lengths up to which buckets reach, ascending. Default: steps of about a fifth, such as 8, 12, 16, 20, 24, 32, 40, 48, 64. */
  readonly boundaries?: readonly number[];
  /** Rows of each bucket's batches, one more than boundaries: the last for what is longer than all of them. In place of `tokensPerBatch`. */
  readonly batchSizes?: readonly number[];
  /** Length of an element. Default: the longest first axis of its first part. */
  readonly length?: (element: T) => number;
  /** Pad to the boundary of the bucket, so that few shapes are compiled; else to the longest of the batch. Default true. */
  readonly padToBoundary?: boolean;
  /** Leave out what does not fill a batch at the end. Default false. */
  readonly dropRemainder?: boolean;
}

/** The lengths of default buckets: multiples of 4 up to 16, then four to each doubling. */
function defaultBoundary(length: number): number {
  let step = 4;
  while (length > 8 * step) step *= 2;
  return Math.max(step, Math.ceil(length / step) * step);
}

/** The longest first axis in the first part of an element. */
function lengthOf(element: unknown, where: string): number {
  const input = Array.isArray(element)
    ? element[0]
    : typeof element === 'object' && element !== null && 'x' in element
      ? element.x
      : element;
  const visit = (x: unknown): number => {
    if (isArrayLeaf(x, false)) return leafArray(x, where).shape[0] ?? 0;
    if (typeof x !== 'object' || x === null) return fail('DATA', where, 'an array or arrays', typeof x);
    return Object.values(x).reduce((most: number, own) => Math.max(most, visit(own)), 0);
  };
  return visit(input);
}

interface Bucket {
  readonly rows: number;
  held: unknown[];
}

/** The buckets of one pass. */
export interface OpenBuckets<T> {
  /** A batch, where the element fills one. */
  add(element: T): unknown | null;
  /** What is left at the end, the shortest first. */
  rest(): Iterable<unknown>;
}

export class Buckets<T> {
  private readonly options: BucketOptions<T>;
  private readonly where: string;

  constructor(options: BucketOptions<T>, where: string) {
    this.options = options;
    this.where = where;
    const { tokensPerBatch, boundaries, batchSizes } = options;
    const positive = (n: number) => Number.isSafeInteger(n) && n > 0;
    checkPadding({ padding: options.padding, value: options.value }, where);
    if ((tokensPerBatch === undefined) === (batchSizes === undefined))
      fail('ARGUMENT', where, 'tokensPerBatch, or boundaries with batchSizes', tokensPerBatch ? 'both' : 'none');
    if (tokensPerBatch !== undefined && !positive(tokensPerBatch))
      fail('ARGUMENT', `${where}: tokensPerBatch`, 'a positive integer', String(tokensPerBatch));
    if (boundaries && !boundaries.every((n, i) => positive(n) && (i === 0 || n > boundaries[i - 1])))
      fail('ARGUMENT', `${where}: boundaries`, 'ascending positive integers', boundaries.join(', '));
    if (batchSizes && (batchSizes.length !== (boundaries?.length ?? 0) + 1 || !batchSizes.every(positive)))
      fail(
        'ARGUMENT',
        `${where}: batchSizes`,
        `${(boundaries?.length ?? 0) + 1} positive integers, one more than boundaries`,
        batchSizes.join(', ') || 'none',
      );
    const known = [
      'tokensPerBatch',
      'boundaries',
      'batchSizes',
      'length',
      'padToBoundary',
      'dropRemainder',
      'padding',
      'value',
    ];
    for (const key of Object.keys(options))
      if (!known.includes(key)) fail('ARGUMENT', where, `options among ${known.join(', ')}`, `'${key}'`);
  }

  /** The boundary that a length falls under; null: it is longer than all. */
  private boundaryOf(length: number): number | null {
    const { boundaries } = this.options;
    return boundaries ? (boundaries.find((boundary) => length <= boundary) ?? null) : defaultBoundary(length);
  }

  /** The length to which a sequence is padded: its boundary, unless the budget is smaller; without one its own. */
  private paddedLength(length: number): number {
    return Math.min(this.boundaryOf(length) ?? length, this.options.tokensPerBatch ?? Number.POSITIVE_INFINITY);
  }

  private bucketOf(boundary: number | null, length: number): Bucket {
    const { tokensPerBatch, boundaries = [], batchSizes } = this.options;
    if (batchSizes) {
      const at = boundary === null ? boundaries.length : boundaries.indexOf(boundary);
      return { rows: batchSizes[at], held: [] };
    }
    const rows = Math.floor((tokensPerBatch as number) / Math.max(length, this.paddedLength(length)));
    if (rows < 1)
      fail(
        'DATA',
        this.where,
        `sequences of at most ${tokensPerBatch} steps, the tokensPerBatch`,
        `one of ${length}`,
        'Raise tokensPerBatch, or cut or filter long sequences.',
      );
    return { rows, held: [] };
  }

  open(): OpenBuckets<T> {
    const { padToBoundary = true, dropRemainder = false, padding, value } = this.options;
    const { where } = this;
    const buckets = new Map<number, Bucket>();
    const roundUp = padToBoundary ? (longest: number) => this.paddedLength(longest) : null;
    const close = (bucket: Bucket): unknown => {
      const { held } = bucket;
      bucket.held = [];
      return padBatch(held, { padding, value }, roundUp, where);
    };
    return {
      add: (element) => {
        const length = Math.max(1, this.options.length?.(element) ?? lengthOf(element, where));
        const boundary = this.boundaryOf(length);
        // What is longer than all boundaries has no common length: with a budget each length has a bucket of its own.
        const key = boundary ?? (this.options.batchSizes ? Number.POSITIVE_INFINITY : length);
        let bucket = buckets.get(key);
        if (!bucket) {
          bucket = this.bucketOf(boundary, length);
          buckets.set(key, bucket);
        }
        bucket.held.push(element);
        return bucket.held.length === bucket.rows ? close(bucket) : null;
      },
      *rest() {
        if (dropRemainder) return;
        const left = [...buckets.entries()].sort(([a], [b]) => a - b);
        for (const [, bucket] of left) if (bucket.held.length) yield close(bucket);
      },
    };
  }
}
