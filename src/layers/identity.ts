/** Layers that pass their input: as a place with a name, and as a place where outputs pay a penalty. */
import { mul } from '../ops/pointwise.ts';
import { defineLayer } from './layer.ts';
import { option } from './options.ts';
import { regularizers } from './regularizers.ts';

/**
 * y = x, (B, ...) to the same shape. A mask goes on. Keras: Identity.
 *
 * @example layers.identity({ name: 'features' })
 */
export const identity = defineLayer({
  className: 'Identity',
  options: {},
  weights: () => [],
  outputs: (_config, shapes) => shapes,
  call: (_config, { inputs, masks }) => ({ outputs: inputs, masks }),
});

const factor = () =>
  option<number>('a number from 0 on', (v) => typeof v === 'number' && Number.isFinite(v) && v >= 0, 0);

/**
 * y = x, and l1 sum(|x|) + l2 sum(x^2), divided by the batch size, is added to the loss. (B, ...) to the same shape; a mask goes on.
 * Keras: ActivityRegularization.
 *
 * @example layers.activityRegularization({ l1: 0.001 })
 */
export const activityRegularization = defineLayer({
  className: 'ActivityRegularization',
  options: {
    /** Default 0. */
    l1: factor(),
    /** Default 0. */
    l2: factor(),
  },
  weights: () => [],
  outputs: (_config, [shape]) => [shape],
  call: ({ l1, l2 }, { inputs: [x], masks }) => ({
    outputs: [x],
    masks,
    losses: l1 || l2 ? [mul(regularizers.l1l2({ l1, l2 }).penalty(x), 1 / Math.max(1, x.shape[0] ?? 1))] : [],
  }),
});
