/** A warm-up before any other schedule. Goyal et al., "Accurate, large minibatch SGD" (2017), section 2.2. */
import { fail } from '../../core/errors.ts';
import { choice, type Option, option } from '../../layers/options.ts';
import {
  defineSchedule,
  floatFromKeras,
  type LearningRateLike,
  learningRateOf,
  rateAt,
  rateToKeras,
  requiredSteps,
} from './schedule.ts';

const target: Option<LearningRateLike, LearningRateLike, true> = {
  required: true,
  fallback: undefined,
  expected: 'a number from 0 on, a schedule, or a function',
  parse: learningRateOf,
  toKeras: rateToKeras,
  fromKeras: floatFromKeras,
};

/**
 * The rate goes from `from` to the first rate of `learningRate` within `steps`; then `learningRate` begins, counted from there.
 *
 * @example schedules.warmup({ steps: 500, learningRate: schedules.cosineDecay({ initialLearningRate: 1e-3, decaySteps: 9500 }) })
 */
export const warmup = defineSchedule({
  className: 'Warmup',
  options: {
    /** What comes after: a number, a schedule, or a function. */
    learningRate: target,
    steps: requiredSteps(),
    /** The rate of the first step. Default 0. */
    from: option<number>('a number from 0 on', (v) => typeof v === 'number' && Number.isFinite(v) && v >= 0, 0),
    /** A straight line, half a wave, equal factors, or `from` all the way. Default 'linear'. */
    curve: choice(['linear', 'cosine', 'exponential', 'constant'], 'linear'),
  },
  check({ from, curve }, where) {
    if (curve === 'exponential' && from === 0)
      fail('ARGUMENT', `${where}.from`, 'a number above 0 for an exponential curve', '0', 'Write `from: 1e-7`.');
  },
  value({ learningRate, steps, from, curve }, iteration) {
    if (iteration >= steps) return rateAt(learningRate, iteration - steps);
    if (curve === 'constant') return from;
    const share = iteration / steps;
    const to = rateAt(learningRate, 0);
    if (curve === 'exponential') return from * (to / from) ** share;
    return from + (to - from) * (curve === 'linear' ? share : 0.5 * (1 - Math.cos(Math.PI * share)));
  },
});
