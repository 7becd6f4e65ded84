/**
 * Moves pointwise work into the loops that take what it makes, step by step, so that no stack of all steps is written and read for it: the
 * derivative of a loss, of dropout, of a residual. What is summed up over the features of such steps (the loss itself) is summed in the loop
 * too. A value that others read beside the loop is made again there, where it is one operation on what is stored anyway.
 */
import { sizeOf } from '../core/shape.ts';
import { type Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { dropUnused, substituteParts } from './loops.ts';
import { isPointwise } from './operands.ts';
import { type Mapping, mapped, readersOf, rework } from './rewrite.ts';
import { joinScan, type ScanParts, scanParts } from './scan-parts.ts';

/** How an operand is had within a step. */
type Manner = 'step' | 'whole';

/** A number is seen through the shapes that it is given. */
function plain(value: Value): Value {
  let base = value;
  while (base.node.op === 'reshape' || base.node.op === 'broadcast') base = base.node.inputs[0];
  return sizeOf(base.type.shape) === 1 ? base : value;
}

const isNumber = ({ node, type }: Value) => node.op === 'constant' && !type.shape.length;

/** `step`: a step of it; `whole`: the same in every step; null: it cannot be had there. */
function mannerOf(value: Value, rank: number, length: number): Manner | null {
  const { node, type } = plain(value);
  const { shape } = type;
  if (shape.length < rank) return 'whole';
  return shape[0] === length && node.op !== 'broadcast' ? 'step' : null;
}

const cheap = new Set(['add', 'sub', 'mul', 'neg', 'oneMinus', 'square']);

/** Who reads what, and where it stands. */
class Places {
  private readonly readers: ReadonlyMap<Value, readonly Node[]>;
  private readonly positions: ReadonlyMap<Node, number>;
  private readonly results: ReadonlySet<Value>;

  constructor({ nodes, outputs }: Graph) {
    this.readers = readersOf(nodes);
    this.positions = new Map(nodes.map((node, i) => [node, i]));
    this.results = new Set(outputs);
  }

  readersOf(value: Value): readonly Node[] {
    return this.readers.get(value) ?? [];
  }

  isResult(value: Value): boolean {
    return this.results.has(value);
  }

  isBefore(a: Node, b: Node): boolean {
    return (this.positions.get(a) as number) < (this.positions.get(b) as number);
  }

  inOrder(nodes: Iterable<Node>): Node[] {
    return [...nodes].sort((a, b) => (this.isBefore(a, b) ? -1 : 1));
  }
}

class Moves {
  private readonly places: Places;
  private readonly scan: Node;
  /** What can be had in a step: sequences of the loop, and what is made in it. */
  private readonly known: Set<Value>;
  /** Nodes that are made within the loop. */
  readonly made = new Set<Node>();
  /** Sums that are results of the loop. */
  readonly sums: Node[] = [];

  constructor(places: Places, scan: Node) {
    this.places = places;
    this.scan = scan;
    this.known = new Set(sequencesOf(scan));
  }

  /** Whether every operand of a node can be had in a step, and the node goes over the steps. */
  private fits({ outputs: [value], inputs }: Node): boolean {
    const { length } = scanAttributes(this.scan);
    const { shape } = value.type;
    return shape.length > 1 && shape[0] === length && inputs.every((v) => mannerOf(v, shape.length, length));
  }

  private steps({ outputs: [value], inputs }: Node): Value[] {
    const { length } = scanAttributes(this.scan);
    return inputs.filter((v) => mannerOf(v, value.type.shape.length, length) === 'step');
  }

  /** Takes in what makes the sequences, as long as that leaves no more stacks than before. */
  takeMakers(from: number): void {
    const { body, carries } = scanAttributes(this.scan);
    const bodyReaders = readersOf(body.nodes);
    const queue = sequencesOf(this.scan).filter((v, i) => {
      const inner = body.inputs[carries + i];
      // Where a product reads it, it must stand in memory anyway.
      const onlyPointwise = (bodyReaders.get(inner) ?? []).every(isPointwise) && !body.outputs.includes(inner);
      return onlyPointwise && this.scan.inputs.indexOf(v) === carries + i && sizeOf(v.type.shape) >= from;
    });
    for (let value = queue.pop(); value; value = queue.pop()) {
      const { node } = value;
      if (!isPointwise(node) || !this.fits(node) || this.places.isResult(value)) continue;
      const others = this.places.readersOf(value).filter((reader) => reader !== this.scan && !this.made.has(reader));
      const again =
        cheap.has(node.op) && others.every(isPointwise) && this.steps(node).every((v) => !isPointwise(v.node));
      if (others.length && !again) continue;
      const fresh = this.steps(node).filter((v) => !this.known.has(v) && !this.staysAnyway(v));
      if (new Set(fresh).size > 1) continue;
      this.known.delete(value);
      this.made.add(node);
      for (const v of this.steps(node)) {
        this.known.add(v);
        queue.push(v);
      }
    }
    for (const node of this.made) this.known.add(node.outputs[0]);
  }

  /** Whether a stack is in memory until after the loop, whatever the loop reads. */
  private staysAnyway(value: Value): boolean {
    if (value.node.op === 'input' || this.places.isResult(value)) return true;
    return this.places.readersOf(value).some((reader) => this.places.isBefore(this.scan, reader));
  }

  /**
   * Takes in the sums over the features of what can be made in a step.
   *
   * @param before what the loop follows from
   */
  takeSums(sums: readonly Node[], before: ReadonlySet<Node>): void {
    const { length, active } = scanAttributes(this.scan);
    if (active) return;
    for (const node of sums) {
      if (before.has(node)) continue;
      const axes = node.attributes.axes as readonly number[];
      const [value] = node.inputs;
      const { shape } = value.type;
      if (shape.length < 3 || shape[0] !== length || axes.length !== 1 || axes[0] !== shape.length - 1) continue;
      const cone = new Set<Node>();
      if (!this.gather(value, cone, new Set([node]), before)) continue;
      for (const own of cone) this.made.add(own);
      for (const own of cone) this.known.add(own.outputs[0]);
      this.sums.push(node);
    }
  }

  /** The nodes, the first ones first, that lead from what is known to a value which nothing else reads. */
  private gather(value: Value, cone: Set<Node>, readBy: Set<Node>, before: ReadonlySet<Node>): boolean {
    if (this.known.has(value)) return true;
    const { node } = value;
    if (!isPointwise(node) || !this.fits(node) || this.places.isResult(value)) return false;
    readBy.add(node);
    if (!this.places.readersOf(value).every((reader) => readBy.has(reader))) return false;
    const steps = this.steps(node);
    const isThere = (v: Value) => before.has(plain(v).node) || isNumber(plain(v));
    if (!node.inputs.every((v) => (steps.includes(v) ? this.gather(v, cone, readBy, before) : isThere(v))))
      return false;
    cone.add(node);
    return true;
  }
}

/** The parts of a loop with what is made in it. */
class Rebuilt {
  private readonly parts: ScanParts;
  private readonly map: Mapping;
  private readonly length: number;
  /** Values of a step by those of all steps, and what is the same in every step. */
  private readonly inner = new Map<Value, Value>();
  private readonly fresh: Node[] = [];

  constructor(scan: Node, map: Mapping) {
    this.map = map;
    this.parts = scanParts(scan);
    const { length, carries } = scanAttributes(scan);
    this.length = length;
    this.parts.sequences.forEach(({ inner }, i) => this.inner.set(scan.inputs[carries + i], inner));
  }

  with({ made, sums }: { made: readonly Node[]; sums: readonly Node[] }): ScanParts {
    const { parts, inner, fresh } = this;
    for (const node of made) {
      const [value] = node.outputs;
      const rank = value.type.shape.length;
      const inputs = node.inputs
        .map((v) => mapped(this.map, plain(v)))
        .map((v) => inner.get(v) ?? this.enter(v, mannerOf(v, rank, this.length) as Manner));
      const own = this.step(node, inputs, node.attributes);
      const before = inner.get(value);
      if (before) substituteParts(parts, before, own);
      inner.set(value, own);
    }
    for (const node of sums) {
      const axes = (node.attributes.axes as readonly number[]).map((axis) => axis - 1);
      const own = this.step(node, [inner.get(mapped(this.map, node.inputs[0])) as Value], { ...node.attributes, axes });
      parts.stacked.push({ inner: own, result: node.outputs[0] });
    }
    const { nodes } = parts.body;
    const [first, rest] = [true, false].map((isInput) => nodes.filter(({ op }) => (op === 'input') === isInput));
    nodes.splice(0, nodes.length, ...first, ...fresh, ...rest);
    dropUnused(parts);
    return parts;
  }

  private step({ op, path, outputs: [{ type }] }: Node, inputs: Value[], attributes: Node['attributes']): Value {
    return this.add({ op, inputs, attributes, outputs: [], path }, { ...type, shape: type.shape.slice(1) });
  }

  private add(node: Node, type: Value['type']): Value {
    node.outputs.push({ type, node, index: 0 });
    this.fresh.push(node);
    return node.outputs[0];
  }

  private enter(value: Value, manner: Manner): Value {
    const { node, type } = value;
    const [op, attributes] = isNumber(value) ? ['constant', node.attributes] : ['input', { name: 's' }];
    const own = this.add(
      { op, inputs: [], attributes, outputs: [], path: node.path },
      manner === 'step' ? { ...type, shape: type.shape.slice(1) } : type,
    );
    if (!isNumber(value)) this.parts[manner === 'step' ? 'sequences' : 'constants'].push({ outer: value, inner: own });
    this.inner.set(value, own);
    return own;
  }
}

/** Puts what follows from some nodes behind a node that will make what they gave. */
function delayed(nodes: readonly Node[], sums: readonly Node[], behind: Node): Node[] {
  const at = nodes.indexOf(behind);
  const late = new Set(sums);
  for (const node of nodes.slice(0, at)) if (node.inputs.some((v) => late.has(v.node))) late.add(node);
  const early = nodes.slice(0, at).filter((node) => !late.has(node));
  return [...early, behind, ...nodes.slice(0, at).filter((node) => late.has(node)), ...nodes.slice(at + 1)];
}

/**
 * Gives a new graph; the old one, and the bodies of its scans, must not be used again.
 *
 * @param from elements of a stack that is worth it
 */
export function moveIntoLoops(graph: Graph, from: number): Graph {
  const isWorth = (v: Value) => isPointwise(v.node) && sizeOf(v.type.shape) >= from;
  const scans = graph.nodes.filter(
    (node) => node.op === 'scan' && !scanAttributes(node).segments && sequencesOf(node).some(isWorth),
  );
  if (!scans.length) return graph;
  const places = new Places(graph);
  const plans = new Map<Node, Moves>();
  const gone = new Set<Node>();
  /** The loops that make sums now. */
  const makers = new Map<Node, Node>();
  for (const scan of scans) {
    const moves = new Moves(places, scan);
    moves.takeMakers(from);
    if (!moves.made.size) continue;
    const sums = graph.nodes.filter((node) => node.op === 'sum' && !makers.has(node));
    moves.takeSums(sums, ancestors(scan, makers));
    plans.set(scan, moves);
    const within = new Set<Node>([scan, ...moves.made, ...moves.sums]);
    for (const node of moves.made)
      if (places.readersOf(node.outputs[0]).every((reader) => within.has(reader))) gone.add(node);
    for (const node of moves.sums) {
      gone.add(node);
      makers.set(node, scan);
    }
  }
  if (!plans.size) return graph;
  for (const [scan, { sums }] of plans)
    if (sums.length) graph.nodes.splice(0, graph.nodes.length, ...delayed(graph.nodes, sums, scan));
  return rework(graph, (node, next, map) => {
    if (gone.has(node)) return false;
    const moves = plans.get(node);
    if (!moves) return true;
    const made = places.inOrder(moves.made);
    joinScan(next, new Rebuilt(node, map).with({ made, sums: moves.sums }), map, node.path);
    return false;
  });
}

function sequencesOf(scan: Node): readonly Value[] {
  const { carries, sequences } = scanAttributes(scan);
  return scan.inputs.slice(carries, carries + sequences);
}

/** What a node follows from. @param makers nodes whose results another one makes */
function ancestors(node: Node, makers: ReadonlyMap<Node, Node>): Set<Node> {
  const found = new Set<Node>();
  const stack = [node];
  const add = (maker: Node | undefined) => {
    if (!maker || found.has(maker)) return;
    found.add(maker);
    stack.push(maker);
  };
  for (let next = stack.pop(); next; next = stack.pop()) {
    add(makers.get(next));
    for (const v of next.inputs) add(v.node);
  }
  return found;
}
