/** Adadelta. Zeiler, "ADADELTA: an adaptive learning rate method" (2012). */
import { fraction, positiveNumber } from '../../layers/options.ts';
import { add, div, mul, sqrt, square, sub } from '../../ops/pointwise.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

/**
 * a = rho a + (1 - rho) g^2; step = sqrt(d + epsilon) / sqrt(a + epsilon) g; d = rho d + (1 - rho) step^2; w -= lr step. In the paper the
 * learning rate is 1.
 *
 * @example optimizers.adadelta({ learningRate: 1 })
 */
export const adadelta = defineOptimizer({
  className: 'Adadelta',
  options: {
    /** Default 0.95. */
    rho: fraction(0.95),
    /** Default 1e-7. */
    epsilon: positiveNumber(1e-7),
  },
  slots: () => ({ accumulatedGrad: {}, accumulatedDeltaVar: {} }),
  update({ rho, epsilon }, { weight, gradient: g, slots, scalars }): Update {
    const accumulatedGrad = add(mul(slots.accumulatedGrad, rho), mul(square(g), 1 - rho));
    const rms = sqrt(add(slots.accumulatedDeltaVar, epsilon));
    const step = div(mul(rms, g), sqrt(add(accumulatedGrad, epsilon)));
    const accumulatedDeltaVar = add(mul(slots.accumulatedDeltaVar, rho), mul(square(step), 1 - rho));
    return { weight: sub(weight, mul(step, scalars.learningRate)), slots: { accumulatedGrad, accumulatedDeltaVar } };
  },
});
