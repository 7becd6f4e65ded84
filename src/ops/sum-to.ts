/**
 * The reverse of broadcasting. Derivative rules of pointwise operations and of `broadcast` need a sum, whose own rule
 * needs both of these; so the two operations are looked up by name, and the files of operations stay free of cycles.
 */
import { type Shape, sameShape } from '../core/shape.ts';
import { operationOf } from './op.ts';
import { apply, type Tensor } from './tensor.ts';

/** Sums `x` over the axes along which an array of `shape` was broadcast to the shape of `x`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.rank - shape.length;
  const axes: number[] = [];
  for (let d = 0; d < x.rank; d++) if (d < lead || (shape[d - lead] === 1 && x.shape[d] !== 1)) axes.push(d);
  const total = axes.length ? apply(operationOf('sum'), [x], { axes, keepDims: false })[0] : x;
  return sameShape(total.shape, shape) ? total : apply(operationOf('reshape'), [total], { shape })[0];
}
