/** Layers and cells from objects of Keras's configurations, of any generation. */
import { fail } from '../core/errors.ts';
import { layerClasses } from './all.ts';
import type { Cell } from './cell.ts';
import { cells } from './cells/all.ts';
import { type Layer, type LayerDefinition, placeLayer } from './layer.ts';
import { closestName } from './names.ts';
import { type KerasReading, optionsFromKeras, showValue } from './options.ts';

/** Layers within layers, at most; a file that goes deeper is not a model. */
const depthLimit = 32;

const registeredLayers = new Map<string, LayerDefinition>();

const howToRegister = 'Define it with `defineLayer`, and give it by `registerLayer(myLayer)` before reading.';

/**
 * Makes a layer of one's own known to readers of configurations and bundles, under its class name. Throws ARGUMENT for the name of a
 * built-in layer.
 *
 * @param factory what `defineLayer` gave
 */
export function registerLayer(factory: { readonly definition: { readonly className: string } }): void {
  const { className } = factory.definition;
  if (layerClasses.has(className) || modelClasses.has(className))
    fail('ARGUMENT', 'registerLayer', 'a class name of its own', `'${className}', which is a built-in layer`);
  registeredLayers.set(className, factory.definition as LayerDefinition);
}

/** Class names of models within models. */
export const modelClasses: ReadonlySet<string> = new Set(['Sequential', 'Functional', 'Model']);

interface KerasObject {
  className: string;
  config: Record<string, unknown>;
}

/** Whether a class was registered under a package that is not Keras's own. */
const isForeign = (registered: unknown): registered is string =>
  typeof registered === 'string' && registered.includes('>') && !registered.startsWith('keras');

/** `{ class_name, config }`, with or without module and registered_name. */
export function kerasObject(json: unknown, where: string): KerasObject {
  const object = json as { class_name?: unknown; config?: unknown } | null;
  if (object === null || typeof object !== 'object' || typeof object.class_name !== 'string')
    fail('FORMAT', where, 'an object with class_name and config', showValue(json));
  if (object.class_name === '__lambda__' || object.class_name === 'Lambda')
    fail(
      'UNSUPPORTED',
      where,
      'a layer that is data',
      object.class_name,
      'A lambda holds program code, which this library never runs from a file.',
    );
  const config = object.config ?? {};
  if (typeof config !== 'object' || Array.isArray(config))
    fail('FORMAT', `${where}.config`, 'an object', showValue(config));
  // A registered class of someone else must not be taken for the layer of the same name.
  const registered = (json as { registered_name?: unknown }).registered_name;
  if (isForeign(registered) && !registeredLayers.has(object.class_name))
    fail('UNSUPPORTED', where, 'a class of Keras', `'${registered}'`, howToRegister);
  return { className: object.class_name, config: config as Record<string, unknown> };
}

/** What readers need, for a generation of Keras. Own cells are found by class name among `customCells`. */
export function kerasReading(
  generation: 2 | 3,
  customCells: ReadonlyMap<string, (options: never) => Cell> = new Map(),
  depth = 0,
  nested?: (json: unknown, reading: KerasReading, where: string) => Layer,
): KerasReading {
  const deeper = () => kerasReading(generation, customCells, depth + 1, nested);
  return {
    generation,
    ...(nested && {
      model(json: unknown, where: string) {
        if (depth > depthLimit) fail('FORMAT', where, `at most ${depthLimit} models within each other`, 'more');
        return nested(json, deeper(), where);
      },
    }),
    knows(json) {
      const { class_name: name, registered_name: registered } = json as {
        class_name: string;
        registered_name?: unknown;
      };
      if (isForeign(registered)) return registeredLayers.has(name);
      return layerClasses.has(name) || registeredLayers.has(name) || modelClasses.has(name) || name === 'Lambda';
    },
    layer: (json, where) => layerFromKeras(json, deeper(), where, depth),
    cell(json, where) {
      const { className, config } = kerasObject(json, where);
      const factory = customCells.get(className) ?? cells.get(className);
      if (!factory)
        fail(
          'UNSUPPORTED',
          where,
          `a cell among ${[...cells.keys(), ...customCells.keys()].join(', ')}`,
          `'${className}'`,
          'Give cells of your own as `cells: [myCell]`.',
        );
      const { name: _name, trainable: _trainable, dtype: _dtype, ...own } = config;
      const definition = (factory as unknown as { definition: Cell['definition'] }).definition;
      return factory(optionsFromKeras(definition.options, own, deeper(), where) as never);
    },
  };
}

/** A layer from its object. Throws UNSUPPORTED for a class that is not there, naming those that are. */
export function layerFromKeras(
  json: unknown,
  reading: KerasReading,
  where: string,
  depth = 0,
  /** Options of ours that the configuration does not hold. */
  further: Readonly<Record<string, unknown>> = {},
): Layer {
  if (depth > depthLimit) fail('FORMAT', where, `at most ${depthLimit} layers within each other`, 'more');
  const { className, config } = kerasObject(json, where);
  if (modelClasses.has(className) && reading.model) return reading.model(json, where) as Layer;
  const definition = layerClasses.get(className) ?? registeredLayers.get(className);
  if (!definition) {
    const near = closestName(className, layerClasses.keys());
    fail(
      'UNSUPPORTED',
      where,
      `a layer among ${[...layerClasses.keys()].join(', ')}`,
      `'${className}'`,
      near ? `The nearest is ${near}. ${howToRegister}` : howToRegister,
    );
  }
  const path = typeof config.name === 'string' ? config.name : className;
  const own = optionsFromKeras(definition.options, normalConfig(className, config, reading.generation), reading, path);
  return placeLayer(definition, { ...own, ...further });
}

/** Differences between the generations that are not a matter of a single option. */
function normalConfig(className: string, config: Record<string, unknown>, generation: 2 | 3): Record<string, unknown> {
  const next = { ...config };
  if (className === 'InputLayer') {
    // Keras 2 writes batch_input_shape; Keras 3 batch_shape.
    next.batch_shape ??= next.batch_input_shape;
    next.trainable ??= true;
    next.dtype = typeof next.dtype === 'string' ? next.dtype : 'float32';
  }
  if (next.time_major === true)
    fail(
      'UNSUPPORTED',
      String(config.name ?? className),
      'time_major: false',
      'true',
      'Transpose the data to (batch, time, features).',
    );
  delete next.time_major;
  // Stand-alone Keras 2 did not have the option and computed as without it; its successors always write it.
  if (className === 'GRU' && generation === 2) next.reset_after ??= false;
  // What the slope was called before Keras 3.
  if (className === 'LeakyReLU' && next.alpha !== undefined) {
    next.negative_slope ??= next.alpha;
    delete next.alpha;
  }
  // Keras 2 wrote down what the layer had been built with.
  if (className === 'MultiHeadAttention') for (const role of ['query', 'key', 'value']) delete next[`${role}_shape`];
  return next;
}
