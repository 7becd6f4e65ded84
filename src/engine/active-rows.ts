/**
 * Padding that costs nothing. Where the rows of a batch are ordered by length, the valid rows of every step stand first, and a loop
 * whose body only keeps its carries for the others, or adds what comes in to them, can leave them out: the mask in the body is 1, and the
 * number of valid rows of each step is an operand of the loop. Holds for padding on either side and for loops in either direction.
 */
import { sameShape } from '../core/shape.ts';
import { Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { operationOf } from '../ops/op.ts';
import { toInt } from '../ops/pointwise.ts';
import { sum } from '../ops/reduce.ts';
import { broadcastTo } from '../ops/shape.ts';
import { constant, Tensor } from '../ops/tensor.ts';
import type { LoopContext } from './loops.ts';
import { MaskedZeros } from './masked-zeros.ts';
import { isPointwise } from './operands.ts';
import { type ScanParts, scanParts } from './scan-parts.ts';

/**
 * Attribute of a graph's input whose rows are so ordered that at each time step the rows that are not padding stand first. Padding is 0, or
 * where each step has features, a step that holds nothing but the number of the attribute `padding`.
 */
export const ORDERED_ROWS = 'orderedRows';

/** Whether a value [T, B] is 1 for a prefix of B at each time and 0 for the rest: it comes from ordered input, as a mask or as ids that are not zero. */
export function isPrefixMask(value: Value): boolean {
  const { op, inputs, attributes } = value.node;
  if (op === 'input') return attributes[ORDERED_ROWS] === true && value.type.shape.length < 3 && !attributes.padding;
  if (op === 'max') return isMaskOfFeatures(inputs[0], attributes.axes as readonly number[]);
  if (['transpose', 'reshape', 'slice', 'reverse', 'toFloat', 'identity'].includes(op)) return isPrefixMask(inputs[0]);
  // Of two prefixes: both of them, or either.
  if (op === 'mul' || op === 'maximum' || op === 'minimum')
    return inputs.every((v) => sameShape(v.type.shape, value.type.shape) && isPrefixMask(v));
  if (op === 'notEqual')
    return isZero(inputs[1]) ? isPrefixMask(inputs[0]) : isZero(inputs[0]) && isPrefixMask(inputs[1]);
  return false;
}

/** Whether the largest over the axes tells the steps that hold another number than the padding. */
function isMaskOfFeatures({ node, type }: Value, axes: readonly number[]): boolean {
  if (node.op !== 'notEqual' || type.shape.length !== 3 || axes.length !== 1 || axes[0] !== 2) return false;
  const [x, number] = node.inputs;
  const { op, attributes } = x.node;
  if (op !== 'input' || attributes[ORDERED_ROWS] !== true || number.node.op !== 'constant') return false;
  const data = number.node.attributes.data as Float64Array;
  return data.length === 1 && Math.fround(data[0]) === Math.fround(attributes.padding as number);
}

function isZero({ node }: Value): boolean {
  return node.op === 'constant' && (node.attributes.data as Float64Array).every((x) => x === 0);
}

/** What is known of a value of the body where the mask is 0: a number, or the sum of inputs of the body. */
type Known = { number: number } | { sum: readonly Value[] } | null;

/** Follows the body for a masked row. Only what masks do is understood; everything else is unknown. */
class MaskedRow {
  private readonly known = new Map<Value, Known>();
  private readonly mask: Value;
  constructor(mask: Value) {
    this.mask = mask;
  }

  of(value: Value): Known {
    let known = this.known.get(value);
    if (known === undefined) {
      known = this.find(value);
      this.known.set(value, known);
    }
    return known;
  }

  /** The inputs of the body whose sum a value is: none where it is zero, null where it is something else. */
  sumOf(value: Value): readonly Value[] | null {
    const known = this.of(value);
    if (!known) return null;
    if ('sum' in known) return known.sum;
    return known.number === 0 ? [] : null;
  }

  isZero(value: Value): boolean {
    return this.sumOf(value)?.length === 0;
  }

  private number(value: Value): number | null {
    const known = this.of(value);
    return known && 'number' in known ? known.number : null;
  }

  private find(value: Value): Known {
    if (value === this.mask) return { number: 0 };
    const { op, inputs, attributes } = value.node;
    const zero = (i: number) => this.isZero(inputs[i]);
    const numbers = inputs.map((v) => this.number(v));
    // A number holds for every element, an input only where it is not broadcast.
    const whole = (i: number): Known =>
      numbers[i] !== null || sameShape(inputs[i].type.shape, value.type.shape) ? this.of(inputs[i]) : null;
    if (numbers.length && numbers.every((n) => n !== null) && isPointwise(value.node)) {
      const [a, b = 0, c = 0] = numbers as number[];
      return { number: operationOf(op).pointwise?.formula(a, b, c) as number };
    }
    switch (op) {
      case 'input':
        return { sum: [value] };
      case 'constant': {
        const data = attributes.data as Float64Array;
        return data.length && data.every((x) => x === data[0]) ? { number: data[0] } : null;
      }
      case 'reshape':
      case 'broadcast':
        return numbers[0] === null ? null : { number: numbers[0] };
      case 'select':
        if (numbers[0] !== null) return whole(numbers[0] ? 1 : 2);
        return zero(1) && zero(2) ? { number: 0 } : null;
      case 'add': {
        if (zero(0)) return whole(1);
        if (zero(1)) return whole(0);
        const [a, b] = [whole(0), whole(1)];
        return a && b && 'sum' in a && 'sum' in b ? { sum: [...a.sum, ...b.sum] } : null;
      }
      case 'sub':
        return zero(1) ? whole(0) : null;
      case 'mul':
        if (zero(0) || zero(1)) return { number: 0 };
        return numbers[0] === 1 ? whole(1) : numbers[1] === 1 ? whole(0) : null;
      case 'identity':
        return whole(0);
      case 'div':
      case 'dtanh':
      case 'dsigmoid':
      case 'drelu':
      case 'neg':
      case 'split':
      case 'matmul':
        return zero(0) ? { number: 0 } : null;
      case 'concat':
        return inputs.every((_, i) => zero(i)) ? { number: 0 } : null;
      default:
        return null;
    }
  }
}

const bodyOperations = new Set(['input', 'constant', 'matmul', 'split', 'concat', 'reshape', 'broadcast']);

/** Whether every value of the body has a row for each row of the batch, or is the same for all of them. */
function worksByRow(parts: ScanParts, mask: Value): boolean {
  const [rows] = mask.type.shape;
  const shared = new Set<Value>(parts.constants.map((c) => c.inner));
  const masks = new Set<Value>([mask]);
  return parts.body.nodes.every((node) => {
    if (!bodyOperations.has(node.op) && !isPointwise(node)) return false;
    if (node.op === 'matmul' && node.attributes.form === 'tn') return false;
    if (node.op === 'concat' && node.attributes.axis !== 1) return false;
    if (node.inputs.every((v) => shared.has(v)) && (node.op !== 'input' || shared.has(node.outputs[0]))) {
      for (const v of node.outputs) shared.add(v);
      return true;
    }
    if (node.inputs.length && node.inputs.every((v) => masks.has(v) || shared.has(v))) {
      for (const v of node.outputs) masks.add(v);
      return true;
    }
    // Rows of one element stand side by side in a vector: they are not left out one by one.
    const byRow = ({ type: { shape } }: Value) => shape.length === 2 && shape[0] === rows && shape[1] > 1;
    return node.outputs.every((v) => masks.has(v) || byRow(v));
  });
}

interface Masked {
  readonly mask: ScanParts['sequences'][number];
  readonly row: MaskedRow;
  /** What comes to each carry in masked rows. */
  readonly added: readonly (readonly Value[])[];
}

const areSequences = (parts: ScanParts, values: readonly Value[]) =>
  values.every((v) => parts.sequences.some((s) => s.inner === v));

/** The mask of a loop, where for masked rows all carries stay as they are, or what the step brings is added to them as it is. */
function maskedRow(parts: ScanParts): Masked | null {
  const mask = parts.sequences.find((s) => s.inner.type.shape.length === 1 && isPrefixMask(s.outer));
  if (!mask || mask.inner.type.shape[0] < 2 || !worksByRow(parts, mask.inner)) return null;
  const row = new MaskedRow(mask.inner);
  const added: (readonly Value[])[] = [];
  for (const { inner, next } of parts.carries) {
    const sum = row.sumOf(next) ?? [];
    const others = sum.filter((v) => v !== inner);
    if (sum.length !== others.length + 1 || !areSequences(parts, others)) return null;
    added.push(others);
  }
  return { mask, row, added };
}

const isCarry = (parts: ScanParts, v: Value) => parts.carries.some((c) => v === c.next || v === c.inner);

/** Whether a value comes from another one by operations of one operand, as the counts of a loop do from its mask. */
function comesFrom(value: Value, isSource: (v: Value) => boolean): boolean {
  for (let v = value; ; [v] = v.node.inputs) {
    if (isSource(v)) return true;
    if (v.node.inputs.length !== 1) return false;
  }
}

/** Whether a stack of a loop is zero for masked rows, and the mask is the one that is asked for. */
export function isZeroStack({ node, index }: Value, isMask: (v: Value) => boolean = () => true): boolean {
  if (node.op !== 'scan') return false;
  const { body, carries } = scanAttributes(node);
  const parts = scanParts(node);
  const inner = body.outputs[index];
  if (parts.active)
    return (
      index >= carries &&
      comesFrom(parts.active, isMask) &&
      !isCarry(parts, inner) &&
      !parts.stacked[index - carries].held?.length
    );
  const masked = maskedRow(parts);
  return masked !== null && isMask(masked.mask.outer) && masked.row.isZero(inner);
}

/** Whether a reader of a stack does not care for the masked rows: a loop that leaves them out too, or a sum of products with zero. */
function ignoresMaskedRows(reader: Node, stack: Value, isMask: (v: Value) => boolean): boolean {
  if (reader.op === 'matmul' && reader.attributes.form === 'tn')
    return reader.inputs.some((v) => isZeroStack(v, isMask));
  if (reader.op !== 'scan') return false;
  const parts = scanParts(reader);
  const read = parts.sequences.filter((s) => s.outer === stack).map((s) => s.inner);
  const isSequence = [...parts.carries.map((c) => c.init), ...parts.constants.map((c) => c.outer)].every(
    (v) => v !== stack,
  );
  const isLeftOut = (held: readonly Value[]) => !read.some((v) => held.includes(v));
  if (parts.active)
    return (
      isSequence &&
      comesFrom(parts.active, isMask) &&
      [...parts.carries, ...parts.stacked].every(({ held = [] }) => isLeftOut(held))
    );
  const masked = maskedRow(parts);
  if (!masked || !isSequence || !isMask(masked.mask.outer) || !masked.added.every(isLeftOut)) return false;
  return parts.stacked.every(({ inner }) => isCarry(parts, inner) || isLeftOut(masked.row.sumOf(inner) ?? read));
}

/** Operations that become one of their operands where the mask is 1. */
const chosenByMask = new Set(['select', 'add', 'sub', 'mul']);

/** Tells of the sequences of a loop which are zero for masked rows outside of it already: nothing comes from them. */
function withoutZeros({ sequences }: ScanParts, mask: Value): (held: readonly Value[]) => readonly Value[] {
  const zeros = zerosOf(mask);
  return (held) => held.filter((v) => !sequences.some((s) => s.inner === v && zeros.has(s.outer)));
}

const zerosOf = (mask: Value) => new MaskedZeros(mask, (stack) => isZeroStack(stack, (v) => v === mask));

/** What an active loop holds of sequences that have turned out to be zero there. */
function dropZeros(parts: ScanParts): boolean {
  const holding = [...parts.carries, ...parts.stacked].filter(({ held = [] }) => held.length);
  const mask = parts.active && holding.length ? maskOf(parts.active) : null;
  if (!mask) return false;
  const kept = withoutZeros(parts, mask);
  let changed = false;
  for (const part of holding) {
    const now = kept(part.held ?? []);
    changed ||= now.length < (part.held ?? []).length;
    part.held = now;
  }
  return changed;
}

/** Whether `leaveOutMaskedRows` looks beyond the loop itself, so that what it finds may be another thing in another pass. */
export function mayLeaveOutRows(parts: ScanParts): boolean {
  if (parts.active) return [...parts.carries, ...parts.stacked].some(({ held }) => held?.length);
  return parts.sequences.some((s) => s.inner.type.shape.length === 1);
}

/** Makes a loop with a prefix mask an active one. */
export function leaveOutMaskedRows({ graph, parts, readersOf, isSame }: LoopContext): boolean {
  if (parts.active) return dropZeros(parts);
  if (!parts.length) return false;
  const masked = maskedRow(parts);
  if (!masked) return false;
  const { mask, row, added } = masked;
  const isFree = (result: Value | null) => {
    const readers = result ? readersOf(result) : [];
    return (
      result !== null &&
      readers.length > 0 &&
      readers.every((node) => ignoresMaskedRows(node, result, (v) => isSame(v, mask.outer)))
    );
  };
  const kept = withoutZeros(parts, mask.outer);
  const stacks = parts.stacked.map((s) => {
    if (isCarry(parts, s.inner)) return [];
    const sum = row.sumOf(s.inner);
    if (sum?.length === 0 || isFree(s.result)) return [];
    return sum && areSequences(parts, sum) ? kept(sum) : null;
  });
  if (stacks.some((held) => !held)) return false;
  parts.carries.forEach((carry, i) => {
    carry.held = kept(added[i]);
  });
  // What is chosen by the mask must not become one with the carry or the sequence that it is chosen from.
  parts.stacked.forEach((stacked, i) => {
    stacked.held = stacks[i] as readonly Value[];
    if (!chosenByMask.has(stacked.inner.node.op) || isCarry(parts, stacked.inner) || !row.sumOf(stacked.inner)) return;
    const { type, node } = stacked.inner;
    stacked.inner = parts.body.add('identity', [stacked.inner], {}, [type], node.path).outputs[0];
  });
  // The counts stand right behind the mask, so that what is made before the loop can use them too.
  const before = graph.nodes.length;
  parts.active = toInt(sum(new Tensor(graph, mask.outer), { axes: [1] })).value;
  graph.nodes.splice(graph.nodes.indexOf(mask.outer.node) + 1, 0, ...graph.nodes.splice(before));
  // For the rows that remain the mask is 1.
  const ones = new Graph('ones');
  const one = broadcastTo(constant(ones, 1), mask.inner.type.shape).value;
  parts.body.nodes.unshift(...ones.nodes);
  for (const node of parts.body.nodes) node.inputs = node.inputs.map((v) => (v === mask.inner ? one : v));
  parts.sequences = parts.sequences.filter((s) => s !== mask);
  parts.body.nodes.splice(parts.body.nodes.indexOf(mask.inner.node), 1);
  return true;
}

/** Rows of each step of an active loop; null for other values. */
export function countsOf(node: Node): Value | null {
  return node.op === 'scan' && scanAttributes(node).active ? node.inputs[node.inputs.length - 1] : null;
}

/** Whether an active loop reads rows of a value that it leaves out, as a sequence, or the value as a whole. */
export function holds(node: Node, value: Value): boolean {
  const { carries, sequences, stacked, constants } = scanParts(node);
  if ([...carries.map((c) => c.init), ...constants.map((c) => c.outer)].includes(value)) return true;
  const read = sequences.filter((s) => s.outer === value).map((s) => s.inner);
  return [...carries, ...stacked].some(({ held = [] }) => held.some((v) => read.includes(v)));
}

/** The counts of the loop that stacked a value, where the value is zero for the rows that it left out. */
export function countsOfStack(value: Value): Value | null {
  const counts = countsOf(value.node);
  return counts && isZeroStack(value) ? counts : null;
}

/** The mask [T, B] that the counts of a loop were made of. */
function maskOf(counts: Value): Value | null {
  const [total] = counts.node.inputs;
  return counts.node.op === 'toInt' && total.node.op === 'sum' ? total.node.inputs[0] : null;
}

/** Counts for a sum over rows of products with a value: rows where it is zero are left out. @param others what it is multiplied with */
export function countsOfZeros(value: Value, others: readonly Value[]): Value | null {
  for (const stack of [value, ...others]) {
    const counts = countsOf(stack.node);
    const mask = counts && maskOf(counts);
    if (mask && zerosOf(mask).has(value)) return counts;
  }
  return countsOfStack(value);
}

/** The counts of the loops that read a value as a sequence, where nothing else reads it. */
export function countsOfReaders(value: Value, readers: readonly Node[]): Value | null {
  if (!readers.length) return null;
  const [first] = readers;
  const counts = countsOf(first);
  return counts && readers.every((node) => countsOf(node) === counts && !holds(node, value)) ? counts : null;
}
