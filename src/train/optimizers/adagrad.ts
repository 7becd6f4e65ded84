/** Adagrad. Duchi, Hazan and Singer, "Adaptive subgradient methods" (2011). */
import { option, positiveNumber } from '../../layers/options.ts';
import { add, div, mul, sqrt, square, sub } from '../../ops/pointwise.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

/**
 * a += g^2; w -= lr g / sqrt(a + epsilon).
 *
 * @example optimizers.adagrad({ learningRate: 0.1 })
 */
export const adagrad = defineOptimizer({
  className: 'Adagrad',
  options: {
    /** What a starts with. Default 0.1. */
    initialAccumulatorValue: option<number>(
      'a number from 0 on',
      (v) => typeof v === 'number' && Number.isFinite(v) && v >= 0,
      0.1,
    ),
    /** Default 1e-7. */
    epsilon: positiveNumber(1e-7),
  },
  slots: ({ initialAccumulatorValue }) => ({ accumulator: { initial: initialAccumulatorValue } }),
  update({ epsilon }, { weight, gradient: g, slots, scalars }): Update {
    const accumulator = add(slots.accumulator, square(g));
    const step = div(mul(g, scalars.learningRate), sqrt(add(accumulator, epsilon)));
    return { weight: sub(weight, step), slots: { accumulator } };
  },
});
