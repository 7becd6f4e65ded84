/** Adafactor. Shazeer and Stern, "Adafactor: adaptive learning rates with sublinear memory cost" (2018). */
import type { Shape } from '../../core/shape.ts';
import { finiteNumber, flag, positiveNumber } from '../../layers/options.ts';
import { add, div, equal, maximum, mul, oneMinus, select, sqrt, square, sub } from '../../ops/pointwise.ts';
import { mean } from '../../ops/reduce.ts';
import { expandDims } from '../../ops/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { defineOptimizer, type OptimizedWeight, type Slot, type Update } from './optimizer.ts';

const rootMeanSquare = (x: Tensor) => sqrt(mean(square(x)));

/** The shapes of the means over columns and over rows of a weight of two axes or more. */
function factors({ shape }: Pick<OptimizedWeight, 'shape'>) {
  const last = shape.length - 1;
  return { r: shape.slice(0, last), c: [...shape.slice(0, last - 1), shape[last]] };
}

/**
 * The second moments of a matrix are kept as one number for every row and every column: r and c are running means of g^2 + epsilon1 with
 * beta2 = 1 - t^beta2Decay, and v = r / mean(r) * c. Weights of one axis keep v itself. The step u = g / sqrt(v) is cut where its root mean
 * square is above clipThreshold, and w -= max(epsilon2, rms(w)) min(lr, 1 / sqrt(t)) u.
 *
 * @example optimizers.adafactor({ learningRate: 0.01 })
 */
export const adafactor = defineOptimizer({
  className: 'Adafactor',
  options: {
    /** Default -0.8. */
    beta2Decay: { ...finiteNumber(-0.8), key: 'beta_2_decay' },
    /** Default 1e-30. */
    epsilon1: { ...positiveNumber(1e-30), key: 'epsilon_1' },
    /** Default 1e-3. */
    epsilon2: { ...positiveNumber(1e-3), key: 'epsilon_2' },
    /** Default 1. */
    clipThreshold: positiveNumber(1),
    /**
     * Cut a constant learning rate at 1 / sqrt(t). As in Keras this changes nothing, because every rate is cut there (the rho of the paper).
     * Default true.
     */
    relativeStep: flag(true),
  },
  slots(_config, weight): Record<string, Partial<Slot>> {
    if (weight.shape.length < 2) return { velocity: {} };
    const { r, c } = factors(weight);
    return { r: { shape: r, groups: 1 }, c: { shape: c } };
  },
  kerasOrder: [['r', 'c', 'velocity']],
  kerasUnread: (weight): Record<string, Shape> =>
    weight.shape.length < 2 ? { r: [], c: [] } : { velocity: weight.shape },
  scalars({ beta2Decay }, step, learningRate) {
    const t = step + 1;
    return { rho: Math.min(learningRate, 1 / Math.sqrt(t)), beta2: 1 - t ** beta2Decay };
  },
  update({ epsilon1, epsilon2, clipThreshold }, { weight, gradient: g, slots, scalars }): Update {
    const squares = add(square(g), epsilon1);
    const follow = (before: Tensor, now: Tensor) => add(mul(before, scalars.beta2), mul(now, oneMinus(scalars.beta2)));
    const next: Record<string, Tensor> = {};
    let root: Tensor;
    if (slots.velocity) {
      next.velocity = follow(slots.velocity, squares);
      root = sqrt(next.velocity);
    } else {
      next.r = follow(slots.r, mean(squares, { axes: [-1] }));
      next.c = follow(slots.c, mean(squares, { axes: [-2] }));
      const rows = sqrt(div(next.r, mean(next.r, { axes: [-1], keepDims: true })));
      // Roots before the product: the product of two tiny numbers would be zero in float32.
      root = mul(expandDims(rows, -1), expandDims(sqrt(next.c), -2));
    }
    const step = select(equal(g, 0), 0, div(g, root));
    const cut = maximum(div(rootMeanSquare(step), clipThreshold), 1);
    const alpha = mul(maximum(rootMeanSquare(weight), epsilon2), scalars.rho);
    return { weight: sub(weight, mul(step, div(alpha, cut))), slots: next };
  },
});
