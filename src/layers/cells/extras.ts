/** The parts of gated cells that Keras does not have: their weights and their formulas, once for all cells. */
import type { Shape } from '../../core/shape.ts';
import { matmul } from '../../ops/matmul.ts';
import { add, mul, rsqrt, square, sub } from '../../ops/pointwise.ts';
import { mean } from '../../ops/reduce.ts';
import type { Tensor } from '../../ops/tensor.ts';
import type { CellWeight } from '../cell.ts';

/** Inside of the root, as in the paper's program. */
const epsilon = 1e-5;

/** The last axis brought to mean 0 and variance 1, times a gain. */
export function normalize(x: Tensor, gain: Tensor): Tensor {
  const over = { axes: [x.rank - 1], keepDims: true };
  const centred = sub(x, mean(x, over));
  return mul(mul(centred, rsqrt(add(mean(square(centred), over), epsilon))), gain);
}

/** A product of a gate, normalised where its gain is there. */
export const scaled = (product: Tensor, gain: Tensor | undefined): Tensor =>
  gain ? normalize(product, gain) : product;

interface Extras {
  readonly units: number;
  readonly layerNormalization: boolean;
  readonly projection: number | null;
  readonly outputProjection: number | null;
}

const ones = (shape: Shape): CellWeight => ({ shape, initializer: 'ones' });

/** Weights after the cell's own: gains of the products of x and h with so many gates, then the projections. */
export function extraWeights(
  { units, layerNormalization, projection, outputProjection }: Extras,
  gates: number,
): Record<string, CellWeight> {
  return {
    ...(layerNormalization && { inputGain: ones([gates * units]), recurrentGain: ones([gates * units]) }),
    ...(projection !== null && {
      projectionKernel: { shape: [units, projection], initializer: 'glorotUniform', groups: 1 },
    }),
    ...(outputProjection !== null && {
      outputKernel: { shape: [units, outputProjection], initializer: 'glorotUniform', groups: 1 },
    }),
  };
}

/** x W where there is a W. */
export const projected = (x: Tensor, kernel: Tensor | undefined): Tensor => (kernel ? matmul(x, kernel) : x);
