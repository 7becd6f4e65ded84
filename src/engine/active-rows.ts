/**
 * Padding that costs nothing. Where the rows of a batch are ordered by length, the valid rows of every step stand first, and a loop
 * whose body only keeps its carries for the others can leave them out: the mask in the body is 1, and the number of valid rows of each
 * step is an operand of the loop. Holds for padding on either side and for loops in either direction.
 */
import { Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { toInt } from '../ops/pointwise.ts';
import { sum } from '../ops/reduce.ts';
import { broadcastTo } from '../ops/shape.ts';
import { constant, Tensor } from '../ops/tensor.ts';
import type { LoopContext } from './loops.ts';
import { isPointwise } from './operands.ts';
import { type ScanParts, scanParts } from './rewrite.ts';

/** Attribute of a graph's input whose rows are so ordered that at each time step the rows that are not zero stand first. */
export const ORDERED_ROWS = 'orderedRows';

/** Whether a value [T, B] is 1 for a prefix of B at each time and 0 for the rest: it comes from ordered input, as a mask or as ids that are not zero. */
export function isPrefixMask(value: Value): boolean {
  const { op, inputs, attributes } = value.node;
  if (op === 'input') return attributes[ORDERED_ROWS] === true;
  if (['transpose', 'reshape', 'slice', 'reverse', 'toFloat', 'identity'].includes(op)) return isPrefixMask(inputs[0]);
  if (op === 'notEqual')
    return isZero(inputs[1]) ? isPrefixMask(inputs[0]) : isZero(inputs[0]) && isPrefixMask(inputs[1]);
  return false;
}

function isZero({ node }: Value): boolean {
  return node.op === 'constant' && (node.attributes.data as Float64Array).every((x) => x === 0);
}

/** What is known of a value of the body where the mask is 0: a number, or another value of the body. */
type Known = { number: number } | { value: Value } | null;

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

  isZero(value: Value): boolean {
    const known = this.of(value);
    return known !== null && 'number' in known && known.number === 0;
  }

  private find(value: Value): Known {
    if (value === this.mask) return { number: 0 };
    const { op, inputs, attributes } = value.node;
    const zero = (i: number) => this.isZero(inputs[i]);
    const same = (i: number): Known => this.of(inputs[i]) ?? { value: inputs[i] };
    switch (op) {
      case 'input':
        return { value };
      case 'constant': {
        const data = attributes.data as Float64Array;
        return data.length && data.every((x) => x === data[0]) ? { number: data[0] } : null;
      }
      case 'reshape':
      case 'broadcast': {
        const known = this.of(inputs[0]);
        return known && 'number' in known ? known : null;
      }
      case 'select': {
        const condition = this.of(inputs[0]);
        if (!condition || !('number' in condition)) return null;
        return same(condition.number !== 0 ? 1 : 2);
      }
      case 'add':
        return zero(0) ? same(1) : zero(1) ? same(0) : null;
      case 'sub':
        return zero(1) ? same(0) : null;
      case 'mul':
        return zero(0) || zero(1) ? { number: 0 } : null;
      case 'dtanh':
      case 'dsigmoid':
      case 'drelu':
      case 'neg':
      case 'split':
      case 'identity':
        return zero(0) ? { number: 0 } : null;
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

type Masked = { mask: ScanParts['sequences'][number]; row: MaskedRow };

/** The mask of a loop, where all carries stay as they are for masked rows. */
function maskedRow(parts: ScanParts): Masked | null {
  const mask = parts.sequences.find((s) => s.inner.type.shape.length === 1 && isPrefixMask(s.outer));
  if (!mask || mask.inner.type.shape[0] < 2 || !worksByRow(parts, mask.inner)) return null;
  const row = new MaskedRow(mask.inner);
  const keeps = ({ inner, next }: ScanParts['carries'][number]) => {
    const known = row.of(next);
    return known !== null && 'value' in known && known.value === inner;
  };
  return parts.carries.every(keeps) ? { mask, row } : null;
}

const isCarry = (parts: ScanParts, v: Value) => parts.carries.some((c) => v === c.next || v === c.inner);

/** Whether a stack of a loop is zero for masked rows. */
export function isZeroStack({ node, index }: Value): boolean {
  if (node.op !== 'scan') return false;
  const { body, active, carries } = scanAttributes(node);
  const parts = scanParts(node);
  if (active) return index >= carries && !isCarry(parts, body.outputs[index]);
  return maskedRow(parts)?.row.isZero(body.outputs[index]) ?? false;
}

/** Whether a reader of a stack does not care for the masked rows: a loop that leaves them out too, or a sum of products with zero. */
function ignoresMaskedRows(reader: Node): boolean {
  if (reader.op === 'matmul' && reader.attributes.form === 'tn') return reader.inputs.some(isZeroStack);
  if (reader.op !== 'scan') return false;
  const parts = scanParts(reader);
  if (parts.active) return true;
  const masked = maskedRow(parts);
  return masked !== null && parts.stacked.every((s) => isCarry(parts, s.inner) || masked.row.isZero(s.inner));
}

/** Makes a loop with a prefix mask an active one. */
export function leaveOutMaskedRows({ graph, parts, readersOf }: LoopContext): boolean {
  if (parts.active || !parts.length) return false;
  const masked = maskedRow(parts);
  if (!masked) return false;
  const { mask, row } = masked;
  const isFree = (result: Value | null) => {
    const readers = result ? readersOf(result) : [];
    return readers.length > 0 && readers.every(ignoresMaskedRows);
  };
  if (!parts.stacked.every((s) => isCarry(parts, s.inner) || row.isZero(s.inner) || isFree(s.result))) return false;
  // What is chosen by the mask to be zero must not become one with the carry that it is chosen from.
  for (const stacked of parts.stacked) {
    if (stacked.inner.node.op !== 'select' || isCarry(parts, stacked.inner)) continue;
    const { type, node } = stacked.inner;
    stacked.inner = parts.body.add('identity', [stacked.inner], {}, [type], node.path).outputs[0];
  }
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

/** The counts of the loop that stacked a value, where the value is zero for the rows that it left out. */
export function countsOfStack(value: Value): Value | null {
  const counts = countsOf(value.node);
  return counts && isZeroStack(value) ? counts : null;
}

/** The counts of the loops that read a value as a sequence, where nothing else reads it. */
export function countsOfReaders(value: Value, readers: readonly Node[]): Value | null {
  if (!readers.length) return null;
  const [first] = readers;
  const counts = countsOf(first);
  const asSequence = (node: Node) => {
    const { carries, sequences } = scanAttributes(node);
    return node.inputs.every((v, i) => v !== value || (i >= carries && i < carries + sequences));
  };
  return counts && readers.every((node) => countsOf(node) === counts && asSequence(node)) ? counts : null;
}
