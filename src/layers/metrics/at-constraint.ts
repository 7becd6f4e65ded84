/**
 * The best of one rate where another reaches a value, over thresholds. Source: `keras/src/metrics/confusion_metrics.py`,
 * `SensitivitySpecificityBase`.
 */
import { option } from '../options.ts';
import { metricFactory } from './metric.ts';
import {
  classOption,
  countOutcomes,
  evenThresholds,
  type Outcomes,
  outcomesOf,
  shares,
  thresholdsOf,
} from './outcomes.ts';

const numThresholds = option<number>(
  'a positive integer',
  (v) => typeof v === 'number' && Number.isInteger(v) && v > 0,
  200,
);

const sensitivity = (o: Outcomes) => shares(o.truePositives, o.falseNegatives);
const specificity = (o: Outcomes) => shares(o.trueNegatives, o.falsePositives);
const precision = (o: Outcomes) => shares(o.truePositives, o.falsePositives);

type Rate = (outcomes: Outcomes) => number[];

/**
 * @param key the option that holds the value to reach
 * @param reached the rate that must reach it
 */
function atConstraint<const K extends string>(className: string, key: K, reached: Rate, best: Rate) {
  const wanted = option<number, true>(
    'a number from 0 to 1',
    (v) => typeof v === 'number' && v >= 0 && v <= 1,
    undefined,
    true,
  );
  const own = { [key]: wanted, numThresholds, classId: classOption() } as Record<K, typeof wanted> & {
    numThresholds: typeof numThresholds;
    classId: ReturnType<typeof classOption>;
  };
  type Config = Readonly<Record<string, number>> & { readonly classId: number | null };
  const plain = (config: unknown) => config as Config;
  const cutOf = (config: unknown) => thresholdsOf(evenThresholds(plain(config).numThresholds));
  return metricFactory(className, own, {
    targets: 'values',
    accumulate: (config, y, p, given) => countOutcomes(y, p, given, cutOf(config), { classId: plain(config).classId }),
    result(config, totals) {
      const outcomes = outcomesOf(totals, cutOf(config));
      const rates = reached(outcomes);
      return Math.max(0, ...best(outcomes).filter((_, i) => rates[i] >= plain(config)[key]));
    },
  });
}

/** Each takes the value to reach, `numThresholds` (default 200, from 0 to 1) and `classId`. */
export const atConstraints = {
  /** The largest TP / (TP + FN) among thresholds where TN / (TN + FP) is at least `specificity`. */
  sensitivityAtSpecificity: atConstraint('SensitivityAtSpecificity', 'specificity', specificity, sensitivity),
  /** The largest TN / (TN + FP) among thresholds where TP / (TP + FN) is at least `sensitivity`. */
  specificityAtSensitivity: atConstraint('SpecificityAtSensitivity', 'sensitivity', sensitivity, specificity),
  /** The largest precision among thresholds where the recall is at least `recall`. */
  precisionAtRecall: atConstraint('PrecisionAtRecall', 'recall', sensitivity, precision),
  /** The largest recall among thresholds where the precision is at least `precision`. */
  recallAtPrecision: atConstraint('RecallAtPrecision', 'precision', precision, sensitivity),
};
