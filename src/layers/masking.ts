/** Steps that are padding, told by their values. */
import { notEqual, select } from '../ops/pointwise.ts';
import { max } from '../ops/reduce.ts';
import { defineLayer } from './layer.ts';
import { besideMask, bothMasks } from './mask.ts';
import { finiteNumber } from './options.ts';

/**
 * Masks the steps of which every feature is `maskValue`, and sets them to 0: (B, T, F) to (B, T, F). A mask that comes in is kept beside the
 * layer's own. Keras: Masking.
 *
 * @example layers.masking({ maskValue: -1 })
 */
export const masking = defineLayer({
  className: 'Masking',
  options: {
    /** Default 0. */
    maskValue: finiteNumber(0),
  },
  paddingValue: ({ maskValue }) => maskValue,
  weights: () => [],
  outputs: (_config, [shape]) => [shape],
  call({ maskValue }, { inputs: [x], masks: [given] }) {
    const own = max(notEqual(x, maskValue), { axes: [-1] });
    return { outputs: [select(besideMask(own, x.rank), x, 0)], masks: [bothMasks(own, given)] };
  },
});
