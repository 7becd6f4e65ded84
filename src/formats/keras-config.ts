/**
 * Keras's JSON configurations of models, of every generation: Keras 3, tf-keras, Keras 2. Source: Keras 3,
 * `keras/src/saving/serialization_lib.py`; Keras 2 has no modules, string dtypes, and the input shape on the first layer.
 */
import { fail } from '../core/errors.ts';
import type { Cell } from '../layers/cell.ts';
import { kerasObject, kerasReading, layerFromKeras } from '../layers/from-keras.ts';
import { input } from '../layers/input.ts';
import type { Layer, OpenShape } from '../layers/layer.ts';
import { type KerasReading, showValue } from '../layers/options.ts';
import { layerToKeras } from '../layers/to-keras.ts';
import { type FunctionalConfig, functionalFromKeras } from './functional-config.ts';
import { refuseMissing } from './missing-classes.ts';

export interface SequentialConfig {
  readonly kind: 'sequential';
  readonly name: string;
  /** With an input layer in front where the file knows the shape. */
  readonly layers: readonly Layer[];
  /** Keras's compile_config; null: none. */
  readonly compile: Readonly<Record<string, unknown>> | null;
}

export interface FunctionalModelConfig extends FunctionalConfig {
  readonly kind: 'functional';
  readonly name: string;
  readonly compile: Readonly<Record<string, unknown>> | null;
}

export type ModelConfig = SequentialConfig | FunctionalModelConfig;

/** Makes the layer that stands for a model within a model. */
export type NestModel = (config: ModelConfig, trainable: boolean) => Layer;

export interface KerasConfigOptions {
  /** Keras's major version where the file does not tell: hardSigmoid and GRU differ. Default: recognised by its words. */
  readonly generation?: 2 | 3;
  /** Cells of one's own, from `defineCell`, that the file names. */
  // biome-ignore lint/suspicious/noExplicitAny: cells differ in their options
  readonly cells?: readonly (((options: any) => Cell) & { readonly definition: { readonly name: string } })[];
}

const layerLimit = 10_000;

/** Words that only one generation writes. */
function generationOf(json: unknown): 2 | 3 {
  const text = JSON.stringify(json);
  if (/"batch_shape"|"DTypePolicy"|"build_input_shape"/.test(text)) return 3;
  return /"batch_input_shape"|"time_major"|"implementation"|"module"/.test(text) && !/"zero_output_for_mask"/.test(text)
    ? 2
    : /"module"/.test(text)
      ? 3
      : 2;
}

function openShape(value: unknown): OpenShape | null {
  return Array.isArray(value) && value.every((d) => d === null || (Number.isInteger(d) && d >= 0))
    ? (value as OpenShape)
    : null;
}

interface Whole {
  readonly class_name?: unknown;
  readonly config?: unknown;
  readonly layers?: unknown;
  readonly compile_config?: unknown;
  readonly build_config?: { readonly input_shape?: unknown };
  readonly keras_version?: unknown;
}

/** Reads a model's configuration: an object, or its JSON text. */
export function modelFromKeras(json: unknown, options: KerasConfigOptions, nest: NestModel): ModelConfig {
  const where = 'modelFromKerasConfig';
  const whole = (typeof json === 'string' ? parse(json, where) : json) as Whole | null;
  if (typeof whole !== 'object' || whole === null) fail('FORMAT', where, 'a configuration object', showValue(whole));
  const generation =
    options.generation ??
    (typeof whole.keras_version === 'string' ? (whole.keras_version.startsWith('3') ? 3 : 2) : generationOf(whole));
  const ownCells = new Map((options.cells ?? []).map((cell) => [cell.definition.name, cell]));
  const nested = (inner: unknown, reading: KerasReading, place: string) => {
    const { trainable } = ((inner as Whole).config ?? {}) as { trainable?: unknown };
    return nest(readModel(inner as Whole, reading, place), trainable !== false);
  };
  return readModel(whole, kerasReading(generation, ownCells, 0, nested), where);
}

function readModel(whole: Whole, reading: KerasReading, where: string): ModelConfig {
  // A model's inner config, or in the oldest files a bare list of layers, is accepted too.
  const inner =
    whole.class_name === undefined
      ? {
          className: 'input_layers' in whole ? 'Functional' : 'Sequential',
          config: whole as Record<string, unknown> | unknown[],
        }
      : kerasModel(whole, where);
  const compile =
    typeof whole.compile_config === 'object' ? (whole.compile_config as Record<string, unknown> | null) : null;
  if (inner.className === 'Functional' || inner.className === 'Model') {
    const config = inner.config as Record<string, unknown>;
    const name = typeof config.name === 'string' ? config.name : 'functional';
    return { kind: 'functional', name, compile, ...functionalFromKeras(config, reading, where) };
  }
  if (inner.className !== 'Sequential')
    fail('UNSUPPORTED', where, 'a Sequential or Functional model', `'${inner.className}'`);
  const config = Array.isArray(inner.config) ? { layers: inner.config } : inner.config;
  const list = (config as { layers?: unknown }).layers;
  if (!Array.isArray(list) || list.length === 0)
    fail('FORMAT', `${where}: layers`, 'a list of layers', showValue(list));
  if (list.length > layerLimit) fail('FORMAT', `${where}: layers`, `at most ${layerLimit}`, String(list.length));
  refuseMissing(list, reading, where);
  const layers = list.map((layer, i) => layerFromKeras(layer, reading, `${where}: layers[${i}]`));
  const named = config as { name?: unknown; build_input_shape?: unknown };
  if (layers[0].className !== 'InputLayer') {
    const shape = firstShape(list[0], named.build_input_shape ?? whole.build_config?.input_shape);
    if (shape) layers.unshift(input({ batchShape: shape }));
  }
  return { kind: 'sequential', name: typeof named.name === 'string' ? named.name : 'sequential', layers, compile };
}

function kerasModel(whole: Whole, where: string): { className: string; config: Record<string, unknown> | unknown[] } {
  if (Array.isArray(whole.config)) return { className: String(whole.class_name), config: whole.config };
  return kerasObject(whole, where);
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    fail('FORMAT', where, 'JSON', error instanceof Error ? error.message : showValue(text));
  }
}

/** The input shape that a first layer carries, or the model's. */
function firstShape(layer: unknown, built: unknown): OpenShape | null {
  const config = ((layer as { config?: unknown } | null)?.config ?? {}) as Record<string, unknown>;
  const inner = (config.layer as { config?: Record<string, unknown> } | undefined)?.config ?? {};
  for (const own of [config, inner]) {
    const batched = openShape(own.batch_input_shape ?? own.batch_shape);
    if (batched) return batched;
    const single = openShape(own.input_shape);
    if (single) return [null, ...single];
  }
  return openShape(built);
}

/** The configuration of a chain of named layers, as Keras 3 writes it. */
export function sequentialToKeras(
  name: string,
  layers: readonly { readonly layer: Layer; readonly name: string }[],
  inputShape: OpenShape | null,
  compile: Readonly<Record<string, unknown>> | null,
  write: (layer: Layer, name: string) => Record<string, unknown> = layerToKeras,
  trainable = true,
): Record<string, unknown> {
  const written = layers.map(({ layer, name: own }) => write(layer, own));
  if (inputShape && layers[0].layer.className !== 'InputLayer')
    written.unshift(layerToKeras(input({ batchShape: inputShape }), 'input_layer'));
  return {
    module: 'keras',
    class_name: 'Sequential',
    config: {
      name,
      trainable,
      dtype: { module: 'keras', class_name: 'DTypePolicy', config: { name: 'float32' }, registered_name: null },
      layers: written,
      ...(inputShape && { build_input_shape: inputShape }),
    },
    registered_name: null,
    ...(inputShape && { build_config: { input_shape: inputShape } }),
    ...(compile && { compile_config: compile }),
  };
}
