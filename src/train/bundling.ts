/** From a model to the parts of its bundle, and its compile settings to and from Keras's form. */
import { fail } from '../core/errors.ts';
import { type BundleParts, bundleFormat, bundleVersion, writeBundle as encodeBundle } from '../formats/bundle.ts';
import { writeWhole } from '../formats/file.ts';
import type { NamedTensor } from '../formats/wire/safetensors.ts';
import { describedToKeras } from '../layers/described.ts';
import { camelToSnake } from '../layers/names.ts';
import { byOutput, type Compilation, type CompileSettings } from './compilation.ts';
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

/** Keras's compile_config; null for a loss that is a function, which no file can hold. */
export function compileToKeras(
  { optimizer, loss, metrics, lossWeights }: Compilation,
  learningRate: number,
): Record<string, unknown> | null {
  const functions = (value: unknown): boolean =>
    typeof value === 'function' ||
    (Array.isArray(value) && value.some(functions)) ||
    (byOutput(value) && Object.values(value).some(functions));
  if (functions(loss)) return null;
  const written = describedToKeras(optimizer, 'keras.optimizers');
  const named = (value: unknown, module: string): unknown => {
    if (value === null) return null;
    if (typeof value === 'string') return camelToSnake(value);
    if (Array.isArray(value)) return value.map((own) => named(own, module));
    if (byOutput(value))
      return Object.fromEntries(Object.entries(value).map(([output, own]) => [output, named(own, module)]));
    return 'class_name' in (value as object)
      ? value
      : describedToKeras(value as Parameters<typeof describedToKeras>[0], module);
  };
  return {
    optimizer: {
      ...written,
      config: {
        ...(written.config as object),
        name: optimizer.config.name ?? optimizer.className.toLowerCase(),
        learning_rate: learningRate || optimizer.config.learningRate,
      },
    },
    loss: named(loss, 'keras.losses'),
    loss_weights: lossWeights,
    metrics: named(metrics, 'keras.metrics'),
    weighted_metrics: null,
    run_eagerly: false,
    steps_per_execution: 1,
    jit_compile: 'auto',
  };
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
  if (
    config.weighted_metrics != null &&
    !(Array.isArray(config.weighted_metrics) && config.weighted_metrics.length === 0)
  )
    fail('UNSUPPORTED', 'compile_config: weighted_metrics', 'null', JSON.stringify(config.weighted_metrics));
  return {
    optimizer: optimizerFromKeras(config.optimizer ?? config.optimizer_config) as NonNullable<
      CompileSettings['optimizer']
    >,
    loss: (Array.isArray(loss) && (outputs === 1 || loss.length === 1) ? loss[0] : loss) as CompileSettings['loss'],
    metrics: metricsFromKeras(plain(config.metrics), outputs),
    lossWeights: plain(config.loss_weights ?? null) as CompileSettings['lossWeights'],
  };
}

/** Keras 2 nests metrics in lists per output, or gives one name. */
function metricsFromKeras(given: unknown, outputs: number): NonNullable<CompileSettings['metrics']> {
  type Metrics = NonNullable<CompileSettings['metrics']>;
  if (outputs > 1 && (byOutput(given) || (Array.isArray(given) && given.length === outputs))) return given as Metrics;
  const flat = [given ?? []].flat(4) as unknown[];
  return flat.filter((metric) => metric !== null) as unknown as Metrics;
}

/** Keras 2's early files say lr; the value is the same. */
function optimizerFromKeras(value: unknown): unknown {
  const object = value as { class_name?: unknown; config?: Record<string, unknown> } | null;
  if (typeof object !== 'object' || object?.config?.lr === undefined) return value ?? 'rmsprop';
  const { lr, ...rest } = object.config;
  return { ...object, config: { learning_rate: lr, ...rest } };
}
