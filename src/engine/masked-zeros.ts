/**
 * Values outside of loops that are zero wherever a mask is: what a loss does not count, and what follows from it. A mask speaks of two axes,
 * time and batch, which are followed through views, products of rows and pointwise operations.
 */
import { sameShape } from '../core/shape.ts';
import type { Value } from '../ir/graph.ts';
import { isPointwise } from './operands.ts';

/** Where time and batch stand among the axes of a value. */
interface Axes {
  readonly time: number;
  readonly batch: number;
}

/** Where they stand in the operand of a view; null where they are torn apart or end. */
function throughView({ node, type }: Value, axes: Axes): Axes | null {
  const [{ type: from }] = node.inputs;
  if (node.op === 'transpose') {
    const perm = node.attributes.perm as readonly number[];
    return { time: perm[axes.time], batch: perm[axes.batch] };
  }
  if (node.op === 'reshape') {
    const leading = Math.max(axes.time, axes.batch) + 1;
    return sameShape(from.shape.slice(0, leading), type.shape.slice(0, leading)) ? axes : null;
  }
  return node.op === 'identity' ? axes : null;
}

/** The value that views show, and where its axes stand. */
function behindViews(value: Value, axes: Axes): { value: Value; axes: Axes } {
  let now = { value, axes };
  for (;;) {
    const { node } = now.value;
    const next = node.inputs.length === 1 ? throughView(now.value, now.axes) : null;
    if (!next) return now;
    now = { value: node.inputs[0], axes: next };
  }
}

/** Zero in an operand makes the result zero: these of the first, whatever the others are. */
const zeroOfFirst = new Set(['div', 'dtanh', 'dsigmoid', 'drelu', 'neg', 'split', 'matmul', 'toFloat']);

/** @param isZeroStack whether the stack of a loop is known to be zero where the mask is */
export class MaskedZeros {
  private readonly known = new Map<string, boolean>();
  private readonly numbers = new Map<Value, number>();
  private readonly mask: { value: Value; axes: Axes };
  private readonly isZeroStack: (stack: Value) => boolean;

  /** @param mask [T, B] */
  constructor(mask: Value, isZeroStack: (stack: Value) => boolean) {
    this.mask = behindViews(mask, { time: 0, batch: 1 });
    this.isZeroStack = isZeroStack;
  }

  /** Whether a value [T, B, ...] is zero where the mask is. */
  has(value: Value): boolean {
    return value.type.shape.length >= 2 && this.isZero(value, { time: 0, batch: 1 });
  }

  private isZero(value: Value, axes: Axes): boolean {
    let number = this.numbers.get(value);
    if (number === undefined) {
      number = this.numbers.size;
      this.numbers.set(value, number);
    }
    const key = `${number} ${axes.time} ${axes.batch}`;
    let known = this.known.get(key);
    if (known === undefined) {
      known = this.find(value, axes);
      this.known.set(key, known);
    }
    return known;
  }

  private isMask(value: Value, axes: Axes): boolean {
    const seen = behindViews(value, axes);
    return (
      seen.value === this.mask.value &&
      seen.axes.time === this.mask.axes.time &&
      seen.axes.batch === this.mask.axes.batch
    );
  }

  private find(value: Value, axes: Axes): boolean {
    const { node, type } = value;
    const { op, inputs, attributes } = node;
    if (this.isMask(value, axes)) return true;
    if (op === 'constant') return (attributes.data as Float64Array).every((x) => x === 0);
    if (op === 'scan') return axes.time === 0 && axes.batch === 1 && this.isZeroStack(value);
    if (op === 'transpose' || op === 'reshape' || op === 'identity') {
      const inner = throughView(value, axes);
      return inner !== null && this.isZero(inputs[0], inner);
    }
    if (op === 'sum') return this.isZeroSum(value, axes);
    const last = Math.max(axes.time, axes.batch);
    if (op === 'matmul' && (attributes.form === 'tn' || last >= type.shape.length - 1)) return false;
    if (op !== 'matmul' && op !== 'split' && op !== 'broadcast' && !isPointwise(node)) return false;
    const zero = (i: number) => this.isZeroOperand(inputs[i], value, axes);
    switch (op) {
      case 'broadcast':
        return zero(0);
      case 'mul':
        return zero(0) || zero(1);
      case 'add':
      case 'sub':
        return zero(0) && zero(1);
      case 'select':
        return zero(2) && (zero(1) || this.isMaskOperand(inputs[0], value, axes));
      default:
        return zeroOfFirst.has(op) && zero(0);
    }
  }

  /** Where the axes stand in an operand that is broadcast by NumPy's rule; null where it is the same along them. */
  private inOperand(operand: Value, { type }: Value, { time, batch }: Axes): Axes | null {
    const missing = type.shape.length - operand.type.shape.length;
    const axes = { time: time - missing, batch: batch - missing };
    const stands = (at: number, of: number) => at >= 0 && operand.type.shape[at] === type.shape[of];
    return stands(axes.time, time) && stands(axes.batch, batch) ? axes : null;
  }

  private isZeroOperand(operand: Value, result: Value, axes: Axes): boolean {
    const own = this.inOperand(operand, result, axes);
    if (own) return this.isZero(operand, own);
    return operand.node.op === 'constant' && (operand.node.attributes.data as Float64Array).every((x) => x === 0);
  }

  private isMaskOperand(operand: Value, result: Value, axes: Axes): boolean {
    const own = this.inOperand(operand, result, axes);
    return own !== null && this.isMask(operand, own);
  }

  private isZeroSum({ node }: Value, { time, batch }: Axes): boolean {
    const summed = node.attributes.axes as readonly number[];
    const kept = node.inputs[0].type.shape
      .map((_, i) => i)
      .filter((i) => node.attributes.keepDims || !summed.includes(i));
    const axes = { time: kept[time], batch: kept[batch] };
    return !summed.includes(axes.time) && !summed.includes(axes.batch) && this.isZero(node.inputs[0], axes);
  }
}
