/** How the exact rules of operations walk dense arrays: reading by strides, and broadcasting a formula over operands. */
import { broadcastShapes, type Shape, sizeOf, stridesOf } from '../core/shape.ts';
import type { Dense } from './op.ts';

/** Calls `visit(at)` for every index of `shape` in row-major order; `at` is `offset + sum of index_d * strides_d`. */
export function walk(shape: Shape, strides: readonly number[], offset: number, visit: (at: number) => void): void {
  const rank = shape.length;
  const count = sizeOf(shape);
  const index = new Array<number>(rank).fill(0);
  let at = offset;
  for (let k = 0; k < count; k++) {
    visit(at);
    for (let d = rank - 1; d >= 0; d--) {
      at += strides[d];
      if (++index[d] < shape[d]) break;
      at -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
}

/** The elements of `source` that a strided view of `shape` names, in row-major order. */
export function readStrided(source: Float64Array, shape: Shape, strides: readonly number[], offset = 0): Float64Array {
  const data = new Float64Array(sizeOf(shape));
  let k = 0;
  walk(shape, strides, offset, (at) => {
    data[k++] = source[at];
  });
  return data;
}

/** Strides with which an array of shape `from` is read as if it had the shape `to`: 0 along broadcast axes. */
function broadcastStrides(from: Shape, to: Shape): number[] {
  const own = stridesOf(from);
  const lead = to.length - from.length;
  return to.map((_, d) => (d < lead || from[d - lead] === 1 ? 0 : own[d - lead]));
}

/** `x` spread over `shape`, which its own shape broadcasts to. */
export function spread(x: Dense, shape: Shape): Float64Array {
  return readStrided(x.data, shape, broadcastStrides(x.shape, shape));
}

/** A formula of up to three operands, element by element, with NumPy's broadcasting. */
export function mapDense(inputs: readonly Dense[], formula: (a: number, b: number, c: number) => number): Dense {
  let shape = inputs[0].shape;
  for (const x of inputs.slice(1)) shape = broadcastShapes(shape, x.shape, 'operands');
  const data = new Float64Array(sizeOf(shape));
  const [a, b, c] = inputs.map((x) => (x.data.length === data.length ? x.data : spread(x, shape)));
  for (let i = 0; i < data.length; i++) data[i] = formula(a[i], b ? b[i] : 0, c ? c[i] : 0);
  return { shape, data };
}
