/** A model as a layer of another one: its layers keep their names under the name of the model, and calls of it share its weights. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import type { InTime, InTimeCall } from '../layers/in-time.ts';
import { defineLayer, type Layer, makeLayer, type OpenShape } from '../layers/layer.ts';
import { memoriesOf, planInTime } from './in-time.ts';
import type { Architecture } from './model-options.ts';
import { keepsRows, type Network, shapesFor, statesOf, traceNetwork } from './network.ts';
import { modelToKeras } from './to-keras.ts';

/** What a nested model is, for summaries, pictures and writers of files. */
export interface NestedModel {
  readonly name: string;
  readonly architecture: Architecture;
  /** The values that its weights start with, by path; null: new ones. */
  values(path: string): Float32Array | Float64Array | null;
}

const nested = new WeakMap<Layer, NestedModel>();

/** The model behind a layer; null for other layers. */
export function nestedModelOf(layer: Layer): NestedModel | null {
  return nested.get(layer) ?? null;
}

const definedNested = defineLayer({
  className: 'Functional',
  options: {},
  weights: () => [],
  outputs: (_config, inputs) => inputs,
  call: (_config, { inputs, masks }) => ({ outputs: inputs, masks }),
});

/** The network for inputs of such shapes. Throws SHAPE, naming the model, where they do not fit. */
function networkFor({ architecture }: NestedModel, inputs: readonly OpenShape[], path: string): Network {
  const network = architecture.arrange(inputs[0] ?? null) as Network;
  if (inputs.length !== network.inputs.length)
    fail('SHAPE', path, `${network.inputs.length} inputs`, String(inputs.length));
  network.inputs.forEach(({ name, shape }, i) => {
    const given = inputs[i];
    const fits =
      shape.length === given.length && shape.every((d, k) => d === null || given[k] === null || given[k] === d);
    if (!fits)
      fail(
        'SHAPE',
        inputs.length > 1 ? `${path}: ${name}` : path,
        `an input of ${formatShape(shape)}, as the model was made for`,
        formatShape(given),
        'Bring the input to that shape, or make the inner model with null for the sizes that may differ.',
      );
  });
  return network;
}

function networkOfSteps(
  { architecture }: NestedModel,
  inputs: readonly OpenShape[],
  kinds: readonly InTime[],
): Network {
  const [first] = inputs;
  const open = kinds[0] === 'steps' ? [first[0], null, ...first.slice(2)] : first;
  return (architecture.arrange(null) ?? architecture.arrange(open)) as Network;
}

/**
 * The layer that stands for a model.
 *
 * @param name null: named by the model around it
 * @param trainable false freezes all of its weights
 */
export function nestModel(model: NestedModel, name: string | null, trainable = true): Layer {
  const { architecture } = model;
  const known = architecture.arrange(null);
  const definition = {
    ...definedNested.definition,
    className: architecture.className,
    ...(known && {
      inputTypes: () => known.inputs.map(({ dtype }) => dtype),
      inputRanges: () => known.inputs.map(({ range }) => range),
    }),
    ...(!known && {
      inputType: architecture.layers[0].layer.definition.inputType,
      inputRange: () =>
        architecture.layers[0].layer.definition.inputRange?.(architecture.layers[0].layer.config) ?? null,
    }),
    weights: (_config: unknown, inputs: readonly OpenShape[], path: string) =>
      networkFor(model, inputs, path).weights.map(({ path: own, spec, trainable: free }) => {
        const values = model.values(own);
        return {
          ...spec,
          name: own,
          trainable: free,
          ...(values && { initializer: { ...spec.initializer, values: () => values as never } }),
        };
      }),
    writeKeras: (own: Layer, name: string) =>
      modelToKeras(name, architecture, architecture.arrange(null), null, own.trainable),
    keepsRows: () => known !== null && keepsRows(known as Network),
    carried: (_config: unknown, inputs: readonly OpenShape[], path: string) =>
      statesOf(networkFor(model, inputs, path)).map(({ path: own, shape }) => ({ name: own, shape })),
    outputs: (_config: unknown, inputs: readonly OpenShape[], path: string) =>
      shapesFor(networkFor(model, inputs, path), inputs, path),
    inTime(_config: unknown, { inputs, shapes, path, limit }: InTimeCall) {
      const plan = planInTime(networkFor(model, shapes, path), inputs, `${path}/`);
      if (plan.limit) limit(plan.limit.steps);
      return plan.outputs;
    },
    call: (_config: unknown, call: Parameters<Layer['definition']['call']>[1]) => {
      const { memory } = call;
      const shapes = call.inputs.map(({ shape }): OpenShape => shape);
      // One step of a sequence is there, whatever the length that the model was made for.
      const network = memory ? networkOfSteps(model, shapes, memory.inputs) : networkFor(model, shapes, call.path);
      const memoryOf = memory && memoriesOf(network, planInTime(network, memory.inputs, `${call.path}/`), memory);
      return traceNetwork(network, call.inputs, call.masks, (path) => call.weights[path], {
        training: call.training,
        random: () => call.random,
        carriedOf: (path) => call.carried?.[path],
        prefix: `${call.path}/`,
        ...(memoryOf && { memoryOf }),
      });
    },
  };
  const layer = makeLayer(definition as never, architecture.className, name, trainable, {});
  nested.set(layer, model);
  return layer;
}
