/** Weights and masks beside values of more axes, and the weighted mean that most metrics are. Source: `keras/src/metrics/reduction_metrics.py`. */
import { type Shape, sizeOf } from '../../core/shape.ts';
import { mul, select } from '../../ops/pointwise.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { broadcastTo, reshape } from '../../ops/shape.ts';
import { constant, type Tensor } from '../../ops/tensor.ts';
import type { OptionsOut, OptionTable } from '../options.ts';
import { type Given, type Metric, metricFactory, ratio, type Totals } from './metric.ts';

/** The mean over all axes from `rank` on. */
function meanToRank(values: Tensor, rank: number): Tensor {
  if (values.rank <= rank) return values;
  return mean(values, { axes: Array.from({ length: values.rank - rank }, (_, i) => rank + i) });
}

/** [B] beside [B, T]: trailing axes of 1 are added. */
function toRank(x: Tensor, rank: number): Tensor {
  return x.rank >= rank ? x : reshape(x, [...x.shape, ...new Array<number>(rank - x.rank).fill(1)]);
}

const broadcast = (x: Tensor, shape: Shape): Tensor => broadcastTo(toRank(x, shape.length), shape);

/** How much every entry of a shape counts: the weight, 0 where it is masked; null: all count once. A mask of more axes has no meaning here. */
export function entryWeights(shape: Shape, { weight, mask }: Given): Tensor | null {
  const valid = mask && mask.rank <= shape.length ? broadcast(mask, shape) : null;
  if (!weight) return valid;
  const own = broadcast(meanToRank(weight, shape.length), shape);
  return valid ? select(valid, own, 0) : own;
}

/**
 * Sum and count of values [B, ...], which are one for each entry.
 *
 * Without a mask every sample counts as much as its weight (1 where there is none), its value being the mean over its entries. With a mask
 * every valid entry counts.
 */
export function meanTotals(values: Tensor, given: Given): { total: Tensor; count: Tensor } {
  const mask = given.mask && given.mask.rank <= values.rank ? given.mask : null;
  const weight = given.weight && meanToRank(given.weight, Math.max(1, values.rank));
  if (!weight && !mask) {
    const samples = values.rank ? values.shape[0] : 1;
    return { total: sum(meanToRank(values, 1)), count: constant(values.graph, samples) };
  }
  // One value for the whole batch counts once for each sample.
  const all = values.rank ? values : broadcastTo(values, (weight as Tensor).shape);
  const entries = meanToRank(all, Math.max(weight?.rank ?? 0, mask?.rank ?? 0));
  const weights = entryWeights(entries.shape, { weight, mask }) as Tensor;
  const product = weight ? mul(entries, weights) : entries;
  if (mask) {
    // Not a product with 0: a masked entry may be infinite.
    const valid = broadcast(mask, entries.shape);
    return { total: sum(select(valid, product, 0)), count: sum(weights) };
  }
  const share = 1 / Math.max(1, sizeOf(entries.shape.slice(1)));
  return { total: mul(sum(product), share), count: mul(sum(weights), share) };
}

/** The rules of a mean. */
export const meanResult = ({ total, count }: Totals): number => ratio(total[0], count[0]);

/** A metric that is the mean of values, one for each entry. */
export function meanOf<const T extends OptionTable>(
  className: string,
  targets: Metric['targets'],
  own: T,
  values: (config: OptionsOut<T>, target: Tensor, prediction: Tensor) => Tensor,
) {
  return metricFactory(className, own, {
    targets,
    accumulate: (config, y, p, given) => meanTotals(values(config, y, p), given),
    result: (_config, totals) => meanResult(totals),
  });
}
