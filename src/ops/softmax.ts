/** Softmax over the last axis. The largest element is subtracted first, so that nothing overflows; its gradient cancels exactly. */
import { exp, log, mul, reciprocal, sub } from './pointwise.ts';
import { max, sum } from './reduce.ts';
import { stopGradient } from './shape.ts';
import type { Tensor } from './tensor.ts';

const lastAxis = { axes: [-1], keepDims: true };

function shifted(x: Tensor): Tensor {
  return sub(x, stopGradient(max(x, lastAxis)));
}

/** exp(x) / sum(exp(x)) over the last axis */
export function softmax(x: Tensor): Tensor {
  const e = exp(shifted(x));
  // One division a row; the sum is at least 1.
  return mul(e, reciprocal(sum(e, lastAxis)));
}

/** ln(softmax(x)) over the last axis, without taking the logarithm of a rounded softmax */
export function logSoftmax(x: Tensor): Tensor {
  const z = shifted(x);
  return sub(z, log(sum(exp(z), lastAxis)));
}
