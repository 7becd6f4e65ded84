/** One layer for every step of a sequence. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { concat, reshape, slice } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { defineLayer, isLayer, type Layer, type LayerCall, type LayerResult, type OpenShape } from './layer.ts';
import { classToSnake } from './names.ts';
import { type Option, showValue } from './options.ts';
import { layerToKeras } from './to-keras.ts';

const layerOption = (): Option<Layer, Layer, true> => ({
  required: true,
  fallback: undefined,
  expected: 'a layer, such as `layers.dense({ units: 8 })`',
  parse(value, where) {
    if (!isLayer(value)) fail('ARGUMENT', where, this.expected, showValue(value));
    return value;
  },
  toKeras: (layer) => layerToKeras(layer, layer.name ?? classToSnake(layer.className)),
  fromKeras: (json, reading, where) => reading.layer(json, where),
});

/** The shape of one step. Throws SHAPE. */
function stepShape(shape: OpenShape | undefined, path: string): OpenShape {
  if (!shape || shape.length < 3)
    fail('SHAPE', path, 'an input of at least three axes, (batch, time, ...)', shape ? formatShape(shape) : 'none');
  return [shape[0], ...shape.slice(2)];
}

const innerPath = (path: string) => `${path}/layer`;

function callInner(layer: Layer, call: LayerCall, x: Tensor, mask: Tensor | null, weights: LayerCall['weights']) {
  return layer.definition.call(layer.config, {
    ...call,
    inputs: [x],
    masks: [mask],
    weights,
    // The layer within sees whole steps.
    memory: undefined,
    path: innerPath(call.path),
  });
}

/** Steps as further rows, for layers that treat every row alike. */
function together(layer: Layer, call: LayerCall, weights: LayerCall['weights']): LayerResult {
  const [x] = call.inputs;
  const [mask] = call.masks;
  const [batch, length] = x.shape;
  const fold = (t: Tensor) => reshape(t, [batch * length, ...t.shape.slice(2)]);
  // A mask of steps says nothing about the inside of a step.
  const inner = mask && mask.rank > 2 ? fold(mask) : null;
  const { outputs, losses } = callInner(layer, call, fold(x), inner, weights);
  return {
    losses,
    outputs: outputs.map((y) => reshape(y, [batch, length, ...y.shape.slice(1)])),
    masks: outputs.map(() => mask),
  };
}

/** Step by step, for layers whose rows depend on each other: each step is a batch of its own, with the weights that the one before left. */
function oneByOne(layer: Layer, call: LayerCall, weights: LayerCall['weights']): LayerResult {
  const [x] = call.inputs;
  const [mask] = call.masks;
  const step = (tensor: Tensor, t: number) => {
    const [batch, , ...rest] = tensor.shape;
    const start = tensor.shape.map((_, i) => (i === 1 ? t : 0));
    return reshape(slice(tensor, start, [batch, 1, ...rest]), [batch, ...rest]);
  };
  let updates: Record<string, Tensor> = {};
  const losses: Tensor[] = [];
  const steps = Array.from({ length: x.shape[1] }, (_, t) => {
    const result = callInner(layer, call, step(x, t), mask && step(mask, t), { ...weights, ...updates });
    updates = { ...updates, ...result.updates };
    losses.push(...(result.losses ?? []));
    return result.outputs;
  });
  const outputs = steps[0].map((_, k) =>
    concat(
      steps.map((all) => reshape(all[k], [all[k].shape[0], 1, ...all[k].shape.slice(1)])),
      1,
    ),
  );
  return { outputs, masks: outputs.map(() => mask), updates, losses };
}

/**
 * Applies a layer to every step: (B, T, ...) to (B, T, ...), with the same weights for all. A mask goes to the layer step by step, where it
 * says something about a step, and goes on. Keras: TimeDistributed.
 *
 * @example layers.timeDistributed({ layer: layers.dense({ units: 8 }) })
 */
export const timeDistributed = defineLayer({
  className: 'TimeDistributed',
  options: {
    /** The layer of a step. */
    layer: layerOption(),
  },
  inTime: (_config, { inputs }) => inputs,
  severalSteps: true,
  inputTypes({ layer: { definition, config } }) {
    return [definition.inputTypes?.(config)[0] ?? definition.inputType ?? 'f32'];
  },
  inputRange: ({ layer }) => layer.definition.inputRange?.(layer.config) ?? null,
  weights: ({ layer }, [shape], path) =>
    layer.definition.weights(layer.config, [stepShape(shape, path)], innerPath(path)).map((spec) => ({
      ...spec,
      name: `layer/${spec.name}`,
      trainable: spec.trainable && layer.trainable,
    })),
  outputs({ layer }, [shape], path) {
    if (layer.definition.carried?.(layer.config, [stepShape(shape, path)], path).length)
      fail(
        'UNSUPPORTED',
        path,
        'a layer without state between batches',
        `a stateful ${layer.className}`,
        'Leave `stateful` out, or hand its states over with returnState and initialState.',
      );
    const steps = layer.definition.outputs(layer.config, [stepShape(shape, path)], innerPath(path));
    return steps.map(([batch, ...rest]) => [batch, shape[1], ...rest]);
  },
  call({ layer }, call) {
    const weights = Object.fromEntries(
      Object.entries(call.weights).map(([name, weight]) => [name.slice('layer/'.length), weight]),
    );
    const apart = layer.definition.acrossRows && call.training && call.inputs[0].shape[1] > 0;
    const { outputs, masks, losses, updates = {} } = (apart ? oneByOne : together)(layer, call, weights);
    return {
      outputs,
      masks,
      losses,
      updates: Object.fromEntries(Object.entries(updates).map(([name, value]) => [`layer/${name}`, value])),
    };
  },
});
