/** A data set cut into batches, handed to the machine many at a time. */
import { fail } from '../core/errors.ts';
import { sizeOf } from '../core/shape.ts';
import type { CompiledStep, Feed, FeedValue, Result } from '../engine/compile.ts';
import { batchRows, type Dataset } from './data.ts';
import type { Network } from './network.ts';
import { orderRows, paddingOf } from './ordering.ts';
import type { Session } from './session.ts';
import { type BatchShapes, feedNames } from './steps.ts';

/** How long one hand-over should take: long enough that the crossing costs nothing, short enough for progress and interruption. */
const targetMilliseconds = 100;
/** Feeds of one hand-over together stay below this, whatever their time. */
const targetBytes = 64 * 1024 * 1024;

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

export function shapesOf(set: Dataset, { from, to }: Batch): BatchShapes {
  return {
    inputs: set.inputs.map(({ shape }) => [to - from, ...shape]),
    masks: set.masks.map((m) => m !== null),
    weightRanks: set.weights.map((weight) => (weight ? weight.shape.length + 1 : 0)),
  };
}

/** The feed of one batch; `order` is the order of the samples, null: as they are. */
export function feedOf(
  set: Dataset,
  order: Int32Array | null,
  { from, to }: { from: number; to: number },
): Record<string, FeedValue> {
  const feed: Record<string, FeedValue> = {};
  set.inputs.forEach((c, i) => {
    feed[feedNames.input(i)] = batchRows(c, order, from, to);
  });
  set.masks.forEach((c, i) => {
    if (c) feed[feedNames.mask(i)] = batchRows(c, order, from, to);
  });
  set.targets.forEach((c, i) => {
    if (c) feed[feedNames.target(i)] = batchRows(c, order, from, to);
  });
  set.weights.forEach((c, i) => {
    if (c) feed[feedNames.weight(i)] = batchRows(c, order, from, to);
  });
  return feed;
}

function bytesPerSample(set: Dataset): number {
  const columns = [...set.inputs, ...set.masks, ...set.targets, ...set.weights];
  return columns.reduce((bytes, c) => bytes + (c ? sizeOf(c.shape) * 4 : 0), 0);
}

/** How many steps to hand over, learnt from how long the last ones took. */
export class Pace {
  private steps = 1;

  count(remaining: number, bytesPerStep: number, limit: number): number {
    const byBytes = Math.max(1, Math.floor(targetBytes / Math.max(1, bytesPerStep)));
    return Math.max(1, Math.min(remaining, this.steps, byBytes, limit));
  }

  learn(steps: number, milliseconds: number): void {
    const wanted = Math.round((steps * targetMilliseconds) / Math.max(milliseconds, 0.01));
    this.steps = Math.max(1, Math.min(wanted, steps * 8, 4096));
  }
}

export interface Walk {
  readonly session: Session;
  readonly set: Dataset;
  readonly batches: readonly Batch[];
  readonly order: Int32Array | null;
  readonly pace: Pace;
  /** Steps in one hand-over at most; 1 where somebody listens to every batch. */
  readonly limit: number;
  stepFor(shapes: BatchShapes): Promise<CompiledStep>;
  /** The rows of a batch must stay where they are: stateful layers go on in the next batch. */
  readonly keepsRows?: boolean;
  /** What a step gets beside its batch: keys and scalars. */
  extra?(batch: Batch): Feed;
}

export interface HandOver {
  readonly batches: readonly Batch[];
  readonly results: readonly Result[];
  /** Which samples the rows of each batch are, where they are not in the order of the batch. */
  readonly rows: readonly (Int32Array | null)[];
}

/** Runs a step over all batches and yields the results, a hand-over at a time. Batches of one size go together. */
export async function* walkBatches(walk: Walk): AsyncGenerator<HandOver> {
  const { session, set, batches, order, pace, limit } = walk;
  const perSample = bytesPerSample(set);
  const padding = walk.keepsRows ? null : paddingOf(set);
  const rowsOf = ({ from, to }: Batch): Int32Array | null =>
    padding &&
    orderRows(padding, order ? order.slice(from, to) : Int32Array.from({ length: to - from }, (_, i) => from + i));
  for (let at = 0; at < batches.length; ) {
    const size = batches[at].to - batches[at].from;
    const rows = [rowsOf(batches[at])];
    const step = await walk.stepFor({ ...shapesOf(set, batches[at]), orderedRows: rows[0] !== null });
    const most = pace.count(batches.length - at, perSample * size, limit);
    while (rows.length < most) {
      const next = batches[at + rows.length];
      const own = rowsOf(next);
      if (next.to - next.from !== size || (own === null) !== (rows[0] === null)) break;
      rows.push(own);
    }
    const group = batches.slice(at, at + rows.length);
    const feeds = group.map((batch, i) => {
      const own = rows[i];
      const feed = own ? feedOf(set, own, { from: 0, to: size }) : feedOf(set, order, batch);
      return { ...feed, ...walk.extra?.(batch) };
    });
    const start = performance.now();
    const results = await session.run(step, feeds);
    pace.learn(group.length, performance.now() - start);
    at += group.length;
    yield { batches: group, results, rows };
  }
}
