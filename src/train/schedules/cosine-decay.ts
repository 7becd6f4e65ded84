/** Cosine decay with an optional warm-up. Loshchilov and Hutter, "SGDR" (2016); Keras 3, `keras.optimizers.schedules.CosineDecay`. */
import { finiteNumber, option } from '../../layers/options.ts';
import { defineKerasSchedule, optionalSteps, requiredRate, requiredSteps, scheduleName } from './schedule.ts';

/** Half a wave from 1 down to `alpha`, for a share from 0 to 1. */
export function cosineShare(share: number, alpha: number): number {
  return (1 - alpha) * 0.5 * (1 + Math.cos(Math.PI * share)) + alpha;
}

/**
 * Half a wave from the initial rate down to `alpha` times it, over decaySteps. With `warmupTarget`, the rate first rises in a straight line
 * from the initial rate to the target over warmupSteps, and decays from there.
 *
 * @example schedules.cosineDecay({ initialLearningRate: 0, warmupTarget: 1e-3, warmupSteps: 1000, decaySteps: 10_000 })
 */
export const cosineDecay = defineKerasSchedule({
  className: 'CosineDecay',
  options: {
    initialLearningRate: requiredRate(),
    /** Without the warm-up. */
    decaySteps: requiredSteps(),
    /** The share of the rate at the end. Default 0. */
    alpha: finiteNumber(0),
    name: scheduleName('CosineDecay'),
    /** Default null: no warm-up. */
    warmupTarget: option<number | null>(
      'a number, or null',
      (v) => v === null || (typeof v === 'number' && Number.isFinite(v)),
      null,
    ),
    /** Default 0. */
    warmupSteps: optionalSteps(0),
  },
  value({ initialLearningRate, decaySteps, alpha, warmupTarget, warmupSteps }, iteration) {
    if (warmupTarget === null)
      return initialLearningRate * cosineShare(Math.min(iteration, decaySteps) / decaySteps, alpha);
    if (iteration < warmupSteps)
      return (warmupTarget - initialLearningRate) * (iteration / warmupSteps) + initialLearningRate;
    return warmupTarget * cosineShare(Math.min(iteration - warmupSteps, decaySteps) / decaySteps, alpha);
  },
});
