/** Every schedule by its factory. */
import { cosineDecay } from './cosine-decay.ts';
import { cosineDecayRestarts } from './cosine-decay-restarts.ts';
import { exponentialDecay } from './exponential-decay.ts';
import { inverseSquareRoot, noam } from './inverse-square-root.ts';
import { inverseTimeDecay } from './inverse-time-decay.ts';
import { oneCycle } from './one-cycle.ts';
import { piecewiseConstantDecay } from './piecewise-constant-decay.ts';
import { polynomialDecay } from './polynomial-decay.ts';
import { knowSchedules } from './schedule.ts';
import { warmup } from './warmup.ts';

/** The schedules: `optimizers.adam({ learningRate: schedules.cosineDecay({ initialLearningRate: 1e-3, decaySteps: 5000 }) })`. */
export const schedules = {
  exponentialDecay,
  piecewiseConstantDecay,
  polynomialDecay,
  inverseTimeDecay,
  cosineDecay,
  cosineDecayRestarts,
  oneCycle,
  warmup,
  inverseSquareRoot,
  noam,
};

knowSchedules(Object.values(schedules));
