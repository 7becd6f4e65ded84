/** A metric over predictions that are at hand, batch by batch, without a model. */
import { type ArrayInput, NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape } from '../core/shape.ts';
import { type CompiledStep, compileStep } from '../engine/compile.ts';
import { StateSpace } from '../engine/state.ts';
import { type MetricLike, metricName, metricOf } from '../layers/metrics/all.ts';
import type { Metric } from '../layers/metrics/metric.ts';
import { metricTarget } from '../layers/metrics/target.ts';
import type { Machine } from '../vm/vm.ts';
import { processMachine } from './session.ts';

export interface RunningMetricOptions {
  /** (B) or (B, T, ...), or one number or row for all: how often each entry counts. Axes of 1 hold for all entries of the axis. Default: once. */
  readonly sampleWeight?: ArrayInput | null;
  /** (B, T), 0 or 1: which steps count. Default: all. */
  readonly mask?: ArrayInput | null;
}

/**
 * Adds batches up and gives the metric of all of them, as `evaluate` does for a model.
 *
 * @example
 * const area = runningMetric(metrics.auc());
 * await area.update([0, 1, 1], [0.2, 0.6, 0.3]);
 * area.result(); // 1
 */
export class RunningMetric {
  /** As it would be called in the logs. */
  readonly name: string;
  private readonly given: MetricLike;
  private readonly open: () => Promise<Machine>;
  private readonly steps = new Map<string, CompiledStep>();
  private space: StateSpace | null = null;
  private metric: Metric | null = null;
  private totals: Record<string, Float64Array> = {};

  /** Use `runningMetric`. */
  constructor(metric: MetricLike, machine: Machine | null = null) {
    this.given = metric;
    this.name = metricName(metric);
    this.open = machine ? async () => machine : processMachine;
  }

  /**
   * Adds a batch. Throws SHAPE where the arrays do not fit.
   *
   * @param target (B, ...); null for metrics that look at predictions alone (`mean`, `sum`)
   * @param prediction (B, ...)
   */
  async update(target: ArrayInput | null, prediction: ArrayInput, options: RunningMetricOptions = {}): Promise<void> {
    const p = samples(prediction, 'prediction');
    const y = target === null ? p : samples(target, 'target');
    const metric = this.metric ?? metricOf(this.given, y.shape.slice(1), [null, ...p.shape.slice(1)]);
    const weight = options.sampleWeight == null ? null : weightsOf(options.sampleWeight, p.shape[0]);
    const mask = options.mask == null ? null : samples(options.mask, 'mask');
    if (target === null && metric.targets !== 'any') fail('DATA', `${this.name}: target`, 'an array', 'null');
    if (y.shape[0] !== p.shape[0])
      fail('SHAPE', `${this.name}: target`, `${p.shape[0]} samples, as in the predictions`, `${y.shape[0]}`);
    for (const [what, own] of [
      ['sampleWeight', weight],
      ['mask', mask],
    ] as const)
      if (own && (own.rank > p.rank || own.shape.some((d, i) => d !== p.shape[i] && (i === 0 || d !== 1))))
        fail('SHAPE', `${this.name}: ${what}`, `the first axes of ${formatShape(p.shape)}`, formatShape(own.shape));
    const indices = metric.targets === 'indices' || (metric.targets === 'any' && y.dtype === 'int32');
    const step = await this.step(metric, [y.shape, p.shape, weight?.shape, mask?.shape], indices);
    const feed: Record<string, ArrayLike<number>> = { y: indices ? Int32Array.from(y.data) : y.data, p: p.data };
    if (weight) feed.weight = weight.data;
    if (mask) feed.mask = mask.data;
    const [result] = await step.run([feed]);
    for (const [key, values] of Object.entries(result)) {
      const sums = this.totals[key] ?? new Float64Array(values.length);
      if (sums.length !== values.length)
        fail('SHAPE', this.name, 'as many classes as in the batches before', formatShape(p.shape));
      this.totals[key] = sums.map((sum, i) => sum + values[i]);
    }
    this.metric = metric;
  }

  private async step(
    metric: Metric,
    [yShape, pShape, weightShape, maskShape]: readonly (Shape | undefined)[],
    indices: boolean,
  ): Promise<CompiledStep> {
    const key = [yShape, pShape, weightShape, maskShape, indices].map(String).join(';');
    const known = this.steps.get(key);
    if (known) return known;
    this.space ??= new StateSpace(await this.open());
    const step = compileStep(this.space, 'metric', (b) => {
      const y = b.input('y', yShape as Shape, indices ? 'i32' : 'f32');
      const p = b.input('p', pShape as Shape);
      const weight = weightShape ? b.input('weight', weightShape) : null;
      const mask = maskShape ? b.input('mask', maskShape) : null;
      return { outputs: metric.accumulate(metricTarget(metric, y, p, this.name), p, { weight, mask }) };
    });
    this.steps.set(key, step);
    return step;
  }

  /** The metric of everything so far; a list where it has several values. Throws STATE before the first batch. */
  result(): number | readonly number[] {
    if (!this.metric) fail('STATE', this.name, 'at least one batch', 'none', 'Call `await metric.update(y, p)` first.');
    return this.metric.result(this.totals);
  }

  /** Starts anew. */
  reset(): void {
    this.totals = {};
    this.metric = null;
  }
}

/** Weights with the samples in front; one row, or one number, holds for all of them. */
function weightsOf(value: ArrayInput, count: number): NdArray {
  const given = NdArray.from(value);
  const array = given.rank ? samples(given, 'sampleWeight') : NdArray.from(given.data, [1]);
  if (array.shape[0] !== 1 || count === 1) return array;
  const row = array.data;
  return NdArray.from(
    Float64Array.from({ length: count * row.length }, (_, i) => row[i % row.length]),
    [count, ...array.shape.slice(1)],
  );
}

function samples(value: ArrayInput, what: string): NdArray {
  const array = NdArray.from(value);
  if (array.rank === 0 || array.shape[0] === 0)
    fail('DATA', `runningMetric: ${what}`, 'at least one sample along the first axis', formatShape(array.shape));
  return array;
}

/**
 * A metric that is fed by hand.
 *
 * @param metric a name, one of `metrics`, Keras's object or a function, as in `compile`
 */
export function runningMetric(
  metric: MetricLike,
  { machine = null }: { machine?: Machine | null } = {},
): RunningMetric {
  return new RunningMetric(metric, machine);
}
