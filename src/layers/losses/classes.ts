/** What the losses over classes share: the axis of the classes, probabilities that are safe to take the logarithm of, smoothed targets. */
import type { Shape } from '../../core/shape.ts';
import { normalAxis } from '../../core/shape.ts';
import { add, div, log, maximum, minimum, mul } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import { transpose } from '../../ops/shape.ts';
import { logSoftmax } from '../../ops/softmax.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { flag, option } from '../options.ts';
import type { Labels } from './loss.ts';

/** Keras's guard of logarithms and divisions. */
export const epsilon = 1e-7;

/** Within [1e-7, 1 - 1e-7]. */
export const clipped = (p: Tensor): Tensor => minimum(maximum(p, epsilon), 1 - epsilon);

export const logits = {
  /** The predictions are scores of any size, not probabilities. Default false. */
  fromLogits: flag(false),
};

export const smoothing = {
  /** The share of the target that is spread over all classes, 0 to 1. Default 0. */
  labelSmoothing: option<number>('a number from 0 to 1', (v) => typeof v === 'number' && v >= 0 && v <= 1, 0),
};

/** The axis moved to the end. */
export function axisToEnd(x: Tensor, axis: number): Tensor {
  const at = normalAxis(axis, x.rank, 'axis');
  if (at === x.rank - 1) return x;
  return transpose(x, [...x.shape.keys()].filter((i) => i !== at).concat(at));
}

/** A shape without the batch, without an axis that is counted with it. */
export function withoutAxis(shape: Shape, axis: number): Shape {
  const at = normalAxis(axis, shape.length + 1, 'axis') - 1;
  return shape.filter((_, i) => i !== at);
}

/** Indices of classes, and one number more. */
export const labelsBelow = (classes: number, also: number | null, what = 'label'): Labels => ({
  expected: `a ${what} from 0 to ${classes - 1}${also === null ? '' : `, or ${also}`}`,
  test: (value) => value === also || (value >= 0 && value < classes),
});

/** Probabilities over the last axis that add up to 1, within [1e-7, 1 - 1e-7]. */
export const normalized = (p: Tensor): Tensor => clipped(div(p, sum(p, { axes: [-1], keepDims: true })));

/** log p of every class on the last axis, from probabilities or logits. */
export function logProbabilities(prediction: Tensor, fromLogits: boolean): Tensor {
  return fromLogits ? logSoftmax(prediction) : log(normalized(prediction));
}

/** Targets of 0 and 1 moved towards 0.5. */
export const smoothedBinary = (y: Tensor, share: number): Tensor => (share ? add(mul(y, 1 - share), 0.5 * share) : y);

/** One-hot targets, of which a share is spread over the classes, by the size of the last axis whichever the classes are on: Keras's rule. */
export const smoothedClasses = (y: Tensor, share: number): Tensor =>
  share ? add(mul(y, 1 - share), share / y.shape[y.rank - 1]) : y;
