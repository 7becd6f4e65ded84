/** Between the logical order of a value (row-major, as users see it) and its order in memory (`ir/lower.ts`). */
import { columnRuns, type Layout } from '../ir/lower.ts';

type Elements = Float32Array | Int32Array | Float64Array;

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
