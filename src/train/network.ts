/**
 * Layers placed beside each other: every layer with its name, every call with its inputs, every weight with its path. A model of any shape
 * is a list of calls in an order in which inputs come before their use; a Sequential model is a chain of them.
 */
import { fail } from '../core/errors.ts';
import { RandomKey } from '../core/random.ts';
import { formatShape, type Shape } from '../core/shape.ts';
import type { DType } from '../ir/graph.ts';
import type { StepMemory } from '../layers/in-time.ts';
import type { InputRange, Layer, LayerRandom, OpenShape } from '../layers/layer.ts';
import { classToSnake } from '../layers/names.ts';
import { observerOf } from '../layers/observer.ts';
import type { Regularizer } from '../layers/regularizers.ts';
import type { CallArguments } from '../layers/symbolic.ts';
import type { WeightSpec } from '../layers/weight.ts';
import { mul } from '../ops/pointwise.ts';
import { uniform } from '../ops/random.ts';
import type { Tensor } from '../ops/tensor.ts';

export interface PlacedLayer {
  readonly layer: Layer;
  /** Unique in the network; the path of its weights and of its errors. */
  readonly name: string;
}

/** An output of a call. */
export interface Reference {
  readonly call: number;
  readonly output: number;
}

export interface Call {
  /** Which layer. */
  readonly layer: number;
  readonly inputs: readonly Reference[];
  /** Masks given by hand, one per input; null: the one that comes with the input. */
  readonly masks?: readonly (Reference | null)[];
  /** One per output. */
  readonly shapes: readonly OpenShape[];
  /** What the call says otherwise than its layer and its model. */
  readonly given?: CallArguments;
}

export interface PlacedWeight {
  /** `lstm/kernel`: the name of its leaf in the state, and in files. */
  readonly path: string;
  readonly layer: number;
  readonly spec: WeightSpec;
  /** By the weight and by its layer. */
  readonly trainable: boolean;
}

export interface NetworkInput {
  readonly call: number;
  readonly name: string;
  readonly shape: OpenShape;
  /** `i32` where every layer that takes it looks things up by index. */
  readonly dtype: DType;
  /** The tightest limit of the layers that take it. */
  readonly range: (InputRange & { readonly layer: string }) | null;
  /** Steps that hold nothing but this number are padding for a layer that takes it; of indices it is 0. */
  readonly padding: number | null;
}

export interface Network {
  readonly layers: readonly PlacedLayer[];
  readonly calls: readonly Call[];
  readonly inputs: readonly NetworkInput[];
  readonly outputs: readonly Reference[];
  /** In the order of the layers, and in each in its own: Keras's. */
  readonly weights: readonly PlacedWeight[];
}

/** Names for layers that have none: the class in snake case, numbered from the second on. Throws ARGUMENT for a name used twice. */
export function nameLayers(layers: readonly Layer[], where: string): PlacedLayer[] {
  const taken = new Set<string>();
  for (const { name } of layers) {
    if (name === null) continue;
    if (taken.has(name))
      fail('ARGUMENT', where, 'layers of different names', `'${name}' twice`, 'Give one of them another `name`.');
    taken.add(name);
  }
  return layers.map((layer) => {
    if (layer.name !== null) return { layer, name: layer.name };
    const base = layer.definition.className === 'InputLayer' ? 'input_layer' : classToSnake(layer.className);
    let name = base;
    for (let k = 1; taken.has(name); k++) name = `${base}_${k}`;
    taken.add(name);
    return { layer, name };
  });
}

/** A chain: each layer takes all outputs of the one before it. The first layer is an input layer. */
export function chainNetwork(placed: readonly PlacedLayer[]): Network {
  const calls: Call[] = [];
  const weights: PlacedWeight[] = [];
  placed.forEach(({ layer, name }, index) => {
    const before = calls[index - 1];
    const inputs = before ? before.shapes.map((_, output) => ({ call: index - 1, output })) : [];
    const shapes = before ? before.shapes : [];
    const { definition, config, trainable } = layer;
    if (before && shapes.length > 1 && !definition.recurrence)
      fail(
        'SHAPE',
        name,
        'one input',
        `${shapes.length} outputs of ${placed[index - 1].name}`,
        'In a sequential model only the last layer may return states.',
      );
    for (const spec of definition.weights(config, shapes, name))
      weights.push({ path: `${name}/${spec.name}`, layer: index, spec, trainable: trainable && spec.trainable });
    calls.push({ layer: index, inputs, shapes: definition.outputs(config, shapes, name) });
  });
  const last = calls.length - 1;
  return {
    layers: placed,
    calls,
    inputs: [inputOf(placed, calls, 0)],
    outputs: calls[last].shapes.map((_, output) => ({ call: last, output })),
    weights,
  };
}

/** What the layers that take an input ask of it. */
export function inputOf(placed: readonly PlacedLayer[], calls: readonly Call[], call: number): NetworkInput {
  const { name } = placed[calls[call].layer];
  const takers = calls.flatMap(({ layer, inputs }) =>
    inputs.flatMap((reference, slot) => (reference.call === call ? [{ ...placed[layer], slot }] : [])),
  );
  const ranges = takers.flatMap(({ layer: { definition, config }, name: taker, slot }) => {
    const range = definition.inputRanges
      ? definition.inputRanges(config)[slot]
      : slot === 0 && definition.inputRange?.(config);
    return range ? [{ ...range, layer: taker }] : [];
  });
  ranges.sort((a, b) => a.below - b.below);
  const types = takers.map(({ layer: { definition, config }, slot }) =>
    definition.inputTypes ? definition.inputTypes(config)[slot] : (definition.inputType ?? 'f32'),
  );
  const indices = types.includes('i32') && !types.includes('f32');
  const [padding = indices ? 0 : null] = takers.flatMap(({ layer: { definition, config }, slot }) =>
    slot === 0 ? (definition.paddingValue?.(config) ?? []) : [],
  );
  const dtype = indices ? 'i32' : 'f32';
  return { call, name, shape: calls[call].shapes[0], dtype, range: ranges[0] ?? null, padding };
}

export interface ForwardResult {
  readonly outputs: readonly Tensor[];
  readonly masks: readonly (Tensor | null)[];
  /** New values of weights that layers change themselves, by path. */
  readonly updates: Readonly<Record<string, Tensor>>;
  /** What stateful layers keep for the next batch, by path. */
  readonly carried: Readonly<Record<string, Tensor>>;
  /** Single numbers that layers add to the loss. */
  readonly losses: readonly Tensor[];
  /** One per output: what its layer hands to a loss of its own, by name. */
  readonly beside: readonly Readonly<Record<string, Tensor>>[];
}

/** A state that a layer keeps between batches. */
export interface PlacedState {
  /** `lstm/h`. */
  readonly path: string;
  /** Of one row. */
  readonly shape: Shape;
}

/** The states that the layers of a network keep between batches. */
export function statesOf(network: Network): PlacedState[] {
  const states = new Map<string, PlacedState>();
  for (const call of network.calls) {
    const { layer, name } = network.layers[call.layer];
    const inputs = call.inputs.map((r) => network.calls[r.call].shapes[r.output]);
    for (const { name: own, shape } of layer.definition.carried?.(layer.config, inputs, name) ?? [])
      states.set(`${name}/${own}`, { path: `${name}/${own}`, shape });
  }
  return [...states.values()];
}

/** Whether rows must stay in their places: a layer goes on in the next batch, or holds values for each row. */
export function keepsRows(network: Network): boolean {
  return (
    statesOf(network).length > 0 ||
    network.layers.some(({ layer }) => layer.definition.keepsRows?.(layer.config) ?? false)
  );
}

/** The penalties that the outputs of a layer pay, for one sample on average. */
function activityLosses({ config, definition }: Layer, outputs: readonly Tensor[]): Tensor[] {
  const regularizer = (config.activityRegularizer ?? null) as Regularizer | null;
  if (!regularizer || definition.ownPenalties) return [];
  return outputs.map((y) => mul(regularizer.penalty(y), 1 / Math.max(1, y.shape[0] ?? 1)));
}

/** What a call gave. */
export interface CallResult {
  readonly outputs: readonly Tensor[];
  readonly masks: readonly (Tensor | null)[];
  readonly beside?: readonly Readonly<Record<string, Tensor>>[];
}

/** How a network is written. */
export interface TraceOptions {
  readonly training: boolean;
  /** The draws of a call. */
  random(call: number, name: string): LayerRandom;
  /** What a stateful layer kept of the batch before, by path. */
  carriedOf?(path: string): Tensor | undefined;
  /** Where the network runs one step at a time: what a call is given to remember the steps before; undefined where it needs nothing. */
  memoryOf?(call: number): StepMemory | undefined;
  /** Where the network stands in another one: `encoder/`. Default: it is the whole. */
  readonly prefix?: string;
  /** Told what every call was given and gave. */
  watch?(call: number, inputs: readonly Tensor[], masks: readonly (Tensor | null)[], result: CallResult): void;
}

/**
 * Writes the operations of a network.
 *
 * @param inputs one per network input
 * @param masks one per network input, [B, T] or null
 * @param weightOf the tensor of a weight by its path
 */
export function traceNetwork(
  network: Network,
  inputs: readonly Tensor[],
  masks: readonly (Tensor | null)[],
  weightOf: (path: string) => Tensor,
  { training, random, prefix = '', watch, carriedOf, memoryOf }: TraceOptions,
): ForwardResult {
  const results: CallResult[] = [];
  const updates: Record<string, Tensor> = {};
  const carried: Record<string, Tensor> = {};
  const losses: Tensor[] = [];
  const { graph } = inputs[0];
  const before = graph.path;
  network.calls.forEach((call, index) => {
    const { layer, name } = network.layers[call.layer];
    const fed = network.inputs.findIndex((input) => input.call === index);
    const weights: Record<string, Tensor> = {};
    // A layer that is called again goes on from what the call before made of its weights.
    for (const weight of network.weights)
      if (weight.layer === call.layer) weights[weight.spec.name] = updates[weight.path] ?? weightOf(weight.path);
    const path = `${prefix}${name}`;
    graph.path = path;
    const maskOf = (r: Reference, i: number) => {
      const given = call.masks?.[i];
      return given ? results[given.call].outputs[given.output] : results[r.call].masks[r.output];
    };
    const own = fed >= 0 ? [inputs[fed]] : call.inputs.map((r) => results[r.call].outputs[r.output]);
    const ownMasks = fed >= 0 ? [masks[fed] ?? null] : call.inputs.map(maskOf);
    const callShapes = call.inputs.map((r) => network.calls[r.call].shapes[r.output]);
    const kept: Record<string, Tensor> = {};
    for (const { name: state } of layer.definition.carried?.(layer.config, callShapes, path) ?? []) {
      const before = carried[`${name}/${state}`] ?? carriedOf?.(`${name}/${state}`);
      if (before) kept[state] = before;
    }
    const config = call.given ? { ...layer.config, ...call.given.options } : layer.config;
    const result = layer.definition.call(config, {
      inputs: own,
      masks: ownMasks,
      weights,
      training: call.given?.training ?? training,
      random: random(index, path),
      carried: kept,
      memory: memoryOf?.(index),
      path,
    });
    for (const [key, value] of Object.entries(result.updates ?? {})) updates[`${name}/${key}`] = value;
    for (const [key, value] of Object.entries(result.carried ?? {})) carried[`${name}/${key}`] = value;
    losses.push(...activityLosses(layer, result.outputs), ...(result.losses ?? []));
    watch?.(index, own, ownMasks, result);
    observerOf(graph)?.call({
      path,
      className: layer.className,
      inputs: own,
      outputs: result.outputs,
      masks: result.masks,
      weights: Object.fromEntries(Object.entries(weights).map(([key, weight]) => [`${path}/${key}`, weight])),
    });
    results.push(result);
  });
  graph.path = before;
  return {
    outputs: network.outputs.map((r) => results[r.call].outputs[r.output]),
    masks: network.outputs.map((r) => results[r.call].masks[r.output]),
    updates,
    carried,
    losses,
    beside: network.outputs.map((r) => results[r.call].beside?.[r.output] ?? {}),
  };
}

/** Streams kept for one call. */
const drawsPerCall = 1024;
/** Streams of layers with a seed of their own start here. */
const seededStreams = 0x40000000;

/** The draws of calls under the key of a step; null: there are none. */
export function keyedRandom(key: Tensor | null) {
  return (call: number, name: string): LayerRandom => {
    let draws = 0;
    return {
      uniform(shape: Shape, seed: number | null = null) {
        if (!key)
          fail(
            'UNSUPPORTED',
            name,
            'random draws in training alone',
            '`training: true` at a call of a layer that draws',
            'Use `model.vjp(x, g, { training: true })` for outputs with dropout.',
          );
        const base =
          seed === null
            ? call * drawsPerCall
            : seededStreams + (RandomKey.from(seed).split('layer').words[0] & 0x3fffff) * 256;
        return uniform(key, shape, base + draws++);
      },
    };
  };
}

/** Shapes of the outputs for other shapes of the inputs. */
export function shapesFor(network: Network, inputs: readonly OpenShape[], path = ''): readonly OpenShape[] {
  const shapes: (readonly OpenShape[])[] = [];
  network.calls.forEach((call, index) => {
    const fed = network.inputs.findIndex((input) => input.call === index);
    const { layer, name } = network.layers[call.layer];
    shapes.push(
      fed >= 0
        ? [inputs[fed].map((d, i) => d ?? network.inputs[fed].shape[i])]
        : layer.definition.outputs(
            { ...layer.config, ...call.given?.options },
            call.inputs.map((r) => shapes[r.call][r.output]),
            path ? `${path}/${name}` : name,
          ),
    );
  });
  return network.outputs.map((r) => shapes[r.call][r.output]);
}

/** Fills the open sizes of an input from data, or says why it does not fit. @param readers the layers that look at the input */
export function matchShape(open: OpenShape, shape: Shape, where: string, readers: readonly string[] = []): void {
  if (open.length !== shape.length)
    fail(
      'SHAPE',
      where,
      `${open.length} axes, ${formatShape(open)}`,
      `${shape.length} axes, ${formatShape(shape)}`,
      shape.length + 1 === open.length ? 'One sample still needs its axis for the batch: shape (1, ...).' : undefined,
    );
  // The batch is the first axis; batches may be smaller than the whole, so that only an open or equal size is legal.
  open.forEach((d, i) => {
    if (d === null || i === 0 || d === shape[i]) return;
    const reader = readers.length ? `'${readers.join("' and '")}'` : 'the model';
    fail(
      'SHAPE',
      where,
      formatShape([null, ...open.slice(1)]),
      formatShape(shape),
      i === open.length - 1
        ? `On axis ${i}, ${reader} was made for ${d}: give that many numbers, or make the model with an input of ${shape[i]}.`
        : `On axis ${i}, ${reader} was made for ${d}: pad or cut to that, or leave the axis open with null in the shape of the input.`,
    );
  });
}
