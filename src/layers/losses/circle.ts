/** The circle loss between the samples of a batch. Source: Keras 3, `keras/src/losses/losses.py`. */
import { fail } from '../../core/errors.ts';
import { formatShape } from '../../core/shape.ts';
import { matmulNT } from '../../ops/matmul.ts';
import {
  add,
  equal,
  exp,
  greater,
  log,
  maximum,
  mul,
  oneMinus,
  select,
  softplus,
  sub,
  toFloat,
} from '../../ops/pointwise.ts';
import { max, sum } from '../../ops/reduce.ts';
import { reshape, stopGradient } from '../../ops/shape.ts';
import { constant, type Tensor } from '../../ops/tensor.ts';
import { finiteNumber, flag } from '../options.ts';
import { defineLoss } from './loss.ts';

/** Stands for the logarithm of zero: finite, so that differences of two are not NaN. */
const never = -1e30;

/** log of the sum of exp(x) over the last axis where `chosen` is 1; about `never` where none is. */
function logSum(x: Tensor, chosen: Tensor): Tensor {
  const own = select(chosen, x, never);
  const top = stopGradient(max(own, { axes: [-1], keepDims: true }));
  return add(log(sum(exp(sub(own, top)), { axes: [-1] })), reshape(top, [x.shape[0]]));
}

/**
 * Pulls samples of the same label together and pushes others apart: softplus(log sum over partners of exp(-gamma a (m' - d)) + log sum over
 * others of exp(gamma b (m'' - d))) with the cosine distances d of the batch. Predictions (B, D) are vectors of length 1
 * (`layers.unitNormalization()`), targets (B,) whole numbers. Samples whose value is 0 (without partners or others) do not count.
 * Sun et al., "Circle loss" (2020).
 *
 * @example losses.circle({ gamma: 64, margin: 0.25 })
 */
export const circle = defineLoss({
  className: 'Circle',
  targets: 'indices',
  options: {
    /** The scale of the distances. Default 80. */
    gamma: finiteNumber(80),
    /** Default 0.4. */
    margin: finiteNumber(0.4),
    /** A sample is no partner of itself. Default true. */
    removeDiagonal: flag(true),
  },
  targetShape(_config, prediction) {
    if (prediction.length !== 1)
      fail('SHAPE', 'losses.Circle', 'predictions (batch, features)', formatShape([null, ...prediction]));
    return [];
  },
  entries: () => [],
  labels: () => ({ expected: 'a whole number', test: () => true }),
  counted: (config, y, p) => greater(circleValues(config, y, p), 0),
  values: circleValues,
});

function circleValues(
  {
    gamma,
    margin,
    removeDiagonal,
  }: { readonly gamma: number; readonly margin: number; readonly removeDiagonal: boolean },
  y: Tensor,
  p: Tensor,
): Tensor {
  const [rows] = p.shape;
  const labels = toFloat(y);
  const same = equal(reshape(labels, [rows, 1]), reshape(labels, [1, rows]));
  const eye = Float64Array.from({ length: rows * rows }, (_, i) => (i % (rows + 1) ? 0 : 1));
  const partners = removeDiagonal ? mul(same, oneMinus(constant(p.graph, eye, [rows, rows]))) : same;
  const others = oneMinus(same);
  const distance = maximum(oneMinus(matmulNT(p, p)), 0);
  const near = mul(maximum(mul(add(distance, margin), partners), 0), sub(margin, distance));
  const far = mul(maximum(mul(sub(1 + margin, distance), others), 0), sub(1 - margin, distance));
  return softplus(add(logSum(mul(near, -gamma), partners), logSum(mul(far, gamma), others)));
}
