/** Exponential decay. Keras 3, `keras.optimizers.schedules.ExponentialDecay`. */
import { flag } from '../../layers/options.ts';
import { defineKerasSchedule, requiredRate, requiredSteps, scheduleName } from './schedule.ts';

/**
 * initialLearningRate * decayRate ^ (iteration / decaySteps); with `staircase`, the exponent is rounded down.
 *
 * @example schedules.exponentialDecay({ initialLearningRate: 0.1, decaySteps: 1000, decayRate: 0.96 })
 */
export const exponentialDecay = defineKerasSchedule({
  className: 'ExponentialDecay',
  options: {
    initialLearningRate: requiredRate(),
    decaySteps: requiredSteps(),
    decayRate: requiredRate(),
    /** Default false. */
    staircase: flag(false),
    name: scheduleName('ExponentialDecay'),
  },
  value({ initialLearningRate, decaySteps, decayRate, staircase }, iteration) {
    const p = iteration / decaySteps;
    return initialLearningRate * decayRate ** (staircase ? Math.floor(p) : p);
  },
});
