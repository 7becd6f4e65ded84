/**
 * From symbolic tensors to a network: the calls between inputs and outputs, the layers that they share, and every weight once. The order of
 * the layers is Keras's: by distance from the outputs, then as they are met on the way back. Source: Keras 3, `keras/src/ops/function.py`.
 */
import { fail } from '../core/errors.ts';
import { formatShape, sameShape } from '../core/shape.ts';
import { input as inputLayer } from '../layers/input.ts';
import type { Layer, OpenShape } from '../layers/layer.ts';
import { nameOf, type SymbolicCall, type SymbolicTensor } from '../layers/symbolic.ts';
import { type Call, inputOf, type Network, nameLayers, type PlacedLayer, type PlacedWeight } from './network.ts';

const isInput = ({ layer }: SymbolicCall) => layer.className === 'InputLayer';

/** What stands in the place of a tensor: an input, where the model starts in the middle of a graph. */
type Places = (tensor: SymbolicTensor) => SymbolicTensor;

/** What a call looks at: its inputs, then masks given by hand. */
const sourcesOf = ({ inputs, masks }: SymbolicCall, placed: Places): SymbolicTensor[] =>
  [...inputs, ...masks.filter((mask) => mask !== null)].map(placed);

/** Inputs of the model for tensors in the middle of a graph; those that `input` gave stay. */
function startingAt(inputs: readonly SymbolicTensor[]): { starts: SymbolicTensor[]; placed: Places } {
  const places = new Map<SymbolicTensor, SymbolicTensor>();
  const starts = inputs.map((tensor) => {
    if (isInput(tensor.call)) return tensor;
    const dtype = tensor.dtype === 'i32' ? 'int32' : 'float32';
    const start = places.get(tensor) ?? inputLayer({ batchShape: tensor.shape, dtype }).apply([]);
    places.set(tensor, start);
    return start;
  });
  return { starts, placed: (tensor) => places.get(tensor) ?? tensor };
}

interface Reached {
  /** Inputs before their use. */
  readonly calls: readonly SymbolicCall[];
  /** In the order in which they are met. */
  readonly layers: readonly Layer[];
}

/** Walks back from the outputs; on a stack of its own, so that deep models do not exhaust the program's. */
function reachedFrom(outputs: readonly SymbolicTensor[], placed: Places): Reached {
  const seen = new Set<SymbolicCall>();
  const layers = new Set<Layer>();
  const calls: SymbolicCall[] = [];
  for (const output of outputs) {
    const stack: { readonly call: SymbolicCall; readonly sources: SymbolicTensor[]; next: number }[] = [];
    const enter = (call: SymbolicCall) => {
      if (seen.has(call)) return;
      seen.add(call);
      layers.add(call.layer);
      stack.push({ call, sources: sourcesOf(call, placed), next: 0 });
    };
    enter(output.call);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const source = top.sources[top.next++];
      if (source) enter(source.call);
      else {
        calls.push(top.call);
        stack.pop();
      }
    }
  }
  return { calls, layers: [...layers] };
}

/** The layers by distance from the outputs, farthest first; equal ones as they were met. */
function orderLayers({ calls, layers }: Reached, placed: Places): Layer[] {
  const ofCall = new Map<SymbolicCall, number>();
  const ofLayer = new Map<Layer, number>();
  for (const call of [...calls].reverse()) {
    const depth = Math.max(ofCall.get(call) ?? 0, ofLayer.get(call.layer) ?? 0);
    ofCall.set(call, depth);
    ofLayer.set(call.layer, depth);
    for (const source of sourcesOf(call, placed))
      ofCall.set(source.call, Math.max(depth + 1, ofCall.get(source.call) ?? 0));
  }
  // The sort is stable.
  return [...layers].sort((a, b) => (ofLayer.get(b) as number) - (ofLayer.get(a) as number));
}

/** Names as if the layers had been made in the order of their first calls. */
function placeLayers(ordered: readonly Layer[], calls: readonly SymbolicCall[], where: string): PlacedLayer[] {
  const made = [...new Set(calls.map(({ layer }) => layer))];
  const names = new Map(nameLayers(made, where).map(({ layer, name }) => [layer, name]));
  return ordered.map((layer) => ({ layer, name: names.get(layer) as string }));
}

function checkEnds(inputs: readonly SymbolicTensor[], { calls }: Reached, where: string): void {
  const reached = new Set(calls);
  inputs.forEach((input, i) => {
    const name = nameOf(input.call.layer);
    if (inputs.indexOf(input) !== i) fail('ARGUMENT', `${where}: inputs[${i}]`, 'each input once', `'${name}' twice`);
    if (!reached.has(input.call))
      fail(
        'ARGUMENT',
        `${where}: inputs[${i}]`,
        'an input that reaches an output',
        `'${name}', which none of the outputs depends on`,
        'Leave it out, or use it on the way to an output.',
      );
  });
  for (const call of calls)
    if (isInput(call) && !inputs.some((input) => input.call === call))
      fail(
        'ARGUMENT',
        `${where}: inputs`,
        `'${nameOf(call.layer)}' among them, which an output depends on`,
        inputs.map((input) => `'${nameOf(input.call.layer)}'`).join(', ') || 'none',
        'Add it to `inputs`.',
      );
}

/** The weights of every layer from the shapes of its first call; later calls must need the same. */
function placeWeights(placed: readonly PlacedLayer[], calls: readonly SymbolicCall[]): PlacedWeight[] {
  return placed.flatMap(({ layer, name }, index) => {
    const [first, ...others] = calls.filter((call) => call.layer === layer);
    const shapesOf = ({ inputs }: SymbolicCall): OpenShape[] => inputs.map(({ shape }) => shape);
    const specsOf = (call: SymbolicCall) => layer.definition.weights(layer.config, shapesOf(call), name);
    const specs = specsOf(first);
    for (const other of others) {
      const again = specsOf(other);
      const different = specs.findIndex((spec, i) => !again[i] || !sameShape(spec.shape, again[i].shape));
      if (different >= 0 || again.length !== specs.length) {
        const k = Math.max(0, different);
        fail(
          'SHAPE',
          `${name}/${specs[k]?.name ?? again[k].name}`,
          `inputs like those of its first call, ${shapesOf(first).map(formatShape).join(', ')}, for weights ${formatShape(specs[k]?.shape ?? [])}`,
          `${shapesOf(other).map(formatShape).join(', ')}, which needs ${formatShape(again[k]?.shape ?? [])}`,
          'A layer that is applied twice shares its weights: give both calls the same features, or make two layers.',
        );
      }
    }
    return specs.map((spec) => ({
      path: `${name}/${spec.name}`,
      layer: index,
      spec,
      trainable: layer.trainable && spec.trainable,
    }));
  });
}

/**
 * The network between inputs and outputs.
 *
 * Errors: ARGUMENT for an input that reaches no output or is missing, and a name used twice; SHAPE for a shared layer whose calls need
 * different weights.
 */
export function arrangeCalls(
  inputs: readonly SymbolicTensor[],
  outputs: readonly SymbolicTensor[],
  where: string,
): Network {
  const { starts, placed } = startingAt(inputs);
  const reached = reachedFrom(outputs.map(placed), placed);
  checkEnds(starts, reached, where);
  // What starts in the middle was made later than its use.
  const late = new Set(starts.filter((start, i) => start !== inputs[i]).map(({ call }) => call));
  const serialOf = (call: SymbolicCall) => (late.has(call) ? -1 : call.serial);
  const ordered = [...reached.calls].sort((a, b) => serialOf(a) - serialOf(b));
  const layers = placeLayers(orderLayers(reached, placed), ordered, where);
  const layerIndex = new Map(layers.map(({ layer }, i) => [layer, i]));
  const callIndex = new Map(ordered.map((call, i) => [call, i]));
  const reference = (tensor: SymbolicTensor) => {
    const { call, output } = placed(tensor);
    return { call: callIndex.get(call) as number, output };
  };
  const calls = ordered.map(
    (call): Call => ({
      layer: layerIndex.get(call.layer) as number,
      inputs: call.inputs.map(reference),
      masks: call.masks.map((mask) => mask && reference(mask)),
      shapes: call.outputs.map(({ shape }) => shape),
      given: call.given,
    }),
  );
  return {
    layers,
    calls,
    inputs: starts.map((input) => inputOf(layers, calls, callIndex.get(input.call) as number)),
    outputs: outputs.map(reference),
    weights: placeWeights(layers, ordered),
  };
}
