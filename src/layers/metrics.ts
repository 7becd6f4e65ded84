/**
 * Metrics as functions of a graph: every step gives a sum and a count, and an epoch's value is the quotient of their totals.
 * Masked entries do not count. Source: Keras 3, `keras/src/metrics`.
 */
import type { Shape } from '../core/shape.ts';
import { equal, less, select, toFloat } from '../ops/pointwise.ts';
import { argmax, mean, sum } from '../ops/reduce.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import { type Described, describedOf } from './described.ts';
import { kindOfLabels, type Loss, losses, meanToRank } from './losses.ts';
import { finiteNumber, type OptionsIn, type OptionsOut, type OptionTable, option, parseOptions } from './options.ts';

export interface Metric extends Described {
  readonly targets: Loss['targets'];
  /** [B, ...]: one value per entry. */
  values(target: Tensor, prediction: Tensor): Tensor;
}

function define<const T extends OptionTable>(
  className: string,
  targets: Metric['targets'],
  own: T,
  values: (config: OptionsOut<T>, target: Tensor, prediction: Tensor) => Tensor,
) {
  const options = {
    ...own,
    /** The key in logs and in the history. Default: as it was named in `compile`. */
    name: option<string | null>('a name', (v) => v === null || typeof v === 'string', null),
    dtype: { ...option<unknown>('a type', () => true, 'float32'), toKeras: () => 'float32' },
  };
  return (given?: OptionsIn<T> & { name?: string | null }): Metric => {
    const config = parseOptions(options, given, `metrics.${className}`);
    return { className, options, config, targets, values: (t, p) => values(config as unknown as OptionsOut<T>, t, p) };
  };
}

/** A loss as a metric. */
const ofLoss = (className: string, make: () => Loss) => {
  const loss = make();
  return define(className, loss.targets, {}, (_config, y, p) => loss.values(y, p));
};

const sameIndex = (a: Tensor, b: Tensor) => equal(toFloat(a), toFloat(b));

/** Every metric by its factory: `metrics.binaryAccuracy({ threshold: 0.7 })`. */
export const metrics = {
  /** Share of values on the right side of `threshold` (default 0.5). */
  binaryAccuracy: define('BinaryAccuracy', 'values', { threshold: finiteNumber(0.5) }, ({ threshold }, y, p) =>
    equal(y, less(threshold, p)),
  ),
  /** Share of entries whose largest prediction is at the largest target. */
  categoricalAccuracy: define('CategoricalAccuracy', 'values', {}, (_config, y, p) => sameIndex(argmax(y), argmax(p))),
  /** Share of entries whose largest prediction is at the target's index. */
  sparseCategoricalAccuracy: define('SparseCategoricalAccuracy', 'indices', {}, (_config, y, p) =>
    sameIndex(y, argmax(p)),
  ),
  binaryCrossentropy: ofLoss('BinaryCrossentropy', losses.binaryCrossentropy),
  categoricalCrossentropy: ofLoss('CategoricalCrossentropy', losses.categoricalCrossentropy),
  sparseCategoricalCrossentropy: ofLoss('SparseCategoricalCrossentropy', losses.sparseCategoricalCrossentropy),
  meanSquaredError: ofLoss('MeanSquaredError', losses.meanSquaredError),
  meanAbsoluteError: ofLoss('MeanAbsoluteError', losses.meanAbsoluteError),
};

const aliases = {
  mse: 'meanSquaredError',
  mae: 'meanAbsoluteError',
  bce: 'binaryCrossentropy',
};

/** What may stand for a metric: a name (`accuracy` is chosen by shapes), one made by `metrics`, or Keras's object. */
export type MetricLike =
  | 'accuracy'
  | 'acc'
  | keyof typeof metrics
  | keyof typeof aliases
  | (string & {})
  | Metric
  | Readonly<Record<string, unknown>>;

export const isAccuracy = (value: MetricLike): boolean => typeof value === 'string' && /^acc(uracy)?$/i.test(value);

/** The metric of a name. @param target the shape of the targets without the batch */
export function metricOf(value: MetricLike, target: Shape, prediction: readonly (number | null)[]): Metric {
  if (isAccuracy(value)) {
    const { binary, sparse } = kindOfLabels(target, prediction);
    if (binary) return metrics.binaryAccuracy();
    return sparse ? metrics.sparseCategoricalAccuracy() : metrics.categoricalAccuracy();
  }
  return describedOf<Metric>(value, metrics, aliases, "a metric (or 'accuracy')", 'compile: metrics');
}

/** The key of a metric in logs. */
export function metricName(value: MetricLike): string {
  if (typeof value === 'string') return value;
  const {
    config,
    className,
    class_name: kerasClass,
  } = value as { config?: { name?: unknown }; className?: string; class_name?: string };
  const own = config?.name;
  if (typeof own === 'string') return own;
  const name = String(className ?? kerasClass ?? 'metric');
  return name.charAt(0).toLowerCase() + name.slice(1);
}

/** Sum and count of one step: means per sample, or per valid entry where there is a mask. */
export function reduceMetric(values: Tensor, mask: Tensor | null): { total: Tensor; count: Tensor } {
  if (!mask || values.rank < mask.rank) {
    const perSample = values.rank > 1 ? mean(values, { axes: values.shape.map((_, i) => i).slice(1) }) : values;
    return { total: sum(perSample), count: constant(values.graph, values.shape[0]) };
  }
  const entries = meanToRank(values, mask.rank);
  return { total: sum(select(mask, entries, 0)), count: sum(mask) };
}
