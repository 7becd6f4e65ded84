/**
 * What a metric is: totals that a step gives and that add over steps, and a number out of the totals. Steps compute totals in the graph,
 * so a metric costs a few small vectors of the hand-over; the rest is done on the host in float64.
 *
 * Weights and masks: a weight counts an entry that often. A masked entry does not count at all, in every metric. (Keras passes no mask to
 * the metrics of `compile`, so there padding counts; without masks the numbers are the same.)
 */
import type { Shape } from '../../core/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import type { Described } from '../described.ts';
import { dtypeOption, type OptionsIn, type OptionsOut, type OptionTable, option, parseOptions } from '../options.ts';

/** What comes beside targets and predictions. */
export interface Given {
  /** [B] or [B, T, ...]: how often an entry counts; null: once. */
  readonly weight: Tensor | null;
  /** [B, T], 0 or 1; null: all entries count. */
  readonly mask: Tensor | null;
}

/** Sums over all steps so far, by the names that `accumulate` gave them. */
export type Totals = Readonly<Record<string, Float64Array>>;

export interface Metric extends Described {
  /** What targets it takes: class indices, values of the shape of the predictions, or whatever the loss takes. */
  readonly targets: 'indices' | 'values' | 'any';
  /** The shape of targets for predictions, both without the batch. Missing: that of the predictions, for indices without the last axis. */
  targetShape?(prediction: Shape): Shape | null;
  /** Totals of one step, of any shape that does not depend on the batch; the names have no `/`. They are added up over steps. */
  accumulate(target: Tensor, prediction: Tensor, given: Given): Record<string, Tensor>;
  /** The metric's value; a list where it has several (one for each threshold or class). */
  result(totals: Totals): number | readonly number[];
}

/** The rules of a metric, its options filled in. */
export interface Rules<Config> {
  readonly targets: Metric['targets'];
  targetShape?(config: Config, prediction: Shape): Shape | null;
  accumulate(config: Config, target: Tensor, prediction: Tensor, given: Given): Record<string, Tensor>;
  result(config: Config, totals: Totals): number | readonly number[];
}

/** The options that every metric has. */
const common = {
  /** The key in logs and in the history. Default: the metric's own name, such as `auc`. */
  name: option<string | null>('a name', (v) => v === null || (typeof v === 'string' && v.length > 0), null),
  dtype: { ...dtypeOption(), toKeras: (): unknown => 'float32' },
};

/** The factory of a metric. */
export function metricFactory<const T extends OptionTable>(
  className: string,
  own: T,
  rules: Rules<OptionsOut<T>>,
  check?: (config: OptionsOut<T>, where: string) => void,
) {
  const options = { ...own, ...common };
  const where = `metrics.${className}`;
  const factory = (given?: OptionsIn<T> & { name?: string | null }): Metric => {
    const config = parseOptions(options, given, where);
    const typed = config as unknown as OptionsOut<T>;
    check?.(typed, where);
    return {
      className,
      options,
      config,
      targets: rules.targets,
      ...(rules.targetShape && { targetShape: (shape: Shape) => rules.targetShape?.(typed, shape) ?? null }),
      accumulate: (target, prediction, beside) => rules.accumulate(typed, target, prediction, beside),
      result: (totals) => rules.result(typed, totals),
    };
  };
  // The table for readers of configurations: some metrics cannot be made without options.
  return Object.assign(factory, { options: options as OptionTable });
}

/** a / b, and 0 where b is 0. */
export const ratio = (a: number, b: number): number => (b === 0 ? 0 : a / b);

/** One value stands for itself, several are a list. */
export const oneOrAll = (values: readonly number[]): number | readonly number[] =>
  values.length === 1 ? values[0] : values;
