/** The learning rate of a compiled model: a number that may be set, or what a schedule makes of the iteration. */
import { fail } from '../core/errors.ts';
import type { Compilation } from './compilation.ts';
import { rateAt } from './schedules/schedule.ts';
import type { Counters } from './trainer.ts';

type Optimized = Pick<Compilation, 'optimizer'>;

/** The rate that the counters start with; schedules do not look at it. */
export function firstLearningRate({ optimizer }: Optimized): number {
  const { learningRate } = optimizer.config;
  return typeof learningRate === 'number' ? learningRate : 0;
}

/** The rate of the step that comes after `iteration` others. */
export function learningRateAt({ optimizer }: Optimized, counters: Counters, iteration = counters.iteration): number {
  const { learningRate } = optimizer.config;
  return typeof learningRate === 'number' ? counters.learningRate : rateAt(learningRate, iteration);
}

/** Sets it. Throws STATE where a schedule decides, ARGUMENT for what is no rate. */
export function setLearningRate({ optimizer }: Optimized, counters: Counters, value: number): void {
  if (typeof optimizer.config.learningRate !== 'number')
    fail(
      'STATE',
      'learningRate',
      'an optimizer with a number as its learning rate',
      'one with a schedule',
      'Compile with a number to set it by hand or by a callback, or with a function of the iteration that decides by itself.',
    );
  if (!(value >= 0) || !Number.isFinite(value)) fail('ARGUMENT', 'learningRate', 'a number from 0 on', String(value));
  counters.learningRate = value;
}
