/** Adam. Kingma and Ba, "Adam: a method for stochastic optimization" (2015); amsgrad: Reddi, Kale, Kumar (2018). */
import { flag, fraction, positiveNumber } from '../../layers/options.ts';
import { add, div, maximum, mul, sqrt, square, sub } from '../../ops/pointwise.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { defineOptimizer, type Update, type UpdateContext, weightDecayOption } from './optimizer.ts';

/** The bias corrections and the learning rate in one number, for a step counted from 0. */
export function adamRate(beta1: number, beta2: number, step: number, learningRate: number): number {
  return (learningRate * Math.sqrt(1 - beta2 ** (step + 1))) / (1 - beta1 ** (step + 1));
}

interface AdamRule {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** Adam's update with `scalars.alpha` as its rate. */
export function adamUpdate(
  { beta1, beta2, epsilon }: AdamRule,
  { weight, gradient: g, slots, scalars }: UpdateContext,
): Update {
  const momentum = add(slots.momentum, mul(sub(g, slots.momentum), 1 - beta1));
  const velocity = add(slots.velocity, mul(sub(square(g), slots.velocity), 1 - beta2));
  const next: Record<string, Tensor> = { momentum, velocity };
  if (slots.velocityHat) next.velocityHat = maximum(slots.velocityHat, velocity);
  const step = div(mul(momentum, scalars.alpha), add(sqrt(next.velocityHat ?? velocity), epsilon));
  return { weight: sub(weight, step), slots: next };
}

const options = {
  /** Default 0.9. */
  beta1: { ...fraction(0.9), key: 'beta_1' },
  /** Default 0.999. */
  beta2: { ...fraction(0.999), key: 'beta_2' },
  /** Default 1e-7. */
  epsilon: positiveNumber(1e-7),
  /** Divide by the largest v so far. Default false. */
  amsgrad: flag(false),
};

/** What Adam and AdamW share: all but a default. */
const rule = {
  slots: ({ amsgrad }: { amsgrad: boolean }) => ({
    momentum: {},
    velocity: {},
    ...(amsgrad && { velocityHat: {} }),
  }),
  kerasOrder: [['momentum', 'velocity'], ['velocityHat']],
  scalars: ({ beta1, beta2 }: AdamRule, step: number, learningRate: number) => ({
    alpha: adamRate(beta1, beta2, step, learningRate),
  }),
  update: adamUpdate,
};

/**
 * m += (1 - beta1)(g - m); v += (1 - beta2)(g^2 - v); w -= lr sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon), with t counted
 * from 1.
 *
 * @example optimizers.adam({ learningRate: 1e-3, globalClipnorm: 1 })
 */
export const adam = defineOptimizer({ className: 'Adam', options, ...rule });

/**
 * Adam with decoupled weight decay: w -= lr * weightDecay * w before the step. Loshchilov and Hutter (2019).
 *
 * @example optimizers.adamW({ weightDecay: 0.01, excludeFromWeightDecay: ['bias'] })
 */
export const adamW = defineOptimizer({
  className: 'AdamW',
  options: {
    /** Default 0.004. */
    weightDecay: weightDecayOption(0.004),
    ...options,
  },
  ...rule,
});
