/**
 * From symbolic tensors to a network: the calls between inputs and outputs, the layers that they share, and every weight once. The order of
 * the layers is Keras's: by distance from the outputs, then as they are met on the way back. Source: Keras 3, `keras/src/ops/function.py`.
 */
import { fail } from '../core/errors.ts';
import { formatShape, sameShape } from '../core/shape.ts';
import type { Layer, OpenShape } from '../layers/layer.ts';
import { nameOf, type SymbolicCall, type SymbolicTensor } from '../layers/symbolic.ts';
import { type Call, inputOf, type Network, nameLayers, type PlacedLayer, type PlacedWeight } from './network.ts';

const isInput = ({ layer }: SymbolicCall) => layer.className === 'InputLayer';

/** What a call looks at: its inputs, then masks given by hand. */
const sourcesOf = ({ inputs, masks }: SymbolicCall): SymbolicTensor[] => [
  ...inputs,
  ...masks.filter((mask) => mask !== null),
];

interface Reached {
  /** Inputs before their use. */
  readonly calls: readonly SymbolicCall[];
  /** In the order in which they are met. */
  readonly layers: readonly Layer[];
}

/** Walks back from the outputs; on a stack of its own, so that deep models do not exhaust the program's. */
function reachedFrom(outputs: readonly SymbolicTensor[]): Reached {
  const seen = new Set<SymbolicCall>();
  const layers = new Set<Layer>();
  const calls: SymbolicCall[] = [];
  for (const output of outputs) {
    const stack: { readonly call: SymbolicCall; readonly sources: SymbolicTensor[]; next: number }[] = [];
    const enter = (call: SymbolicCall) => {
      if (seen.has(call)) return;
      seen.add(call);
      layers.add(call.layer);
      stack.push({ call, sources: sourcesOf(call), next: 0 });
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
function orderLayers({ calls, layers }: Reached): Layer[] {
  const ofCall = new Map<SymbolicCall, number>();
  const ofLayer = new Map<Layer, number>();
  for (const call of [...calls].reverse()) {
    const depth = Math.max(ofCall.get(call) ?? 0, ofLayer.get(call.layer) ?? 0);
    ofCall.set(call, depth);
    ofLayer.set(call.layer, depth);
    for (const source of sourcesOf(call)) ofCall.set(source.call, Math.max(depth + 1, ofCall.get(source.call) ?? 0));
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
    if (!isInput(input.call))
      fail(
        'ARGUMENT',
        `${where}: inputs[${i}]`,
        'what `input` gave',
        `an output of ${name}`,
        'A model starts at inputs.',
      );
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
  const reached = reachedFrom(outputs);
  checkEnds(inputs, reached, where);
  const ordered = [...reached.calls].sort((a, b) => a.serial - b.serial);
  const layers = placeLayers(orderLayers(reached), ordered, where);
  const layerIndex = new Map(layers.map(({ layer }, i) => [layer, i]));
  const callIndex = new Map(ordered.map((call, i) => [call, i]));
  const reference = ({ call, output }: SymbolicTensor) => ({ call: callIndex.get(call) as number, output });
  const calls = ordered.map(
    (call): Call => ({
      layer: layerIndex.get(call.layer) as number,
      inputs: call.inputs.map(reference),
      masks: call.masks.map((mask) => mask && reference(mask)),
      shapes: call.outputs.map(({ shape }) => shape),
    }),
  );
  return {
    layers,
    calls,
    inputs: inputs.map((input) => inputOf(layers, calls, callIndex.get(input.call) as number)),
    outputs: outputs.map(reference),
    weights: placeWeights(layers, ordered),
  };
}
