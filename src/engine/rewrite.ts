/** Rebuilding graphs: every phase that changes one makes a new one, node by node, and drops what nothing uses. */
import { type Attribute, type Attributes, Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { Tensor } from '../ops/tensor.ts';

/** Values of the old graph to values of the new one. */
export type Mapping = Map<Value, Value>;

export function mapped(map: Mapping, value: Value): Value {
  return map.get(value) as Value;
}

/** Copies a node into a graph with its inputs mapped. */
export function copyNode(graph: Graph, node: Node, map: Mapping, attributes: Attributes = node.attributes): Node {
  const types = node.outputs.map((v) => v.type);
  const copy = graph.add(
    node.op,
    node.inputs.map((v) => mapped(map, v)),
    attributes,
    types,
    node.path,
  );
  node.outputs.forEach((v, i) => map.set(v, copy.outputs[i]));
  return copy;
}

/** A rebuild: `visit` maps the outputs of every node that is still used, most often by `copyNode`. */
export function rebuild(
  graph: Graph,
  visit: (node: Node, graph: Graph, map: Mapping) => void,
  onInput: (node: Node, copy: Node) => void = () => undefined,
): Graph {
  const next = new Graph(graph.name);
  const map: Mapping = new Map();
  const used = usedNodes(graph);
  for (const node of graph.nodes) {
    next.path = node.path;
    if (node.op === 'input') {
      const copy = copyNode(next, node, map);
      onInput(node, copy);
    } else if (used.has(node)) visit(node, next, map);
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

/** Nodes that an output needs. */
export function usedNodes(graph: Graph): Set<Node> {
  const used = new Set<Node>();
  const stack = graph.outputs.map((v) => v.node);
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (used.has(node)) continue;
    used.add(node);
    for (const input of node.inputs) stack.push(input.node);
  }
  return used;
}

/** How often each value is read by nodes and outputs of the graph. */
export function useCounts(graph: Graph): Map<Value, number> {
  const counts = new Map<Value, number>();
  const count = (v: Value) => counts.set(v, (counts.get(v) ?? 0) + 1);
  for (const node of graph.nodes) node.inputs.forEach(count);
  graph.outputs.forEach(count);
  return counts;
}

/** The nodes that read each value, in their order; a node that reads it twice stands there twice. */
export function readersOf(nodes: Iterable<Node>): Map<Value, Node[]> {
  const readers = new Map<Value, Node[]>();
  for (const node of nodes)
    for (const v of node.inputs) {
      const list = readers.get(v);
      if (list) list.push(node);
      else readers.set(v, [node]);
    }
  return readers;
}

export function tensorOf(graph: Graph, value: Value): Tensor {
  return new Tensor(graph, value);
}

/** The text of attributes, which copies of a node share. */
const attributeTexts = new WeakMap<Attributes, string>();

/** Numbers for values and objects, for keys of common subexpressions. */
export class Numbering {
  private readonly numbers = new Map<object, number>();
  of(x: object): number {
    let n = this.numbers.get(x);
    if (n === undefined) {
      n = this.numbers.size;
      this.numbers.set(x, n);
    }
    return n;
  }
  /** Equal for nodes that compute the same. */
  key(node: Node): string {
    let inputs = '';
    for (const v of node.inputs) inputs += `${this.of(v)},`;
    return `${node.op}(${inputs}){${this.attributes(node.attributes)}}`;
  }
  private attributes(attributes: Attributes): string {
    const known = attributeTexts.get(attributes);
    if (known !== undefined) return known;
    const entries = Object.entries(attributes);
    const text = entries.map(([k, v]) => `${k}:${this.attribute(v)}`).join();
    // Numbers of objects are good for this numbering alone.
    const isNumbered = ([, v]: [string, Attribute]) =>
      v instanceof Graph || (v instanceof Float64Array && v.length > SHORT_DATA);
    if (!entries.some(isNumbered)) attributeTexts.set(attributes, text);
    return text;
  }
  private attribute(value: Attribute): string {
    if (value instanceof Graph) return `#${this.of(value)}`;
    if (value instanceof Float64Array)
      return value.length <= SHORT_DATA ? `f${Array.from(value, hex).join()}` : `#${this.of(value)}`;
    return JSON.stringify(value) ?? 'undefined';
  }
}

/** Elements up to which constants are compared by their values. */
const SHORT_DATA = 16;
const scratch = new BigUint64Array(1);
const scratchFloat = new Float64Array(scratch.buffer);
/** Keeps -0 and 0 apart, and NaN equal to itself. */
function hex(x: number): string {
  scratchFloat[0] = x;
  return scratch[0].toString(16);
}

/** A scan with parts changed; keeps inputs, body and attributes consistent. `held`: inputs of the body that are added in rows left out. */
export interface ScanParts {
  carries: { init: Value; inner: Value; next: Value; result: Value | null; held?: readonly Value[] }[];
  sequences: { outer: Value; inner: Value }[];
  constants: { outer: Value; inner: Value }[];
  stacked: { inner: Value; result: Value | null; held?: readonly Value[] }[];
  body: Graph;
  length: number;
  reverse: boolean;
  /** A loop over the segments of a longer one: nothing that its inner loops stack leaves its pass. */
  segments: boolean;
  /** Rows of each step that are computed, i32 [T]; null: all. */
  active: Value | null;
}

/** Takes a scan apart; `outer` maps its operands (identity by default). */
export function scanParts(node: Node, outer: (v: Value) => Value = (v) => v): ScanParts {
  const { body, length, reverse, carries, sequences, active, segments = false, held = [] } = scanAttributes(node);
  const input = (i: number) => ({ outer: outer(node.inputs[i]), inner: body.inputs[i] });
  const count = body.inputs.length;
  const heldBy = (output: number) =>
    held.flatMap((of, k) => (k % 2 || of !== output ? [] : [body.inputs[held[k + 1]]]));
  return {
    active: active ? outer(node.inputs[count]) : null,
    body,
    length,
    reverse,
    segments,
    carries: range(0, carries).map((i) => ({
      init: outer(node.inputs[i]),
      inner: body.inputs[i],
      next: body.outputs[i],
      result: node.outputs[i],
      held: heldBy(i),
    })),
    sequences: range(carries, carries + sequences).map(input),
    constants: range(carries + sequences, count).map(input),
    stacked: range(carries, node.outputs.length).map((i) => ({
      inner: body.outputs[i],
      result: node.outputs[i],
      held: heldBy(i),
    })),
  };
}

/** Puts a scan together in a graph. The body is given its inputs and outputs anew. Old results are mapped to new ones. */
export function joinScan(graph: Graph, parts: ScanParts, map: Mapping, path: string): Node {
  const { body, length, reverse, carries, sequences, constants, stacked, active, segments } = parts;
  body.inputs.length = 0;
  body.inputs.push(...carries.map((c) => c.inner), ...sequences.map((s) => s.inner), ...constants.map((c) => c.inner));
  body.outputs = [...carries.map((c) => c.next), ...stacked.map((s) => s.inner)];
  const held = [...carries, ...stacked].flatMap(({ held: values = [] }, i) =>
    values.flatMap((v) => [i, body.inputs.indexOf(v)]),
  );
  const node = graph.add(
    'scan',
    [
      ...carries.map((c) => c.init),
      ...sequences.map((s) => s.outer),
      ...constants.map((c) => c.outer),
      ...(active ? [active] : []),
    ],
    {
      body,
      length,
      reverse,
      carries: carries.length,
      sequences: sequences.length,
      ...(active && { active: true }),
      ...(held.length && { held }),
      ...(segments && { segments }),
    },
    [
      ...carries.map((c) => c.inner.type),
      ...stacked.map((s) => ({ dtype: s.inner.type.dtype, shape: [length, ...s.inner.type.shape] })),
    ],
    path,
  );
  [...carries, ...stacked].forEach((part, i) => {
    if (part.result) map.set(part.result, node.outputs[i]);
  });
  return node;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
