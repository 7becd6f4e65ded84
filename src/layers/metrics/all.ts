/** The table of metrics, and how one is found by name, by Keras's object, or as a function. Source: Keras 3, `keras/src/metrics`. */
import { fail } from '../../core/errors.ts';
import type { Shape } from '../../core/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { describedOf } from '../described.ts';
import { kindOfLabels } from '../losses/all.ts';
import { tensorFrom } from '../losses/loss.ts';
import { accuracies } from './accuracies.ts';
import { atConstraints } from './at-constraint.ts';
import { auc } from './auc.ts';
import { counts } from './counts.ts';
import { meanResult, meanTotals } from './entries.ts';
import { fScores } from './f-score.ts';
import { means } from './means.ts';
import type { Metric } from './metric.ts';
import { ofLosses } from './of-losses.ts';
import { perplexity } from './perplexity.ts';
import { r2Score } from './r2-score.ts';

/**
 * Every metric by its factory, with Keras's options and defaults. Each also takes a `name` for the logs.
 *
 * Predictions are (B, ..., C), targets of the same shape or, for metrics on indices, (B, ...). Results are numbers, or lists where there are
 * several thresholds or classes; they belong to all data of an epoch, not to the mean over its batches. `weightedMetrics` of `compile` count
 * samples by their weights; masked steps never count.
 *
 * Errors: ARGUMENT for options, SHAPE for targets that do not fit, with the metric that would.
 *
 * @example model.compile({ loss: 'bce', metrics: ['accuracy', metrics.auc({ curve: 'PR' }), metrics.precision({ thresholds: 0.3 })] });
 */
export const metrics = {
  ...accuracies,
  ...counts,
  ...atConstraints,
  auc,
  ...fScores,
  r2Score,
  ...means,
  ...ofLosses,
  perplexity,
};

/** Short names, Keras's functions and those of its earlier generations. Keys are in plain spelling. */
const aliases: Readonly<Record<string, string>> = {
  mse: 'meanSquaredError',
  rmse: 'rootMeanSquaredError',
  mae: 'meanAbsoluteError',
  mape: 'meanAbsolutePercentageError',
  msle: 'meanSquaredLogarithmicError',
  bce: 'binaryCrossentropy',
  kld: 'klDivergence',
  kullbackleiblerdivergence: 'klDivergence',
  logcosh: 'logCoshError',
  cosine: 'cosineSimilarity',
  cosineproximity: 'cosineSimilarity',
};

/** A metric of one's own: one value per entry, or one for the batch; its mean is taken. */
export type MetricFunction = (target: Tensor, prediction: Tensor) => Tensor;

/**
 * What may stand for a metric: a name (`accuracy` is chosen by shapes), one made by `metrics`, Keras's object, or a function of targets (in
 * the form that the loss takes: class indices are i32) and predictions.
 */
export type MetricLike =
  | 'accuracy'
  | 'acc'
  | keyof typeof metrics
  | 'mse'
  | 'rmse'
  | 'mae'
  | 'mape'
  | 'msle'
  | 'bce'
  | 'kld'
  | (string & {})
  | Metric
  | MetricFunction
  | Readonly<Record<string, unknown>>;

export const isAccuracy = (value: unknown): boolean => typeof value === 'string' && /^acc(uracy)?$/i.test(value);

interface KerasObject {
  readonly class_name: string;
  readonly config?: unknown;
}

const isKerasObject = (value: unknown): value is KerasObject =>
  typeof value === 'object' && value !== null && 'class_name' in value;

/** Keras's wrapper of a function stands for the metric of that function, with the wrapper's other settings. */
function unwrapped(value: unknown): unknown {
  if (!isKerasObject(value)) return value;
  // {class_name: 'function', config: 'mse'} is how Keras writes a name.
  if (value.class_name === 'function') return value.config;
  if (!value.class_name.endsWith('MeanMetricWrapper')) return value;
  const { fn, ...config } = (value.config ?? {}) as Record<string, unknown>;
  return { class_name: String(unwrapped(fn)), config };
}

function ofFunction(values: MetricFunction): Metric {
  return {
    className: values.name || 'metric',
    options: {},
    config: {},
    targets: 'any',
    accumulate: (y, p, given) => meanTotals(tensorFrom(values(y, p), 'compile: metrics'), given),
    result: meanResult,
  };
}

/** The metric of a name. @param target the shape of the targets without the batch */
export function metricOf(value: MetricLike, target: Shape, prediction: readonly (number | null)[]): Metric {
  if (typeof value === 'function') return ofFunction(value);
  const own = unwrapped(value);
  if (isAccuracy(own)) {
    const { binary, sparse } = kindOfLabels(target, prediction);
    if (binary) return metrics.binaryAccuracy();
    return sparse ? metrics.sparseCategoricalAccuracy() : metrics.categoricalAccuracy();
  }
  // A wrapper of Keras's 'accuracy' function by its alias.
  if (isKerasObject(own) && own.class_name !== 'Accuracy' && isAccuracy(own.class_name))
    return metricOf('accuracy', target, prediction);
  return describedOf<Metric>(own, metrics, aliases, "a metric (or 'accuracy')", 'compile: metrics');
}

/** The key of a metric in logs: its `name`, the name by which it was given, or the function's. */
export function metricName(value: MetricLike): string {
  const plain = isKerasObject(value) && value.class_name === 'function' ? value.config : value;
  if (typeof plain === 'string') return plain;
  if (typeof plain === 'function') return plain.name || 'metric';
  const { config, className } = plain as { config?: { name?: unknown }; className?: string };
  if (typeof config?.name === 'string') return config.name;
  const own = className ?? (isKerasObject(plain) ? plain.class_name : undefined);
  if (own === undefined) fail('ARGUMENT', 'compile: metrics', 'a metric', 'an object that is none');
  return factoryName(own) ?? own.charAt(0).toLowerCase() + own.slice(1);
}

/** Whether a file can hold it: a name, Keras's object, or one made by `metrics`. */
export function canBeSaved(value: unknown): boolean {
  if (typeof value === 'function') return false;
  const own = value as { readonly accumulate?: unknown; readonly className?: string } | null;
  return typeof own !== 'object' || !own?.accumulate || factoryName(String(own.className)) !== undefined;
}

/** The key of a class in `metrics`. */
function factoryName(className: string): string | undefined {
  return Object.keys(metrics).find((key) => key.toLowerCase() === className.toLowerCase());
}
