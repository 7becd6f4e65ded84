/** Models whose layers stand in a row. */
import type { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { input } from '../layers/input.ts';
import { isLayer, type Layer } from '../layers/layer.ts';
import { showValue } from '../layers/options.ts';
import { Model } from './model.ts';
import type { Architecture, ModelOptions } from './model-options.ts';
import { chainNetwork, nameLayers } from './network.ts';

/** A model of layers in a row with one output. */
export type Sequential = Model<NdArray>;

/**
 * A model of layers in a row. Start it with `layers.input({ shape })`, or let the first data give the shape.
 *
 * @param layers descriptions; each may stand in several models
 * @template Output what `predict` gives: `NdArray[]` where the last layer returns states or both directions
 * @example
 * const model = sequential([
 *   layers.embedding({ inputDim: 10_000, outputDim: 32, maskZero: true }),
 *   layers.lstm({ units: 32 }),
 *   layers.dense({ units: 1, activation: 'sigmoid' }),
 * ]);
 */
export function sequential<Output extends NdArray | NdArray[] = NdArray>(
  layers: readonly Layer[],
  options: ModelOptions = {},
): Model<Output> {
  return new Model<Output>(sequentialArchitecture(layers), options);
}

/** The arrangement of layers in a row. */
export function sequentialArchitecture(layers: readonly Layer[]): Architecture {
  if (!Array.isArray(layers) || layers.length === 0)
    fail('ARGUMENT', 'sequential', 'a list of layers', showValue(layers));
  layers.forEach((layer, i) => {
    if (!isLayer(layer))
      fail(
        'ARGUMENT',
        `sequential: layers[${i}]`,
        'a layer',
        showValue(layer),
        typeof layer === 'function' ? 'Call the factory: `layers.lstm({ units: 32 })`.' : undefined,
      );
    if (i > 0 && layer.className === 'InputLayer')
      fail('ARGUMENT', `sequential: layers[${i}]`, 'an input layer in the first place only', 'one inside');
  });
  const placed = nameLayers(layers, 'sequential');
  const started = placed[0].layer.className === 'InputLayer';
  if (started && placed.length === 1) fail('ARGUMENT', 'sequential', 'a layer after the input', 'the input alone');
  return {
    className: 'Sequential',
    layers: placed,
    arrange(shape) {
      if (started) return chainNetwork(placed);
      if (!shape) return null;
      const name = placed.some((p) => p.name === 'input_layer') ? 'input_layer_' : 'input_layer';
      return chainNetwork([{ layer: input({ batchShape: shape }), name }, ...placed]);
    },
  };
}
