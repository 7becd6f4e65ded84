/**
 * Decides which values hold their columns interleaved by group, and inserts a `relayout` where an operation needs another order.
 *
 * Parameters bring their groups from the layer; products hand on those of their right-hand side, chains those of their operands. A
 * `split` into the groups then is a view, and so is a `concat` that only products read (the gradient of a split).
 */
import { type Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { chainShape, isIndexed, operandKind, partsOfProduct } from './operands.ts';
import { readersOf, rework } from './rewrite.ts';

/** Groups of every value of the graph and of the bodies of its scans; 1 where there is no entry. */
export type Groups = Map<Value, number>;

export interface LaidOut {
  readonly graph: Graph;
  readonly groups: Groups;
}

/** `updates` gives the leaf that an output is written to. The old graph must not be used again. */
export function assignLayouts(graph: Graph, leafOfOutput: (index: number) => number | null): LaidOut {
  const groups: Groups = new Map();
  for (const v of graph.inputs) {
    const given = v.node.attributes.groups as number | undefined;
    if (given !== undefined && given > 1) groups.set(v, given);
  }
  const wishes: Wishes = new Map();
  new Layouter({ groups, along: new Map(), wishes }, graph).run();
  const next = wishes.size ? withRelayouts(graph, groups, wishes) : graph;
  next.outputs = next.outputs.map((v, i) => {
    const wanted = leafOfOutput(i);
    return wanted === null ? v : relayout(next, groups, v, wanted);
  });
  return { graph: next, groups };
}

/** The groups that nodes want of their inputs (null: any), where one has others; for a scan, the first are those of its new carries too. */
type Wishes = Map<Node, readonly (number | null)[]>;

function withRelayouts(graph: Graph, groups: Groups, wishes: Wishes): Graph {
  return rework(graph, (node, next) => {
    const wanted = wishes.get(node);
    // One value may be an operand twice, each time in another order.
    const change = (v: Value, i: number) => relayout(next, groups, v, wanted?.[i] ?? groups.get(v) ?? 1);
    if (wanted) node.inputs = node.inputs.map(change);
    if (node.op === 'scan') {
      const { body: old, carries } = scanAttributes(node);
      const body = withRelayouts(old, groups, wishes);
      if (wanted)
        for (let i = 0; i < carries; i++)
          body.outputs[i] = relayout(body, groups, body.outputs[i], wanted[i] as number);
      node.attributes = { ...node.attributes, body };
    }
    return true;
  });
}

function relayout(graph: Graph, groups: Groups, value: Value, wanted: number): Value {
  if ((groups.get(value) ?? 1) === wanted) return value;
  const made = graph.add('relayout', [value], { groups: wanted }, [value.type], value.node.path).outputs[0];
  if (wanted > 1) groups.set(made, wanted);
  return made;
}

const lastAxis = (v: Value) => v.type.shape.length - 1;
const cols = (v: Value) => v.type.shape[lastAxis(v)] ?? 1;

/** What may give or want groups where its operands have none. */
const sortsColumns: ReadonlySet<string> = new Set(['pack', 'product', 'productTN', 'concat', 'relayout']);

interface Orders {
  readonly groups: Groups;
  /** Groups of the columns that a packed right-hand side is multiplied with: its k axis follows their order. */
  readonly along: Groups;
  readonly wishes: Wishes;
}

/** Finds the groups of all values of a graph, those of its inputs given. */
class Layouter {
  private readonly orders: Orders;
  private readonly graph: Graph;
  private readers: Map<Value, Node[]> | null = null;
  /** For a body: whether the reader outside of an output takes it interleaved. */
  private readonly outputAccepts: (index: number, parts: number) => boolean;

  constructor(orders: Orders, graph: Graph, outputAccepts: (index: number, parts: number) => boolean = () => false) {
    this.orders = orders;
    this.graph = graph;
    this.outputAccepts = outputAccepts;
  }

  run(): void {
    for (const node of this.graph.nodes) {
      if (node.op === 'scan') this.scan(node);
      else if (node.op !== 'input') this.node(node);
    }
  }

  private of(v: Value): number {
    return this.orders.groups.get(v) ?? 1;
  }

  private give(v: Value, g: number): void {
    if (g > 1) this.orders.groups.set(v, g);
    else this.orders.groups.delete(v);
  }

  private wish(node: Node, wanted: readonly (number | null)[], isMet: boolean): void {
    if (isMet) this.orders.wishes.delete(node);
    else this.orders.wishes.set(node, wanted);
  }

  private areMet(node: Node, wanted: readonly (number | null)[]): boolean {
    return node.inputs.every((v, i) => (wanted[i] ?? null) === null || wanted[i] === this.of(v));
  }

  private node(node: Node): void {
    if (!sortsColumns.has(node.op) && node.inputs.every((v) => !this.orders.groups.has(v))) {
      this.wish(node, [], true);
      for (const v of node.outputs) this.give(v, 1);
      return;
    }
    const { inputs, output } = this.wanted(node, node.inputs);
    this.wish(node, inputs, this.areMet(node, inputs));
    for (const v of node.outputs) this.give(v, output(v));
    if (node.op === 'pack') this.orders.along.set(node.outputs[0], this.alongOf(node));
  }

  /** The groups that a node needs of its inputs (null: any) and gives to its outputs. */
  private wanted(node: Node, x: readonly Value[]): { inputs: (number | null)[]; output: (v: Value) => number } {
    const keep = x.length ? this.of(x[0]) : 1;
    const any = { inputs: x.map(() => null), output: () => keep };
    const plain = { inputs: x.map(() => 1), output: () => 1 };
    const last = x.length ? lastAxis(x[0]) : 0;
    switch (node.op) {
      case 'pack': {
        const nn = node.attributes.form === 'nn';
        // Along k or across it, a product may need an order of its own.
        const order = ((nn ? node.attributes.period : node.attributes.along) as number | undefined) ?? keep;
        return { inputs: x.map(() => order), output: () => (nn ? order : 1) };
      }
      case 'product': {
        const packedAt = node.attributes.segments as number;
        const { period, without } = partsOfProduct(node);
        const g = period ? period + 1 : this.of(x[packedAt]);
        const k = this.orders.along.get(x[packedAt]) ?? 1;
        const left = (i: number) => ((without?.[i] ?? -1) < 0 ? k : k + 1);
        const start = node.attributes.init === 'zero' ? -1 : packedAt + 1;
        return {
          inputs: x.map((_, i) => (i < packedAt ? left(i) : i === packedAt ? null : i === start ? g : 1)),
          output: () => g,
        };
      }
      case 'relayout':
        return { inputs: [null], output: () => node.attributes.groups as number };
      case 'productTN':
        return this.outer(node, x);
      case 'chain':
        return this.chain(node, x);
      case 'split':
        if (node.attributes.axis !== last) return any;
        return keep === node.attributes.parts ? { ...any, output: () => 1 } : plain;
      case 'concat':
        if (node.attributes.axis !== last) return plain;
        return {
          ...plain,
          output: (v) =>
            this.accepts(v, x.length) && cols(x[0]) > 1 && x.every((p) => cols(p) === cols(x[0])) ? x.length : 1,
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

  private outer(node: Node, x: readonly Value[]) {
    const { period, without } = partsOfProduct(node);
    const g = period ?? this.of(x[0]);
    const isWhole = (v: Value) => (without?.[v.index] ?? -1) < 0;
    return {
      inputs: x.map((_, i) => (i ? 1 : (period ?? null))),
      output: (v: Value) => (isWhole(v) ? g : g - 1),
    };
  }

  private chain(node: Node, x: readonly Value[]) {
    const shape = chainShape(node);
    const kind = (v: Value) => operandKind(v.type.shape, shape);
    const isWide = x.map((v, i) => {
      // The columns of a table stand as those of the rows.
      if (isIndexed(node, i)) return v.type.dtype === 'f32';
      const own = kind(v);
      return own === 'same' || own === 'row';
    });
    const wide = x.filter((_, i) => isWide[i]);
    const g = this.of(wide.find((v) => this.of(v) > 1) ?? wide[0] ?? x[0]);
    return { inputs: isWide.map((is) => (is ? g : 1)), output: () => g };
  }

  /** Whether all that reads a concatenation of equal parts can take it interleaved. */
  private accepts(value: Value, parts: number): boolean {
    if (parts < 2) return false;
    const { outputs } = this.graph;
    for (let i = 0; i < outputs.length; i++) if (outputs[i] === value && !this.outputAccepts(i, parts)) return false;
    this.readers ??= readersOf(this.graph.nodes, (v) => v.node.op === 'concat' || v.node.op === 'scan');
    return (this.readers.get(value) ?? []).every((node) => {
      const positions = node.inputs.flatMap((v, i) => (v === value ? [i] : []));
      if (node.op === 'product') {
        const packedAt = node.attributes.segments as number;
        const { without } = partsOfProduct(node);
        const along = this.alongOfPacked(node.inputs[packedAt]);
        return positions.every((i) => i < packedAt && ((without?.[i] ?? -1) < 0 ? along : along + 1) === parts);
      }
      if (node.op === 'pack') return node.attributes.form === 'nt';
      if (node.op === 'productTN') return positions.every((i) => i === 0);
      return false;
    });
  }

  /** The order of the k axis: that of the columns of a transposed right-hand side, plain for rows. */
  private alongOf(pack: Node): number {
    if (pack.attributes.form !== 'nt') return 1;
    return (pack.attributes.along as number | undefined) ?? this.of(pack.inputs[0]);
  }

  private alongOfPacked(packed: Value): number {
    return packed.node.op === 'pack' ? this.alongOf(packed.node) : (this.orders.along.get(packed) ?? 1);
  }

  private scan(node: Node): void {
    const { body, carries, held = [] } = scanAttributes(node);
    const outer = node.inputs.map((v) => this.of(v));
    const isZero = (v: Value) => v.node.op === 'broadcast' || v.node.op === 'constant';
    const accepts = (i: number, parts: number) => i >= carries && this.accepts(node.outputs[i], parts);
    const inner = new Layouter(this.orders, body, accepts);
    const layOut = () => {
      body.inputs.forEach((v, i) => {
        this.give(v, outer[i]);
        const k = this.orders.along.get(node.inputs[i]);
        if (k) this.orders.along.set(v, k);
      });
      inner.run();
    };
    layOut();
    // A carry that starts at zero takes the order that its step gives it.
    const before = outer.slice(0, carries);
    for (let i = 0; i < carries; i++) if (isZero(node.inputs[i])) outer[i] = this.of(body.outputs[i]);
    // What stands before a pack may depend on the order of what is packed.
    const looksAhead = body.nodes.some(({ op }) => op === 'pack' || op === 'scan');
    if (looksAhead || before.some((g, i) => g !== outer[i])) layOut();
    // What is added to a value in rows that are left out stands in its order.
    for (let k = 0; k < held.length; k += 2)
      outer[held[k + 1]] = held[k] < carries ? outer[held[k]] : this.of(body.outputs[held[k]]);
    if (held.length) layOut();
    const isHeld = (i: number) => held.some((v, k) => k % 2 && v === i);
    const wanted = outer.map((g, i) => (i < carries || isHeld(i) ? g : null));
    const areNextMet = wanted.every((g, i) => i >= carries || g === this.of(body.outputs[i]));
    this.wish(node, wanted, areNextMet && this.areMet(node, wanted));
    node.outputs.forEach((v, i) => this.give(v, i < carries ? outer[i] : this.of(body.outputs[i])));
  }
}
