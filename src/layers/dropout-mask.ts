/** The draw of inverted dropout. */
import type { Shape } from '../core/shape.ts';
import { lessEqual, mul } from '../ops/pointwise.ts';
import type { Tensor } from '../ops/tensor.ts';
import type { LayerRandom } from './layer.ts';

/** Inverted dropout: 0 or 1 / (1 - rate). */
export function dropoutMask(random: LayerRandom, shape: Shape, rate: number, seed: number | null): Tensor {
  return mul(lessEqual(rate, random.uniform(shape, seed)), 1 / (1 - rate));
}
