/** Every optimizer by its factory, and by name. */
import { describedOf } from '../../layers/described.ts';
import { adam } from './adam.ts';
import type { Optimizer } from './optimizer.ts';
import { rmsprop } from './rmsprop.ts';
import { sgd } from './sgd.ts';

/** The optimizers: `optimizers.adam({ learningRate: 1e-3 })`. */
export const optimizers = { sgd, rmsprop, adam };

/** What may stand for an optimizer: a name, one made by `optimizers`, or Keras's object. */
export type OptimizerLike = keyof typeof optimizers | (string & {}) | Optimizer | Readonly<Record<string, unknown>>;

export function optimizerOf(value: OptimizerLike): Optimizer {
  return describedOf<Optimizer>(value, optimizers, {}, 'an optimizer', 'compile: optimizer');
}
