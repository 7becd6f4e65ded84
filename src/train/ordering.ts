/**
 * Rows of a batch ordered by length, so that loops over time leave out what is padding (`engine/active-rows.ts`). Users never sort: the order
 * is undone in what they get back.
 */
import type { NdArrayData } from '../core/array.ts';
import type { Column, Samples } from './data.ts';

const right = 1;
const left = 2;

/** For every sample the steps that count, and on which side its padding stands: both where there is none, neither where it has holes. */
export interface Padding {
  readonly length: number;
  readonly lengths: Int32Array;
  readonly sides: Uint8Array;
}

/** The padding of a data set: of its mask, or of ids, where 0 is padding. Null where it has none or the model has several inputs. */
export function paddingOf(set: Samples): Padding | null {
  if (set.inputs.length !== 1) return null;
  const column = set.masks[0] ?? idColumn(set.inputs[0]);
  if (!column || column.shape[0] < 2) return null;
  const [length] = column.shape;
  const lengths = new Int32Array(set.count);
  const sides = new Uint8Array(set.count);
  let padded = false;
  for (let r = 0; r < set.count; r++) {
    const at = r * length;
    let first = 0;
    while (first < length && column.data[at + first] === 0) first++;
    let end = length;
    while (end > first && column.data[at + end - 1] === 0) end--;
    let whole = true;
    for (let t = first; t < end; t++) if (column.data[at + t] === 0) whole = false;
    lengths[r] = end - first;
    const empty = end === first;
    sides[r] = whole ? (empty || first === 0 ? right : 0) | (empty || end === length ? left : 0) : 0;
    if (lengths[r] < length) padded = true;
  }
  return padded ? { length, lengths, sides } : null;
}

function idColumn(column: Column): Column | null {
  return column.data instanceof Int32Array && column.shape.length === 1 ? column : null;
}

/**
 * The rows of a batch, longest first, and equal ones as they came; null where that brings nothing: they all have full length, or their
 * padding stands on different sides.
 */
export function orderRows({ length, lengths, sides }: Padding, rows: Int32Array): Int32Array | null {
  let side = right | left;
  let shortest = length;
  for (const r of rows) {
    side &= sides[r];
    shortest = Math.min(shortest, lengths[r]);
  }
  if (!side || shortest === length || rows.length < 2) return null;
  return rows.slice().sort((a, b) => lengths[b] - lengths[a]);
}

/** Values of the rows of a batch, in the order of its samples again. @param from the first sample of the batch */
export function inOrder<T extends NdArrayData>(values: T, rows: Int32Array | null, from: number): T {
  if (!rows) return values;
  const size = values.length / rows.length;
  const ordered = values.slice() as T;
  rows.forEach((sample, r) => ordered.set(values.subarray(r * size, (r + 1) * size), (sample - from) * size));
  return ordered;
}
