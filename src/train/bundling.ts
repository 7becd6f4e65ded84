/** From a model to the parts of its bundle, and its compile settings to and from Keras's form. */
import { type BundleParts, bundleFormat, bundleVersion, writeBundle as encodeBundle } from '../formats/bundle.ts';
import { writeWhole } from '../formats/file.ts';
import type { NamedTensor } from '../formats/wire/safetensors.ts';
import { type Described, describedToKeras } from '../layers/described.ts';
import { canBeSaved, isAccuracy, type MetricLike, metricName, metricOf } from '../layers/metrics/all.ts';
import { camelToSnake, classToSnake } from '../layers/names.ts';
import { byOutput, type Compilation, type CompileSettings, type MetricSettings } from './compilation.ts';
import { holdsFunction, rateToKeras } from './schedules/schedule.ts';
import type { Counters } from './trainer.ts';

export interface BundleSettings {
  /** Saved with the model: a tokenizer, or its JSON text. */
  readonly tokenizer?: { toJSON(): unknown } | string | null;
  /** Saved with the model: anything that is JSON, such as the names of the classes. */
  readonly notes?: unknown;
}

export interface Bundled {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: ReadonlyMap<string, NamedTensor>;
  readonly slots: ReadonlyMap<string, NamedTensor>;
  /** What stateful layers keep. */
  readonly states: ReadonlyMap<string, NamedTensor>;
  /** null: not compiled. */
  readonly counters: Counters | null;
  readonly seed: number;
}

export function bundleBytes(bundled: Bundled, { tokenizer = null, notes = null }: BundleSettings): Uint8Array {
  const { config, weights, slots, states, counters, seed } = bundled;
  const parts: BundleParts = {
    metadata: {
      format: bundleFormat,
      version: bundleVersion,
      savedAt: new Date().toISOString(),
      seed,
      counters,
      notes,
    },
    config,
    weights,
    slots,
    states,
    tokenizer: tokenizer === null || typeof tokenizer === 'string' ? tokenizer : JSON.stringify(tokenizer),
  };
  return encodeBundle(parts);
}

export async function writeBundle(path: string, bundled: Bundled, settings: BundleSettings): Promise<void> {
  await writeWhole(path, bundleBytes(bundled, settings));
}

/** Keras's compile_config; null where a loss, a metric or the learning rate is a function, which no file can hold. */
export function compileToKeras(
  { optimizer, loss, metrics, weightedMetrics, lossWeights }: Compilation,
  learningRate: number,
): Record<string, unknown> | null {
  const functions = (value: unknown): boolean =>
    !canBeSaved(value) ||
    (Array.isArray(value) && value.some(functions)) ||
    (byOutput(value) && Object.values(value).some(functions));
  if ([loss, metrics, weightedMetrics].some(functions) || holdsFunction(optimizer.config.learningRate)) return null;
  const written = describedToKeras(optimizer, 'keras.optimizers');
  const lossToKeras = (value: unknown): unknown =>
    typeof value === 'string' ? camelToSnake(value) : describedToKeras(value as Described, 'keras.losses');
  const noMetrics = Array.isArray(weightedMetrics) && weightedMetrics.length === 0;
  return {
    optimizer: {
      ...written,
      config: {
        ...(written.config as object),
        name: optimizer.config.name ?? optimizer.className.toLowerCase(),
        ...(typeof optimizer.config.learningRate === 'number' && {
          learning_rate: rateToKeras(learningRate, 'learningRate'),
        }),
      },
    },
    loss: eachWritten(loss, lossToKeras),
    loss_weights: lossWeights,
    metrics: eachWritten(metrics, metricToKeras),
    weighted_metrics: noMetrics ? null : eachWritten(weightedMetrics, metricToKeras),
    run_eagerly: false,
    steps_per_execution: 1,
    jit_compile: 'auto',
  };
}

/** Lists and objects by outputs with every part in Keras's form; what came from Keras stays as it is. */
function eachWritten(value: unknown, write: (part: unknown) => unknown): unknown {
  if (value === null) return null;
  if (Array.isArray(value)) return value.map((own) => eachWritten(own, write));
  if (byOutput(value))
    return Object.fromEntries(Object.entries(value).map(([output, own]) => [output, eachWritten(own, write)]));
  return typeof value === 'object' && 'class_name' in value ? value : write(value);
}

/** Metrics that Keras does not have; it asks for them as custom objects. */
const ownMetrics: ReadonlySet<string> = new Set(['Perplexity']);

/** A metric under the name that it has in the logs. */
function metricToKeras(value: unknown): unknown {
  if (isAccuracy(value)) return value;
  const metric = metricOf(value as MetricLike, [1], [null, 1]);
  const { className } = metric;
  // Words that Keras knows too.
  if (
    typeof value === 'string' &&
    [className, classToSnake(className), 'mse', 'mae', 'mape', 'msle', 'bce'].includes(value)
  )
    if (!ownMetrics.has(className)) return value;
  const { config, ...rest } = describedToKeras(metric, ownMetrics.has(className) ? 'unrolled' : 'keras.metrics');
  return { ...rest, config: { ...(config as object), name: metricName(value as MetricLike) } };
}

/** Settings out of Keras's compile_config, of any generation. Throws for what cannot be honoured. */
export function compileFromKeras(config: Readonly<Record<string, unknown>>, outputs: number): CompileSettings | null {
  // tf-keras wraps every object once more.
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(plain);
    const object = value as { class_name?: unknown; config?: unknown } | null;
    if (object && typeof object === 'object' && object.class_name === '__tuple__')
      return plain((object as { items?: unknown }).items);
    return value;
  };
  const loss = plain(config.loss);
  if (loss === null || loss === undefined) return null;
  return {
    optimizer: optimizerFromKeras(config.optimizer ?? config.optimizer_config) as NonNullable<
      CompileSettings['optimizer']
    >,
    loss: (Array.isArray(loss) && (outputs === 1 || loss.length === 1) ? loss[0] : loss) as CompileSettings['loss'],
    metrics: metricsFromKeras(plain(config.metrics), outputs),
    weightedMetrics: metricsFromKeras(plain(config.weighted_metrics), outputs),
    lossWeights: plain(config.loss_weights ?? null) as CompileSettings['lossWeights'],
  };
}

/** Keras 2 nests metrics in lists per output, or gives one name. */
function metricsFromKeras(given: unknown, outputs: number): MetricSettings {
  if (outputs > 1 && (byOutput(given) || (Array.isArray(given) && given.length === outputs)))
    return given as MetricSettings;
  const flat = [given ?? []].flat(4) as unknown[];
  return flat.filter((metric) => metric !== null) as unknown as MetricSettings;
}

/** Keras 2's early files say lr; the value is the same. */
function optimizerFromKeras(value: unknown): unknown {
  const object = value as { class_name?: unknown; config?: Record<string, unknown> } | null;
  if (typeof object !== 'object' || object?.config?.lr === undefined) return value ?? 'rmsprop';
  const { lr, ...rest } = object.config;
  return { ...object, config: { learning_rate: lr, ...rest } };
}
