/** RMSprop. Hinton, "Neural networks for machine learning", lecture 6e (2012); epsilon inside the root, as in Keras. */
import { flag, fraction, option, positiveNumber } from '../../layers/options.ts';
import { add, div, maximum, mul, sqrt, square, sub } from '../../ops/pointwise.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

/**
 * v = rho v + (1 - rho) g^2; w -= lr g / sqrt(v + epsilon). With `centered`, the square of the mean gradient is taken off v; with
 * `momentum`, the steps are gathered as momentum b + step.
 *
 * @example optimizers.rmsprop({ learningRate: 1e-3 })
 */
export const rmsprop = defineOptimizer({
  className: 'RMSprop',
  options: {
    /** Default 0.9. */
    rho: fraction(0.9),
    /** Default 0. */
    momentum: option<number>('a number from 0 to 1', (v) => typeof v === 'number' && v >= 0 && v <= 1, 0),
    /** Default 1e-7. */
    epsilon: positiveNumber(1e-7),
    /** Default false. */
    centered: flag(false),
  },
  slots: ({ momentum, centered }) => ({
    velocity: {},
    ...(momentum > 0 && { momentum: {} }),
    ...(centered && { averageGradient: {} }),
  }),
  kerasOrder: [['velocity'], ['momentum'], ['averageGradient']],
  update({ rho, momentum, epsilon, centered }, { weight, gradient: g, slots, scalars }): Update {
    const velocity = add(mul(slots.velocity, rho), mul(square(g), 1 - rho));
    const next: Record<string, ReturnType<typeof add>> = { velocity };
    let denominator = velocity;
    if (centered) {
      next.averageGradient = add(mul(slots.averageGradient, rho), mul(g, 1 - rho));
      // Not below zero by rounding: its root would be no number.
      denominator = maximum(sub(velocity, square(next.averageGradient)), 0);
    }
    const step = div(mul(g, scalars.learningRate), sqrt(add(denominator, epsilon)));
    if (momentum > 0) next.momentum = add(mul(slots.momentum, momentum), step);
    return { weight: sub(weight, next.momentum ?? step), slots: next };
  },
});
