/** Adam. Kingma and Ba, "Adam: a method for stochastic optimization" (2015); amsgrad: Reddi, Kale, Kumar (2018). */
import { flag, fraction, positiveNumber } from '../../layers/options.ts';
import { add, div, maximum, mul, sqrt, square, sub } from '../../ops/pointwise.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

/**
 * m += (1 - beta1)(g - m); v += (1 - beta2)(g^2 - v); w -= lr sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon), with t counted
 * from 1.
 *
 * @example optimizers.adam({ learningRate: 1e-3, globalClipnorm: 1 })
 */
export const adam = defineOptimizer({
  className: 'Adam',
  options: {
    /** Default 0.9. */
    beta1: { ...fraction(0.9), key: 'beta_1' },
    /** Default 0.999. */
    beta2: { ...fraction(0.999), key: 'beta_2' },
    /** Default 1e-7. */
    epsilon: positiveNumber(1e-7),
    /** Divide by the largest v so far. Default false. */
    amsgrad: flag(false),
  },
  slots: ({ amsgrad }) => ['momentum', 'velocity', ...(amsgrad ? ['velocityHat'] : [])],
  scalars({ beta1, beta2 }, iteration, learningRate) {
    const t = iteration + 1;
    return { alpha: (learningRate * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t) };
  },
  update({ beta1, beta2, epsilon, amsgrad }, { weight, gradient: g, slots, scalars }): Update {
    const momentum = add(slots.momentum, mul(sub(g, slots.momentum), 1 - beta1));
    const velocity = add(slots.velocity, mul(sub(square(g), slots.velocity), 1 - beta2));
    const next: Record<string, ReturnType<typeof add>> = { momentum, velocity };
    if (amsgrad) next.velocityHat = maximum(slots.velocityHat, velocity);
    const step = div(mul(momentum, scalars.alpha), add(sqrt(next.velocityHat ?? velocity), epsilon));
    return { weight: sub(weight, step), slots: next };
  },
});
