/** Dropout of whole features. Tompson et al., "Efficient object localization using convolutional networks" (2015). */
import { mul } from '../ops/pointwise.ts';
import { needRank } from './axes.ts';
import { dropoutMask } from './dropout-mask.ts';
import { defineLayer } from './layer.ts';
import { option, seedOption } from './options.ts';

/**
 * In training, sets a share `rate` of the features of a sequence to zero, each for all steps, and scales the others by 1 / (1 - rate); else
 * passes its input: (B, T, F) to (B, T, F). A mask goes on. Keras: SpatialDropout1D.
 *
 * @example layers.spatialDropout1d({ rate: 0.3 })
 */
export const spatialDropout1d = defineLayer({
  className: 'SpatialDropout1D',
  options: {
    /** Share of the features that is dropped, 0 to 1. */
    rate: option<number, true>(
      'a number from 0 to 1',
      (v) => typeof v === 'number' && v >= 0 && v <= 1,
      undefined,
      true,
    ),
    /** Default: the model's. */
    seed: seedOption(),
  },
  // Keras's class takes no `trainable`, and writes the type as a word.
  kerasConfig: ({ dtype }, { trainable: _trainable, ...json }) => ({ ...json, dtype }),
  weights: () => [],
  outputs: (_config, [shape], path) => [needRank(shape, 3, '(batch, time, features)', path)],
  call({ rate, seed }, { inputs: [x], masks, training, random }) {
    if (!training || rate === 0) return { outputs: [x], masks };
    if (rate === 1) return { outputs: [mul(x, 0)], masks };
    return { outputs: [mul(x, dropoutMask(random, [x.shape[0], 1, x.shape[2]], rate, seed))], masks };
  },
});
