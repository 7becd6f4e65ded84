/** Entries [B, ..., C] as rows [N, C] with a weight each, for metrics that add up by class. */
import { fail } from '../../core/errors.ts';
import { formatShape, sizeOf } from '../../core/shape.ts';
import { mul, select } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import { reshape } from '../../ops/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { entryWeights } from './entries.ts';
import type { Given } from './metric.ts';

export interface Rows {
  /** (N, C) */
  readonly target: Tensor;
  /** (N, C) */
  readonly prediction: Tensor;
  /** How much every row counts, (N, 1); null: once. */
  readonly weight: Tensor | null;
  /** The sum over all rows of [N, C] values, each as often as it counts: (C). */
  total(values: Tensor): Tensor;
}

/** Throws SHAPE for predictions without an axis of classes. */
export function rowsOf(target: Tensor, prediction: Tensor, given: Given, className: string): Rows {
  if (prediction.rank < 2)
    fail('SHAPE', `compile: metrics: ${className}`, 'predictions (B, C) or (B, T, C)', formatShape(prediction.shape));
  const outer = prediction.shape.slice(0, -1);
  const count = sizeOf(outer);
  const classes = prediction.shape[prediction.rank - 1];
  const own = entryWeights(outer, given);
  const weight = own && reshape(own, [count, 1]);
  return {
    target: reshape(target, [count, classes]),
    prediction: reshape(prediction, [count, classes]),
    weight,
    total(values) {
      if (!weight) return sum(values, { axes: [0] });
      const counted = mul(values, weight);
      // A row that is masked may hold anything.
      return sum(given.mask ? select(weight, counted, 0) : counted, { axes: [0] });
    },
  };
}
