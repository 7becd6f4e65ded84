/** Dropout. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014). */
import { fail } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import { mul } from '../ops/pointwise.ts';
import type { Tensor } from '../ops/tensor.ts';
import { dropoutMask } from './dropout-mask.ts';
import { defineLayer } from './layer.ts';
import { type Option, option, seedOption, showValue } from './options.ts';

export const noiseShapeOption = (): Option<
  readonly (number | null)[] | null,
  readonly (number | null)[] | null,
  false
> => ({
  required: false,
  fallback: null,
  expected: 'a shape of whole numbers and nulls, or null',
  parse(value, where) {
    if (value !== null && !(Array.isArray(value) && value.every((d) => d === null || (Number.isInteger(d) && d > 0))))
      fail('ARGUMENT', where, this.expected, showValue(value));
    return value as readonly (number | null)[] | null;
  },
});

/** The sizes of a draw for x. Throws SHAPE. */
export function noiseSizes(shared: readonly (number | null)[] | null, x: Tensor, path: string): Shape {
  if (!shared) return x.shape;
  if (shared.length !== x.rank) fail('SHAPE', `${path}.noiseShape`, `${x.rank} axes`, String(shared.length));
  return shared.map((d, i) => d ?? x.shape[i]);
}

/**
 * In training, sets a share `rate` of the values to zero and scales the others by 1 / (1 - rate); else passes its input. (B, ...) to the same
 * shape; a mask goes on. Srivastava et al. (2014). Keras: Dropout.
 *
 * @example layers.dropout({ rate: 0.5 })
 */
export const dropout = defineLayer({
  className: 'Dropout',
  options: {
    /** Share of the values that is dropped, 0 to 1. */
    rate: option<number, true>(
      'a number from 0 to 1',
      (v) => typeof v === 'number' && v >= 0 && v <= 1,
      undefined,
      true,
    ),
    /** Default: the model's. */
    seed: seedOption(),
    /** Shape of the draw where it is shared along axes (those of size 1; null: as the input). Default: as the input. */
    noiseShape: noiseShapeOption(),
  },
  weights: () => [],
  outputs: (_config, [shape]) => [shape],
  call({ rate, seed, noiseShape: shared }, { inputs: [x], masks, training, random, path }) {
    if (!training || rate === 0) return { outputs: [x], masks };
    if (rate === 1) return { outputs: [mul(x, 0)], masks };
    return { outputs: [mul(x, dropoutMask(random, noiseSizes(shared, x, path), rate, seed))], masks };
  },
});
