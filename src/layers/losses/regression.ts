/** Losses over numbers. Source: Keras 3, `keras/src/losses/losses.py`; the quantile loss is not Keras's. */
import { fail } from '../../core/errors.ts';
import { formatShape } from '../../core/shape.ts';
import {
  abs,
  add,
  div,
  greater,
  lessEqual,
  log,
  maximum,
  mul,
  neg,
  rsqrt,
  select,
  softplus,
  square,
  sub,
} from '../../ops/pointwise.ts';
import { mean, sum } from '../../ops/reduce.ts';
import { expandDims } from '../../ops/shape.ts';
import { constant, type Tensor } from '../../ops/tensor.ts';
import { axisOption } from '../axes.ts';
import { option, positiveNumber } from '../options.ts';
import { epsilon, withoutAxis } from './classes.ts';
import { defineLoss } from './loss.ts';

const last = { axes: [-1] };

/** A loss that is the mean over the last axis of a function of target and prediction. */
const meanOf = (className: string, terms: (y: Tensor, p: Tensor) => Tensor) =>
  defineLoss({ className, targets: 'values', options: {}, values: (_config, y, p) => mean(terms(y, p), last) });

/** (y - p)^2, the mean over the last axis. */
export const meanSquaredError = meanOf('MeanSquaredError', (y, p) => square(sub(y, p)));

/** |y - p|, the mean over the last axis. */
export const meanAbsoluteError = meanOf('MeanAbsoluteError', (y, p) => abs(sub(y, p)));

/** 100 |y - p| / max(|y|, 1e-7), the mean over the last axis. */
export const meanAbsolutePercentageError = meanOf('MeanAbsolutePercentageError', (y, p) =>
  mul(abs(div(sub(y, p), maximum(abs(y), epsilon))), 100),
);

/** (log(1 + y) - log(1 + p))^2 with y and p at least 1e-7, the mean over the last axis. */
export const meanSquaredLogarithmicError = meanOf('MeanSquaredLogarithmicError', (y, p) => {
  const logOf = (x: Tensor) => log(add(maximum(x, epsilon), 1));
  return square(sub(logOf(p), logOf(y)));
});

/** log(cosh(p - y)), the mean over the last axis: quadratic for small errors, linear for large ones. */
export const logCosh = meanOf('LogCosh', (y, p) => {
  const error = sub(p, y);
  return sub(add(error, softplus(mul(error, -2))), Math.LN2);
});

/** p - y log(p + 1e-7), the mean over the last axis: for counts, whose expected number is p. */
export const poisson = meanOf('Poisson', (y, p) => sub(p, mul(y, log(add(p, epsilon)))));

/**
 * The mean over the last axis of e^2 / 2 for errors e up to `delta`, and delta |e| - delta^2 / 2 beyond.
 *
 * @example losses.huber({ delta: 2 })
 */
export const huber = defineLoss({
  className: 'Huber',
  targets: 'values',
  options: {
    /** Where the square becomes a line. Default 1. */
    delta: positiveNumber(1),
  },
  values({ delta }, y, p) {
    const error = sub(p, y);
    const size = abs(error);
    const near = mul(square(error), 0.5);
    const far = sub(mul(size, delta), 0.5 * delta * delta);
    return mean(select(lessEqual(size, delta), near, far), last);
  },
});

/** x / |x| along an axis; zeros stay zeros, and nothing flows through them. */
function direction(x: Tensor, axis: number): Tensor {
  const length = sum(square(x), { axes: [axis], keepDims: true });
  const long = greater(length, epsilon * epsilon);
  return mul(x, select(long, rsqrt(select(long, length, 1)), 1 / epsilon));
}

/**
 * -cos of the angle between y and p along `axis` (default: the last), from -1 (the same direction) to 1; 0 where either is zero.
 *
 * @example losses.cosineSimilarity({ axis: 1 })
 */
export const cosineSimilarity = defineLoss({
  className: 'CosineSimilarity',
  targets: 'values',
  options: { axis: axisOption(-1) },
  entries: ({ axis }, target) => withoutAxis(target, axis),
  values: ({ axis }, y, p) => neg(sum(mul(direction(y, axis), direction(p, axis)), { axes: [axis] })),
});

const isShare = (v: unknown) => typeof v === 'number' && v > 0 && v < 1;

/** e q for e = y - p above 0, e (q - 1) below. */
const pinball = (error: Tensor, q: Tensor | number): Tensor =>
  maximum(mul(error, q), mul(error, typeof q === 'number' ? q - 1 : sub(q, 1)));

/**
 * The pinball loss, which is smallest where a share `quantiles` of the targets lies below the prediction.
 *
 * - One number: predictions of the shape of the targets, the mean over the last axis.
 * - A list of Q numbers: predictions (B, ..., Q), one column per quantile, and targets (B, ...) or (B, ..., 1); the mean over the Q.
 *
 * Koenker and Bassett, "Regression quantiles" (1978). scikit-learn: `mean_pinball_loss`.
 *
 * @example losses.quantile({ quantiles: [0.1, 0.5, 0.9] }) // after layers.dense({ units: 3 })
 */
export const quantile = defineLoss({
  className: 'Quantile',
  targets: 'values',
  options: {
    /** Between 0 and 1. Default 0.5: the median. */
    quantiles: option<number | readonly number[]>(
      'a number between 0 and 1, or a list of them',
      (v) => isShare(v) || (Array.isArray(v) && v.length > 0 && v.every(isShare)),
      0.5,
    ),
  },
  targetShape({ quantiles }, prediction) {
    if (typeof quantiles === 'number') return prediction;
    const columns = prediction[prediction.length - 1];
    if (columns !== quantiles.length)
      fail(
        'SHAPE',
        'losses.Quantile',
        `a prediction whose last axis is ${quantiles.length}, one column per quantile`,
        formatShape([null, ...prediction]),
        `End the model with layers.dense({ units: ${quantiles.length} }).`,
      );
    return prediction.slice(0, -1);
  },
  entries: ({ quantiles }, target) => (typeof quantiles === 'number' ? target.slice(0, -1) : target),
  values({ quantiles }, y, p) {
    if (typeof quantiles === 'number') return mean(pinball(sub(y, p), quantiles), last);
    const q = constant(p.graph, quantiles, [quantiles.length]);
    return mean(pinball(sub(expandDims(y, -1), p), q), last);
  },
});
