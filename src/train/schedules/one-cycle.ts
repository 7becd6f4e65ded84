/**
 * One cycle: up to a large rate and down to a very small one. Smith and Topin, "Super-convergence" (2018); the numbers are those of PyTorch's
 * `OneCycleLR`. The momentum is left alone.
 */
import { choice, flag, option, positiveNumber } from '../../layers/options.ts';
import { defineSchedule, requiredRate, requiredSteps } from './schedule.ts';

/**
 * The rate rises from maxLearningRate / divFactor to maxLearningRate within the share pctStart of totalSteps, and falls to the first
 * rate / finalDivFactor until the last step. With `threePhase` it falls as slowly as it rose, and then to the end. After totalSteps it stays.
 *
 * @example schedules.oneCycle({ maxLearningRate: 1e-2, totalSteps: epochs * Math.ceil(count / batchSize) })
 */
export const oneCycle = defineSchedule({
  className: 'OneCycle',
  options: {
    maxLearningRate: requiredRate(),
    totalSteps: requiredSteps(),
    /** The share of the steps in which the rate rises. Default 0.3. */
    pctStart: option<number>('a number from 0 to 1', (v) => typeof v === 'number' && v >= 0 && v <= 1, 0.3),
    /** Default 'cosine'. */
    annealStrategy: choice(['cosine', 'linear'], 'cosine'),
    /** Default 25. */
    divFactor: positiveNumber(25),
    /** Default 1e4. */
    finalDivFactor: positiveNumber(1e4),
    /** Default false. */
    threePhase: flag(false),
  },
  value({ maxLearningRate, totalSteps, pctStart, annealStrategy, divFactor, finalDivFactor, threePhase }, iteration) {
    const first = maxLearningRate / divFactor;
    const last = first / finalDivFactor;
    const top = pctStart * totalSteps - 1;
    // Where each phase ends, and with which rate.
    const phases: readonly (readonly [number, number])[] = threePhase
      ? [
          [top, maxLearningRate],
          [2 * pctStart * totalSteps - 2, first],
          [totalSteps - 1, last],
        ]
      : [
          [top, maxLearningRate],
          [totalSteps - 1, last],
        ];
    let start = 0;
    let from = first;
    for (const [k, [end, to]] of phases.entries()) {
      if (iteration <= end || k === phases.length - 1) {
        const share = end > start ? Math.min(1, (iteration - start) / (end - start)) : 1;
        if (annealStrategy === 'linear') return from + (to - from) * share;
        return to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
      }
      start = end;
      from = to;
    }
    return last;
  },
});
