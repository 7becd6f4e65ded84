/**
 * Losses as metrics: the mean of a loss's values. Source: `keras/src/metrics/regression_metrics.py`, `hinge_metrics.py`,
 * `probabilistic_metrics.py`; the formulas stand with the losses.
 */
import { mul, notEqual, select, toFloat } from '../../ops/pointwise.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { losses } from '../losses/all.ts';
import type { Loss } from '../losses/loss.ts';
import { flag, fraction, type OptionTable, option } from '../options.ts';
import { entryWeights, meanResult, meanTotals } from './entries.ts';
import { type Given, type Metric, metricFactory } from './metric.ts';

/** The loss of a key, with the options that it shares with the metric. */
export function lossFor(key: string, config: Readonly<Record<string, unknown>>): Loss {
  const { name: _name, dtype: _dtype, ...shared } = config;
  return (losses as unknown as Readonly<Record<string, (given: object) => Loss>>)[key](shared);
}

/** The class that does not count. */
export const ignoreClassOption = () =>
  option<number | null>(
    'the index of a class, or null',
    (v) => v === null || (typeof v === 'number' && Number.isInteger(v)),
    null,
  );

/** Entries of the ignored class have the value 0. They are left out of the count where there is a weight or mask, as in Keras. */
function leaveOut(target: Tensor, values: Tensor, given: Given, ignoreClass: number) {
  const valid = notEqual(toFloat(target), ignoreClass);
  const weights = entryWeights(values.shape, given);
  return meanTotals(select(valid, values, 0), {
    weight: weights && mul(weights, valid),
    mask: given.mask,
  });
}

function ofLoss<const T extends OptionTable>(className: string, key: string, targets: Metric['targets'], own: T) {
  return metricFactory(
    className,
    own,
    {
      targets,
      targetShape: (config, prediction) =>
        lossFor(key, config as Readonly<Record<string, unknown>>).targetShape?.(prediction, prediction) ?? null,
      accumulate(config, y, p, given) {
        const plain = config as Readonly<Record<string, unknown>>;
        const values = lossFor(key, plain).values(y, p);
        return typeof plain.ignoreClass === 'number'
          ? leaveOut(y, values, given, plain.ignoreClass)
          : meanTotals(values, given);
      },
      result: (_config, totals) => meanResult(totals),
    },
    // The loss checks what it shares with the metric.
    (config) => void lossFor(key, config as Readonly<Record<string, unknown>>),
  );
}

/** The axis of the classes. */
const axis = option<number>('an axis', (v) => typeof v === 'number' && Number.isInteger(v), -1);
const logits = { fromLogits: flag(false) };
const smoothing = { labelSmoothing: fraction(0) };

export const ofLosses = {
  binaryCrossentropy: ofLoss('BinaryCrossentropy', 'binaryCrossentropy', 'values', { ...logits, ...smoothing }),
  categoricalCrossentropy: ofLoss('CategoricalCrossentropy', 'categoricalCrossentropy', 'values', {
    ...logits,
    ...smoothing,
    axis,
  }),
  /** With `ignoreClass`, entries of that class are 0; in a weighted or masked mean they do not count. */
  sparseCategoricalCrossentropy: ofLoss('SparseCategoricalCrossentropy', 'sparseCategoricalCrossentropy', 'indices', {
    ...logits,
    ignoreClass: ignoreClassOption(),
    axis,
  }),
  klDivergence: ofLoss('KLDivergence', 'klDivergence', 'values', {}),
  poisson: ofLoss('Poisson', 'poisson', 'values', {}),
  meanSquaredError: ofLoss('MeanSquaredError', 'meanSquaredError', 'values', {}),
  meanAbsoluteError: ofLoss('MeanAbsoluteError', 'meanAbsoluteError', 'values', {}),
  meanAbsolutePercentageError: ofLoss('MeanAbsolutePercentageError', 'meanAbsolutePercentageError', 'values', {}),
  meanSquaredLogarithmicError: ofLoss('MeanSquaredLogarithmicError', 'meanSquaredLogarithmicError', 'values', {}),
  logCoshError: ofLoss('LogCoshError', 'logCosh', 'values', {}),
  hinge: ofLoss('Hinge', 'hinge', 'values', {}),
  squaredHinge: ofLoss('SquaredHinge', 'squaredHinge', 'values', {}),
  categoricalHinge: ofLoss('CategoricalHinge', 'categoricalHinge', 'values', {}),
};
