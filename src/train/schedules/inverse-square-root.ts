/** Decay with the square root of the iteration. Vaswani et al., "Attention is all you need" (2017), section 5.3. */
import { option, positiveNumber } from '../../layers/options.ts';
import { defineSchedule, optionalSteps, requiredRate, requiredSteps } from './schedule.ts';

/**
 * A straight line from 0 to `learningRate` over warmupSteps, then learningRate * sqrt(timescale / (iteration - warmupSteps + timescale)).
 *
 * @example schedules.inverseSquareRoot({ learningRate: 1e-3, warmupSteps: 1000 })
 */
export const inverseSquareRoot = defineSchedule({
  className: 'InverseSquareRoot',
  options: {
    /** The highest rate, at the end of the warm-up. */
    learningRate: requiredRate(),
    /** Default 0. */
    warmupSteps: optionalSteps(0),
    /** Steps within which the decay begins to show. Default null: warmupSteps, or 10,000 without a warm-up. */
    timescale: option<number | null>(
      'a number above 0, or null',
      (v) => v === null || (typeof v === 'number' && Number.isFinite(v) && v > 0),
      null,
    ),
  },
  value({ learningRate, warmupSteps, timescale }, iteration) {
    if (iteration < warmupSteps) return (learningRate * iteration) / warmupSteps;
    const scale = timescale ?? (warmupSteps || 10_000);
    return learningRate * Math.sqrt(scale / (iteration - warmupSteps + scale));
  },
});

/**
 * factor * modelSize^-0.5 * min(step^-0.5, step * warmupSteps^-1.5), with the step counted from 1: the schedule of the Transformer.
 *
 * @example schedules.noam({ modelSize: 512 })
 */
export const noam = defineSchedule({
  className: 'Noam',
  options: {
    /** The width of the model. */
    modelSize: requiredSteps(),
    /** Default 4000. */
    warmupSteps: positiveNumber(4000),
    /** Default 1. */
    factor: positiveNumber(1),
  },
  value({ modelSize, warmupSteps, factor }, iteration) {
    const step = iteration + 1;
    return factor * modelSize ** -0.5 * Math.min(step ** -0.5, step * warmupSteps ** -1.5);
  },
});
