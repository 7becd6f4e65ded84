/** Between the logical order of a value (row-major, as users see it) and its order in memory (`ir/lower.ts`). */
import { type Shape, sizeOf } from '../core/shape.ts';
import { columnRuns, type Layout } from '../ir/lower.ts';
import type { BlockCopy, Machine } from '../vm/vm.ts';

export type Elements = Float32Array | Int32Array | Float64Array;

function isDense(layout: Layout): boolean {
  return layout.cols === 1 || (layout.groups === 1 && layout.pitch === layout.cols);
}

/** Writes logical values into memory at an offset. Padding is left as it is. */
export function pack(values: ArrayLike<number>, layout: Layout, memory: Elements, at: number): void {
  const { rows, cols, pitch } = layout;
  if (isDense(layout) || rows === 1) {
    if (layout.groups === 1) return memory.set(values, at);
  }
  const runs = columnRuns(layout);
  for (let r = 0; r < rows; r++)
    for (const { column, at: place, count } of runs) {
      const from = r * cols + column;
      const to = at + r * pitch + place;
      for (let j = 0; j < count; j++) memory[to + j] = values[from + j];
    }
}

/** Reads logical values from memory at an offset. */
export function unpack(memory: Elements, at: number, layout: Layout, values: Elements): void {
  const { rows, cols, pitch } = layout;
  if ((isDense(layout) || rows === 1) && layout.groups === 1) {
    values.set(memory.subarray(at, at + rows * cols));
    return;
  }
  const runs = columnRuns(layout);
  for (let r = 0; r < rows; r++)
    for (const { column, at: place, count } of runs) {
      const to = r * cols + column;
      const from = at + r * pitch + place;
      for (let j = 0; j < count; j++) values[to + j] = memory[from + j];
    }
}

// ---- rows of batches

/** A batch as boxes of runs: its samples, up to two axes in them, and elements that stand beside each other on both sides. */
export interface Blocks {
  readonly counts: readonly [samples: number, number, number];
  readonly run: number;
  /** Elements from one to the next, in logical order and in memory. */
  readonly logical: readonly [number, number, number];
  readonly placed: readonly [number, number, number];
}

/**
 * How a value stands in memory, sample by sample.
 *
 * @param shape in memory: [B, ...], or [T, B, ...] with `timeMajor`
 */
export function blocksOf(shape: Shape, { groups, pitch, cols }: Layout, timeMajor: boolean): Blocks | null {
  if (groups > 1) return null;
  const inner = shape.slice(timeMajor ? 2 : 1);
  const size = sizeOf(inner);
  const rows = inner.length ? size / cols : 1;
  const whole = rows === 1 || pitch === cols;
  // Elements of memory from one to the next along the last axis in front of the inner ones.
  const each = inner.length ? rows * pitch : 1;
  const [first = 1, second = 1] = shape;
  const steps = timeMajor ? first : 1;
  const logical = [steps * size, size, cols] as const;
  const placed = [each, inner.length ? second * each : pitch, pitch] as const;
  const samples = timeMajor ? second : first;
  // The steps of a batch of one row stand behind each other on both sides.
  if (whole && placed[1] === size) return { counts: [samples, 1, 1], run: steps * size, logical, placed };
  return { counts: [samples, steps, whole ? 1 : rows], run: whole ? size : cols, logical, placed };
}

/** Elements from which a host copies faster than a loop here. */
const worthCall = 2048;

const isOneKind = (to: Elements, from: Elements | number[]): from is Elements =>
  to.constructor === from.constructor && to.BYTES_PER_ELEMENT === 4;

/** Copies samples between arrays, by the host's own means where it has any. */
export function copyBlocks(machine: Machine, to: Elements, from: Elements | number[], copy: BlockCopy): void {
  const { counts, run, toAt, fromAt, toStrides, fromStrides, toRows, fromRows } = copy;
  const [samples, outer, inner] = counts;
  if (machine.copy && isOneKind(to, from) && samples * outer * inner * run >= worthCall)
    return machine.copy(to, from, copy);
  for (let s = 0; s < samples; s++) {
    const t = toAt + (toRows ? toRows[s] : s) * toStrides[0];
    const f = fromAt + (fromRows ? fromRows[s] : s) * fromStrides[0];
    for (let i = 0; i < outer; i++)
      for (let j = 0; j < inner; j++) {
        const at = t + i * toStrides[1] + j * toStrides[2];
        const source = f + i * fromStrides[1] + j * fromStrides[2];
        if (run >= 64 && !Array.isArray(from)) to.set(from.subarray(source, source + run), at);
        else for (let k = 0; k < run; k++) to[at + k] = from[source + k];
      }
  }
}
