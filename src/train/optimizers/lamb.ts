/** LAMB. You et al., "Large batch optimization for deep learning: training BERT in 76 minutes" (2020). */
import { fraction, positiveNumber } from '../../layers/options.ts';
import { add, div, greater, mul, select, sqrt, square, sub } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

/**
 * Adam's step d = m' / (sqrt(v') + epsilon), with the bias taken out of m and v, scaled for each weight to the weight's norm:
 * w -= lr |w| / |d| d. Where a norm is 0, the scale is 1.
 *
 * @example optimizers.lamb({ weightDecay: 0.01 })
 */
export const lamb = defineOptimizer({
  className: 'Lamb',
  options: {
    /** Default 0.9. */
    beta1: { ...fraction(0.9), key: 'beta_1' },
    /** Default 0.999. */
    beta2: { ...fraction(0.999), key: 'beta_2' },
    /** Default 1e-7. */
    epsilon: positiveNumber(1e-7),
  },
  slots: () => ({ momentum: {}, velocity: {} }),
  scalars: ({ beta1, beta2 }, step) => ({
    momentumCorrection: 1 / (1 - beta1 ** (step + 1)),
    velocityCorrection: 1 / (1 - beta2 ** (step + 1)),
  }),
  update({ beta1, beta2, epsilon }, { weight, gradient: g, slots, scalars }): Update {
    const momentum = add(slots.momentum, mul(sub(g, slots.momentum), 1 - beta1));
    const velocity = add(slots.velocity, mul(sub(square(g), slots.velocity), 1 - beta2));
    const root = add(sqrt(mul(velocity, scalars.velocityCorrection)), epsilon);
    const step = div(mul(momentum, scalars.momentumCorrection), root);
    const weightNorm = sqrt(sum(square(weight)));
    const stepNorm = sqrt(sum(square(step)));
    const both = mul(greater(weightNorm, 0), greater(stepNorm, 0));
    const scale = mul(select(both, div(weightNorm, stepNorm), 1), scalars.learningRate);
    return { weight: sub(weight, mul(step, scale)), slots: { momentum, velocity } };
  },
});
