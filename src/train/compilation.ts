/** What `compile` sets: optimizer, loss and metrics. */
import { fail } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import type { OpenShape } from '../layers/layer.ts';
import { type Loss, type LossLike, lossOf, targetShape } from '../layers/losses.ts';
import { isAccuracy, type Metric, type MetricLike, metricName, metricOf } from '../layers/metrics.ts';
import { type OptimizerLike, optimizerOf } from './optimizers/all.ts';
import type { Optimizer } from './optimizers/optimizer.ts';

export interface CompileSettings {
  /** A name, one of `optimizers`, or Keras's object. Default: rmsprop, as in Keras. */
  readonly optimizer?: OptimizerLike;
  /** A name, one of `losses`, Keras's object, or a function on tensors. */
  readonly loss: LossLike;
  /** Names (`accuracy` is chosen by shapes), ones of `metrics`, or Keras's objects. Default none. */
  readonly metrics?: readonly MetricLike[];
}

export interface Compilation {
  readonly optimizer: Optimizer;
  readonly loss: LossLike;
  readonly metrics: readonly { readonly name: string; readonly metric: MetricLike }[];
}

/** Loss and metrics for targets of a known shape. */
export interface Objective {
  readonly loss: Loss;
  readonly metrics: readonly { readonly name: string; readonly metric: Metric }[];
  /** The shape of a target, without the batch, that loss and metrics take. */
  readonly target: Shape;
}

/** Checks names at once, so that a misspelt one does not wait for the first batch. */
export function compileSettings({ optimizer = 'rmsprop', loss, metrics = [], ...rest }: CompileSettings): Compilation {
  const unknown = Object.keys(rest).filter((key) => (rest as Record<string, unknown>)[key] != null);
  if (unknown.length) fail('ARGUMENT', 'compile', 'optimizer, loss and metrics', unknown.join(', '));
  if (loss === undefined || loss === null)
    fail('ARGUMENT', 'compile', 'a loss', 'none', "Write `loss: 'binaryCrossentropy'`, or another.");
  if (!Array.isArray(metrics))
    fail('ARGUMENT', 'compile: metrics', 'a list', typeof metrics, "Write `metrics: ['accuracy']`.");
  lossOf(loss, [1], [null, 1]);
  const named = metrics.map((metric: MetricLike) => {
    if (!isAccuracy(metric)) metricOf(metric, [1], [null, 1]);
    return { name: metricName(metric), metric };
  });
  const names = named.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i || name === 'loss');
  if (twice !== undefined)
    fail('ARGUMENT', 'compile: metrics', 'metrics of different names', `'${twice}' twice`, 'Give one a `name`.');
  return { optimizer: optimizerOf(optimizer), loss, metrics: named };
}

/**
 * Loss and metrics for the shapes of targets and predictions, both without the batch. Throws SHAPE where they do not fit, with the loss
 * that would.
 */
export function objectiveOf(compilation: Compilation, target: Shape, prediction: OpenShape, where: string): Objective {
  const loss = lossOf(compilation.loss, target, prediction);
  // An open size (the length) is taken from the target; the step checks it.
  const concrete = prediction.slice(1).map((d, i) => d ?? target[i] ?? 1);
  const wanted = loss.className === 'function' ? target : targetShape(loss, target, concrete, where);
  return {
    loss,
    metrics: compilation.metrics.map(({ name, metric }) => ({ name, metric: metricOf(metric, target, prediction) })),
    target: wanted,
  };
}
