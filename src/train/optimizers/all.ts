/** Every optimizer by its factory, and by name. */
import { describedOf } from '../../layers/described.ts';
import { adadelta } from './adadelta.ts';
import { adafactor } from './adafactor.ts';
import { adagrad } from './adagrad.ts';
import { adam, adamW } from './adam.ts';
import { adamax } from './adamax.ts';
import { ftrl } from './ftrl.ts';
import { lamb } from './lamb.ts';
import { lion } from './lion.ts';
import { muon } from './muon.ts';
import { nadam } from './nadam.ts';
import type { Optimizer } from './optimizer.ts';
import { rmsprop } from './rmsprop.ts';
import { scheduleFreeAdamW } from './schedule-free-adam-w.ts';
import { sgd } from './sgd.ts';

/** The optimizers: `optimizers.adam({ learningRate: 1e-3 })`. */
export const optimizers = {
  sgd,
  rmsprop,
  adam,
  adamW,
  nadam,
  adamax,
  adagrad,
  adadelta,
  ftrl,
  lion,
  lamb,
  adafactor,
  muon,
  scheduleFreeAdamW,
};

/** What may stand for an optimizer: a name, one made by `optimizers`, or Keras's object. */
export type OptimizerLike = keyof typeof optimizers | (string & {}) | Optimizer | Readonly<Record<string, unknown>>;

export function optimizerOf(value: OptimizerLike): Optimizer {
  return describedOf<Optimizer>(value, optimizers, {}, 'an optimizer', 'compile: optimizer');
}
