/** Adam with the infinity norm. Kingma and Ba, "Adam: a method for stochastic optimization" (2015), section 7.1. */
import { fraction, positiveNumber } from '../../layers/options.ts';
import { abs, add, div, maximum, mul, sub } from '../../ops/pointwise.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

/**
 * m += (1 - beta1)(g - m); u = max(beta2 u, |g|); w -= lr / (1 - beta1^t) * m / (u + epsilon), with t counted from 1.
 *
 * @example optimizers.adamax()
 */
export const adamax = defineOptimizer({
  className: 'Adamax',
  options: {
    /** Default 0.9. */
    beta1: { ...fraction(0.9), key: 'beta_1' },
    /** Default 0.999. */
    beta2: { ...fraction(0.999), key: 'beta_2' },
    /** Default 1e-7. */
    epsilon: positiveNumber(1e-7),
  },
  slots: () => ({ momentum: {}, norm: {} }),
  scalars: ({ beta1 }, step, learningRate) => ({ alpha: learningRate / (1 - beta1 ** (step + 1)) }),
  update({ beta1, beta2, epsilon }, { weight, gradient: g, slots, scalars }): Update {
    const momentum = add(slots.momentum, mul(sub(g, slots.momentum), 1 - beta1));
    const norm = maximum(mul(slots.norm, beta2), abs(g));
    return { weight: sub(weight, div(mul(momentum, scalars.alpha), add(norm, epsilon))), slots: { momentum, norm } };
  },
});
