/** Models out of Keras's configurations. */
import type { NdArray } from '../core/array.ts';
import { type KerasConfigOptions, type ModelConfig, modelFromKeras } from '../formats/keras-config.ts';
import { compileFromKeras } from './bundling.ts';
import { functionalArchitecture } from './functional.ts';
import { Model } from './model.ts';
import type { Architecture, ModelOptions } from './model-options.ts';
import { nestModel } from './nested.ts';
import { sequentialArchitecture } from './sequential.ts';

function architectureOf(config: ModelConfig): Architecture {
  return config.kind === 'sequential'
    ? sequentialArchitecture(config.layers)
    : functionalArchitecture(config.inputs, config.outputs, config.name);
}

/**
 * A model from Keras's JSON configuration, Sequential or functional, of any generation; compiled where the configuration says how. Weights are
 * new: set them with `setWeights`.
 *
 * Errors: FORMAT for what is not such a configuration, UNSUPPORTED for layers and options that are not there, naming them and how to give
 * layers of one's own.
 *
 * @param config the object, or its JSON text
 * @template Output what `predict` gives: `NdArray[]` for several outputs
 */
export function modelFromKerasConfig<Output extends NdArray | NdArray[] = NdArray>(
  config: unknown,
  options: ModelOptions & KerasConfigOptions = {},
): Model<Output> {
  const { generation, cells, ...own } = options;
  const read = modelFromKeras(config, { generation, cells }, (inner, trainable) =>
    nestModel({ name: inner.name, architecture: architectureOf(inner), values: () => null }, inner.name, trainable),
  );
  const model = new Model<Output>(architectureOf(read), { name: read.name, ...own });
  const settings = read.compile && compileFromKeras(read.compile, model.built ? model.outputShapes.length : 1);
  if (settings) model.compile(settings);
  return model;
}
