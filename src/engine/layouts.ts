/**
 * Decides which values hold their columns interleaved by group, and inserts a `relayout` where an operation needs another order.
 *
 * Parameters bring their groups from the layer; products hand on those of their right-hand side, chains those of their operands. A
 * `split` into the groups then is a view, and so is a `concat` that only products read (the gradient of a split).
 */
import { type Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { chainShape, isIndexed, operandKind } from './operands.ts';
import { joinScan, type Mapping, mapped, readersOf, rebuild, scanParts } from './rewrite.ts';

/** Groups of every value of the graph and of the bodies of its scans; 1 where there is no entry. */
export type Groups = Map<Value, number>;

export interface LaidOut {
  readonly graph: Graph;
  readonly groups: Groups;
}

/** `updates` gives the leaf that an output is written to. */
export function assignLayouts(graph: Graph, leafOfOutput: (index: number) => number | null): LaidOut {
  const groups: Groups = new Map();
  const given = (node: Node) => (node.attributes.groups as number | undefined) ?? 1;
  const next = new Layouter(groups, new Map(), graph, given).graph(graph);
  next.outputs = next.outputs.map((v, i) => {
    const wanted = leafOfOutput(i);
    return wanted === null ? v : relayout(next, groups, v, wanted);
  });
  return { graph: next, groups };
}

function relayout(graph: Graph, groups: Groups, value: Value, wanted: number): Value {
  if ((groups.get(value) ?? 1) === wanted) return value;
  const made = graph.add('relayout', [value], { groups: wanted }, [value.type], value.node.path).outputs[0];
  if (wanted > 1) groups.set(made, wanted);
  return made;
}

const lastAxis = (v: Value) => v.type.shape.length - 1;
const cols = (v: Value) => v.type.shape[lastAxis(v)] ?? 1;

class Layouter {
  private readonly groups: Groups;
  /** Groups of the columns that a packed right-hand side is multiplied with: its k axis follows their order. */
  private readonly along: Groups;
  private readonly readers: Map<Value, Node[]>;
  private readonly inputGroups: (node: Node) => number;
  /** For a body: whether the reader outside of an output takes it interleaved. */
  private readonly outputAccepts: (index: number, parts: number) => boolean;

  constructor(
    groups: Groups,
    along: Groups,
    old: Graph,
    inputGroups: (node: Node) => number,
    outputAccepts: (index: number, parts: number) => boolean = () => false,
  ) {
    this.groups = groups;
    this.along = along;
    this.inputGroups = inputGroups;
    this.outputAccepts = outputAccepts;
    this.readers = readersOf(old.nodes);
  }

  graph(old: Graph): Graph {
    const next = rebuild(
      old,
      (node, target, map) => this.node(node, target, map, old),
      (node, copy) => {
        this.give(copy.outputs[0], this.inputGroups(node));
        this.give(node.outputs[0], this.inputGroups(node));
        const k = this.along.get(node.outputs[0]);
        if (k) this.along.set(copy.outputs[0], k);
      },
    );
    return next;
  }

  private of(v: Value): number {
    return this.groups.get(v) ?? 1;
  }

  private give(v: Value, g: number): void {
    if (g > 1) this.groups.set(v, g);
    else this.groups.delete(v);
  }

  private node(node: Node, graph: Graph, map: Mapping, old: Graph): void {
    if (node.op === 'scan') return this.scan(node, graph, map, old);
    const inputs = node.inputs.map((v) => mapped(map, v));
    const wanted = this.wanted(node, inputs);
    const fixed = inputs.map((v, i) =>
      wanted.inputs[i] === null ? v : relayout(graph, this.groups, v, wanted.inputs[i] as number),
    );
    // One value may be an operand twice, each time in another order.
    const types = node.outputs.map((v) => v.type);
    const copy = graph.add(node.op, fixed, node.attributes, types, node.path);
    node.outputs.forEach((v, i) => {
      map.set(v, copy.outputs[i]);
      const g = wanted.output(v, old);
      this.give(v, g);
      this.give(copy.outputs[i], g);
    });
    if (node.op === 'pack') for (const v of [node.outputs[0], copy.outputs[0]]) this.along.set(v, this.alongOf(node));
  }

  /** The groups that a node needs of its inputs (null: any) and gives to its outputs. */
  private wanted(
    node: Node,
    x: readonly Value[],
  ): { inputs: (number | null)[]; output: (v: Value, old: Graph) => number } {
    const keep = x.length ? this.of(x[0]) : 1;
    const any = { inputs: x.map(() => null), output: () => keep };
    const plain = { inputs: x.map(() => 1), output: () => 1 };
    const last = x.length ? lastAxis(x[0]) : 0;
    switch (node.op) {
      case 'pack':
        return { inputs: x.map(() => keep), output: () => (node.attributes.form === 'nn' ? keep : 1) };
      case 'product': {
        const packedAt = node.attributes.segments as number;
        const g = this.of(x[packedAt]);
        const k = this.along.get(x[packedAt]) ?? 1;
        const start = node.attributes.init === 'zero' ? -1 : packedAt + 1;
        return {
          inputs: x.map((_, i) => (i < packedAt ? k : i === packedAt ? null : i === start ? g : 1)),
          output: () => g,
        };
      }
      case 'productTN':
        return { inputs: x.map((_, i) => (i ? 1 : null)), output: () => keep };
      case 'chain':
        return this.chain(node, x);
      case 'split':
        if (node.attributes.axis !== last) return any;
        return keep === node.attributes.parts ? { ...any, output: () => 1 } : plain;
      case 'concat':
        if (node.attributes.axis !== last) return plain;
        return {
          ...plain,
          output: (v, old) =>
            this.accepts(v, x.length, old) && cols(x[0]) > 1 && x.every((p) => cols(p) === cols(x[0])) ? x.length : 1,
        };
      case 'transpose':
        return (node.attributes.perm as number[])[last] === last ? any : plain;
      case 'reshape':
      case 'broadcast':
      case 'slice':
      case 'pad':
        return cols(node.outputs[0]) === cols(x[0]) ? any : plain;
      case 'reverse':
        return node.attributes.axis === last ? plain : any;
      case 'sum':
      case 'max':
      case 'min':
        return (node.attributes.axes as number[]).includes(last) ? plain : any;
      default:
        return plain;
    }
  }

  private chain(node: Node, x: readonly Value[]) {
    const shape = chainShape(node);
    const kind = (v: Value) => operandKind(v.type.shape, shape);
    // The columns of a table stand as those of the rows.
    const isTable = (v: Value, i: number) => isIndexed(node, i) && v.type.dtype === 'f32';
    const isWide = (v: Value, i: number) =>
      isTable(v, i) || (!isIndexed(node, i) && (kind(v) === 'same' || kind(v) === 'row'));
    const wide = x.filter(isWide);
    const g = this.of(wide.find((v) => this.of(v) > 1) ?? wide[0] ?? x[0]);
    return { inputs: x.map((v, i) => (isWide(v, i) ? g : 1)), output: () => g };
  }

  /** Whether all that reads a concatenation of equal parts can take it interleaved. */
  private accepts(value: Value, parts: number, graph: Graph): boolean {
    if (parts < 2) return false;
    for (let i = 0; i < graph.outputs.length; i++)
      if (graph.outputs[i] === value && !this.outputAccepts(i, parts)) return false;
    return (this.readers.get(value) ?? []).every((node) => {
      const positions = node.inputs.flatMap((v, i) => (v === value ? [i] : []));
      if (node.op === 'product') {
        const packedAt = node.attributes.segments as number;
        return positions.every((i) => i < packedAt) && this.alongOfPacked(node.inputs[packedAt]) === parts;
      }
      if (node.op === 'pack') return node.attributes.form === 'nt';
      if (node.op === 'productTN') return positions.every((i) => i === 0);
      return false;
    });
  }

  /** The order of the k axis: that of the columns of a transposed right-hand side, plain for rows. */
  private alongOf(pack: Node): number {
    return pack.attributes.form === 'nt' ? this.of(pack.inputs[0]) : 1;
  }

  private alongOfPacked(packed: Value): number {
    return packed.node.op === 'pack' ? this.alongOf(packed.node) : (this.along.get(packed) ?? 1);
  }

  private scan(node: Node, graph: Graph, map: Mapping, old: Graph): void {
    const { body, carries, held = [] } = scanAttributes(node);
    const outer = node.inputs.map((v) => this.of(mapped(map, v)));
    const isZero = (v: Value) => v.node.op === 'broadcast' || v.node.op === 'constant';
    const accepts = (i: number, parts: number) => i >= carries && this.accepts(node.outputs[i], parts, old);
    const layOut = () => {
      const positions = new Map(body.inputs.map((v, i) => [v.node, i]));
      body.inputs.forEach((v, i) => {
        const k = this.along.get(mapped(map, node.inputs[i]));
        if (k) this.along.set(v, k);
      });
      const inner = new Layouter(this.groups, this.along, body, (n) => outer[positions.get(n) as number] ?? 1, accepts);
      return inner.graph(body);
    };
    let laid = layOut();
    // A carry that starts at zero takes the order that its step gives it.
    for (let i = 0; i < carries; i++) if (isZero(node.inputs[i])) outer[i] = this.of(laid.outputs[i]);
    laid = layOut();
    // What is added to a value in rows that are left out stands in its order.
    for (let k = 0; k < held.length; k += 2)
      outer[held[k + 1]] = held[k] < carries ? outer[held[k]] : this.of(laid.outputs[held[k]]);
    if (held.length) laid = layOut();
    const parts = scanParts({ ...node, attributes: { ...node.attributes, body: laid } }, (v) => mapped(map, v));
    parts.carries.forEach((carry, i) => {
      carry.init = relayout(graph, this.groups, carry.init, outer[i]);
      carry.next = relayout(laid, this.groups, carry.next, outer[i]);
    });
    parts.sequences.forEach((s, i) => {
      if (held.some((v, k) => k % 2 && v === carries + i))
        s.outer = relayout(graph, this.groups, s.outer, outer[carries + i]);
    });
    const made = joinScan(graph, parts, map, node.path);
    scanAttributes(made).body.outputs.forEach((v, i) => this.give(made.outputs[i], this.of(v)));
  }
}
