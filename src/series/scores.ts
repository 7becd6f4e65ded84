/**
 * How good forecasts of numbers are: points, ensembles, distributions, quantiles and intervals. Plain functions on arrays; all of them take
 * the mean over the targets.
 *
 * Hyndman and Koehler, "Another look at measures of forecast accuracy" (2006); Gneiting and Raftery, "Strictly proper scoring rules,
 * prediction, and estimation" (2007).
 */
import { erf } from '../core/erf.ts';
import { fail } from '../core/errors.ts';

type Numbers = ArrayLike<number>;

/** Throws DATA for nothing, for what is not finite, and where the length is another one. */
function check(values: Numbers, length: number | null, where: string): void {
  if (!values.length) fail('DATA', where, 'at least one number', 'an empty list');
  if (length !== null && values.length !== length)
    fail('DATA', where, `${length} numbers, one for each target`, String(values.length));
  for (let i = 0; i < values.length; i++)
    if (typeof values[i] !== 'number' || !Number.isFinite(values[i]))
      fail('DATA', `${where}[${i}]`, 'a finite number', String(values[i]));
}

/** The mean of a value for each place. */
function meanOf(length: number, value: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += value(i);
  return sum / length;
}

/**
 * Mean absolute scaled error: the mean of |y - f| by that of the naive forecast on the training data, which repeats the value of
 * `seasonality` steps before. Below 1: better than that.
 *
 *     MASE = mean |y_i - f_i| / mean over t > m of |x_t - x_(t-m)|
 *
 * @param targets what came
 * @param forecasts one for each target
 * @param training the series before, longer than `seasonality`
 * @param options `seasonality` m, such as 12 for months of a year. Default 1
 * @throws DATA for lists that are empty or of unequal length, and for training data on which the naive forecast makes no error
 * @example series.mase([5, 6], [5.5, 6], [1, 2, 3, 4]) // 0.25
 */
export function mase(
  targets: Numbers,
  forecasts: Numbers,
  training: Numbers,
  { seasonality = 1 }: { readonly seasonality?: number } = {},
): number {
  check(targets, null, 'mase: targets');
  check(forecasts, targets.length, 'mase: forecasts');
  check(training, null, 'mase: training');
  if (!Number.isInteger(seasonality) || seasonality < 1)
    fail('ARGUMENT', 'mase: seasonality', 'a positive integer', String(seasonality));
  if (training.length <= seasonality)
    fail('DATA', 'mase: training', `more than ${seasonality} numbers, the seasonality`, String(training.length));
  const scale = meanOf(training.length - seasonality, (i) => Math.abs(training[i + seasonality] - training[i]));
  if (scale === 0)
    fail('DATA', 'mase: training', 'a series that changes', 'one that repeats itself', 'Use another measure.');
  return meanOf(targets.length, (i) => Math.abs(targets[i] - forecasts[i])) / scale;
}

/**
 * Symmetric mean absolute percentage error, from 0 to 200: the mean of 200 |y - f| / (|y| + |f|), which is 0 where both are 0. Makridakis,
 * "Accuracy measures: theoretical and practical concerns" (1993), in the form of the M4 competition.
 *
 * @throws DATA for lists that are empty or of unequal length
 * @example series.smape([100], [110]) // 9.52
 */
export function smape(targets: Numbers, forecasts: Numbers): number {
  check(targets, null, 'smape: targets');
  check(forecasts, targets.length, 'smape: forecasts');
  return meanOf(targets.length, (i) => {
    const size = Math.abs(targets[i]) + Math.abs(forecasts[i]);
    return size === 0 ? 0 : (200 * Math.abs(targets[i] - forecasts[i])) / size;
  });
}

/**
 * Continuous ranked probability score of ensembles: E|X - y| - E|X - X'| / 2 over the members, in the unit of the targets; for one member
 * the absolute error. Smaller is better.
 *
 * @param members for every target the numbers of its ensemble, which may differ in count
 * @param options `fair`: the mean over pairs of different members, which does not depend on how many there are. Default false
 * @throws DATA for lists that are empty or of unequal length
 * @example series.crpsEnsemble([1], [[0, 2]]) // 0.5
 */
export function crpsEnsemble(
  targets: Numbers,
  members: readonly Numbers[],
  { fair = false }: { readonly fair?: boolean } = {},
): number {
  check(targets, null, 'crpsEnsemble: targets');
  if (members.length !== targets.length)
    fail('DATA', 'crpsEnsemble: members', `${targets.length} lists, one for each target`, String(members.length));
  return meanOf(targets.length, (i) => {
    check(members[i], null, `crpsEnsemble: members[${i}]`);
    const sorted = Float64Array.from(members[i]).sort();
    const count = sorted.length;
    if (fair && count < 2) fail('DATA', `crpsEnsemble: members[${i}]`, 'at least two members, as fair is true', '1');
    // In order, the sum of all distances is a weighted sum of the members.
    let distances = 0;
    sorted.forEach((x, k) => {
      distances += 2 * (2 * k + 1 - count) * x;
    });
    const pairs = fair ? count * (count - 1) : count * count;
    return meanOf(count, (k) => Math.abs(sorted[k] - targets[i])) - distances / (2 * pairs);
  });
}

/**
 * The same of normal distributions: s (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)) for z = (y - mean) / s.
 *
 * @param deviations standard deviations; for 0 the absolute error
 * @throws DATA for lists that are empty or of unequal length, and for deviations below 0
 * @example series.crpsGaussian([0], [0], [1]) // 0.2337
 */
export function crpsGaussian(targets: Numbers, means: Numbers, deviations: Numbers): number {
  check(targets, null, 'crpsGaussian: targets');
  check(means, targets.length, 'crpsGaussian: means');
  check(deviations, targets.length, 'crpsGaussian: deviations');
  return meanOf(targets.length, (i) => {
    const s = deviations[i];
    if (s < 0) fail('DATA', `crpsGaussian: deviations[${i}]`, 'a number from 0 on', String(s));
    const error = targets[i] - means[i];
    if (s === 0) return Math.abs(error);
    const z = error / s;
    const density = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
    return s * (z * erf(z / Math.SQRT2) + 2 * density - 1 / Math.sqrt(Math.PI));
  });
}

/**
 * The same out of quantiles: twice the mean pinball loss over the levels, which approaches the score as evenly spaced levels (such as 0.05,
 * 0.15, ... 0.95) get more.
 *
 * @param quantiles for every target one number for each level
 * @param levels between 0 and 1
 * @throws DATA for lists that are empty or of unequal length, ARGUMENT for levels out of range
 * @example series.crpsQuantiles([1], [[0, 1, 3]], [0.25, 0.5, 0.75]) // 0.5
 */
export function crpsQuantiles(targets: Numbers, quantiles: readonly Numbers[], levels: Numbers): number {
  check(targets, null, 'crpsQuantiles: targets');
  check(levels, null, 'crpsQuantiles: levels');
  for (let k = 0; k < levels.length; k++)
    if (!(levels[k] > 0 && levels[k] < 1))
      fail('ARGUMENT', `crpsQuantiles: levels[${k}]`, 'a number between 0 and 1', String(levels[k]));
  if (quantiles.length !== targets.length)
    fail('DATA', 'crpsQuantiles: quantiles', `${targets.length} lists, one for each target`, String(quantiles.length));
  return meanOf(targets.length, (i) => {
    const own = quantiles[i];
    check(own, null, `crpsQuantiles: quantiles[${i}]`);
    if (own.length !== levels.length)
      fail(
        'DATA',
        `crpsQuantiles: quantiles[${i}]`,
        `${levels.length} numbers, one for each level`,
        String(own.length),
      );
    return meanOf(levels.length, (k) => {
      const error = targets[i] - own[k];
      return 2 * Math.max(levels[k] * error, (levels[k] - 1) * error);
    });
  });
}

/**
 * The share of targets within their intervals, bounds included. Intervals of 90 % should have about 0.9 of them.
 *
 * @throws DATA for lists that are empty or of unequal length, and for a lower bound above the upper one
 * @example series.coverage([1, 5], [0, 0], [2, 4]) // 0.5
 */
export function coverage(targets: Numbers, lower: Numbers, upper: Numbers): number {
  check(targets, null, 'coverage: targets');
  check(lower, targets.length, 'coverage: lower');
  check(upper, targets.length, 'coverage: upper');
  return meanOf(targets.length, (i) => {
    if (lower[i] > upper[i])
      fail('DATA', `coverage: lower[${i}]`, `at most ${upper[i]}, the upper bound`, String(lower[i]));
    return targets[i] >= lower[i] && targets[i] <= upper[i] ? 1 : 0;
  });
}
