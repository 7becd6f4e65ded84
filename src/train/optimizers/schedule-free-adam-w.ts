/**
 * Schedule-free AdamW. Defazio et al., "The road less scheduled" (2024), with the weighting of their program: a step counts by the square of
 * the largest learning rate so far.
 *
 * Keras keeps the point y in the model and has the averages nowhere; here the model has the averages x.
 */
import { fraction, option, positiveNumber } from '../../layers/options.ts';
import { add, div, equal, maximum, mul, oneMinus, select, sqrt, square, sub } from '../../ops/pointwise.ts';
import { learningRateOption } from '../schedules/schedule.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

/**
 * Three sequences: z, which takes the steps; x, its running average, which is the model's weight; and y = (1 - beta1) z + beta1 x, where
 * gradients are taken. v += (1 - beta2)(g^2 - v); z -= lr (g / (sqrt(v / (1 - beta2^t)) + epsilon) + weightDecay y);
 * x += c (z - x) with c = lr'^2 / sum of lr'^2, where lr' is the largest rate so far: 1 / t for a constant rate.
 *
 * `predict`, `evaluate`, validation, `getWeights` and `save` see x; only the steps of training see y. So nothing has to be switched, and no
 * schedule is needed. `setWeights` starts z anew where the weights change. During warmupSteps the rate rises in a straight line.
 *
 * @example optimizers.scheduleFreeAdamW({ learningRate: 2.5e-3, warmupSteps: 100 })
 */
export const scheduleFreeAdamW = defineOptimizer({
  className: 'ScheduleFreeAdamW',
  options: {
    /** Default 0.0025. */
    learningRate: learningRateOption(0.0025),
    /** How near y is to the average. Default 0.9. */
    beta1: { ...fraction(0.9), key: 'beta_1' },
    /** Default 0.999. */
    beta2: { ...fraction(0.999), key: 'beta_2' },
    /** Default 1e-8. */
    epsilon: positiveNumber(1e-8),
    /** Default 0. */
    warmupSteps: option<number>('a number from 0 on', (v) => typeof v === 'number' && Number.isFinite(v) && v >= 0, 0),
  },
  // Keras's names: momentum is z.
  slots: () => ({ momentum: { initial: 'weight' }, velocity: {} }),
  // The sum of weights over the last weight, so that it stays exact for a constant rate.
  shared: { averagedSteps: 0, largestRate: 0 },
  scalars: ({ beta2, warmupSteps }, step, learningRate) => ({
    learningRate: learningRate * (warmupSteps > 0 ? Math.min((step + 1) / warmupSteps, 1) : 1),
    correction: 1 / (1 - beta2 ** (step + 1)),
  }),
  once(_config, { learningRate }, { averagedSteps, largestRate }) {
    const largest = maximum(largestRate, learningRate);
    const none = equal(largest, 0);
    const before = mul(averagedSteps, square(select(none, 0, div(largestRate, largest))));
    const steps = select(none, 0, add(before, 1));
    return {
      scalars: { share: select(none, 0, div(1, steps)) },
      shared: { averagedSteps: steps, largestRate: largest },
    };
  },
  point: ({ beta1 }, weight, { momentum }) => add(mul(momentum, 1 - beta1), mul(weight, beta1)),
  ownDecay: true,
  update({ beta1, beta2, epsilon }, { weight, gradient: g, slots, scalars, decay, project }): Update {
    const velocity = add(slots.velocity, mul(sub(square(g), slots.velocity), 1 - beta2));
    let direction = div(g, add(sqrt(mul(velocity, scalars.correction)), epsilon));
    if (decay) {
      const y = add(mul(slots.momentum, 1 - beta1), mul(weight, beta1));
      direction = add(direction, mul(y, decay));
    }
    const momentum = project(sub(slots.momentum, mul(direction, scalars.learningRate)));
    const average = add(mul(weight, oneMinus(scalars.share)), mul(momentum, scalars.share));
    return { weight: average, slots: { momentum, velocity } };
  },
});
