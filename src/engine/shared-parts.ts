/**
 * One stack for two concatenations of a loop that share all parts but the last, as the gradients of a GRU's gates do: what the input is
 * multiplied with, `[dz | dr | dxh]`, and the state, `[dz | dr | dhh]`, both are `[dz | dr | dxh | dhh]` without a part. The products that read them
 * leave it out (`without`), so that nothing is stored or packed twice.
 */
import { sameShape } from '../core/shape.ts';
import { type Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { LANES, MOST_SEGMENTS } from '../ir/kernels.ts';
import { roundUp } from '../ir/lower.ts';
import { isColumnSum, isOuter } from './operands.ts';
import { type Mapping, mapped, readersOf, rework } from './rewrite.ts';
import { joinScan, type ScanParts, scanParts } from './scan-parts.ts';

export interface Whole {
  readonly whole: Value;
  /** Parts of the whole; 0 where none is left out. */
  readonly parts: number;
  /** The part that is left out; -1: none. */
  readonly left: number;
}

/** A value seen through `without`. */
export function wholeOf(value: Value): Whole {
  const { op, inputs, attributes } = value.node;
  if (op !== 'without') return { whole: value, parts: 0, left: -1 };
  return { whole: inputs[0], parts: attributes.parts as number, left: attributes.part as number };
}

interface Pair {
  readonly concats: readonly [Value, Value];
  readonly stacked: ScanParts['stacked'];
}

/** The old graph must not be used again. */
export function shareParts(graph: Graph): Graph {
  if (!graph.nodes.some((node) => node.op === 'scan')) return graph;
  const readers = readersOf(graph.nodes, (v) => v.node.op === 'scan');
  const results = new Set(graph.outputs);
  return rework(graph, (node, next, map) => {
    if (node.op !== 'scan') return true;
    node.attributes = { ...node.attributes, body: shareParts(scanAttributes(node).body) };
    const parts = scanParts(node);
    const pairs = findPairs(parts, (v) => (results.has(v) ? null : (readers.get(v) ?? [])));
    if (!pairs.length) return true;
    const after = pairs.map((pair) => share(pair, parts, next));
    joinScan(next, parts, map, node.path);
    for (const name of after) name(map);
    return false;
  });
}

function findPairs(parts: ScanParts, readersOfStack: (v: Value) => readonly Node[] | null): Pair[] {
  const { nodes } = parts.body;
  const concats = nodes.flatMap(({ op, inputs, outputs: [value], attributes }) => {
    const last = op === 'concat' && attributes.axis === value.type.shape.length - 1 && value.type.dtype === 'f32';
    return last && inputs.length > 1 ? [value] : [];
  });
  if (concats.length < 2) return [];
  const readers = readersOf(nodes);
  const position = new Map(nodes.map((node, i) => [node, i]));
  const at = (node: Node) => position.get(node) as number;
  const constants = new Set(parts.constants.map((c) => c.inner));
  const isRightFree = (node: Node, value: Value) => node.inputs.indexOf(value) === 0 && node.inputs[1] !== value;
  const isTurned = (node: Node) => node.op === 'matmul' && node.attributes.form === 'nt';
  /** The stack of a concatenation that only products read, in the loop and beside it. */
  const stackOf = (value: Value) => {
    const stacks = parts.stacked.filter((s) => s.inner === value);
    const [stack] = stacks;
    if (stacks.length !== 1 || !stack.result || stack.held?.length) return null;
    if (parts.carries.some((c) => c.next === value || c.held?.includes(value))) return null;
    const within = readers.get(value) ?? [];
    if (!within.every((n) => isTurned(n) && isRightFree(n, value) && constants.has(n.inputs[1]))) return null;
    const { result } = stack;
    const isKnown = (n: Node) =>
      (isTurned(n) && isRightFree(n, result)) || (isOuter(n) && n.inputs[0] !== result) || isColumnSum(n);
    return readersOfStack(result)?.every(isKnown) ? stack : null;
  };
  const taken = new Set<Value>();
  return concats.flatMap((a, i) =>
    concats.slice(i + 1).flatMap((b) => {
      const [x, y] = [a.node.inputs, b.node.inputs];
      const last = x.length - 1;
      const shares = x.length === y.length && x.every((v, k) => (v === y[k]) === k < last);
      if (taken.has(a) || taken.has(b) || !shares) return [];
      const { shape } = x[0].type;
      if (![...x, y[last]].every((v) => sameShape(v.type.shape, shape) && v.node.op !== 'input')) return [];
      const units = shape[shape.length - 1];
      if (units < 2 || piecesOf(units, x.length + 1) > MOST_SEGMENTS) return [];
      const made = Math.max(...[...x, y[last]].map((v) => at(v.node)));
      const read = [a, b].flatMap((v) => (readers.get(v) ?? []).map(at));
      const stacked = [stackOf(a), stackOf(b)];
      if (read.some((p) => p <= made) || !stacked.every((s) => s !== null)) return [];
      taken.add(a).add(b);
      return [{ concats: [a, b] as const, stacked }];
    }),
  );
}

/** Pieces of a row along k, one part of every block left out. */
const piecesOf = (units: number, parts: number) => roundUp(units) / LANES + parts;

/** How many of some values may be left-hand sides of one product together, by the pieces that their rows are read in. */
export function mostTogether(values: readonly Value[]): number {
  const pieces = values.map((value) => {
    const { whole, parts } = wholeOf(value);
    return parts ? piecesOf(whole.type.shape[whole.type.shape.length - 1] / parts, parts) : 0;
  });
  return Math.floor(MOST_SEGMENTS / Math.max(1, ...pieces));
}

/** Puts the whole in the place of two concatenations; gives what names their stacks once the loop stands in the graph. */
function share({ concats, stacked }: Pair, parts: ScanParts, next: Graph): (map: Mapping) => void {
  const { body } = parts;
  const [a, b] = concats;
  const { node, type } = a;
  const inputs = [...node.inputs, b.node.inputs[node.inputs.length - 1]];
  const count = inputs.length;
  const rank = type.shape.length;
  const [units] = inputs[0].type.shape.slice(-1);
  const fresh = body.nodes.length;
  const whole = body.add(
    'concat',
    inputs,
    { axis: rank - 1 },
    [{ dtype: 'f32', shape: [...type.shape.slice(0, -1), count * units] }],
    node.path,
  ).outputs[0];
  const seen = concats.map(
    (v, i) => body.add('without', [whole], { parts: count, part: count - 1 - i }, [v.type], node.path).outputs[0],
  );
  for (const other of body.nodes)
    if (other.inputs.some((v) => v === a || v === b))
      other.inputs = other.inputs.map((v) => (v === a ? seen[0] : v === b ? seen[1] : v));
  // Behind the last part, in front of what reads them.
  const added = body.nodes.splice(fresh);
  const kept = body.nodes.filter((n) => n !== a.node && n !== b.node);
  const behind = Math.max(...inputs.map((v) => kept.indexOf(v.node))) + 1;
  kept.splice(behind, 0, ...added);
  body.nodes.length = 0;
  body.nodes.push(...kept);
  const stack: Value = {
    type: { dtype: 'f32', shape: [parts.length, ...whole.type.shape] },
    node: whole.node,
    index: -1,
  };
  parts.stacked = [...parts.stacked.filter((s) => !stacked.includes(s)), { inner: whole, result: stack }];
  return (map) =>
    stacked.forEach((s, i) => {
      const { type: own } = s.result as Value;
      const attributes = { parts: count, part: count - 1 - i };
      const view = next.add('without', [mapped(map, stack)], attributes, [own], node.path).outputs[0];
      map.set(s.result as Value, view);
    });
}
