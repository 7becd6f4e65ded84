/** Inverse time decay. Keras 3, `keras.optimizers.schedules.InverseTimeDecay`. */
import { flag } from '../../layers/options.ts';
import { defineKerasSchedule, requiredRate, requiredSteps, scheduleName } from './schedule.ts';

/**
 * initialLearningRate / (1 + decayRate * iteration / decaySteps); with `staircase`, the quotient is rounded down.
 *
 * @example schedules.inverseTimeDecay({ initialLearningRate: 0.1, decaySteps: 1, decayRate: 0.5 })
 */
export const inverseTimeDecay = defineKerasSchedule({
  className: 'InverseTimeDecay',
  options: {
    initialLearningRate: requiredRate(),
    decaySteps: requiredSteps(),
    decayRate: requiredRate(),
    /** Default false. */
    staircase: flag(false),
    name: scheduleName('InverseTimeDecay'),
  },
  value({ initialLearningRate, decaySteps, decayRate, staircase }, iteration) {
    const p = iteration / decaySteps;
    return initialLearningRate / (1 + decayRate * (staircase ? Math.floor(p) : p));
  },
});
