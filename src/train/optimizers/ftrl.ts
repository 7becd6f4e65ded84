/**
 * Follow the regularised leader. McMahan et al., "Ad click prediction: a view from the trenches" (2013), algorithm 1; the shrinkage is Keras's.
 */
import { fail } from '../../core/errors.ts';
import { finiteNumber, option } from '../../layers/options.ts';
import { add, div, equal, maximum, minimum, mul, pow, select, sqrt, square, sub } from '../../ops/pointwise.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

const strength = (fallback: number) =>
  option<number>('a number from 0 on', (v) => typeof v === 'number' && Number.isFinite(v) && v >= 0, fallback);

/** x^exponent for x from 0 on; the usual exponent is a root. */
const power = (x: Tensor, exponent: number) => (exponent === 0.5 ? sqrt(x) : exponent === 1 ? x : pow(x, exponent));

/**
 * With p = -learningRatePower and n' = n + g^2: z += g + 2 l2Shrinkage w - (n'^p - n^p) / lr * w;
 * w = (clip(z, -l1, l1) - z) / (n'^p / lr + 2 (l2 + beta / (2 lr))).
 *
 * The learning rate must be above 0 at every step. Errors: NUMERIC where a schedule gives 0.
 *
 * @example optimizers.ftrl({ learningRate: 0.1, l1RegularizationStrength: 0.001 })
 */
export const ftrl = defineOptimizer({
  className: 'Ftrl',
  options: {
    /** From 0 down. Default -0.5. */
    learningRatePower: option<number>(
      'a number from 0 down',
      (v) => typeof v === 'number' && Number.isFinite(v) && v <= 0,
      -0.5,
    ),
    /** What n starts with. Default 0.1. */
    initialAccumulatorValue: strength(0.1),
    /** l1. Default 0. */
    l1RegularizationStrength: { ...strength(0), key: 'l1_regularization_strength' },
    /** l2. Default 0. */
    l2RegularizationStrength: { ...strength(0), key: 'l2_regularization_strength' },
    /** l2Shrinkage: a penalty on large weights only. Default 0. */
    l2ShrinkageRegularizationStrength: { ...strength(0), key: 'l2_shrinkage_regularization_strength' },
    /** Default 0. */
    beta: finiteNumber(0),
  },
  slots: ({ initialAccumulatorValue }) => ({ accumulator: { initial: initialAccumulatorValue }, linear: {} }),
  scalars({ l2RegularizationStrength, beta }, step, learningRate) {
    if (!(learningRate > 0))
      fail('NUMERIC', `optimizers.Ftrl: step ${step}`, 'a learning rate above 0', String(learningRate));
    return { perRate: 1 / learningRate, l2: 2 * (l2RegularizationStrength + beta / (2 * learningRate)) };
  },
  update(config, { weight, gradient: g, slots, scalars }): Update {
    const exponent = -config.learningRatePower;
    const { l1RegularizationStrength: l1, l2ShrinkageRegularizationStrength: shrinkage } = config;
    const accumulator = add(slots.accumulator, square(g));
    const grown = power(accumulator, exponent);
    const used = shrinkage ? add(g, mul(weight, 2 * shrinkage)) : g;
    const sigma = mul(sub(grown, power(slots.accumulator, exponent)), scalars.perRate);
    const linear = add(slots.linear, sub(used, mul(sigma, weight)));
    const quadratic = add(mul(grown, scalars.perRate), scalars.l2);
    const next = div(sub(minimum(maximum(linear, -l1), l1), linear), quadratic);
    // Where n is still 0 there was no gradient, and 0 / 0 would be no number.
    return { weight: select(equal(quadratic, 0), weight, next), slots: { accumulator, linear } };
  },
});
