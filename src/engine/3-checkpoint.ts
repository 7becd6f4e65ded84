/**
 * What the backward pass keeps of the forward pass: the policies that `2-differentiate` is given.
 *
 * Within a loop: which values the backward loop makes again instead of reading what the forward loop stacked. Along time: a loop of T steps
 * becomes a loop over segments of k steps. The forward pass keeps the carries at the borders of the segments alone; the backward pass runs
 * each segment forward once more, and then back. With k about the root of T the memory of a training step grows with the root of T, for one
 * forward pass more: T. Chen, B. Xu, C. Zhang and C. Guestrin, "Training deep nets with sublinear memory cost" (2016), section 4.
 *
 * Limits: one level of segments. Sequences that enter or leave a loop keep their T steps.
 */
import { fail } from '../core/errors.ts';
import { addOutput, Graph, type Node, scanAttributes, takeOver, type Value } from '../ir/graph.ts';
import { concat, reshape, slice } from '../ops/shape.ts';
import { Tensor } from '../ops/tensor.ts';
import { isPrefixMask, ORDERED_ROWS } from './active-rows.ts';
import { cloneGraph } from './rewrite.ts';

/** Whether a residual is made again in the backward loop: always, where all that it needs stands there anyway, or never. */
export type Recompute = (node: Node) => 'always' | 'atHand' | 'never';

const views = new Set(['reshape', 'transpose', 'split', 'slice', 'broadcast', 'toFloat', 'reverse']);

/** One operation on one value is less than to store and to read its result. */
function isCheap({ op, inputs }: Node): boolean {
  return op === 'neg' || op === 'oneMinus' || (op === 'sub' && inputs[0].node.op === 'constant');
}

/** Keeps everything but views, which cost nothing to make again, and values that are one cheap operation away from another one. */
export const keepEverything: Recompute = (node) => (isCheap(node) ? 'always' : views.has(node.op) ? 'atHand' : 'never');

/**
 * What training keeps of the T steps of a sequence for the backward pass over time:
 * - `full`: all that it reads, of every step. The default.
 * - a number k: the states after every k-th step; what lies between is computed a second time when the backward pass comes to it. Memory
 *   for T/k states and for all that is read of k steps; k >= T is `full`.
 * - `sqrt`: the same with k about the root of T, so that memory grows with the root of T.
 *
 * Costs a second forward pass, changes no result beyond the order of the sums of weight gradients. Sequences that layers return keep their T
 * steps.
 *
 * @example model.compile({ optimizer: 'adam', loss: 'mse', memory: 'sqrt' });
 */
export type TimeMemory = 'full' | 'sqrt' | number;

/** Throws ARGUMENT for what is no such choice. */
export function checkTimeMemory(memory: unknown, where: string): TimeMemory {
  if (memory === 'full' || memory === 'sqrt') return memory;
  if (typeof memory === 'number' && Number.isInteger(memory) && memory >= 1) return memory;
  return fail(
    'ARGUMENT',
    where,
    "'full', 'sqrt' or a whole number of steps from 1 on",
    JSON.stringify(memory) ?? 'undefined',
  );
}

/**
 * Steps of a segment of a loop; null: the loop stays whole. `sqrt` takes the number nearest to the root that divides the length, between half
 * and twice the root, else the root rounded up; then a shorter segment is left at the end of the walk.
 */
export function segmentLength(memory: TimeMemory, length: number): number | null {
  if (memory === 'full') return null;
  if (memory !== 'sqrt') return memory < length ? memory : null;
  if (length < 4) return null;
  const root = Math.sqrt(length);
  let best = Math.ceil(root);
  let distance = Number.POSITIVE_INFINITY;
  for (let k = Math.ceil(root / 2); k <= 2 * root; k++) {
    const own = k > root ? k / root : root / k;
    if (length % k || own > distance) continue;
    best = k;
    distance = own;
  }
  return best;
}

/** Makes the loops of a graph that a gradient flows through loops over segments. What was made before them is made as before. */
export function segmentLoops(graph: Graph, isNeeded: (value: Value) => boolean, memory: TimeMemory): void {
  for (const node of [...graph.nodes]) {
    if (node.op !== 'scan' || scanAttributes(node).segments || !node.outputs.some(isNeeded)) continue;
    const steps = segmentLength(memory, scanAttributes(node).length);
    if (steps !== null) segmentLoop(graph, node, steps);
  }
}

/** A piece of the time of a loop. */
interface Stretch {
  readonly from: number;
  readonly steps: number;
}

function segmentLoop(graph: Graph, node: Node, steps: number): void {
  const { length, reverse, carries, sequences } = scanAttributes(node);
  const before = graph.nodes.length;
  const path = graph.path;
  graph.path = node.path;
  const count = Math.floor(length / steps);
  const rest = length - count * steps;
  const whole: Stretch = { from: reverse ? rest : 0, steps: count * steps };
  const left: Stretch = { from: reverse ? 0 : whole.steps, steps: rest };
  const outer = node.inputs.map((v) => new Tensor(graph, v));
  const isSequence = (i: number) => i >= carries && i < carries + sequences;
  const cut = (t: Tensor, { from, steps: size }: Stretch) =>
    size === length ? t : slice(t, [from, ...t.shape.slice(1).map(() => 0)], [size, ...t.shape.slice(1)]);

  const rows = outer.map((t, i) =>
    isSequence(i) ? reshape(cut(t, whole), [count, steps, ...t.shape.slice(1)]).value : t.value,
  );
  const main = loopOverSegments(graph, node, rows, count, steps);
  const last = rest
    ? loopOver(
        graph,
        node,
        left.steps,
        main.outputs.slice(0, carries),
        outer.map((t, i) => (isSequence(i) ? cut(t, left).value : t.value)),
      )
    : null;
  // The values of the old loop, so that all who hold them have the new ones.
  node.outputs.forEach((value, i) => {
    const { shape } = value.type;
    if (i < carries) return takeOver(last ?? main, i, value);
    const many = reshape(new Tensor(graph, main.outputs[i]), [whole.steps, ...shape.slice(1)]);
    if (!last) return takeOver(many.value.node, 0, value);
    const few = new Tensor(graph, last.outputs[i]);
    takeOver(concat(reverse ? [few, many] : [many, few], 0).value.node, 0, value);
  });
  graph.path = path;
  const made = graph.nodes.splice(before);
  graph.nodes.splice(graph.nodes.indexOf(node), 1, ...made);
}

/** The loop over a stretch of the time. */
function loopOver(
  graph: Graph,
  node: Node,
  length: number,
  starts: readonly Value[],
  operands: readonly Value[],
): Node {
  const { body, carries } = scanAttributes(node);
  const inputs = operands.map((v, i) => starts[i] ?? v);
  const types = node.outputs.map(({ type: { dtype, shape } }, i) => ({
    dtype,
    shape: i < carries ? shape : [length, ...shape.slice(1)],
  }));
  return graph.add('scan', inputs, { ...node.attributes, body: cloneGraph(body), length }, types, node.path);
}

/** The loop over the segments: its body runs the loop of one. `operands`: sequences as [segments, steps, ...]. */
function loopOverSegments(graph: Graph, node: Node, operands: readonly Value[], count: number, steps: number): Node {
  const { carries, sequences, reverse } = scanAttributes(node);
  const body = new Graph('segment');
  body.path = node.path;
  const inner = operands.map((v, i) => {
    const { dtype, shape } = v.type;
    const isSequence = i >= carries && i < carries + sequences;
    const ordered = isSequence && isPrefixMask(v);
    return body.input(
      `${i < carries ? 'carry' : isSequence ? 'x' : 'constant'}${i}`,
      { dtype, shape: isSequence ? shape.slice(1) : shape },
      ordered ? { [ORDERED_ROWS]: true } : {},
    );
  });
  const loop = loopOver(body, node, steps, [], inner);
  body.outputs = [...loop.outputs];
  const scan = graph.add(
    'scan',
    [...operands],
    { body, length: count, reverse, carries, sequences, segments: true },
    [],
    node.path,
  );
  loop.outputs.forEach(({ type: { dtype, shape } }, i) =>
    addOutput(scan, { dtype, shape: i < carries ? shape : [count, ...shape] }),
  );
  return scan;
}
