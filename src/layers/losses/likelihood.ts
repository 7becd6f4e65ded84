/**
 * Losses whose prediction is a distribution: the last axis holds its parameters, one after the other, for each of F targets. The value is
 * -log of the density at the target, the mean over the F.
 */
import { fail } from '../../core/errors.ts';
import { formatShape, type Shape } from '../../core/shape.ts';
import { add, div, exp, log, log1p, maximum, mul, softplus, square, sub } from '../../ops/pointwise.ts';
import { mean } from '../../ops/reduce.ts';
import { split, stopGradient } from '../../ops/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { choice, flag, option, positiveNumber } from '../options.ts';
import { defineLoss } from './loss.ts';

const last = { axes: [-1] };

/** The targets of a prediction whose last axis holds `parts` parameters for each. */
function targetsOf(className: string, parts: number, names: string, prediction: Shape): Shape {
  const columns = prediction[prediction.length - 1] ?? 0;
  if (!columns || columns % parts)
    fail(
      'SHAPE',
      `losses.${className}`,
      `a prediction whose last axis is ${names}, each as many numbers as there are targets`,
      formatShape([null, ...prediction]),
      `End the model with layers.dense({ units: ${parts} }) for one target, ${2 * parts} for two.`,
    );
  return [...prediction.slice(0, -1), columns / parts];
}

const spreadOptions = {
  /** What the numbers become before they are used: `softplus` (log(1 + exp x)), `exp`, or `linear` (as they are). Default `softplus`. */
  transform: choice(['softplus', 'exp', 'linear'], 'softplus'),
  /** The least that the spread may be; below it, it counts as this and the gradient goes on as if it were not. Default 1e-6. */
  epsilon: positiveNumber(1e-6),
};

/** A positive spread from what the model says. */
function positive(raw: Tensor, transform: 'softplus' | 'exp' | 'linear', least: number): Tensor {
  const x = transform === 'softplus' ? softplus(raw) : transform === 'exp' ? exp(raw) : raw;
  return add(x, stopGradient(sub(maximum(x, least), x)));
}

/**
 * -log of the normal density: (log variance + (y - mean)^2 / variance + log 2 pi) / 2. The prediction is (B, ..., 2 F): F means, then F
 * numbers that `transform` makes the `spread` of. Targets (B, ..., F). PyTorch's GaussianNLLLoss: `{ spread: 'variance', transform:
 * 'linear', full: false }` with the two beside each other.
 *
 * @example losses.gaussianLikelihood() // after layers.dense({ units: 2 })
 */
export const gaussianLikelihood = defineLoss({
  className: 'GaussianLikelihood',
  targets: 'values',
  options: {
    /** What the second half is: the standard `deviation`, or the `variance`. Default `deviation`. */
    spread: choice(['deviation', 'variance'], 'deviation'),
    ...spreadOptions,
    /** With the constant log(2 pi) / 2. Default true. */
    full: flag(true),
  },
  targetShape: (_config, prediction) => targetsOf('GaussianLikelihood', 2, 'means and spreads', prediction),
  values({ spread, transform, epsilon, full }, y, p) {
    const [center, raw] = split(p, 2);
    const size = positive(raw, transform, epsilon);
    const squared = square(sub(y, center));
    const terms =
      spread === 'variance'
        ? mul(add(log(size), div(squared, size)), 0.5)
        : add(log(size), mul(div(squared, square(size)), 0.5));
    return mean(full ? add(terms, 0.5 * Math.log(2 * Math.PI)) : terms, last);
  },
});

/** How far the argument is moved before the series is used: its first term left out is then below 1e-11. */
const shift = 8;

/** log gamma(a + 1/2) - log gamma(a) without the difference of two large numbers, for a > 0; `log1p` and `log` as given. */
function logGammaStep<T>(
  a: T,
  rules: {
    readonly plus: (a: T, b: T | number) => T;
    readonly times: (a: T, b: T | number) => T;
    readonly inverse: (a: T) => T;
    readonly log: (a: T) => T;
    readonly log1p: (a: T) => T;
  },
): T {
  const { plus, times, inverse } = rules;
  // gamma(a + n + 1/2) / gamma(a + n) ~ sqrt(x) (1 - 1/8x + ...) for x = a + n: the logarithm's series (from Stirling's), odd powers.
  const x = plus(a, shift);
  const r = inverse(x);
  const squared = times(r, r);
  const cubic = plus(times(squared, plus(times(squared, 17 / 14336), -1 / 640)), 1 / 192);
  const series = times(r, plus(times(squared, cubic), -1 / 8));
  let result = plus(times(rules.log(x), 0.5), series);
  // gamma(a + 1/2) / gamma(a) = product over k < n of (a + k) / (a + k + 1/2), times that at a + n.
  for (let k = 0; k < shift; k++)
    result = plus(result, times(rules.log1p(times(inverse(k ? plus(a, k) : a), 0.5)), -1));
  return result;
}

const numberRules = {
  plus: (a: number, b: number) => a + b,
  times: (a: number, b: number) => a * b,
  inverse: (a: number) => 1 / a,
  log: Math.log,
  log1p: Math.log1p,
};

const tensorRules = {
  plus: (a: Tensor, b: Tensor | number) => add(a, b),
  times: (a: Tensor, b: Tensor | number) => mul(a, b),
  inverse: (a: Tensor) => div(1, a),
  log,
  log1p,
};

/**
 * -log of Student's t density with location, scale s and n degrees of freedom, for targets with outliers:
 * log(s) + log(n pi) / 2 + log gamma(n / 2) - log gamma((n + 1) / 2) + (n + 1) / 2 log(1 + ((y - location) / s)^2 / n).
 *
 * The prediction is (B, ..., 2 F): F locations, then F numbers that `transform` makes the scale of; with `degreesOfFreedom: null` it is
 * (B, ..., 3 F), and the last F give the degrees of freedom, 2 + softplus(x). Targets (B, ..., F). SciPy: `-scipy.stats.t.logpdf`.
 *
 * @example losses.studentTLikelihood({ degreesOfFreedom: 4 }) // after layers.dense({ units: 2 })
 */
export const studentTLikelihood = defineLoss({
  className: 'StudentTLikelihood',
  targets: 'values',
  options: {
    /** A number above 0, or null: the model gives them. Default 4. */
    degreesOfFreedom: option<number | null>(
      'a number above 0, or null',
      (v) => v === null || (typeof v === 'number' && Number.isFinite(v) && v > 0),
      4,
    ),
    ...spreadOptions,
  },
  targetShape: ({ degreesOfFreedom }, prediction) =>
    degreesOfFreedom === null
      ? targetsOf('StudentTLikelihood', 3, 'locations, scales and degrees of freedom', prediction)
      : targetsOf('StudentTLikelihood', 2, 'locations and scales', prediction),
  values({ degreesOfFreedom, transform, epsilon }, y, p) {
    const [location, raw, degrees] = split(p, degreesOfFreedom === null ? 3 : 2);
    const scale = positive(raw, transform, epsilon);
    const squared = square(div(sub(y, location), scale));
    if (degreesOfFreedom !== null) {
      const n = degreesOfFreedom;
      const rest = 0.5 * Math.log(n * Math.PI) - logGammaStep<number>(n / 2, numberRules);
      return mean(add(add(log(scale), mul(log1p(mul(squared, 1 / n)), (n + 1) / 2)), rest), last);
    }
    const n = add(softplus(degrees), 2);
    const rest = sub(mul(log(mul(n, Math.PI)), 0.5), logGammaStep<Tensor>(mul(n, 0.5), tensorRules));
    return mean(add(add(log(scale), mul(mul(add(n, 1), 0.5), log1p(div(squared, n)))), rest), last);
  },
});
