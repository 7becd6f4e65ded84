/** Adam with Nesterov momentum. Dozat, "Incorporating Nesterov momentum into Adam" (2016). */
import { fraction, positiveNumber } from '../../layers/options.ts';
import { add, div, mul, oneMinus, reciprocal, sqrt, square, sub } from '../../ops/pointwise.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

/** How the momentum grows; Keras's fixed 0.96 and 0.5. @param t counted from 1 */
const momentumAt = (beta1: number, t: number) => beta1 * (1 - 0.5 * 0.96 ** t);

/**
 * With u_t = beta1 (1 - 0.96^t / 2) and their product U_t: m += (1 - beta1)(g - m); v += (1 - beta2)(g^2 - v);
 * w -= lr (u_(t+1) m / (1 - U_(t+1)) + (1 - u_t) g / (1 - U_t)) / (sqrt(v / (1 - beta2^t)) + epsilon), with t counted from 1.
 *
 * @example optimizers.nadam({ learningRate: 2e-3 })
 */
export const nadam = defineOptimizer({
  className: 'Nadam',
  options: {
    /** Default 0.9. */
    beta1: { ...fraction(0.9), key: 'beta_1' },
    /** Default 0.999. */
    beta2: { ...fraction(0.999), key: 'beta_2' },
    /** Default 1e-7. */
    epsilon: positiveNumber(1e-7),
  },
  slots: () => ({ momentum: {}, velocity: {} }),
  shared: { momentumProduct: 1 },
  scalars: ({ beta1, beta2 }, step) => ({
    momentumNow: momentumAt(beta1, step + 1),
    momentumNext: momentumAt(beta1, step + 2),
    correction: 1 / (1 - beta2 ** (step + 1)),
  }),
  once(_config, { learningRate, momentumNow, momentumNext }, { momentumProduct }) {
    const product = mul(momentumProduct, momentumNow);
    return {
      scalars: {
        forMomentum: mul(mul(learningRate, momentumNext), reciprocal(oneMinus(mul(product, momentumNext)))),
        forGradient: mul(mul(learningRate, oneMinus(momentumNow)), reciprocal(oneMinus(product))),
      },
      shared: { momentumProduct: product },
    };
  },
  update({ beta1, beta2, epsilon }, { weight, gradient: g, slots, scalars }): Update {
    const momentum = add(slots.momentum, mul(sub(g, slots.momentum), 1 - beta1));
    const velocity = add(slots.velocity, mul(sub(square(g), slots.velocity), 1 - beta2));
    const ahead = add(mul(momentum, scalars.forMomentum), mul(g, scalars.forGradient));
    const step = div(ahead, add(sqrt(mul(velocity, scalars.correction)), epsilon));
    return { weight: sub(weight, step), slots: { momentum, velocity } };
  },
});
