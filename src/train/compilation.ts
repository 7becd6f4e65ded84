/** What `compile` sets: optimizer, loss and metrics. */
import { fail } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import type { OpenShape } from '../layers/layer.ts';
import { type Loss, type LossLike, lossOf, targetShape } from '../layers/losses.ts';
import { isAccuracy, type Metric, type MetricLike, metricName, metricOf } from '../layers/metrics.ts';
import { showValue } from '../layers/options.ts';
import { type OptimizerLike, optimizerOf } from './optimizers/all.ts';
import type { Optimizer } from './optimizers/optimizer.ts';

/** One for every output: a list in their order, or an object by their names (null: none). One alone holds for all outputs. */
export type PerOutput<T> = T | readonly (T | null)[] | { readonly [output: string]: T | null };

export interface CompileSettings {
  /** A name, one of `optimizers`, or Keras's object. Default: rmsprop, as in Keras. */
  readonly optimizer?: OptimizerLike;
  /** A name, one of `losses`, Keras's object, or a function on tensors; for several outputs also one for each, null for outputs that have none. */
  readonly loss: PerOutput<LossLike>;
  /** Names (`accuracy` is chosen by shapes), ones of `metrics`, or Keras's objects. For several outputs one or a list for each. Default none. */
  readonly metrics?:
    | readonly (MetricLike | readonly MetricLike[] | null)[]
    | { readonly [output: string]: MetricLike | readonly MetricLike[] | null };
  /** How much each output's loss counts in the sum. Default 1. */
  readonly lossWeights?: readonly number[] | { readonly [output: string]: number } | null;
}

interface NamedMetric<T> {
  readonly name: string;
  readonly metric: T;
}

export interface Compilation {
  readonly optimizer: Optimizer;
  /** As given. */
  readonly loss: CompileSettings['loss'];
  readonly metrics: NonNullable<CompileSettings['metrics']>;
  readonly lossWeights: NonNullable<CompileSettings['lossWeights']> | null;
}

/** Loss and metrics of one output, for targets of a known shape. */
export interface OutputObjective {
  /** Which output. */
  readonly output: number;
  readonly loss: Loss;
  /** What the loss is called in the logs; null where it is the only one. */
  readonly lossName: string | null;
  readonly lossWeight: number;
  readonly metrics: readonly NamedMetric<Metric>[];
  /** The shape of a target, without the batch, that loss and metrics take. */
  readonly target: Shape;
}

export interface Objective {
  /** Those that have a loss. */
  readonly outputs: readonly OutputObjective[];
  /** Names of what a step reports beside the loss. */
  readonly reported: readonly string[];
}

type Plain = Readonly<Record<string, unknown>>;

const isPlain = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** Whether an object names outputs, and is not one of ours or of Keras's. */
export const byOutput = (value: unknown): value is Plain =>
  isPlain(value) && !('class_name' in value) && !('className' in value);

const listOf = (value: unknown): readonly MetricLike[] =>
  value === null || value === undefined ? [] : Array.isArray(value) ? value : [value as MetricLike];

/** Every loss and metric there is, wherever it belongs. */
const parts = (value: unknown): unknown[] =>
  Array.isArray(value) ? value.flatMap(parts) : byOutput(value) ? Object.values(value).flatMap(parts) : [value];

/** Checks names at once, so that a misspelt one does not wait for the first batch. @param outputs how many the model has */
export function compileSettings(settings: CompileSettings, outputs: number): Compilation {
  const { optimizer = 'rmsprop', loss, metrics = [], lossWeights = null, ...rest } = settings;
  const unknown = Object.keys(rest).filter((key) => (rest as Record<string, unknown>)[key] != null);
  if (unknown.length) fail('ARGUMENT', 'compile', 'optimizer, loss, lossWeights and metrics', unknown.join(', '));
  const losses = parts(loss).filter((one) => one !== null && one !== undefined) as LossLike[];
  if (!losses.length) fail('ARGUMENT', 'compile', 'a loss', 'none', "Write `loss: 'binaryCrossentropy'`, or another.");
  if (!Array.isArray(metrics) && !byOutput(metrics))
    fail('ARGUMENT', 'compile: metrics', 'a list', typeof metrics, "Write `metrics: ['accuracy']`.");
  for (const one of losses) lossOf(one, [1], [null, 1]);
  for (const metric of parts(metrics) as (MetricLike | null)[])
    if (metric !== null && !isAccuracy(metric)) metricOf(metric, [1], [null, 1]);
  if (outputs === 1) refuseTwice(parts(metrics) as MetricLike[]);
  if (lossWeights !== null && !Array.isArray(lossWeights) && !byOutput(lossWeights))
    fail('ARGUMENT', 'compile: lossWeights', 'a list or an object, a number for each output', showValue(lossWeights));
  for (const weight of parts(lossWeights ?? []))
    if (typeof weight !== 'number' || !Number.isFinite(weight))
      fail('ARGUMENT', 'compile: lossWeights', 'a finite number for each output', showValue(weight));
  return { optimizer: optimizerOf(optimizer), loss, metrics, lossWeights };
}

function refuseTwice(metrics: readonly MetricLike[]): NamedMetric<MetricLike>[] {
  const named = metrics.map((metric) => ({ name: metricName(metric), metric }));
  const names = named.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i || name === 'loss');
  if (twice !== undefined)
    fail('ARGUMENT', 'compile: metrics', 'metrics of different names', `'${twice}' twice`, 'Give one a `name`.');
  return named;
}

/** An output of a model: its name, and the shape of its predictions, batch in front. */
export interface OutputShape {
  readonly name: string;
  readonly shape: OpenShape;
}

/** What was given for each output; `one` says what a value that is not a list or an object by names stands for. */
function perOutput<T>(
  value: unknown,
  outputs: readonly OutputShape[],
  where: string,
  one: (value: unknown) => T[],
): T[] {
  const count = outputs.length;
  if (byOutput(value)) {
    for (const key of Object.keys(value))
      if (!outputs.some(({ name }) => name === key))
        fail('ARGUMENT', where, `names of outputs, ${outputs.map(({ name }) => name).join(', ')}`, `'${key}'`);
    return outputs.map(({ name }) => (value[name] ?? null) as T);
  }
  if (!Array.isArray(value)) return one(value);
  if (value.length !== count) fail('ARGUMENT', where, `a list of ${count}, one for each output`, `${value.length}`);
  return value as T[];
}

/**
 * Loss and metrics for the shapes of targets, without the batch (null: none was given), and of predictions. Throws SHAPE where they do not fit,
 * with the loss that would; ARGUMENT where there is one for an output that does not exist.
 */
export function objectiveOf(
  compilation: Compilation,
  targets: readonly (Shape | null)[],
  outputs: readonly OutputShape[],
  where: string,
): Objective {
  const several = outputs.length > 1;
  const losses = perOutput<LossLike | null>(compilation.loss, outputs, 'compile: loss', (value) =>
    outputs.map(() => value as LossLike),
  );
  const metrics =
    several || byOutput(compilation.metrics)
      ? Array.isArray(compilation.metrics) && compilation.metrics.length === 0
        ? outputs.map(() => null)
        : perOutput<unknown>(compilation.metrics, outputs, 'compile: metrics', (value) => [value])
      : [
          compilation.metrics.length === 1 && Array.isArray(compilation.metrics[0])
            ? compilation.metrics[0]
            : compilation.metrics,
        ];
  const weights = compilation.lossWeights
    ? perOutput<number | null>(compilation.lossWeights, outputs, 'compile: lossWeights', () => [])
    : [];
  const found = outputs.flatMap(({ name, shape: prediction }, output): OutputObjective[] => {
    const given = losses[output];
    const named = refuseTwice(listOf(metrics[output]));
    const place = several ? `${where}[${output}] (${name})` : where;
    if (given === null) {
      if (named.length)
        fail(
          'UNSUPPORTED',
          `compile: metrics of ${name}`,
          'none where there is no loss',
          named.map((m) => m.name).join(', '),
        );
      return [];
    }
    const target = targets[output];
    if (target === null) fail('DATA', place, 'targets, because this output has a loss', 'null');
    const loss = lossOf(given, target, prediction);
    // An open size (the length) is taken from the target; the step checks it.
    const concrete = prediction.slice(1).map((d, i) => d ?? target[i] ?? 1);
    return [
      {
        output,
        loss,
        lossName: several ? `${name}_loss` : null,
        lossWeight: weights[output] ?? 1,
        metrics: named.map(({ name: own, metric }) => ({
          name: several ? `${name}_${own}` : own,
          metric: metricOf(metric, target, prediction),
        })),
        target: loss.className === 'function' ? target : targetShape(loss, target, concrete, place),
      },
    ];
  });
  return {
    outputs: found,
    reported: [
      ...found.flatMap(({ lossName }) => (lossName === null ? [] : [lossName])),
      ...found.flatMap((one) => one.metrics.map(({ name }) => name)),
    ],
  };
}
