/** Targets in the form that a metric takes, which need not be that of the loss. */
import { fail } from '../../core/errors.ts';
import { formatShape, type Shape, sameShape } from '../../core/shape.ts';
import { toFloat, toInt } from '../../ops/pointwise.ts';
import { reshape } from '../../ops/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import type { Metric } from './metric.ts';

/**
 * The target beside which a metric stands: a trailing axis of 1 is added or taken away, and indices become numbers for metrics on values.
 * Throws SHAPE where they still do not fit, with the metric that would.
 */
export function metricTarget(metric: Metric, y: Tensor, prediction: Tensor, name: string): Tensor {
  if (metric.targets === 'any') return y;
  const whole = prediction.shape;
  const own = metric.targetShape?.(whole.slice(1));
  const wanted: Shape = own ? [whole[0], ...own] : metric.targets === 'indices' ? whole.slice(0, -1) : whole;
  const fits = sameShape(y.shape, wanted) || sameShape(y.shape, [...wanted, 1]) || sameShape([...y.shape, 1], wanted);
  if (!fits) {
    const oneHot = metric.targets === 'indices' && sameShape(y.shape, whole);
    const sparse = metric.targets === 'values' && sameShape(y.shape, whole.slice(0, -1));
    fail(
      'SHAPE',
      `compile: metrics: ${name}`,
      `targets ${formatShape(wanted)} for predictions ${formatShape(whole)}`,
      formatShape(y.shape),
      oneHot
        ? `For one-hot targets take the metric without 'sparse' in its name.`
        : sparse
          ? `For class indices take sparseCategoricalAccuracy or another metric on indices, or one-hot targets (text.toCategorical).`
          : undefined,
    );
  }
  const target = sameShape(y.shape, wanted) ? y : reshape(y, wanted);
  return metric.targets === 'values' ? toFloat(target) : toInt(target);
}
