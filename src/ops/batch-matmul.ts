/**
 * Matrix products of a batch: one product for every index of the leading axes, in the three forms of `matmul`. Each is a `scan` over the
 * batch without carries whose body is a single product, so that its derivative is one too.
 */
import { fail } from '../core/errors.ts';
import { formatShape, sameShape, sizeOf } from '../core/shape.ts';
import { matmul, matmulNT, matmulTN } from './matmul.ts';
import { scan } from './scan.ts';
import { reshape } from './shape.ts';
import type { Tensor } from './tensor.ts';

function eachMatrix(name: string, a: Tensor, b: Tensor, product: (a: Tensor, b: Tensor) => Tensor): Tensor {
  const batch = a.shape.slice(0, -2);
  if (a.rank < 2 || b.rank !== a.rank || !sameShape(batch, b.shape.slice(0, -2)))
    fail(
      'SHAPE',
      a.graph.path ? `${a.graph.path}: ${name}` : name,
      'matrices with the same leading axes',
      `${formatShape(a.shape)} and ${formatShape(b.shape)}`,
    );
  if (a.rank === 2) return product(a, b);
  const length = sizeOf(batch);
  const flat = (x: Tensor) => reshape(x, [length, ...x.shape.slice(-2)]);
  const { outputs } = scan({ init: [], sequences: [flat(a), flat(b)], constants: [], length }, (_carry, [x, y]) => ({
    carry: [],
    outputs: [product(x, y)],
  }));
  return reshape(outputs[0], [...batch, ...outputs[0].shape.slice(1)]);
}

/** a[..., M, K] x b[..., K, N] -> [..., M, N] */
export function batchMatmul(a: Tensor, b: Tensor): Tensor {
  return eachMatrix('batchMatmul', a, b, matmul);
}

/** a[..., M, K] x b[..., N, K] -> [..., M, N]: the second operand transposed */
export function batchMatmulNT(a: Tensor, b: Tensor): Tensor {
  return eachMatrix('batchMatmulNT', a, b, matmulNT);
}

/** a[..., K, M] x b[..., K, N] -> [..., M, N]: the first operand transposed */
export function batchMatmulTN(a: Tensor, b: Tensor): Tensor {
  return eachMatrix('batchMatmulTN', a, b, matmulTN);
}
