/** Normal random numbers from uniform ones. Box and Muller, "A note on the generation of random normal deviates" (1958). */
import { cos, log, mul, oneMinus, sqrt } from './pointwise.ts';
import type { Tensor } from './tensor.ts';

/** sqrt(-2 ln(1 - u)) cos(2 pi v): of mean 0 and deviation 1, for u and v uniform in [0, 1). */
export function normalOf(u: Tensor, v: Tensor): Tensor {
  return mul(sqrt(mul(log(oneMinus(u)), -2)), cos(mul(v, 2 * Math.PI)));
}
