/** What `compile` sets: optimizer, loss and metrics. */
import { fail } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import { checkTimeMemory, type TimeMemory } from '../engine/gradients.ts';
import type { OpenShape } from '../layers/layer.ts';
import { type LossLike, lossOf } from '../layers/losses/all.ts';
import { entriesOf, type Loss, targetShape } from '../layers/losses/loss.ts';
import { isAccuracy, type MetricLike, metricName, metricOf } from '../layers/metrics/all.ts';
import { meanResult } from '../layers/metrics/entries.ts';
import type { Metric, Totals } from '../layers/metrics/metric.ts';
import { showValue } from '../layers/options.ts';
import { type OptimizerLike, optimizerOf } from './optimizers/all.ts';
import type { Optimizer } from './optimizers/optimizer.ts';
import { checkPrecision, type Precision } from './precision.ts';

/** One for every output: a list in their order, or an object by their names (null: none). One alone holds for all outputs. */
export type PerOutput<T> = T | readonly (T | null)[] | { readonly [output: string]: T | null };

export interface CompileSettings {
  /** A name, one of `optimizers`, or Keras's object. Default: rmsprop, as in Keras. */
  readonly optimizer?: OptimizerLike;
  /** A name, one of `losses`, Keras's object, or a function on tensors; for several outputs also one for each, null for outputs that have none. */
  readonly loss: PerOutput<LossLike>;
  /**
   * Names (`accuracy` is chosen by shapes), ones of `metrics`, Keras's objects, or functions (target, prediction) to one value per entry.
   * For several outputs one or a list for each. They count every sample alike. Default none.
   */
  readonly metrics?: MetricSettings;
  /**
   * The same, counting every sample by its weight (`sampleWeight` and `classWeight`). One that stands in `metrics` too is called
   * `weighted_` and its name. Default none.
   */
  readonly weightedMetrics?: MetricSettings | null;
  /** How much each output's loss counts in the sum; of a model with one output also a number alone. Default 1. */
  readonly lossWeights?: number | readonly number[] | { readonly [output: string]: number } | null;
  /**
   * What training keeps of the steps of a sequence; less memory costs a second forward pass. Default: the model's `memory`, which is `full`.
   *
   * @example model.compile({ optimizer: 'adam', loss: 'mse', memory: 'sqrt' });
   */
  readonly memory?: TimeMemory;
  /**
   * What matrix products round their operands to, in training and after it: see `ModelOptions`. Default: the model's, which is `float32`.
   *
   * @example model.compile({ optimizer: 'adam', loss: 'mse', precision: 'bfloat16' });
   */
  readonly precision?: Precision;
}

/** Metrics of one output, or a list or an object with some for each. */
export type MetricSettings =
  | readonly (MetricLike | readonly MetricLike[] | null)[]
  | { readonly [output: string]: MetricLike | readonly MetricLike[] | null };

interface NamedMetric<T> {
  readonly name: string;
  readonly metric: T;
}

/** A metric of an output; `weighted`: it counts samples by their weights. */
export interface OutputMetric extends NamedMetric<Metric> {
  readonly weighted: boolean;
}

/** What a step reports beside the loss: totals, and the number or numbers out of them. */
export interface Reported {
  readonly name: string;
  result(totals: Totals): number | readonly number[];
}

export interface Compilation {
  readonly optimizer: Optimizer;
  /** As given. */
  readonly loss: CompileSettings['loss'];
  readonly metrics: MetricSettings;
  readonly weightedMetrics: MetricSettings;
  readonly lossWeights: NonNullable<CompileSettings['lossWeights']> | null;
  /** null: as the model has it. */
  readonly memory: TimeMemory | null;
  /** null: as the model has it. */
  readonly precision: Precision | null;
}

/** Loss and metrics of one output, for targets of a known shape. */
export interface OutputObjective {
  /** Which output. */
  readonly output: number;
  readonly loss: Loss;
  /** What the loss is called in the logs; null where it is the only one. */
  readonly lossName: string | null;
  readonly lossWeight: number;
  readonly metrics: readonly OutputMetric[];
  /** The shape of a target, without the batch, that loss and metrics take. */
  readonly target: Shape;
  /** The shape of the loss's values for one sample: what sample weights may have. */
  readonly entries: Shape;
  /** The shape of a prediction, without the batch; infinite where it is open. */
  readonly prediction: Shape;
}

export interface Objective {
  /** Those that have a loss. */
  readonly outputs: readonly OutputObjective[];
  /** What a step reports beside the loss, in the order of the logs. */
  readonly reported: readonly Reported[];
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
  const {
    optimizer = 'rmsprop',
    loss,
    metrics = [],
    weightedMetrics = null,
    lossWeights = null,
    memory = null,
    precision = null,
    ...rest
  } = settings;
  const unknown = Object.keys(rest).filter((key) => (rest as Record<string, unknown>)[key] != null);
  if (unknown.length)
    fail(
      'ARGUMENT',
      'compile',
      'optimizer, loss, lossWeights, metrics, weightedMetrics, memory and precision',
      unknown.join(', '),
    );
  const losses = parts(loss).filter((one) => one !== null && one !== undefined) as LossLike[];
  if (!losses.length) fail('ARGUMENT', 'compile', 'a loss', 'none', "Write `loss: 'binaryCrossentropy'`, or another.");
  for (const one of losses)
    if (lossOf(one, [1], [null, 1]).reduction === 'none')
      fail(
        'UNSUPPORTED',
        'compile: loss',
        'a loss that is one number',
        "the reduction 'none', which gives one for every entry",
        'Leave the reduction out, or take another one.',
      );
  checkMetrics(metrics, 'metrics', outputs);
  checkMetrics(weightedMetrics ?? [], 'weightedMetrics', outputs);
  if (
    lossWeights !== null &&
    !Array.isArray(lossWeights) &&
    !byOutput(lossWeights) &&
    !(outputs === 1 && typeof lossWeights === 'number')
  )
    fail('ARGUMENT', 'compile: lossWeights', 'a list or an object, a number for each output', showValue(lossWeights));
  for (const weight of parts(lossWeights ?? []))
    if (typeof weight !== 'number' || !Number.isFinite(weight))
      fail('ARGUMENT', 'compile: lossWeights', 'a finite number for each output', showValue(weight));
  return {
    optimizer: optimizerOf(optimizer),
    loss,
    metrics,
    weightedMetrics: weightedMetrics ?? [],
    lossWeights,
    memory: memory === null ? null : checkTimeMemory(memory, 'compile: memory'),
    precision: precision === null ? null : checkPrecision(precision, 'compile: precision'),
  };
}

function checkMetrics(given: MetricSettings, option: string, outputs: number): void {
  if (!Array.isArray(given) && !byOutput(given))
    fail('ARGUMENT', `compile: ${option}`, 'a list', typeof given, `Write \`${option}: ['accuracy']\`.`);
  for (const metric of parts(given) as (MetricLike | null)[])
    if (metric !== null && !isAccuracy(metric)) metricOf(metric, [1], [null, 1]);
  if (outputs === 1) refuseTwice(parts(given) as MetricLike[], option);
}

function refuseTwice(metrics: readonly MetricLike[], option: string): NamedMetric<MetricLike>[] {
  const named = metrics.map((metric) => ({ name: metricName(metric), metric }));
  const names = named.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i || name === 'loss');
  if (twice !== undefined)
    fail('ARGUMENT', `compile: ${option}`, 'metrics of different names', `'${twice}' twice`, 'Give one a `name`.');
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

/** What was given for the metrics of each output. */
function metricsPerOutput(given: MetricSettings, outputs: readonly OutputShape[], option: string): unknown[] {
  const list = Array.isArray(given) ? (given as readonly unknown[]) : null;
  if (list?.length === 0) return outputs.map(() => null);
  if (outputs.length > 1 || !list) return perOutput<unknown>(given, outputs, `compile: ${option}`, (value) => [value]);
  return [list.length === 1 && Array.isArray(list[0]) ? list[0] : list];
}

/** Both kinds of metrics of an output under Keras's names. */
function namedMetrics(plain: readonly MetricLike[], weighted: readonly MetricLike[]) {
  const first = refuseTwice(plain, 'metrics').map((one) => ({ ...one, weighted: false }));
  const second = refuseTwice(weighted, 'weightedMetrics').map(({ name, metric }) => ({
    name: first.some((one) => one.name === name) ? `weighted_${name}` : name,
    metric,
    weighted: true,
  }));
  const names = [...first, ...second].map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    fail(
      'ARGUMENT',
      'compile: weightedMetrics',
      'metrics of different names',
      `'${twice}' twice`,
      'Give one a `name`.',
    );
  return [...first, ...second];
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
  const metrics = metricsPerOutput(compilation.metrics, outputs, 'metrics');
  const weighted = metricsPerOutput(compilation.weightedMetrics, outputs, 'weightedMetrics');
  const weights =
    compilation.lossWeights !== null
      ? perOutput<number | null>(compilation.lossWeights, outputs, 'compile: lossWeights', (value) => [value as number])
      : [];
  const found = outputs.flatMap(({ name, shape: prediction }, output): OutputObjective[] => {
    const given = losses[output];
    const named = namedMetrics(listOf(metrics[output]), listOf(weighted[output]));
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
    const wanted = loss.className === 'function' ? target : targetShape(loss, target, concrete, place);
    return [
      {
        output,
        loss,
        lossName: several ? `${name}_loss` : null,
        lossWeight: weights[output] ?? 1,
        metrics: named.map(({ name: own, metric, weighted }) => ({
          name: several ? `${name}_${own}` : own,
          metric: metricOf(metric, target, prediction),
          weighted,
        })),
        target: wanted,
        entries: entriesOf(loss, wanted, concrete),
        prediction: prediction.slice(1).map((d) => d ?? Number.POSITIVE_INFINITY),
      },
    ];
  });
  return {
    outputs: found,
    reported: [
      ...found.flatMap(({ lossName }) => (lossName === null ? [] : [{ name: lossName, result: meanResult }])),
      ...found.flatMap((one) =>
        one.metrics.map(({ name, metric }) => ({ name, result: (totals: Totals) => metric.result(totals) })),
      ),
    ],
  };
}
