/**
 * Where the axis of time is in the values that operations make, as long as every step of a result follows from the same step of the
 * operands: reshapes and transposes move it, a sum over it ends the search.
 */
import type { Shape } from '../core/shape.ts';
import type { Node, Value } from '../ir/graph.ts';
import { operationOf } from './op.ts';

/** The axis of time in the row-major order of a value: so many steps, so many elements apart. Reshapes do not change it. */
export interface TimeAxis {
  readonly steps: number;
  readonly apart: number;
}

/** Elements behind an axis. */
const behind = (shape: Shape, axis: number) => shape.slice(axis + 1).reduce((a, b) => a * b, 1);

/** The axis of a value that holds the steps, alone or folded with others; null where they are torn apart. */
export function axisOfTime(shape: Shape, { steps, apart }: TimeAxis): number | null {
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const within = behind(shape, axis);
    if (apart >= within * shape[axis]) continue;
    const inner = apart / within;
    return Number.isInteger(inner) && Number.isInteger(shape[axis] / inner / steps) ? axis : null;
  }
  return null;
}

/** The same steps in a value whose axis `axis` is what axis `from` of the operand was. */
function moved(time: TimeAxis, operand: Shape, from: number, shape: Shape, axis: number): TimeAxis {
  return { steps: time.steps, apart: (time.apart / behind(operand, from)) * behind(shape, axis) };
}

/** What the outputs of a node do with the steps: where they stand, or null where steps are brought together or torn apart. */
type Rule = (node: Node, times: readonly (TimeAxis | undefined)[]) => TimeAxis | null;

/** Operands broadcast from the right; what has no time must be the same at every step. */
const broadcasting: Rule = ({ inputs, outputs: [y] }, times) => {
  const { shape } = y.type;
  let found: TimeAxis | null = null;
  let axis = -1;
  for (const [i, v] of inputs.entries()) {
    const time = times[i];
    if (!time) continue;
    const own = axisOfTime(v.type.shape, time);
    if (own === null) return null;
    const there = own + shape.length - v.type.shape.length;
    const now = moved(time, v.type.shape, own, shape, there);
    if (found && (found.apart !== now.apart || found.steps !== now.steps)) return null;
    [found, axis] = [now, there];
  }
  const stays = inputs.every(
    (v, i) => times[i] || (v.type.shape[axis - shape.length + v.type.shape.length] ?? 1) === 1,
  );
  return stays ? found : null;
};

/** For operations of one timed operand, the first: the axis that holds the steps, and the axis of the result that holds them. */
const along =
  (place: (node: Node, axis: number) => number | null): Rule =>
  (node, [time, ...others]) => {
    if (!time || others.some((other) => other)) return null;
    const operand = node.inputs[0].type.shape;
    const axis = axisOfTime(operand, time);
    const there = axis === null ? null : place(node, axis);
    return axis === null || there === null || there < 0
      ? null
      : moved(time, operand, axis, node.outputs[0].type.shape, there);
  };

const numbers = ({ attributes }: Node, name: string) => attributes[name] as readonly number[];
const unlessAxis = along((node, axis) => (node.attributes.axis === axis ? null : axis));

const reduction = along((node, axis) => {
  const axes = numbers(node, 'axes');
  if (axes.includes(axis)) return null;
  return node.attributes.keepDims ? axis : axis - axes.filter((a) => a < axis).length;
});

/** The steps are chosen by the indices, the second operand; each becomes a row. */
const rowsOfIndices =
  (at: number): Rule =>
  ({ inputs, outputs: [y] }, times) => {
    const time = times[at];
    if (!time || inputs.some((_, i) => i !== at && times[i])) return null;
    const { shape } = y.type;
    return { steps: time.steps, apart: time.apart * shape[shape.length - 1] };
  };

const rules: Readonly<Record<string, Rule>> = {
  reshape: (_node, [time]) => time as TimeAxis,
  stopGradient: (_node, [time]) => time as TimeAxis,
  transpose: along((node, axis) => numbers(node, 'perm').indexOf(axis)),
  broadcast: broadcasting,
  sum: reduction,
  max: reduction,
  min: reduction,
  argmax: along((node, axis) => {
    const over = node.attributes.axis as number;
    return over === axis ? null : axis - (over < axis ? 1 : 0);
  }),
  slice: along((node, axis) => (node.inputs[0].type.shape[axis] === node.outputs[0].type.shape[axis] ? axis : null)),
  pad: along((node, axis) => (node.inputs[0].type.shape[axis] === node.outputs[0].type.shape[axis] ? axis : null)),
  split: unlessAxis,
  reverse: unlessAxis,
  concat(node, times) {
    const own = node.inputs.map((v, i) => (times[i] ? axisOfTime(v.type.shape, times[i]) : -1));
    const [axis] = own;
    const together = axis !== null && axis >= 0 && own.every((a) => a === axis) && node.attributes.axis !== axis;
    return together
      ? moved(times[0] as TimeAxis, node.inputs[0].type.shape, axis, node.outputs[0].type.shape, axis)
      : null;
  },
  matmul: along((node, axis) =>
    node.attributes.form === 'tn' || axis === node.inputs[0].type.shape.length - 1 ? null : axis,
  ),
  gather: rowsOfIndices(1),
  oneHot: rowsOfIndices(0),
};

/**
 * Follows time through nodes in their order.
 *
 * @param times where it is known; receives it for what the nodes make
 * @returns the first operation that brings steps together, or null
 */
export function followTime(nodes: readonly Node[], times: Map<Value, TimeAxis>): Node | null {
  for (const node of nodes) {
    if (!node.inputs.some((v) => times.has(v))) continue;
    const rule = rules[node.op] ?? (node.op !== 'scan' && operationOf(node.op).pointwise ? broadcasting : null);
    const found =
      rule?.(
        node,
        node.inputs.map((v) => times.get(v)),
      ) ?? null;
    if (!found) return node;
    for (const v of node.outputs) times.set(v, found);
  }
  return null;
}
