/**
 * The first language of the compiler: a typed graph in static single assignment form. A node has an operation,
 * inputs, attributes and outputs; every shape is known. A `scan` node holds its body as a sub-graph.
 *
 * Nodes stand in an order in which every value is made before it is used. Graphs are built by `Tensor` handles
 * (`ops/tensor.ts`), held to their rules by `verifyGraph` and printed by `printGraph`.
 */
import { UnrolledError } from '../core/errors.ts';
import { formatShape, type Shape, sameShape } from '../core/shape.ts';

/** `f32` also stands for masks (0 or 1); `i32` for indices, labels and random keys. */
export type DType = 'f32' | 'i32';

/** What matrix products round their operands to. Sums, and all that is stored, are float32. */
export type Precision = 'float32' | 'bfloat16';

export interface Type {
  readonly dtype: DType;
  readonly shape: Shape;
}

export interface Value {
  readonly type: Type;
  readonly node: Node;
  /** Which of the node's outputs this is. */
  readonly index: number;
}

export type Attribute =
  | number
  | string
  | boolean
  | null
  | readonly number[]
  | readonly string[]
  | Float64Array
  | Graph
  | Readonly<Record<string, unknown>>
  | readonly Readonly<Record<string, unknown>>[];
export type Attributes = Readonly<Record<string, Attribute>>;

export interface Node {
  readonly op: string;
  inputs: Value[];
  attributes: Attributes;
  outputs: Value[];
  /** The layer path it was traced under, for messages and prints: `lstm/step`. */
  readonly path: string;
}

/**
 * Attributes of a `scan` node. Body inputs: carries, then slices of the sequences, then constants. Body outputs: new carries, then stacked outputs.
 * An `active` scan has one operand more, i32 [T]: step t computes the first so many rows (of the first axis of every value of the body)
 * alone. For the other rows carries stay as they are, and stacked outputs are zero, or the carry where the output is one; to that come the
 * rows of the body's inputs that `held` names, as pairs (output, input): the state gathers what the steps that are left out give it.
 * A scan over `segments` has loops in its body, each over a stretch of the time of a longer loop; what they stack stays in its pass.
 */
export interface ScanAttributes {
  readonly body: Graph;
  readonly length: number;
  readonly reverse: boolean;
  readonly carries: number;
  readonly sequences: number;
  readonly active?: boolean;
  readonly held?: readonly number[];
  readonly segments?: boolean;
}

export function scanAttributes(node: Node): ScanAttributes {
  return node.attributes as unknown as ScanAttributes;
}

export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs: Value[] = [];
  outputs: Value[] = [];
  readonly name: string;
  /** The path given to nodes that are added now. */
  path = '';
  /** Of the matrix products that are added now. */
  precision: Precision = 'float32';
  constructor(name: string) {
    this.name = name;
  }

  add(op: string, inputs: Value[], attributes: Attributes, types: readonly Type[], path = this.path): Node {
    const node: Node = { op, inputs, attributes, outputs: [], path };
    for (let index = 0; index < types.length; index++) node.outputs.push({ type: types[index], node, index });
    this.nodes.push(node);
    return node;
  }

  input(name: string, type: Type, attributes: Attributes = {}): Value {
    const value = this.add('input', [], { ...attributes, name }, [type]).outputs[0];
    this.inputs.push(value);
    return value;
  }
}

/** Adds an output to a node that exists (a scan that must stack one value more). */
export function addOutput(node: Node, type: Type): Value {
  const value: Value = { type, node, index: node.outputs.length };
  node.outputs.push(value);
  return value;
}

/** Makes a node give a value that another one gave: whoever holds the value then has what this node makes. */
export function takeOver(node: Node, index: number, value: Value): void {
  node.outputs[index] = Object.assign(value, { node, index });
}

function names(graph: Graph): Map<Value, string> {
  const map = new Map<Value, string>();
  let k = 0;
  for (const node of graph.nodes) for (const out of node.outputs) map.set(out, `%${k++}`);
  return map;
}

function formatAttribute(value: Attribute): string {
  if (value instanceof Float64Array) return value.length <= 4 ? `[${value.join(' ')}]` : `data(${value.length})`;
  if (Array.isArray(value)) return `[${value.map((v) => (typeof v === 'object' ? JSON.stringify(v) : v)).join(' ')}]`;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Stable text: values are named by order of appearance, bodies are indented. */
export function printGraph(graph: Graph, indent = ''): string {
  const name = names(graph);
  const of = (v: Value) => name.get(v) ?? '%?';
  const typed = (v: Value) => `${of(v)}:${v.type.dtype}${formatShape(v.type.shape)}`;
  const lines = [`${indent}graph ${graph.name}`];
  for (const node of graph.nodes) {
    const attributes = Object.entries(node.attributes)
      .filter(([, v]) => !(v instanceof Graph) && v !== undefined)
      .map(([k, v]) => `${k}=${formatAttribute(v)}`)
      .join(' ');
    const left = node.outputs.map(typed).join(', ');
    lines.push(
      `${indent}  ${left} = ${node.op}(${node.inputs.map(of).join(', ')})${attributes ? ` {${attributes}}` : ''}${node.path ? `  # ${node.path}` : ''}`,
    );
    for (const v of Object.values(node.attributes)) if (v instanceof Graph) lines.push(printGraph(v, `${indent}    `));
  }
  lines.push(`${indent}  return ${graph.outputs.map(of).join(', ')}`);
  return lines.join('\n');
}

function broken(graph: Graph, message: string): never {
  throw new UnrolledError(
    'INTERNAL',
    `graph ${graph.name}: ${message}. This is a fault of the compiler; please report it.`,
  );
}

/** Every value is made once and before its use; scans agree with their bodies. */
export function verifyGraph(graph: Graph): void {
  const seen = new Set<Value>();
  for (const node of graph.nodes) {
    for (const input of node.inputs)
      if (!seen.has(input))
        broken(graph, `${node.op} (${node.path}) uses a value of ${input?.node?.op} before it is made`);
    for (let i = 0; i < node.outputs.length; i++) {
      const out = node.outputs[i];
      if (out.node !== node || out.index !== i) broken(graph, `output ${i} of ${node.op} does not point back`);
      for (const d of out.type.shape) if (!Number.isInteger(d) || d < 0) broken(graph, `${node.op} has a bad shape`);
      seen.add(out);
    }
    if (node.op === 'scan') verifyScan(graph, node);
  }
  for (const out of graph.outputs) if (!seen.has(out)) broken(graph, 'an output is not made');
  for (const input of graph.inputs) if (!seen.has(input)) broken(graph, 'an input is not among the nodes');
}

function verifyScan(graph: Graph, node: Node): void {
  const { body, length, carries, sequences, active, held = [] } = scanAttributes(node);
  verifyGraph(body);
  if (held.length && !active) broken(graph, 'a scan holds rows and leaves none out');
  for (let i = 0; i < held.length; i += 2) {
    const [out, input] = [body.outputs[held[i]], body.inputs[held[i + 1]]];
    if (!out || !input || !sameShape(out.type.shape, input.type.shape))
      broken(graph, 'a scan holds rows of another shape');
  }
  if (body.inputs.length !== node.inputs.length - (active ? 1 : 0))
    broken(graph, 'a scan and its body differ in inputs');
  if (body.outputs.length !== node.outputs.length) broken(graph, 'a scan and its body differ in outputs');
  const expect = (what: string, outer: Type, inner: Type) => {
    if (outer.dtype !== inner.dtype || !sameShape(outer.shape, inner.shape))
      broken(graph, `scan ${what}: ${formatShape(outer.shape)} outside, ${formatShape(inner.shape)} in the body`);
  };
  const stacked = (inner: Type): Type => ({ dtype: inner.dtype, shape: [length, ...inner.shape] });
  body.inputs.forEach((inner, i) => {
    const isSequence = i >= carries && i < carries + sequences;
    expect(`input ${i}`, node.inputs[i].type, isSequence ? stacked(inner.type) : inner.type);
  });
  body.outputs.forEach((inner, i) => {
    expect(`output ${i}`, node.outputs[i].type, i < carries ? inner.type : stacked(inner.type));
    if (i < carries) expect(`carry ${i}`, body.inputs[i].type, inner.type);
  });
}
