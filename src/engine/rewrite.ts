/**
 * Rewriting graphs. A phase walks over a graph in its order and gives a new one; what nothing uses is dropped. `rework` keeps the nodes that stay,
 * so that a phase costs what it changes; `rebuild` copies all of them.
 */
import { type Attributes, addOutput, Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { Tensor } from '../ops/tensor.ts';

/** Values of the old graph to values of the new one; what has no entry stays what it is. */
export type Mapping = Map<Value, Value>;

export function mapped(map: Mapping, value: Value): Value {
  return map.get(value) ?? value;
}

/** Gives a node its mapped inputs. */
export function moveInputs(node: Node, map: Mapping): void {
  const { inputs } = node;
  for (let i = 0; i < inputs.length; i++)
    if (map.has(inputs[i])) {
      node.inputs = inputs.map((v) => mapped(map, v));
      return;
    }
}

/**
 * A graph of the nodes that are used, whose inputs follow what stands for them. The old graph must not be used again.
 *
 * @param visit whether a node stays; else it has mapped its outputs to what takes its place
 */
export function rework(
  graph: Graph,
  visit: (node: Node, next: Graph, map: Mapping) => boolean,
  used: ReadonlySet<Node> = usedNodes(graph),
): Graph {
  const next = new Graph(graph.name);
  const map: Mapping = new Map();
  for (const node of graph.nodes) {
    if (node.op !== 'input') {
      if (!used.has(node)) continue;
      if (map.size) moveInputs(node, map);
      next.path = node.path;
      if (!visit(node, next, map)) continue;
    }
    next.nodes.push(node);
  }
  next.inputs.push(...graph.inputs);
  next.outputs = graph.outputs.map((v) => mapped(map, v));
  next.path = '';
  return next;
}

/** Copies a node into a graph with its inputs mapped. */
export function copyNode(graph: Graph, node: Node, map: Mapping, attributes: Attributes = node.attributes): Node {
  const copy: Node = { op: node.op, inputs: [], attributes, outputs: [], path: node.path };
  for (const v of node.inputs) copy.inputs.push(mapped(map, v));
  for (const v of node.outputs) map.set(v, addOutput(copy, v.type));
  graph.nodes.push(copy);
  return copy;
}

/** A rebuild: `visit` maps the outputs of every node that is still used, most often by `copyNode`. */
export function rebuild(graph: Graph, visit: (node: Node, graph: Graph, map: Mapping) => void): Graph {
  const next = new Graph(graph.name);
  const map: Mapping = new Map();
  const used = usedNodes(graph);
  for (const node of graph.nodes) {
    next.path = node.path;
    if (node.op === 'input') copyNode(next, node, map);
    else if (used.has(node)) visit(node, next, map);
  }
  for (const v of graph.inputs) next.inputs.push(mapped(map, v));
  next.outputs = graph.outputs.map((v) => mapped(map, v));
  next.path = '';
  return next;
}

/** A copy that shares nothing with the graph, the bodies of its scans included. */
export function cloneGraph(graph: Graph): Graph {
  return rebuild(graph, (node, next, map) => {
    const own = node.op === 'scan' && { body: cloneGraph(scanAttributes(node).body) };
    copyNode(next, node, map, { ...node.attributes, ...own });
  });
}

/** Nodes that some outputs need. */
export function usedNodes(graph: Graph, outputs: readonly Value[] = graph.outputs): Set<Node> {
  const used = new Set<Node>();
  for (const v of outputs) used.add(v.node);
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i];
    if (node.inputs.length && used.has(node)) for (const v of node.inputs) used.add(v.node);
  }
  return used;
}

/** How often each value is read by nodes and outputs of the graph. */
export function useCounts(graph: Graph): Map<Value, number> {
  const counts = new Map<Value, number>();
  for (const node of graph.nodes) for (const v of node.inputs) counts.set(v, (counts.get(v) ?? 0) + 1);
  for (const v of graph.outputs) counts.set(v, (counts.get(v) ?? 0) + 1);
  return counts;
}

/** The nodes that read each of the wanted values, in their order; a node that reads it twice stands there twice. */
export function readersOf(nodes: Iterable<Node>, isWanted: (v: Value) => boolean = () => true): Map<Value, Node[]> {
  const readers = new Map<Value, Node[]>();
  for (const node of nodes)
    for (const v of node.inputs) {
      if (!isWanted(v)) continue;
      const list = readers.get(v);
      if (list) list.push(node);
      else readers.set(v, [node]);
    }
  return readers;
}

export function tensorOf(graph: Graph, value: Value): Tensor {
  return new Tensor(graph, value);
}
