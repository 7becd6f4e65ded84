/**
 * What an operation's `lower` rule works with: where its operands stand in memory, and the program that it writes to.
 *
 * Layout of a value in memory: the last axis is `cols`, all axes before it are `rows` in row-major order. A row takes `pitch` elements:
 * 1 where cols is 1, else cols rounded up to whole blocks of 16. A value with `groups` G > 1 has its columns interleaved
 * by block: logical column g*u + j (u = cols/G) stands at floor(j/16)*G*16 + g*16 + j%16, and pitch is G times u rounded up.
 */
import type { Shape } from '../core/shape.ts';
import type { Attributes, Type } from './graph.ts';
import { type InstructionName, LANES } from './kernels.ts';
import type { Fields, Reference } from './program.ts';

export interface Layout {
  readonly rows: number;
  readonly cols: number;
  readonly groups: number;
  readonly pitch: number;
}

export function roundUp(n: number): number {
  return Math.ceil(n / LANES) * LANES;
}

export function layoutOf(shape: Shape, groups = 1): Layout {
  const cols = shape.length ? shape[shape.length - 1] : 1;
  let rows = 1;
  for (let i = 0; i < shape.length - 1; i++) rows *= shape[i];
  const g = groups > 1 && cols % groups === 0 && cols > groups ? groups : 1;
  const pitch = cols === 1 ? 1 : g * roundUp(cols / g);
  return { rows, cols, groups: g, pitch };
}

/** Elements that a value takes: whole blocks. */
export function floatsOf(layout: Layout): number {
  return roundUp(layout.rows * layout.pitch);
}

/** Runs of logical columns that stand next to each other: `[first column, place in the row, count]`, in the order in which they stand in memory. */
export function columnRuns(layout: Layout): { column: number; at: number; count: number }[] {
  const { groups, cols } = layout;
  if (groups === 1) return [{ column: 0, at: 0, count: cols }];
  const u = cols / groups;
  const runs: { column: number; at: number; count: number }[] = [];
  for (let b = 0; b < u; b += LANES)
    for (let g = 0; g < groups; g++)
      runs.push({ column: g * u + b, at: b * groups + g * LANES, count: Math.min(LANES, u - b) });
  return runs;
}

/**
 * Floats of scratch that PRODUCT_TN needs to pack `kBlock` rows of B and of its widest segment. With less it packs fewer rows at a time, and
 * with less than a row's worth it reads its operands in place.
 */
export function productTNScratch(blocks: number, cols: readonly number[], kBlock: number): number {
  return kBlock * (blocks * LANES + Math.max(0, ...cols));
}

export interface Operand {
  readonly type: Type;
  /** The pitch may be larger than that of a value of its own. */
  readonly layout: Layout;
  readonly at: Reference;
}

export interface LowerContext {
  readonly attributes: Attributes;
  readonly inputs: readonly Operand[];
  readonly outputs: readonly Operand[];
  emit(name: InstructionName, fields: Fields, repeats?: Readonly<Record<string, readonly Fields[]>>): void;
}

/** Elements from one index to the next along every axis of a value in memory. The last axis must not be interleaved. */
export function axisStrides(shape: Shape, layout: Layout): number[] {
  const strides = new Array<number>(shape.length);
  let step = layout.pitch;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = i === shape.length - 1 ? 1 : step;
    if (i < shape.length - 1) step *= shape[i];
  }
  return strides;
}

export interface CopyDimension {
  readonly size: number;
  readonly srcStride: number;
  readonly dstStride: number;
}

/** The dimensions of a COPY without those of size 1, neighbours that walk alike joined. */
export function copyDimensions(dims: readonly CopyDimension[], keepFirst = false): Fields[] {
  const kept: CopyDimension[] = [];
  for (const dim of dims) {
    const isFirst = keepFirst && dim === dims[0];
    if (dim.size === 1 && !isFirst) continue;
    const outer = kept[kept.length - 1];
    if (
      outer &&
      !(keepFirst && outer.size === dims[0].size && kept.length === 1) &&
      outer.srcStride === dim.size * dim.srcStride &&
      outer.dstStride === dim.size * dim.dstStride
    )
      kept[kept.length - 1] = { ...dim, size: outer.size * dim.size };
    else kept.push(dim);
  }
  return (kept.length ? kept : [{ size: 1, srcStride: 1, dstStride: 1 }]).map((d) => ({ ...d }));
}
