/** Which nodes give nothing but another sight of memory that is there. */
import type { Node, Value } from '../ir/graph.ts';
import { LANES } from '../ir/kernels.ts';
import { type Layout, roundUp } from '../ir/lower.ts';
import type { Footing, Place } from './places.ts';
import { within } from './places.ts';

/** Operations whose results may be views. */
export const viewOps: ReadonlySet<string> = new Set(['reshape', 'broadcast', 'split', 'slice']);

const isContiguous = (f: Footing) =>
  f.groups === 1 && f.step === LANES && (f.rows === 1 || f.pitch === f.cols || (f.cols === 1 && f.pitch === 1));

/** The place of an output of a node as a view of the place of its input; null where it must be made. */
export function viewOf(node: Node, output: Value, place: Place, layout: Layout, onlyChainsRead: boolean): Place | null {
  switch (node.op) {
    case 'reshape':
    case 'broadcast':
      return node.op === 'reshape' || sizesAgree(node, output) ? reshaped(place, layout) : null;
    case 'split': {
      const axis = node.attributes.axis as number;
      const sizes = node.inputs[0].type.shape;
      const start = sizes.map((_, i) =>
        i === axis ? (output.index * sizes[axis]) / (node.attributes.parts as number) : 0,
      );
      return boxOf(node, output, place, layout, start, onlyChainsRead);
    }
    case 'slice':
      return boxOf(node, output, place, layout, node.attributes.start as number[], onlyChainsRead);
    default:
      return null;
  }
}

function sizesAgree(node: Node, output: Value): boolean {
  const size = (v: Value) => v.type.shape.reduce((a, b) => a * b, 1);
  return size(node.inputs[0]) === size(output);
}

function reshaped(place: Place, layout: Layout): Place | null {
  const { footing } = place;
  if (footing.cols === layout.cols && footing.groups === layout.groups) {
    const pitch = layout.rows === 1 && footing.rows === 1 ? layout.pitch : footing.pitch;
    return within(place, 0, { ...layout, pitch, step: footing.step });
  }
  const dense = layout.groups === 1 && (layout.rows === 1 || layout.cols === 1 || layout.pitch === layout.cols);
  return isContiguous(footing) && dense ? within(place, 0, { ...layout, step: LANES }) : null;
}

/** A box of a value: the leading axes contiguous, the last one whole, a run of columns or one of the interleaved groups. */
function boxOf(
  node: Node,
  output: Value,
  place: Place,
  layout: Layout,
  start: readonly number[],
  onlyChainsRead: boolean,
): Place | null {
  const from = node.inputs[0].type.shape;
  const to = output.type.shape;
  const last = from.length - 1;
  const { footing } = place;
  // Rows are contiguous when only the first axis that is longer than one is cut.
  let firstRow = 0;
  let free = true;
  for (let i = 0; i < last; i++) {
    if (!free && to[i] !== from[i]) return null;
    if (to[i] !== 1) free = false;
    firstRow = firstRow * from[i] + start[i];
  }
  const offset = firstRow * footing.pitch;
  if (to[last] === from[last]) return within(place, offset, { ...footing, rows: layout.rows });
  if (footing.groups > 1) {
    const size = from[last] / footing.groups;
    if (to[last] !== size || start[last] % size || !onlyChainsRead) return null;
    const group = start[last] / size;
    return within(place, offset + group * LANES, { ...layout, pitch: footing.pitch, step: footing.groups * LANES });
  }
  if (footing.step !== LANES || (to[last] === 1 && layout.rows > 1)) return null;
  return within(place, offset + start[last], {
    ...layout,
    pitch: footing.rows === 1 ? layout.pitch : footing.pitch,
    step: LANES,
  });
}

/** The place of part `i` of a concatenation inside the place of the result; null where the part must be copied. */
export function partOf(node: Node, i: number, place: Place, layout: Layout): Place | null {
  const axis = node.attributes.axis as number;
  const shape = node.outputs[0].type.shape;
  const last = shape.length - 1;
  const { footing } = place;
  const before = node.inputs.slice(0, i).reduce((sum, v) => sum + v.type.shape[axis], 0);
  if (axis === last) {
    if (footing.groups > 1)
      return within(place, i * LANES, { ...layout, pitch: footing.pitch, step: footing.groups * LANES });
    if (layout.cols === 1 && layout.rows > 1) return null;
    return within(place, before, {
      ...layout,
      pitch: footing.rows === 1 ? layout.pitch : footing.pitch,
      step: LANES,
      tight: true,
    });
  }
  if (shape.slice(0, axis).some((d) => d !== 1)) return null;
  const rows = shape.slice(axis + 1, last).reduce((a, b) => a * b, 1) * before;
  return within(place, rows * footing.pitch, { ...footing, rows: layout.rows });
}

/** Elements of the packed right-hand side `[total, cols]` of a product. */
export function packedFloats(total: number, layout: Layout): number {
  return layout.cols === 1 ? roundUp(total) : total * layout.pitch;
}
