/** Clipping of gradients. Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013); Keras's formulas. */
import { add, div, maximum, minimum, mul, sqrt, square } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import type { Tensor } from '../../ops/tensor.ts';
import type { Optimizer } from './optimizer.ts';

/** Clips by the optimizer's option. */
export function clipGradients({ config }: Optimizer, gradients: readonly Tensor[]): readonly Tensor[] {
  const { clipnorm, globalClipnorm, clipvalue } = config;
  if (clipvalue !== null) return gradients.map((g) => minimum(maximum(g, -clipvalue), clipvalue));
  if (clipnorm !== null) return gradients.map((g) => div(mul(g, clipnorm), maximum(sqrt(sum(square(g))), clipnorm)));
  if (globalClipnorm !== null && gradients.length) {
    const norm = sqrt(gradients.map((g) => sum(square(g))).reduce((a, b) => add(a, b)));
    const scale = div(globalClipnorm, maximum(norm, globalClipnorm));
    return gradients.map((g) => mul(g, scale));
  }
  return gradients;
}
