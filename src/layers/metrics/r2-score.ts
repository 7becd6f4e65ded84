/** How much of the targets' variance the predictions explain. Source: `keras/src/metrics/regression_metrics.py`, `R2Score`. */
import { mul, square, sub } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import { reshape } from '../../ops/shape.ts';
import { constant } from '../../ops/tensor.ts';
import { choice, option } from '../options.ts';
import { metricFactory, oneOrAll } from './metric.ts';
import { rowsOf } from './rows.ts';

const add = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

/**
 * 1 - sum (y - p)^2 / sum (y - mean y)^2 for every output, then over the outputs: `classAggregation` 'uniform_average' (default), by their
 * variance, or null for all of them. `numRegressors` > 0 gives the adjusted score for so many predictors, where there are more values.
 *
 * An output whose targets are all equal has the score 0 (NaN where it is predicted exactly), as in Keras.
 */
export const r2Score = metricFactory(
  'R2Score',
  {
    classAggregation: choice(['uniform_average', 'variance_weighted_average', null] as const, 'uniform_average'),
    numRegressors: option<number>(
      'a whole number from 0 on',
      (v) => typeof v === 'number' && Number.isInteger(v) && v >= 0,
      0,
    ),
  },
  {
    targets: 'values',
    accumulate(_config, target, prediction, given) {
      const { target: y, prediction: p, weight, total } = rowsOf(target, prediction, given, 'r2Score');
      const [rows, classes] = y.shape;
      // Keras counts samples without their weights; what a mask leaves out is not there.
      const valid = given.mask
        ? rowsOf(target, prediction, { weight: null, mask: given.mask }, 'r2Score').weight
        : null;
      return {
        sum: total(y),
        squares: total(square(y)),
        residuals: total(square(sub(y, p))),
        count: weight ? reshape(sum(weight), [1]) : constant(y.graph, [rows], [1]),
        values: valid ? reshape(mul(sum(valid), classes), [1]) : constant(y.graph, [rows * classes], [1]),
      };
    },
    result({ classAggregation, numRegressors }, { sum: sums, squares, residuals, count, values }) {
      const spread = Array.from(squares, (s, i) => s - sums[i] * (sums[i] / count[0]));
      const scores = spread.map((s, i) => {
        const score = 1 - residuals[i] / s;
        return score === Number.POSITIVE_INFINITY || score === Number.NEGATIVE_INFINITY ? 0 : score;
      });
      const adjust = (score: number) =>
        numRegressors === 0 || numRegressors >= values[0] - 1
          ? score
          : 1 - ((1 - score) * (values[0] - 1)) / (values[0] - numRegressors - 1);
      if (classAggregation === 'uniform_average') return adjust(add(scores) / scores.length);
      if (classAggregation === 'variance_weighted_average')
        return adjust(add(scores.map((s, i) => s * spread[i])) / add(spread));
      return oneOrAll(scores.map(adjust));
    },
  },
);
