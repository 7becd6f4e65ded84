/**
 * Rewrites a graph into a smaller one of the same meaning, until nothing changes: the rules of the table, common subexpressions, dead
 * nodes, and the rewrites of loops.
 */
import '../ops/all.ts';
import { sameShape, sizeOf } from '../core/shape.ts';
import { type Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { operationOf } from '../ops/op.ts';
import { oneMinus, sub } from '../ops/pointwise.ts';
import { broadcastTo, concat, reshape } from '../ops/shape.ts';
import { slidingSum } from '../ops/sliding-product.ts';
import { apply, constant, type Tensor } from '../ops/tensor.ts';
import { leaveOutMaskedRows, mayLeaveOutRows } from './active-rows.ts';
import { hoistSums } from './carried-sums.ts';
import { CommonSubexpressions } from './common-subexpressions.ts';
import { hoistInputs, hoistInvariants, hoistOutputs, type LoopContext, prune } from './loops.ts';
import { type Mapping, mapped, readersOf, rework, tensorOf, usedNodes } from './rewrite.ts';
import { type Candidate, everywhere, isAnyFrom, isFor, numbered, numbers, on, onAll, type Rule } from './rule.ts';
import { joinScan, type ScanParts, scanParts } from './scan-parts.ts';
import { behindPointwise, transposeRules } from './transposes.ts';

/** The operand itself where it has the shape of the result. */
const whole = (t: Tensor, c: Candidate) => (sameShape(t.shape, c.outputs[0].type.shape) ? t : null);

/** The same; a number is broadcast to that shape. */
const chosen = (t: Tensor, c: Candidate) =>
  whole(t, c) ?? (everywhere(t) === null ? null : broadcastTo(t, c.outputs[0].type.shape));

const dropNeutral = (value: number, sides: readonly number[]): Rule =>
  on(numbered, (c) => {
    for (const i of sides) if (everywhere(c.x[i]) === value) return whole(c.x[1 - i], c);
    return null;
  });

/** Two boxes with zeros around them that make up the whole between them, as the gradients of two slices do. */
const joinPadded = on(['pad'], (c) => {
  const pads = c.x.map((t) => t.value.node);
  if (pads.some((n) => n.op !== 'pad')) return null;
  const [a, b] = pads.map((n) => ({ before: numbers(n, 'before'), after: numbers(n, 'after') }));
  const axis = a.before.findIndex((n, i) => n + a.after[i] > 0);
  const shape = c.outputs[0].type.shape;
  const [first, second] = a.before[axis] === 0 ? [0, 1] : [1, 0];
  const boxes = pads.map((n) => tensorOf(c.graph, n.inputs[0]));
  const onlyAxis = [a, b].every((p) => p.before.every((n, i) => i === axis || n + p.after[i] === 0));
  const meet = [a, b][second].before[axis] === boxes[first].shape[axis] && [a, b][second].after[axis] === 0;
  const fits = [a, b][first].before[axis] === 0 && boxes[0].shape[axis] + boxes[1].shape[axis] === shape[axis];
  return axis >= 0 && onlyAxis && meet && fits ? concat([boxes[first], boxes[second]], axis) : null;
});

const fold = onAll(['constant'], (c) => {
  const operation = operationOf(c.op);
  if (sizeOf(c.outputs[0].type.shape) > 64) return null;
  const [{ shape, data }] = operation.evaluate(
    c.x.map((t) => ({ shape: t.shape, data: t.value.node.attributes.data as Float64Array })),
    c.attributes,
  );
  return constant(c.graph, data, shape, c.outputs[0].type.dtype);
});

/** What is the same number everywhere stays one number. */
const foldEverywhere = onAll(numbered, (c) => {
  const values = c.x.map(everywhere);
  const { pointwise } = operationOf(c.op);
  if (!pointwise || values.some((v) => v === null) || c.x.every((t) => t.value.node.op === 'constant')) return null;
  const [x, y = 0, z = 0] = values as number[];
  const { dtype, shape } = c.outputs[0].type;
  return broadcastTo(constant(c.graph, pointwise.formula(x, y, z), [], dtype), shape);
});

/** A pointwise operation broadcasts by itself: operands need not be broadcast, where another one has the shape of the result. */
const unbroadcast = on(['broadcast'], (c) => {
  const shape = c.outputs[0].type.shape;
  const isBroadcast = (t: Tensor) => t.value.node.op === 'broadcast';
  if (!c.x.some(isBroadcast) || !c.x.some((t) => !isBroadcast(t) && sameShape(t.shape, shape))) return null;
  const operands = c.x.map((t) => (isBroadcast(t) ? tensorOf(c.graph, t.value.node.inputs[0]) : t));
  return apply(operationOf(c.op), operands, c.attributes)[0];
});

/** A reduction over several runs of axes is one reduction for each; the machine has one for the last axis and one for a run before it. */
const splitReduction =
  (name: 'sum' | 'max' | 'min'): Rule =>
  (c) => {
    const axes = numbers(c, 'axes');
    const last = c.x[0].rank - 1;
    if (!axes.length) return c.x[0]; // over nothing
    const at = axes.findIndex((a, i) => i > 0 && (a !== axes[i - 1] + 1 || a === last));
    if (at < 0) return null;
    const reduce = (x: Tensor, some: readonly number[]) =>
      apply(operationOf(name), [x], { axes: some, keepDims: true })[0];
    return reshape(reduce(reduce(c.x[0], axes.slice(0, at)), axes.slice(at)), c.outputs[0].type.shape);
  };

const rules: Readonly<Record<string, readonly Rule[]>> = {
  // Of pointwise operations.
  '*': [fold, foldEverywhere, unbroadcast, behindPointwise],
  add: [
    dropNeutral(0, [0, 1]), // x + 0 -> x
    on(['neg'], (c) => {
      const at = c.x.findIndex((t) => t.value.node.op === 'neg');
      return at < 0 ? null : sub(c.x[1 - at], tensorOf(c.graph, c.x[at].value.node.inputs[0]));
    }), // x + -y -> x - y
    joinPadded, // pad(x, behind) + pad(y, in front) -> concat(x, y)
  ],
  sub: [
    dropNeutral(0, [1]), // x - 0 -> x
    on(numbered, (c) => (everywhere(c.x[0]) === 1 && whole(c.x[1], c) ? oneMinus(c.x[1]) : null)), // 1 - x
  ],
  mul: [dropNeutral(1, [0, 1])], // x * 1 -> x
  div: [dropNeutral(1, [1])], // x / 1 -> x
  neg: [on(['neg'], (c) => tensorOf(c.graph, c.x[0].value.node.inputs[0]))], // --x -> x
  select: [
    (c) => (c.x[1].value === c.x[2].value ? whole(c.x[1], c) : null), // c ? x : x -> x
    on(numbered, (c) => (everywhere(c.x[0]) === 1 ? chosen(c.x[1], c) : null)), // 1 ? x : y -> x
    on(numbered, (c) => (everywhere(c.x[0]) === 0 ? chosen(c.x[2], c) : null)), // 0 ? x : y -> y
  ],
  stopGradient: [(c) => c.x[0]], // after differentiation it means nothing
  reshape: [
    (c) => (sameShape(c.x[0].shape, numbers(c, 'shape')) ? c.x[0] : null), // to the same shape
    on(['reshape'], (c) => reshape(tensorOf(c.graph, c.x[0].value.node.inputs[0]), numbers(c, 'shape'))), // reshape(reshape(x)) -> reshape(x)
  ],
  broadcast: [(c) => (sameShape(c.x[0].shape, c.outputs[0].type.shape) ? c.x[0] : null)],
  slidingProduct: [(c) => slidingSum(c.x[0], c.x[1], c.attributes)], // -> x[o1..] k1 + x[o2..] k2 + ...
  sum: [splitReduction('sum')],
  max: [splitReduction('max')],
  min: [splitReduction('min')],
  concat: [
    on(['split'], (c) => {
      const { node } = c.x[0].value;
      const all =
        node.op === 'split' && node.outputs.length === c.x.length && node.attributes.axis === c.attributes.axis;
      return all && c.x.every((t, i) => t.value === node.outputs[i]) ? tensorOf(c.graph, node.inputs[0]) : null;
    }), // concat(split(x)) -> x
  ],
  split: [
    on(['concat'], (c) => {
      const { node } = c.x[0].value;
      const fits =
        node.attributes.axis === c.attributes.axis &&
        node.inputs.length === c.outputs.length &&
        node.inputs.every((v, i) => sameShape(v.type.shape, c.outputs[i].type.shape));
      return fits ? node.inputs.map((v) => tensorOf(c.graph, v)) : null;
    }), // split(concat(xs)) -> xs
  ],
};

/** The rules for an operation, and what must have made one of its operands for any of them to apply; null: whatever it is. */
interface RuleList {
  readonly rules: readonly Rule[];
  readonly operands: ReadonlySet<string> | null;
}

const rulesByOp = new Map<string, RuleList>();

function rulesOf(op: string): RuleList {
  let list = rulesByOp.get(op);
  if (!list) {
    const all = [...(operationOf(op).pointwise ? rules['*'] : []), ...(rules[op] ?? []), ...(transposeRules[op] ?? [])];
    const bound = all.every((rule) => rule.operands);
    list = {
      rules: all,
      operands: bound ? new Set(all.flatMap((rule) => [...(rule.operands as ReadonlySet<string>)])) : null,
    };
    rulesByOp.set(op, list);
  }
  return list;
}

function rewriteNode(graph: Graph, { op, inputs, attributes, outputs }: Node): readonly Tensor[] | null {
  const { rules: list, operands } = rulesOf(op);
  if (operands && !isAnyFrom(inputs, operands)) return null;
  const before = graph.nodes.length;
  const candidate: Candidate = { graph, op, x: inputs.map((v) => tensorOf(graph, v)), attributes, outputs };
  for (const rule of list) {
    if (!isFor(rule, inputs)) continue;
    const result = rule(candidate);
    if (result) return Array.isArray(result) ? (result as readonly Tensor[]) : [result as Tensor];
  }
  graph.nodes.length = before;
  return null;
}

export interface SimplifyOptions {
  /** Rows of a step from which one product `[x | h] [W ; U]` per step is faster than products hoisted out of the loop. */
  readonly contractFrom: number;
}

/** Bodies that a pass left as they were, and no rewrite of their loop has changed since: they need no other pass. */
const settled = new WeakSet<Graph>();

/** Loops with such bodies that no rewrite applies to, with what else that rests on: their operands, and how many of their results are read. */
const atRest = new WeakMap<Node, { readonly inputs: readonly Value[]; readonly used: number }>();

class Pass {
  changed = false;
  private readonly options: SimplifyOptions;
  constructor(options: SimplifyOptions) {
    this.options = options;
  }

  run(graph: Graph): Graph {
    const used = usedNodes(graph);
    const common = new CommonSubexpressions();
    let readers: Map<Value, Node[]> | null = null;
    const isLoop = (v: Value) => v.node.op === 'scan';
    return rework(
      graph,
      (node, target, map) => {
        if (node.op === 'scan') {
          readers ??= readersOf(used, isLoop);
          return this.scan(node, target, map, readers, graph.outputs);
        }
        const instead = rewriteNode(target, node)?.map((t) => t.value) ?? common.find(node)?.outputs;
        if (!instead) return true;
        this.changed = true;
        node.outputs.forEach((v, i) => map.set(v, instead[i]));
        return false;
      },
      used,
    );
  }

  private scan(
    node: Node,
    graph: Graph,
    map: Mapping,
    readers: ReadonlyMap<Value, readonly Node[]>,
    outputs: readonly Value[],
  ): boolean {
    const given = scanAttributes(node).body;
    const isUsed = (v: Value) => readers.has(v) || outputs.includes(v);
    const used = node.outputs.filter(isUsed).length;
    const rest = atRest.get(node);
    if (rest?.inputs === node.inputs && rest.used === used && settled.has(given)) return true;
    const outside = this.changed;
    this.changed = false;
    const body = settled.has(given) ? given : this.run(given);
    const isSettled = !this.changed;
    this.changed ||= outside;
    const parts = scanParts(node, body);
    const before = sizes(parts);
    const context: LoopContext = {
      graph,
      parts,
      after: [],
      aliases: [],
      isUsed,
      readersOf: (v) => readers.get(v) ?? [],
      isSame: (before, now) => mapped(map, before) === now,
    };
    prune(context);
    const pruned = before !== sizes(parts);
    let did = hoistInvariants(context);
    // What the loops of a segment stack must not outlive it: sums and products stay in the pass.
    if (!parts.segments) {
      did = hoistSums(context) || did;
      did = hoistInputs(context, this.options.contractFrom) || did;
      did = hoistOutputs(context) || did;
      did ||= leaveOutMaskedRows(context);
    }
    if (did || pruned) this.changed = true;
    else if (isSettled) settled.add(body);
    if (!did && before === sizes(parts)) {
      if (body !== given) node.attributes = { ...node.attributes, body };
      if (isSettled && !mayLeaveOutRows(parts)) atRest.set(node, { inputs: node.inputs, used });
      return true;
    }
    if (parts.carries.length || parts.stacked.length) joinScan(graph, parts, map, node.path);
    for (const finish of [...context.after, ...context.aliases]) finish(map);
    return false;
  }
}

const sizes = ({ carries, stacked, sequences, constants }: ScanParts) =>
  `${carries.length},${stacked.length},${sequences.length},${constants.length}`;

/** Gives a new graph; the old one, and the bodies of its scans, must not be used again. */
export function simplify(graph: Graph, options: SimplifyOptions): Graph {
  let now = graph;
  for (let round = 0; round < 16; round++) {
    const pass = new Pass(options);
    now = pass.run(now);
    if (!pass.changed) break;
  }
  return now;
}
