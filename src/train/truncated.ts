/** Batches of sequences, cut into windows (`truncation.ts`): each window is a batch of its own, and those of a batch follow each other. */
import type { FeedValue } from '../engine/compile.ts';
import { isGathered } from '../engine/step.ts';
import type { ReadyBatch } from './batches.ts';
import type { BatchSource, Pass } from './source.ts';
import { type BatchShapes, feedNames, shapesKey } from './steps.ts';
import type { Trainer } from './trainer.ts';
import { type Truncation, type Window, windowsOf } from './truncation.ts';

/** Cuts the batches of a source into windows. */
export function windowedSource(
  source: BatchSource,
  truncation: Required<Truncation>,
  /** Steps of all sequences; null where batches differ. */
  length: number | null,
  where: string,
): BatchSource {
  const perBatch = length === null ? null : windowsOf(length, truncation).length;
  return {
    count: source.count === null || perBatch === null ? null : source.count * perBatch,
    samples: null,
    once: source.once,
    open(iteration, skip) {
      const batches = perBatch === null ? 0 : Math.floor(skip / perBatch);
      return new WindowedPass(source.open(iteration, batches), truncation, skip - batches * (perBatch ?? 0), where);
    },
  };
}

class WindowedPass implements Pass {
  private readonly source: Pass;
  private readonly truncation: Required<Truncation>;
  private readonly where: string;
  private waiting: ReadyBatch[] = [];
  private skip: number;

  constructor(source: Pass, truncation: Required<Truncation>, skip: number, where: string) {
    this.source = source;
    this.truncation = truncation;
    this.skip = skip;
    this.where = where;
  }

  trainer(): Trainer | null | Promise<Trainer | null> {
    return this.source.trainer();
  }

  next(): ReadyBatch | null | Promise<ReadyBatch | null> {
    for (;;) {
      const window = this.waiting.shift();
      if (window && this.skip > 0) this.skip--;
      else if (window) return window;
      else {
        const batch = this.source.next();
        if (batch instanceof Promise)
          return batch.then((own) => {
            if (!own) return null;
            this.cut(own);
            return this.next();
          });
        if (!batch) return null;
        this.cut(batch);
      }
    }
  }

  private cut(batch: ReadyBatch): void {
    this.waiting = windowBatches(batch, this.truncation, this.where);
  }

  close(): Promise<void> {
    this.waiting = [];
    return this.source.close();
  }
}

/** The windows of a batch, each as a batch of its own. */
function windowBatches(batch: ReadyBatch, truncation: Required<Truncation>, where: string): ReadyBatch[] {
  const { trainer, shapes, samples } = batch;
  const { kinds, length } = (trainer as Trainer).windowed(shapes.inputs, where);
  return windowsOf(length, truncation).map((window) => {
    const { from, to, fresh, kept } = window;
    const cutShape = (shape: readonly number[], i: number) =>
      kinds[i] === 'steps' ? [shape[0], to - from, ...shape.slice(2)] : shape;
    const own: BatchShapes = { ...shapes, inputs: shapes.inputs.map(cutShape), window: { fresh, kept } };
    return {
      ...batch,
      // Losses are averaged over steps.
      samples: samples * fresh,
      shapes: own,
      key: shapesKey(own),
      bytes: Math.ceil((batch.bytes * (to - from)) / length),
      feed: () => windowFeed(batch, kinds, length, window),
    };
  });
}

function windowFeed(
  { feed, shapes, samples }: ReadyBatch,
  kinds: readonly string[],
  length: number,
  { from, to, fresh }: Window,
): Record<string, FeedValue> {
  const whole = feed();
  const cut = (name: string, start: number) => {
    const values = whole[name];
    if (values !== undefined) whole[name] = stretch(values, samples, length, start, to);
  };
  shapes.inputs.forEach((_, i) => {
    if (kinds[i] !== 'steps') return;
    cut(feedNames.input(i), from);
    cut(feedNames.mask(i), from);
  });
  shapes.weightRanks.forEach((rank, i) => {
    cut(feedNames.target(i), to - fresh);
    // Weights of samples hold for all of their steps.
    if (rank > 1) cut(feedNames.weight(i), to - fresh);
  });
  return { ...whole, [feedNames.begins]: Float64Array.of(from === 0 ? 1 : 0) };
}

/** Steps `from` to `to` of every row. */
function stretch(values: FeedValue, rows: number, length: number, from: number, to: number): FeedValue {
  const data = (isGathered(values) ? values.data : values) as Float32Array;
  const size = isGathered(values) ? values.size : data.length / rows;
  const step = size / length;
  const count = (to - from) * step;
  const result = new (data.constructor as { new (n: number): Float32Array })(rows * count);
  for (let r = 0; r < rows; r++) {
    const at = (isGathered(values) ? values.rows[r] : r) * size + from * step;
    result.set(data.subarray(at, at + count), r * count);
  }
  return result;
}
