/** Lion. Chen et al., "Symbolic discovery of optimization algorithms" (2023). */
import { fraction, option } from '../../layers/options.ts';
import { add, mul, sign, sub } from '../../ops/pointwise.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

/**
 * w -= lr sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g. Its learning rate should be 3 to 10 times smaller than Adam's.
 *
 * @example optimizers.lion({ learningRate: 1e-4, weightDecay: 0.1 })
 */
export const lion = defineOptimizer({
  className: 'Lion',
  options: {
    /** Above 0. Default 0.9. */
    beta1: {
      ...option<number>('a number above 0, up to 1', (v) => typeof v === 'number' && v > 0 && v <= 1, 0.9),
      key: 'beta_1',
    },
    /** Default 0.99. */
    beta2: { ...fraction(0.99), key: 'beta_2' },
  },
  slots: () => ({ momentum: {} }),
  update({ beta1, beta2 }, { weight, gradient: g, slots, scalars }): Update {
    const direction = sign(add(mul(slots.momentum, beta1), mul(g, 1 - beta1)));
    const momentum = add(mul(slots.momentum, beta2), mul(g, 1 - beta2));
    return { weight: sub(weight, mul(direction, scalars.learningRate)), slots: { momentum } };
  },
});
