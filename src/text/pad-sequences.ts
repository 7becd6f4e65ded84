/**
 * Sequences of unequal length to one array, with the semantics of Keras's `pad_sequences` (keras/src/utils/sequence_utils.py).
 * Padding in front is the default, as in Keras: the last words of a text are then the last steps of the recurrence.
 */
import { NdArray, type NdArrayType } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sizeOf } from '../core/shape.ts';

/** A step is a number, or an array of numbers (features) of the same shape in all sequences. */
export type Step = number | readonly Step[];

export interface PadOptions {
  /** Length of every row. Default null: the longest sequence. */
  maxlen?: number | null;
  /** Where the padding goes. Default 'pre'. */
  padding?: 'pre' | 'post';
  /** Which end of a longer sequence is cut off. Default 'pre'. */
  truncating?: 'pre' | 'post';
  /** What stands in the padding. Default 0. */
  value?: number;
  /** Default 'int32': fractions are cut off. */
  dtype?: NdArrayType;
}

function end(value: unknown, name: string): 'pre' | 'post' {
  if (value === 'pre' || value === 'post') return value;
  return fail('ARGUMENT', `padSequences.${name}`, "'pre' or 'post'", JSON.stringify(value) ?? 'undefined');
}

/** Shape of one step, from its first elements. */
function shapeOfStep(step: Step): number[] {
  const shape: number[] = [];
  for (let x: Step = step; Array.isArray(x); x = x[0] as Step) shape.push(x.length);
  return shape;
}

function write(step: Step, shape: Shape, axis: number, out: number[], where: string): void {
  if (axis === shape.length) {
    if (typeof step !== 'number')
      fail('DATA', where, `steps of shape ${formatShape(shape)}`, `${typeof step} where a number should stand`);
    out.push(step);
    return;
  }
  if (!Array.isArray(step) || step.length !== shape[axis])
    fail(
      'DATA',
      where,
      `steps of shape ${formatShape(shape)}, as in the first sequence`,
      Array.isArray(step) ? `${step.length} values on axis ${axis}` : 'a number',
    );
  for (const part of step) write(part as Step, shape, axis + 1, out, where);
}

/**
 * Pads and cuts sequences to `[sequences, maxlen, ...shape of a step]`. Empty sequences give rows of padding alone.
 *
 * @example padSequences([[1], [2, 3, 4]], { maxlen: 2 }).toNested() // [[0, 1], [3, 4]]
 */
export function padSequences(
  sequences: readonly (readonly Step[] | ArrayLike<number>)[],
  options: PadOptions = {},
): NdArray {
  const { maxlen = null, value = 0, dtype = 'int32' } = options;
  const padding = end(options.padding ?? 'pre', 'padding');
  const truncating = end(options.truncating ?? 'pre', 'truncating');
  if (!Array.isArray(sequences)) fail('DATA', 'padSequences', 'an array of sequences', typeof sequences);
  sequences.forEach((sequence, i) => {
    if (typeof sequence !== 'object' || sequence === null || !Number.isInteger(sequence.length))
      fail('DATA', `padSequences: sequence ${i}`, 'an array of steps', sequence === null ? 'null' : typeof sequence);
  });
  if (maxlen === null && sequences.length === 0)
    fail(
      'DATA',
      'padSequences',
      'at least one sequence, or maxlen',
      'no sequence',
      'Give maxlen to get an array of zero rows.',
    );
  if (maxlen !== null && !(Number.isInteger(maxlen) && maxlen > 0))
    fail('ARGUMENT', 'padSequences.maxlen', 'a positive integer, or null for the longest sequence', String(maxlen));
  let length = maxlen ?? 0;
  if (maxlen === null) for (const sequence of sequences) length = Math.max(length, sequence.length);
  const firstFilled = sequences.find((sequence) => sequence.length > 0);
  const stepShape = firstFilled ? shapeOfStep(firstFilled[0] as Step) : [];
  const stepSize = sizeOf(stepShape);
  const padded = NdArray.zeros([sequences.length, length, ...stepShape], dtype);
  const { data } = padded;
  if (value !== 0) data.fill(stored(value, dtype, 'padSequences.value'));
  sequences.forEach((sequence, row) => {
    const count = Math.min(sequence.length, length);
    const from = truncating === 'pre' ? sequence.length - count : 0;
    const to = (row * length + (padding === 'pre' ? length - count : 0)) * stepSize;
    const where = `padSequences: sequence ${row}`;
    const flat: number[] = [];
    for (let t = from; t < from + count; t++) write(sequence[t] as Step, stepShape, 0, flat, where);
    for (let i = 0; i < flat.length; i++) data[to + i] = stored(flat[i], dtype, where);
  });
  return padded;
}

function stored(x: number, dtype: NdArrayType, where: string): number {
  if (dtype !== 'int32') return x;
  const whole = Math.trunc(x);
  if (!(whole >= -(2 ** 31) && whole < 2 ** 31))
    fail('DATA', where, 'numbers that fit into 32-bit integers', String(x), "Use dtype: 'float32' for real numbers.");
  return whole;
}
