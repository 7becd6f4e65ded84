/** Polynomial decay. Keras 3, `keras.optimizers.schedules.PolynomialDecay`. */
import { finiteNumber, flag } from '../../layers/options.ts';
import { defineKerasSchedule, requiredRate, requiredSteps, scheduleName } from './schedule.ts';

/**
 * (initialLearningRate - endLearningRate) * (1 - iteration / decaySteps) ^ power + endLearningRate, and the end after decaySteps. With
 * `cycle`, decaySteps is taken times the number of cycles that have begun, so that the rate jumps up again after each.
 *
 * @example schedules.polynomialDecay({ initialLearningRate: 0.1, decaySteps: 10_000, endLearningRate: 0.01, power: 0.5 })
 */
export const polynomialDecay = defineKerasSchedule({
  className: 'PolynomialDecay',
  options: {
    initialLearningRate: requiredRate(),
    decaySteps: requiredSteps(),
    /** Default 1e-4. */
    endLearningRate: finiteNumber(0.0001),
    /** Default 1: a straight line. */
    power: finiteNumber(1),
    /** Default false. */
    cycle: flag(false),
    name: scheduleName('PolynomialDecay'),
  },
  value({ initialLearningRate, decaySteps, endLearningRate, power, cycle }, iteration) {
    const whole = cycle && iteration > 0 ? decaySteps * Math.ceil(iteration / decaySteps) : decaySteps;
    const p = Math.min(iteration, whole) / whole;
    return (initialLearningRate - endLearningRate) * (1 - p) ** power + endLearningRate;
  },
});
