/** Data cut into batches that are ready for a step: what shapes they have, in which order their rows come, and what they feed. */
import { fail } from '../core/errors.ts';
import { sizeOf } from '../core/shape.ts';
import type { FeedValue } from '../engine/compile.ts';
import { batchRows, type Column, type Samples } from './data.ts';
import type { Network } from './network.ts';
import { type OrderedRows, orderRows, type Padding, paddingsOf } from './ordering.ts';
import { type BatchShapes, feedNames, shapesKey } from './steps.ts';
import type { Trainer } from './trainer.ts';

export interface Batch {
  readonly index: number;
  readonly from: number;
  readonly to: number;
}

/** The batches of a data set. A model with a fixed batch takes whole batches of this size only. */
export function batchesOf(count: number, batchSize: number): Batch[] {
  const batches: Batch[] = [];
  for (let from = 0; from < count; from += batchSize)
    batches.push({ index: batches.length, from, to: Math.min(count, from + batchSize) });
  return batches;
}

/** The batch size to use: the user's, else the model's fixed one, else Keras's 32. */
export function chooseBatchSize(given: number | undefined, network: Network, count: number, where: string): number {
  const [{ shape }] = network.inputs;
  const fixed = shape[0];
  const size = given ?? fixed ?? 32;
  if (!Number.isInteger(size) || size < 1) fail('ARGUMENT', `${where}: batchSize`, 'a positive integer', String(size));
  if (fixed !== null) {
    if (size !== fixed) fail('SHAPE', `${where}: batchSize`, `${fixed}, the fixed batch of the model`, String(size));
    if (count % fixed)
      fail('SHAPE', `${where}: x`, `a multiple of ${fixed} samples, the fixed batch of the model`, String(count));
  }
  return size;
}

export function shapesOf(set: Samples, { from, to }: { from: number; to: number }): BatchShapes {
  return {
    inputs: set.inputs.map(({ shape }) => [to - from, ...shape]),
    masks: set.masks.map((m) => m !== null),
    weightRanks: set.weights.map((weight) => (weight ? weight.shape.length + 1 : 0)),
  };
}

/** The feed of one batch: the samples of `rows`, or else those of the range. */
export function feedOf(
  set: Samples,
  rows: Int32Array | null,
  { from, to }: { from: number; to: number },
): Record<string, FeedValue> {
  const feed: Record<string, FeedValue> = {};
  const add = (columns: readonly (Column | null)[], nameOf: (i: number) => string) => {
    for (let i = 0; i < columns.length; i++) {
      const column = columns[i];
      if (column) feed[nameOf(i)] = batchRows(column, rows, from, to);
    }
  };
  add(set.inputs, feedNames.input);
  add(set.masks, feedNames.mask);
  add(set.targets, feedNames.target);
  add(set.weights, feedNames.weight);
  return feed;
}

function bytesPerSample(set: Samples): number {
  const columns = [...set.inputs, ...set.masks, ...set.targets, ...set.weights];
  return columns.reduce((bytes, c) => bytes + (c ? sizeOf(c.shape) * 4 : 0), 0);
}

/** A batch that a step can be fed with. */
export interface ReadyBatch {
  /** Place of its first sample in the data. */
  readonly from: number;
  /** Rows. */
  readonly samples: number;
  readonly shapes: BatchShapes;
  /** Batches of equal keys run the same step. */
  readonly key: string;
  readonly bytes: number;
  /** Which samples the rows are, where they are not in the order of the data; null: they are. */
  readonly rows: Int32Array | null;
  /** Of the objective that its targets have; null where nothing is trained or measured. */
  readonly trainer: Trainer | null;
  feed(): Record<string, FeedValue>;
  /** Which sample of the data a row is. */
  sampleOf(row: number): number;
  /** The batch of its first samples alone. */
  first(count: number): ReadyBatch;
}

/** What is the same for all batches of a data set, found once. */
export class Cut {
  readonly set: Samples;
  private readonly trainer: Trainer | null;
  private readonly paddings: readonly Padding[];
  private readonly perSample: number;
  /** Shapes and key by size and ordering: a pass has few kinds of batches, and many batches. */
  private readonly kinds = new Map<string, { readonly shapes: BatchShapes; readonly key: string }>();

  /** @param keepsRows the rows of a batch must stay where they are: stateful layers go on in the next batch */
  constructor(set: Samples, trainer: Trainer | null, keepsRows: boolean) {
    this.set = set;
    this.trainer = trainer;
    this.paddings = keepsRows ? [] : paddingsOf(set);
    this.perSample = bytesPerSample(set);
  }

  /** @param order of all samples; null: as they are */
  batch(range: { readonly from: number; readonly to: number }, order: Int32Array | null): ReadyBatch {
    const { set, trainer, paddings } = this;
    const { from, to } = range;
    const samples = to - from;
    const given = () => order?.slice(from, to) ?? Int32Array.from({ length: samples }, (_, i) => from + i);
    const ordered = paddings.length ? orderRows(paddings, given()) : null;
    const rows = ordered?.rows ?? null;
    return {
      from,
      samples,
      ...this.kindOf(samples, ordered),
      bytes: this.perSample * samples,
      rows,
      trainer,
      feed: () => feedOf(set, rows ?? order?.subarray(from, to) ?? null, range),
      first: (count) => this.batch({ from, to: Math.min(to, from + count) }, order),
      sampleOf: (row) => (rows ? rows[row] : order ? order[from + row] : from + row),
    };
  }

  private kindOf(
    samples: number,
    orderedRows: OrderedRows | null,
  ): { readonly shapes: BatchShapes; readonly key: string } {
    const at = `${samples} ${orderedRows?.key}`;
    let kind = this.kinds.get(at);
    if (!kind) {
      const shapes = { ...shapesOf(this.set, { from: 0, to: samples }), orderedRows };
      kind = { shapes, key: shapesKey(shapes) };
      this.kinds.set(at, kind);
    }
    return kind;
  }
}

/** All of a data set as one batch. */
export function wholeBatch(set: Samples, trainer: Trainer | null, keepsRows: boolean): ReadyBatch {
  return new Cut(set, trainer, keepsRows).batch({ from: 0, to: set.count }, null);
}
