/**
 * Ends of a graph with the time in front. Batches come as [B, T, ...] and loops over time walk over [T, B, ...]: what is copied anyway on its
 * way in or out is copied straight to the other order. Inputs are taken so before the transposes are moved, and given back where
 * that brought nothing.
 */
import { Graph, type Node, type Value } from '../ir/graph.ts';
import { transpose } from '../ops/shape.ts';
import { type Mapping, mapped, moveInputs, readersOf, tensorOf, usedNodes } from './rewrite.ts';

/** Attribute of an input of a step: it is fed as [B, T, ...] and stands as [T, B, ...]. */
export const TIME_MAJOR = 'timeMajor';

const swapped = ([first, second, ...rest]: readonly number[]) => [second, first, ...rest];
const swapOf = (shape: readonly number[]) => swapped(shape.map((_, i) => i));

/** Whether a value is another one with its first two axes swapped. */
function isSwap({ node, type }: Value): boolean {
  if (node.op !== 'transpose') return false;
  const perm = node.attributes.perm as readonly number[];
  return type.shape.length > 1 && swapOf(type.shape).every((p, i) => p === perm[i]);
}

/**
 * A graph in which some inputs have their first two axes swapped. The old one must not be used again.
 *
 * @param change the attributes of such an input, and whether a swap back stands for what it was
 * @param skip what stands for a node that is left out
 */
function withInputs(
  graph: Graph,
  change: (node: Node) => { attributes: Node['attributes']; swapBack: boolean } | null,
  skip: (node: Node, map: Mapping) => Value | null = () => null,
): Graph {
  const next = new Graph(graph.name);
  const map: Mapping = new Map();
  const inputs = new Map<Value, Value>();
  for (const node of graph.nodes) {
    next.path = node.path;
    const instead = skip(node, map);
    if (instead) {
      map.set(node.outputs[0], instead);
      continue;
    }
    const changed = node.op === 'input' && change(node);
    if (!changed) {
      moveInputs(node, map);
      next.nodes.push(node);
      continue;
    }
    const [old] = node.outputs;
    const type = { ...old.type, shape: swapped(old.type.shape) };
    const [value] = next.add('input', [], changed.attributes, [type]).outputs;
    inputs.set(old, value);
    map.set(old, changed.swapBack ? transpose(tensorOf(next, value), swapOf(type.shape)).value : value);
  }
  next.path = '';
  for (const v of graph.inputs) next.inputs.push(inputs.get(v) ?? mapped(map, v));
  next.outputs = graph.outputs.map((v) => mapped(map, v));
  return next;
}

/** Takes the inputs of a step with the time in front that are as long as what its loops walk over. The old graph must not be used again. */
export function takeTimeMajor(graph: Graph): Graph {
  const places = new Set<string>();
  for (const { outputs, inputs } of graph.nodes)
    if (outputs.some(isSwap)) places.add(inputs[0].type.shape.slice(0, 2).join());
  if (!places.size) return graph;
  return withInputs(graph, ({ attributes, outputs: [{ type }] }) => {
    const isOne = attributes.kind === 'io' && type.shape.length > 1 && places.has(type.shape.slice(0, 2).join());
    return isOne ? { attributes: { ...attributes, [TIME_MAJOR]: true }, swapBack: true } : null;
  });
}

/**
 * Gives back the inputs that are only read with the batch in front, and takes results as they are before a last swap.
 *
 * @param results how many of the outputs leave the step
 * @returns the graph, and which of its outputs are [T, B, ...] for [B, T, ...]
 */
export function settleTimeMajor(graph: Graph, results: number): { graph: Graph; timeMajor: ReadonlySet<number> } {
  const taken = graph.inputs.filter((v) => v.node.attributes[TIME_MAJOR]);
  const readers = readersOf(usedNodes(graph), (v) => taken.includes(v));
  const given = new Set<Value>();
  for (const v of taken) {
    const own = readers.get(v) ?? [];
    if (!graph.outputs.includes(v) && own.every(({ outputs }) => isSwap(outputs[0]))) given.add(v);
  }
  const next = given.size ? withoutSwaps(graph, given) : graph;
  const timeMajor = new Set<number>();
  next.outputs = next.outputs.map((v, i) => {
    if (i >= results || !isSwap(v)) return v;
    timeMajor.add(i);
    return v.node.inputs[0];
  });
  return { graph: next, timeMajor };
}

function withoutSwaps(graph: Graph, given: ReadonlySet<Value>): Graph {
  return withInputs(
    graph,
    ({ attributes: { [TIME_MAJOR]: _, ...attributes }, outputs: [v] }) =>
      given.has(v) ? { attributes, swapBack: false } : null,
    ({ op, inputs }, map) => (op === 'transpose' && given.has(inputs[0]) ? mapped(map, inputs[0]) : null),
  );
}
