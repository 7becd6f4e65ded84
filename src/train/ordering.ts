/**
 * Rows of a batch ordered by length, so that loops over time leave out what is padding (`engine/active-rows.ts`). Users never sort: the order
 * is undone in what they get back. Where several inputs are padded, the rows are ordered by the one with most padding, equal ones by the
 * next; the loops of an input whose rows do not come out in order then compute its padding.
 */
import type { NdArrayData } from '../core/array.ts';
import type { Column, Samples } from './data.ts';

/** What tells the padding: an input itself, or the mask that is given with it. */
export interface PaddingSource {
  readonly kind: 'inputs' | 'masks';
  readonly index: number;
}

export interface Padding {
  readonly source: PaddingSource;
  readonly length: number;
  /** For every sample the steps that count. */
  readonly counts: Int32Array;
  /** Whether a step is padding, by its place in the column. */
  readonly isPadding: (place: number) => boolean;
}

/** The rows of a batch in an order, and which inputs and masks stand in order with it. */
export interface OrderedRows {
  readonly rows: Int32Array;
  readonly inputs: readonly boolean[];
  readonly masks: readonly boolean[];
  /** Equal for batches where the same ones are ordered. */
  readonly key: string;
}

/** The paddings of a data set, the one with most of it first: of its masks, of ids, where 0 is padding, and of inputs whose layer masks a number. */
export function paddingsOf(set: Samples): Padding[] {
  const inputs = set.inputs.map((column, index) => paddingOf(column, set.count, { kind: 'inputs', index }));
  const masks = set.masks.map((column, index) => column && paddingOf(column, set.count, { kind: 'masks', index }));
  const found = [...masks, ...inputs].filter((padding) => padding !== null);
  const share = ({ length, counts }: Padding) => counts.reduce((sum, n) => sum + n, 0) / length;
  const shares = new Map(found.map((padding) => [padding, share(padding)]));
  const least = Math.min(...shares.values());
  // A data set without padding stays as it is.
  if (!found.length || least === set.count) return [];
  return found.sort((a, b) => (shares.get(a) as number) - (shares.get(b) as number));
}

/** Whether the steps of a column hold padding alone, by their place; null where the column tells no padding. */
function isPaddingOf({ shape, data, padding = 0 }: Column, kind: PaddingSource['kind']): Padding['isPadding'] | null {
  if (shape.length === 1 && (kind === 'masks' || data instanceof Int32Array)) return (step) => data[step] === 0;
  if (shape.length !== 2 || padding === null || data instanceof Int32Array) return null;
  const [, features] = shape;
  const value = Math.fround(padding);
  return (step) => {
    for (let i = step * features; i < (step + 1) * features; i++) if (Math.fround(data[i]) !== value) return false;
    return true;
  };
}

function paddingOf(column: Column, count: number, source: PaddingSource): Padding | null {
  const isPadding = isPaddingOf(column, source.kind);
  if (!isPadding || count < 2) return null;
  const [length] = column.shape;
  const counts = new Int32Array(count);
  for (let r = 0; r < count; r++)
    for (let place = r * length; place < (r + 1) * length; place++) if (!isPadding(place)) counts[r]++;
  return { source, length, counts, isPadding };
}

/** Whether at each step the rows that count stand before those that do not. */
function isOrdered({ length, counts, isPadding }: Padding, rows: Int32Array): boolean {
  for (let i = 1; i < rows.length; i++) {
    const [above, row] = [rows[i - 1], rows[i]];
    if (counts[above] < counts[row]) return false;
    if (counts[above] === length || counts[row] === 0) continue;
    for (let t = 0; t < length; t++) if (isPadding(above * length + t) && !isPadding(row * length + t)) return false;
  }
  return true;
}

/**
 * The rows of a batch, longest first, and equal ones as they came; null where that brings nothing: they all have full length, or one has
 * steps that a longer one has not, as where padding stands on different sides.
 */
export function orderRows(paddings: readonly Padding[], rows: Int32Array): OrderedRows | null {
  const shorter = paddings.filter(({ length, counts }) => rows.some((r) => counts[r] < length));
  if (rows.length < 2) return null;
  for (const first of shorter) {
    const by = [first, ...shorter.filter((padding) => padding !== first)];
    const ordered = rows.slice().sort((a, b) => {
      for (const { counts } of by) if (counts[a] !== counts[b]) return counts[b] - counts[a];
      return 0;
    });
    if (!isOrdered(first, ordered)) continue;
    const flags = { inputs: [] as boolean[], masks: [] as boolean[] };
    for (const padding of paddings) flags[padding.source.kind][padding.source.index] = isOrdered(padding, ordered);
    const list = (own: boolean[]) => Array.from(own, (flag) => (flag ? 1 : 0)).join('');
    return { rows: ordered, ...flags, key: `${list(flags.inputs)}/${list(flags.masks)}` };
  }
  return null;
}

/** Values of the rows of a batch, in the order of its samples again. @param from the first sample of the batch */
export function inOrder<T extends NdArrayData>(values: T, rows: Int32Array | null, from: number): T {
  if (!rows) return values;
  const size = values.length / rows.length;
  const ordered = values.slice() as T;
  rows.forEach((sample, r) => ordered.set(values.subarray(r * size, (r + 1) * size), (sample - from) * size));
  return ordered;
}
