/**
 * Cosine decay with warm restarts. Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts" (2016); Keras 3,
 * `keras.optimizers.schedules.CosineDecayRestarts`.
 */
import { finiteNumber, option } from '../../layers/options.ts';
import { cosineShare } from './cosine-decay.ts';
import { defineKerasSchedule, requiredRate, requiredSteps, scheduleName } from './schedule.ts';

/** How many restarts there were before, and the share of the present period that is over. */
function place(periods: number, growth: number): { restarts: number; share: number } {
  if (growth === 1) return { restarts: Math.floor(periods), share: periods - Math.floor(periods) };
  const start = (restarts: number) => (growth ** restarts - 1) / (growth - 1);
  let restarts = Math.floor(Math.log(1 + periods * (growth - 1)) / Math.log(growth));
  // The quotient of logarithms may miss a whole number by a rounding, which would be a restart too late or too early.
  if (start(restarts + 1) <= periods) restarts++;
  if (start(restarts) > periods) restarts--;
  return { restarts, share: (periods - start(restarts)) / growth ** restarts };
}

/**
 * Half waves from the initial rate to `alpha` times it. The first takes firstDecaySteps, each one after that tMul times as many, and starts
 * mMul times as high.
 *
 * @example schedules.cosineDecayRestarts({ initialLearningRate: 0.1, firstDecaySteps: 1000 })
 */
export const cosineDecayRestarts = defineKerasSchedule({
  className: 'CosineDecayRestarts',
  options: {
    initialLearningRate: requiredRate(),
    firstDecaySteps: requiredSteps(),
    /** Default 2. */
    tMul: option<number>('a number from 1 on', (v) => typeof v === 'number' && Number.isFinite(v) && v >= 1, 2),
    /** Default 1. */
    mMul: finiteNumber(1),
    /** Default 0. */
    alpha: finiteNumber(0),
    name: scheduleName('SGDRDecay'),
  },
  value({ initialLearningRate, firstDecaySteps, tMul, mMul, alpha }, iteration) {
    const { restarts, share } = place(iteration / firstDecaySteps, tMul);
    const wave = cosineShare(share, 0) * mMul ** restarts;
    return initialLearningRate * ((1 - alpha) * wave + alpha);
  },
});
