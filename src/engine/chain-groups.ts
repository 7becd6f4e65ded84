/** Which pointwise operations hang together so that one chain computes them. */
import { type Shape, sameShape, sizeOf } from '../core/shape.ts';
import type { Graph, Node, Value } from '../ir/graph.ts';
import { isChained, isElementwise, isPointwise, iterationShape } from './operands.ts';

/** Operations of a chain: with three operands each they stay within the 256 of the machine. */
const MOST_OPERATIONS = 60;

/** A node on the way into a group. */
class Candidate {
  readonly node: Node;
  /** What it goes over; null where it is no part of chains. */
  readonly shape: Shape | null;
  /** Operations of one group have the same: the most borders between groups that lie before it. */
  level = 0;
  readonly readers: Candidate[] = [];
  /** Another one of its group; itself for the one that stands for the group. */
  leader: Candidate;
  members: Node[] | null = null;

  constructor(node: Node) {
    this.node = node;
    this.shape = isChained(node) ? iterationShape(node) : null;
    this.leader = this;
  }
}

/** What makes inputs and constants. */
const source = new Candidate({ op: 'input', inputs: [], attributes: {}, outputs: [], path: '' });

const areAlike = (a: Candidate, b: Candidate) => a.shape !== null && b.shape !== null && sameShape(a.shape, b.shape);

/** Whether an operation can stand in the chain of one whose result it reads. */
function together(a: Candidate, b: Candidate): boolean {
  if (a.node.op === 'putRows' || !areAlike(a, b)) return false;
  return isPointwise(b.node) || b.node.inputs.every((v, i) => v.node !== a.node || isElementwise(b.node, i));
}

function leaderOf(a: Candidate): Candidate {
  if (a.leader !== a) a.leader = leaderOf(a.leader);
  return a.leader;
}

/** The group of every operation that is a part of chains. */
export function groupPointwise(graph: Graph): Map<Node, Node[]> {
  const candidates = new Map<Node, Candidate>();
  const of = (v: Value) => candidates.get(v.node) ?? source;
  const chained: Candidate[] = [];
  for (const node of graph.nodes) {
    if (!node.inputs.length) continue;
    const own = new Candidate(node);
    candidates.set(node, own);
    if (own.shape) chained.push(own);
    for (const v of node.inputs) {
      const maker = of(v);
      if (maker.shape) maker.readers.push(own);
      own.level = Math.max(own.level, maker.level + (together(maker, own) ? 0 : 1));
    }
  }
  // What only later operations of the same shape read is computed with them.
  const results = new Set(graph.outputs.map((v) => v.node));
  for (let i = chained.length - 1; i >= 0; i--) {
    const own = chained[i];
    if (!own.readers.length || results.has(own.node) || !own.readers.every((r) => together(own, r))) continue;
    own.level = own.readers.reduce((least, r) => Math.min(least, r.level), own.readers[0].level);
  }
  joinConnected(chained, of);
  const groups = new Map<Node, Node[]>();
  for (const own of chained) {
    const leader = leaderOf(own);
    // The machine takes so many operands in a chain; what comes later in the order of the graph may stand in a chain of its own.
    if (!leader.members || leader.members.length === MOST_OPERATIONS) leader.members = [];
    leader.members.push(own.node);
    groups.set(own.node, leader.members);
  }
  return groups;
}

/** Joins the parts of equal shape and level that read each other, or the same value. */
function joinConnected(chained: readonly Candidate[], of: (v: Value) => Candidate): void {
  const readers = new Map<Value, Candidate[]>();
  for (const own of chained)
    for (const v of own.node.inputs) {
      const maker = of(v);
      if (maker.level === own.level && together(maker, own)) leaderOf(own).leader = leaderOf(maker);
      if (sizeOf(v.type.shape) <= 1) continue;
      const others = readers.get(v);
      const other = others?.find((r) => r.level === own.level && areAlike(r, own));
      if (other) leaderOf(own).leader = leaderOf(other);
      else if (others) others.push(own);
      else readers.set(v, [own]);
    }
}
