/** Losses of overlapping sets. Source: Keras 3, `keras/src/losses/losses.py`. */
import { normalAxis, type Shape } from '../../core/shape.ts';
import { add, div, mul, oneMinus } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { finiteNumber, option } from '../options.ts';
import { epsilon } from './classes.ts';
import { defineLoss } from './loss.ts';

const isInteger = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v);

/** One axis, several, or null for all of them, the batch too. */
const axesOption = option<number | readonly number[] | null>(
  'an axis, a list of them, or null for all',
  (v) => v === null || isInteger(v) || (Array.isArray(v) && v.length > 0 && v.every(isInteger)),
  null,
);

type Axes = number | readonly number[] | null;

const axesFor = (axis: Axes): { axes?: readonly number[] } =>
  axis === null ? {} : { axes: typeof axis === 'number' ? [axis] : axis };

function entriesWithout(axis: Axes, target: Shape): Shape {
  const { axes } = axesFor(axis);
  const gone = axes?.map((a) => normalAxis(a, target.length + 1, 'axis'));
  return gone && !gone.includes(0) ? target.filter((_, i) => !gone.includes(i + 1)) : [];
}

/**
 * 1 - 2 sum(y p) / (sum(y) + sum(p) + 1e-7), the sums over `axis`. By default over everything, the batch too: one value, to which a
 * mask makes no difference. With `axis: [1, 2]` and the like, one value per sample.
 *
 * @example losses.dice({ axis: [1, 2] })
 */
export const dice = defineLoss({
  className: 'Dice',
  targets: 'values',
  options: { axis: axesOption },
  entries: ({ axis }, target) => entriesWithout(axis, target),
  values({ axis }, y, p) {
    const over = (x: Tensor) => sum(x, axesFor(axis));
    return oneMinus(div(mul(over(mul(y, p)), 2), add(add(over(y), over(p)), epsilon)));
  },
});

/**
 * 1 - s / (s + `alpha` sum(y (1 - p)) + `beta` sum(p (1 - y)) + 1e-7) with s = sum(y p), the sums over `axis` as in `dice`: the weights of
 * what is missed and of what is found wrongly. With 0.5 and 0.5 it is the Dice loss. Salehi et al., "Tversky loss function" (2017).
 *
 * @example losses.tversky({ alpha: 0.3, beta: 0.7 }) // finding wrongly costs more than missing
 */
export const tversky = defineLoss({
  className: 'Tversky',
  targets: 'values',
  options: {
    /** Default 0.5. */
    alpha: finiteNumber(0.5),
    /** Default 0.5. */
    beta: finiteNumber(0.5),
    axis: axesOption,
  },
  entries: ({ axis }, target) => entriesWithout(axis, target),
  values({ alpha, beta, axis }, y, p) {
    const over = (x: Tensor) => sum(x, axesFor(axis));
    const both = over(mul(y, p));
    const missed = mul(over(mul(oneMinus(p), y)), alpha);
    const wrong = mul(over(mul(p, oneMinus(y))), beta);
    return oneMinus(div(both, add(add(add(both, missed), wrong), epsilon)));
  },
});
