/**
 * The area under a curve over thresholds, out of the counts at each. Source: `keras/src/metrics/confusion_metrics.py`, `AUC`; interpolation
 * of precision-recall curves: Davis and Goadrich, "The relationship between precision-recall and ROC curves" (2006); gain curves: Flach and
 * Kull, "Precision-recall-gain curves" (2015).
 */
import { fail } from '../../core/errors.ts';
import { formatShape } from '../../core/shape.ts';
import { sigmoid } from '../../ops/pointwise.ts';
import { flag, type Option, option, showValue } from '../options.ts';
import { metricFactory, ratio } from './metric.ts';
import { countOutcomes, type Outcomes, openThresholds, outcomesOf, shares, type Thresholds } from './outcomes.ts';

/** One of a few words, in any case. */
function word<const T extends string>(values: readonly T[], fallback: T): Option<T | Lowercase<T>, T, false> {
  return {
    required: false,
    fallback,
    expected: `one of ${values.map(showValue).join(', ')}`,
    parse(value, where) {
      const found = values.find((v) => typeof value === 'string' && v.toLowerCase() === value.toLowerCase());
      return found ?? fail('ARGUMENT', where, this.expected, showValue(value));
    },
  };
}

const finiteList = (v: unknown): v is number[] =>
  Array.isArray(v) && v.length > 0 && v.every((x) => typeof x === 'number' && Number.isFinite(x));

const own = {
  /** How many thresholds from 0 to 1 stand for the curve. Default 200. */
  numThresholds: option<number>(
    'an integer above 1',
    (v) => typeof v === 'number' && Number.isInteger(v) && v > 1,
    200,
  ),
  /** Which curve: the receiver's (false against true positives), precision over recall, or their gains. Default 'ROC'. */
  curve: word(['ROC', 'PR', 'PRGAIN'], 'ROC'),
  /** Between two points: the line (for 'PR' the curve of Davis and Goadrich), the lower or the higher value. Default 'interpolation'. */
  summationMethod: word(['interpolation', 'minoring', 'majoring'], 'interpolation'),
  /** Thresholds of one's own within 0 and 1; they replace `numThresholds`. */
  thresholds: option<readonly number[] | null>(
    'a list of numbers from 0 to 1, or null',
    (v) => v === null || (finiteList(v) && v.every((x) => x >= 0 && x <= 1)),
    null,
  ),
  /** The mean of the areas of every label (the last axis), instead of the area over all entries. Default false. */
  multiLabel: flag(false),
  /** How many labels there are; checked. */
  numLabels: option<number | null>(
    'a positive integer, or null',
    (v) => v === null || (typeof v === 'number' && Number.isInteger(v) && v > 0),
    null,
  ),
  /** A weight for each label: of its area with `multiLabel`, else of its entries. */
  labelWeights: option<readonly number[] | null>(
    'a list of numbers from 0 on, or null',
    (v) => v === null || (finiteList(v) && v.every((x) => x >= 0)),
    null,
  ),
  /** The predictions are logits; a sigmoid comes first. Default false. */
  fromLogits: flag(false),
};

type Curve = 'ROC' | 'PR' | 'PRGAIN';
type Summation = 'interpolation' | 'minoring' | 'majoring';

function thresholdsFor(config: { readonly thresholds: readonly number[] | null; readonly numThresholds: number }) {
  const parts = config.numThresholds - 1;
  return openThresholds(config.thresholds ?? Array.from({ length: parts - 1 }, (_, i) => (i + 1) / parts));
}

/** Both coordinates at every threshold. */
function pointsOf(curve: Curve, o: Outcomes): { x: number[]; y: number[] } {
  const recall = shares(o.truePositives, o.falseNegatives);
  if (curve === 'ROC') return { x: shares(o.falsePositives, o.trueNegatives), y: recall };
  if (curve === 'PR') return { x: recall, y: shares(o.truePositives, o.falsePositives) };
  const scale = o.truePositives.map((tp, i) =>
    ratio(tp + o.falseNegatives[i], o.trueNegatives[i] + o.falsePositives[i]),
  );
  const gain = (mistakes: readonly number[], none: number) =>
    o.truePositives.map((tp, i) => (tp === 0 ? none : 1 - scale[i] * (mistakes[i] / tp)));
  return { x: gain(o.falseNegatives, 0).map((v) => Math.max(0, v)), y: gain(o.falsePositives, 1) };
}

/** The area under straight or stepped pieces. */
function area({ x, y }: { x: readonly number[]; y: readonly number[] }, summation: Summation): number {
  let total = 0;
  for (let i = 0; i + 1 < x.length; i++) {
    const height =
      summation === 'interpolation'
        ? (y[i] + y[i + 1]) / 2
        : summation === 'minoring'
          ? Math.min(y[i], y[i + 1])
          : Math.max(y[i], y[i + 1]);
    total += (x[i] - x[i + 1]) * height;
  }
  return total;
}

/** The area under precision over recall where true positives, not precision, are interpolated. */
function interpolatedPrecisionRecall({ truePositives, falsePositives, falseNegatives }: Outcomes): number {
  let total = 0;
  const found = truePositives.map((tp, i) => tp + falsePositives[i]);
  for (let i = 0; i + 1 < found.length; i++) {
    const gained = truePositives[i] - truePositives[i + 1];
    const slope = ratio(gained, Math.max(0, found[i] - found[i + 1]));
    const intercept = truePositives[i + 1] - slope * found[i + 1];
    const growth = found[i] > 0 && found[i + 1] > 0 ? found[i] / found[i + 1] : 1;
    total += ratio(
      slope * (gained + intercept * Math.log(growth)),
      Math.max(0, truePositives[i + 1] + falseNegatives[i + 1]),
    );
  }
  return total;
}

/**
 * The area under the ROC, precision-recall or precision-recall-gain curve. It is 0.5 for predictions without knowledge (ROC) and 1 for
 * perfect ones; its error against the exact area falls with the number of thresholds.
 *
 * Targets: the shape of the predictions; positive where not 0. Example: `metrics.auc({ curve: 'PR' })`.
 */
export const auc = metricFactory(
  'AUC',
  own,
  {
    targets: 'values',
    accumulate(config, y, prediction, given) {
      const { multiLabel, numLabels, labelWeights, fromLogits } = config;
      const labels = prediction.shape[prediction.rank - 1];
      const wrong = (expected: string) =>
        fail('SHAPE', 'compile: metrics: auc', expected, formatShape(prediction.shape));
      if (multiLabel && prediction.rank < 2) wrong('predictions (.., labels)');
      if (numLabels !== null && numLabels !== labels) wrong(`predictions of ${numLabels} labels`);
      if (labelWeights && labelWeights.length !== labels) wrong(`predictions of ${labelWeights.length} labels`);
      const p = fromLogits ? sigmoid(prediction) : prediction;
      return countOutcomes(y, p, given, thresholdsFor(config), {
        multiLabel,
        labelWeights: multiLabel ? null : labelWeights,
      });
    },
    result({ curve, summationMethod, multiLabel, labelWeights, ...rest }, totals) {
      const thresholds: Thresholds = thresholdsFor(rest);
      const labels = multiLabel ? totals.buckets.length / (2 * (thresholds.ascending.length + 1)) : 1;
      const areas = Array.from({ length: labels }, (_, label) => {
        const outcomes = outcomesOf(totals, thresholds, label);
        return curve === 'PR' && summationMethod === 'interpolation'
          ? interpolatedPrecisionRecall(outcomes)
          : area(pointsOf(curve, outcomes), summationMethod);
      });
      const weights = (multiLabel && labelWeights) || areas.map(() => 1);
      return ratio(
        areas.reduce((total, a, i) => total + a * weights[i], 0),
        weights.reduce((total, w) => total + w, 0),
      );
    },
  },
  ({ multiLabel, numLabels }, where) => {
    if (numLabels !== null && !multiLabel)
      fail(
        'ARGUMENT',
        `${where}.numLabels`,
        'null, as multiLabel is false',
        String(numLabels),
        'Set multiLabel: true.',
      );
  },
);
