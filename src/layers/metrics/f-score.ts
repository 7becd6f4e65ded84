/**
 * F-beta and F1: the harmonic mean of precision and recall. Source: `keras/src/metrics/f_score_metrics.py`; van Rijsbergen, "Information
 * retrieval" (1979).
 */
import { abs, greater, greaterEqual, mul, oneMinus } from '../../ops/pointwise.ts';
import { max } from '../../ops/reduce.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { choice, type OptionTable, option, positiveNumber } from '../options.ts';
import { type Given, metricFactory, oneOrAll, type Totals } from './metric.ts';
import { rowsOf } from './rows.ts';

/** Keras's guard of divisions. */
const epsilon = 1e-7;

/**
 * Keras wants a Python float here, and JSON has no other way to write one for a whole number than the one next to it (below, so that 1 stays
 * in range). Read back, it is the whole number again.
 */
const asFloat = {
  toKeras: (value: number | null) => (value !== null && Number.isInteger(value) ? value * (1 - 2 ** -53) : value),
  fromKeras: (json: unknown) =>
    typeof json === 'number' && Math.abs(json - Math.round(json)) < 1e-12 * Math.abs(json) ? Math.round(json) : json,
};

const shared = {
  /** null: a value for each class; 'macro': their mean; 'weighted': their mean by how often each is there; 'micro': over all entries. */
  average: choice([null, 'micro', 'macro', 'weighted'] as const, null),
  /** A prediction counts where it is above; null: the largest of the row counts. */
  threshold: {
    ...option<number | null>(
      'a number above 0 up to 1, or null',
      (v) => v === null || (typeof v === 'number' && v > 0 && v <= 1),
      null,
    ),
    ...asFloat,
  },
};

type Average = null | 'micro' | 'macro' | 'weighted';

const add = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

function accumulate(threshold: number | null, target: Tensor, prediction: Tensor, given: Given, className: string) {
  const { target: y, prediction: p, total } = rowsOf(target, prediction, given, className);
  const found =
    threshold === null
      ? mul(greaterEqual(p, max(p, { axes: [-1], keepDims: true })), greater(abs(p), 1e-9)) // a row of zeros finds nothing
      : greater(p, threshold);
  return {
    truePositives: total(mul(found, y)),
    falsePositives: total(mul(found, oneMinus(y))),
    falseNegatives: total(mul(oneMinus(found), y)),
    support: total(y),
  };
}

function result(average: Average, beta: number, totals: Totals): number | readonly number[] {
  const pick = (name: string) => (average === 'micro' ? [add(totals[name])] : Array.from(totals[name]));
  const [hits, wrong, missed] = ['truePositives', 'falsePositives', 'falseNegatives'].map(pick);
  const scores = hits.map((tp, i) => {
    const precision = tp / (tp + wrong[i] + epsilon);
    const recall = tp / (tp + missed[i] + epsilon);
    return ((1 + beta ** 2) * precision * recall) / (beta ** 2 * precision + recall + epsilon);
  });
  if (average === null) return oneOrAll(scores);
  if (average !== 'weighted') return add(scores) / scores.length;
  const all = add(totals.support) + epsilon;
  return add(scores.map((score, i) => score * (totals.support[i] / all)));
}

function fScore<const T extends OptionTable>(className: string, own: T, betaOf: (config: unknown) => number) {
  type Config = { readonly average: Average; readonly threshold: number | null };
  return metricFactory(
    className,
    { ...shared, ...own },
    {
      targets: 'values',
      accumulate: (config, y, p, given) => accumulate((config as Config).threshold, y, p, given, className),
      result: (config, totals) => result((config as Config).average, betaOf(config), totals),
    },
  );
}

/** Targets are one-hot or multi-hot rows of the shape of the predictions, (B, C) or (B, T, C). */
export const fScores = {
  /** (1 + beta^2) P R / (beta^2 P + R): `beta` (default 1) says how many times as much recall counts. */
  fbetaScore: fScore(
    'FBetaScore',
    { beta: { ...positiveNumber(1), ...asFloat } },
    (config) => (config as { readonly beta: number }).beta,
  ),
  /** 2 P R / (P + R) */
  f1Score: fScore('F1Score', {}, () => 1),
};
