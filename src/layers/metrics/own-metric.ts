/** Metrics of one's own that are more than a mean. */
import { fail } from '../../core/errors.ts';
import { showValue } from '../options.ts';
import type { Metric } from './metric.ts';

export interface MetricDefinition {
  /** The key in the logs. */
  readonly name: string;
  /**
   * What targets it takes: 'values' of the shape of the predictions, class 'indices' (i32) without their last axis, or 'any', in the form that
   * the loss takes. Default 'values'.
   */
  readonly targets?: Metric['targets'];
  /** Totals of one step, of shapes that do not depend on the batch. They are added up over the steps; their names have no `/`. */
  readonly accumulate: Metric['accumulate'];
  /** The number (or numbers) out of the totals, on the host. */
  readonly result: Metric['result'];
}

/**
 * A metric out of totals that add over steps. For the mean of one value per entry a plain function is enough. A model that is compiled with
 * it is saved without its settings of `compile`, as no file can hold functions.
 *
 * @example
 * const bias = defineMetric({
 *   name: 'bias',
 *   accumulate: (y, p) => ({ over: ops.sum(ops.greater(p, y)), under: ops.sum(ops.less(p, y)) }),
 *   result: ({ over, under }) => (over[0] - under[0]) / (over[0] + under[0]),
 * });
 * model.compile({ loss: 'mse', metrics: [bias] });
 */
export function defineMetric({ name, targets = 'values', accumulate, result }: MetricDefinition): Metric {
  if (typeof name !== 'string' || !name) fail('ARGUMENT', 'defineMetric: name', 'a name', showValue(name));
  if (!['values', 'indices', 'any'].includes(targets))
    fail('ARGUMENT', 'defineMetric: targets', "'values', 'indices' or 'any'", showValue(targets));
  for (const [key, value] of Object.entries({ accumulate, result }))
    if (typeof value !== 'function') fail('ARGUMENT', `defineMetric: ${key}`, 'a function', showValue(value));
  return {
    className: name,
    options: {},
    config: { name },
    targets,
    accumulate(target, prediction, given) {
      const totals = accumulate(target, prediction, given);
      const wrong = Object.keys(totals).find((key) => key.includes('/'));
      if (wrong !== undefined) fail('ARGUMENT', `${name}: accumulate`, "names of totals without '/'", `'${wrong}'`);
      return totals;
    },
    result,
  };
}
