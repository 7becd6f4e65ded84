/** Counts of outcomes, precision and recall. Source: `keras/src/metrics/confusion_metrics.py`. */
import { metricFactory, oneOrAll } from './metric.ts';
import {
  classOption,
  countOutcomes,
  type Outcomes,
  outcomesOf,
  shares,
  thresholdOption,
  thresholdsOf,
  topKOption,
} from './outcomes.ts';

const listOf = (thresholds: number | readonly number[] | null, fallback: number): readonly number[] =>
  thresholds === null ? [fallback] : typeof thresholds === 'number' ? [thresholds] : thresholds;

/** The weight of the entries with one outcome. */
const count = (className: string, outcome: keyof Outcomes) =>
  metricFactory(
    className,
    { thresholds: thresholdOption() },
    {
      targets: 'values',
      accumulate: ({ thresholds }, y, p, given) => countOutcomes(y, p, given, thresholdsOf(listOf(thresholds, 0.5))),
      result: ({ thresholds }, totals) => oneOrAll(outcomesOf(totals, thresholdsOf(listOf(thresholds, 0.5)))[outcome]),
    },
  );

/** Among the largest k every prediction is positive unless thresholds are given. */
const cutOf = ({ thresholds, topK }: { thresholds: number | readonly number[] | null; topK: number | null }) =>
  thresholdsOf(listOf(thresholds, topK === null ? 0.5 : -1e10));

/** True positives over them and one kind of mistake. */
const share = (className: string, mistake: 'falsePositives' | 'falseNegatives') =>
  metricFactory(
    className,
    { thresholds: thresholdOption(), topK: topKOption(), classId: classOption() },
    {
      targets: 'values',
      accumulate: (config, y, p, given) => countOutcomes(y, p, given, cutOf(config), config),
      result(config, totals) {
        const outcomes = outcomesOf(totals, cutOf(config));
        return oneOrAll(shares(outcomes.truePositives, outcomes[mistake]));
      },
    },
  );

export const counts = {
  /** How many (or how much weight) were rightly found; `thresholds` is one number or several. Default 0.5. */
  truePositives: count('TruePositives', 'truePositives'),
  trueNegatives: count('TrueNegatives', 'trueNegatives'),
  falsePositives: count('FalsePositives', 'falsePositives'),
  falseNegatives: count('FalseNegatives', 'falseNegatives'),
  /**
   * Of what was found, the share that is right: TP / (TP + FP), 0 where nothing was found. `thresholds` (default 0.5), `topK` looks at the
   * largest predictions of an entry only, `classId` at one class.
   */
  precision: share('Precision', 'falsePositives'),
  /** Of what is there, the share that was found: TP / (TP + FN). Options as of `precision`. */
  recall: share('Recall', 'falseNegatives'),
};
