/** Normal noise in training. Srivastava et al., "Dropout" (2014), section 10, for the multiplied one. A mask goes on. */

import { normalOf } from '../ops/normal.ts';
import { add, lessEqual, mul, select } from '../ops/pointwise.ts';
import { noiseShapeOption, noiseSizes } from './dropout.ts';
import { defineLayer } from './layer.ts';
import { option, seedOption } from './options.ts';

const share = () =>
  option<number, true>('a number from 0 to 1', (v) => typeof v === 'number' && v >= 0 && v <= 1, undefined, true);

/**
 * In training, adds normal noise of deviation `stddev`; else passes its input. (B, ...) to the same shape. Keras: GaussianNoise.
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

/** What negative values of selu tend to: alpha times its scale, with a minus. */
const seluFloor = -1.0507009873554805 * 1.6732632423543772;

/**
 * In training, sets a share `rate` of the values to the floor of selu and then scales and shifts all, so that mean and deviation stay; else
 * passes its input. For layers of selu. Klambauer et al., "Self-normalizing neural networks" (2017). A mask goes on. Keras: AlphaDropout.
 *
 * @example layers.alphaDropout({ rate: 0.1 })
 */
export const alphaDropout = defineLayer({
  className: 'AlphaDropout',
  options: {
    /** Share of the values that is dropped, 0 to below 1. */
    rate: option<number, true>(
      'a number from 0 to below 1',
      (v) => typeof v === 'number' && v >= 0 && v < 1,
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
  call({ rate, seed, noiseShape }, { inputs: [x], masks, training, random, path }) {
    if (!training || rate === 0) return { outputs: [x], masks };
    const kept = lessEqual(rate, random.uniform(noiseSizes(noiseShape, x, path), seed));
    const scale = ((1 - rate) * (1 + rate * seluFloor ** 2)) ** -0.5;
    const mixed = select(kept, x, seluFloor);
    return { outputs: [add(mul(mixed, scale), -scale * seluFloor * rate)], masks };
  },
});
