/** Means and correlations. Source: `keras/src/metrics/reduction_metrics.py`, `regression_metrics.py`, `correlation_metrics.py`. */
import { normalAxis } from '../../core/shape.ts';
import { add, div, maximum, mul, rsqrt, sqrt, square, sub } from '../../ops/pointwise.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { reshape } from '../../ops/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { option } from '../options.ts';
import { entryWeights, meanOf, meanResult, meanTotals } from './entries.ts';
import { metricFactory } from './metric.ts';

type Axis = number | readonly number[];

const whole = (v: unknown) => typeof v === 'number' && Number.isInteger(v);

/** The axes along which one value is made. */
const axisOption = () =>
  option<Axis>(
    'an axis, or a list of axes',
    (v) => whole(v) || (Array.isArray(v) && v.length > 0 && v.every(whole)),
    -1,
  );

const axesOf = (axis: Axis, x: Tensor) =>
  (typeof axis === 'number' ? [axis] : axis).map((a) => normalAxis(a, x.rank, 'metrics: axis'));

/** x over its length along the axes. */
function normalized(x: Tensor, axes: readonly number[]): Tensor {
  return mul(x, rsqrt(maximum(sum(square(x), { axes, keepDims: true }), 1e-14)));
}

function deviations(x: Tensor, axes: readonly number[]): Tensor {
  return sub(x, mean(x, { axes, keepDims: true }));
}

/** x less its mean, over its standard deviation. */
function standardized(x: Tensor, axes: readonly number[]): Tensor {
  const own = deviations(x, axes);
  return div(own, sqrt(mean(square(own), { axes, keepDims: true })));
}

export const means = {
  /** The mean of the predictions; targets are not looked at. For outputs that are themselves a measure. */
  mean: meanOf('Mean', 'any', {}, (_config, _y, p) => p),
  /** The sum of the predictions, each as often as its weight; targets are not looked at. */
  sum: metricFactory(
    'Sum',
    {},
    {
      targets: 'any',
      accumulate(_config, _y, p, given) {
        const weights = entryWeights(p.shape, given);
        return { total: sum(weights ? mul(p, weights) : p) };
      },
      result: (_config, { total }) => total[0],
    },
  ),
  /** The square root of the mean squared error over all entries. */
  rootMeanSquaredError: metricFactory(
    'RootMeanSquaredError',
    {},
    {
      targets: 'values',
      accumulate: (_config, y, p, given) => meanTotals(square(sub(p, y)), given),
      result: (_config, totals) => Math.sqrt(meanResult(totals)),
    },
  ),
  /** The cosine of the angle between target and prediction along `axis` (default the last): 1 where they point the same way. */
  cosineSimilarity: meanOf('CosineSimilarity', 'values', { axis: axisOption() }, ({ axis }, y, p) => {
    const axes = axesOf(axis, p);
    return sum(mul(normalized(y, axes), normalized(p, axes)), { axes });
  }),
  /** Pearson's correlation of target and prediction along `axis` (default the last); the mean over the rest. */
  pearsonCorrelation: meanOf('PearsonCorrelation', 'values', { axis: axisOption() }, ({ axis }, y, p) => {
    const axes = axesOf(axis, p);
    return mean(mul(standardized(y, axes), standardized(p, axes)), { axes });
  }),
  /** Lin's concordance: 2 cov / (var y + var p + (mean y - mean p)^2) along `axis` (default the last); 1 where they are equal. */
  concordanceCorrelation: meanOf('ConcordanceCorrelation', 'values', { axis: axisOption() }, ({ axis }, y, p) => {
    const axes = axesOf(axis, p);
    const average = (x: Tensor) => mean(x, { axes, keepDims: true });
    const [dy, dp] = [deviations(y, axes), deviations(p, axes)];
    const spread = add(add(average(square(dy)), average(square(dp))), square(sub(average(y), average(p))));
    const values = div(mul(average(mul(dy, dp)), 2), add(spread, 1e-7));
    return reshape(
      values,
      values.shape.filter((_, i) => !axes.includes(i)),
    );
  }),
};
