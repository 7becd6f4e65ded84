/** Normal noise in training. Srivastava et al., "Dropout" (2014), section 10, for the multiplied one. A mask goes on. */

import { normalOf } from '../ops/normal.ts';
import { add, mul } from '../ops/pointwise.ts';
import { defineLayer } from './layer.ts';
import { option, seedOption } from './options.ts';

const share = () =>
  option<number, true>('a number from 0 to 1', (v) => typeof v === 'number' && v >= 0 && v <= 1, undefined, true);

/**
 * In training, adds normal noise of deviation `stddev`; else passes its input. Keras: GaussianNoise.
 *
 * @example layers.gaussianNoise({ stddev: 0.1 })
 */
export const gaussianNoise = defineLayer({
  className: 'GaussianNoise',
  options: {
    /** Deviation of the noise, 0 to 1. */
    stddev: share(),
    /** Default: the model's. */
    seed: seedOption(),
  },
  weights: () => [],
  outputs: (_config, [shape]) => [shape],
  call({ stddev, seed }, { inputs: [x], masks, training, random }) {
    if (!training || stddev === 0) return { outputs: [x], masks };
    const noise = normalOf(random.uniform(x.shape, seed), random.uniform(x.shape, seed));
    return { outputs: [add(x, mul(noise, stddev))], masks };
  },
});

/**
 * In training, multiplies with normal noise of mean 1 and deviation sqrt(rate / (1 - rate)); else passes its input.
 * Keras: GaussianDropout.
 *
 * @example layers.gaussianDropout({ rate: 0.2 })
 */
export const gaussianDropout = defineLayer({
  className: 'GaussianDropout',
  options: {
    /** As the rate of dropout with the same deviation, 0 to below 1. */
    rate: option<number, true>(
      'a number from 0 to below 1',
      (v) => typeof v === 'number' && v >= 0 && v < 1,
      undefined,
      true,
    ),
    /** Default: the model's. */
    seed: seedOption(),
  },
  weights: () => [],
  outputs: (_config, [shape]) => [shape],
  call({ rate, seed }, { inputs: [x], masks, training, random }) {
    if (!training || rate === 0) return { outputs: [x], masks };
    const noise = normalOf(random.uniform(x.shape, seed), random.uniform(x.shape, seed));
    return { outputs: [mul(x, add(mul(noise, Math.sqrt(rate / (1 - rate))), 1))], masks };
  },
});
