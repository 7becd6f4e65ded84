/** Activations as layers of their own. Each goes element by element but softmax; a mask goes on. */
import { div, exp, less, maximum, minimum, mul, neg, relu as positive, select, sub } from '../ops/pointwise.ts';
import { max, sum } from '../ops/reduce.ts';
import { stopGradient } from '../ops/shape.ts';
import { type Activation, type ActivationLike, activationOption } from './activations.ts';
import { axesOf, axesOption, knownSize, optionalAxes } from './axes.ts';
import { constraintOption } from './constraints.ts';
import { initializerOption } from './initializers.ts';
import { defineLayer } from './layer.ts';
import { finiteNumber, type Option, option } from './options.ts';
import { regularizerOption } from './regularizers.ts';
import { plainWeight, ruledWeight } from './weight.ts';

const atLeastZero = (fallback: number) =>
  option<number>('a number from 0 on', (v) => typeof v === 'number' && Number.isFinite(v) && v >= 0, fallback);

const requiredActivation = (): Option<ActivationLike, Activation, true> => ({
  ...activationOption(null),
  required: true,
  fallback: undefined,
});

/**
 * y = activation(x). (B, ...) to the same shape; a mask goes on. Keras: Activation.
 *
 * @example layers.activation({ activation: 'tanh' })
 */
export const activation = defineLayer({
  className: 'Activation',
  options: {
    /** A name, or a function on tensors. */
    activation: requiredActivation(),
  },
  weights: () => [],
  outputs: (_config, [shape]) => [shape],
  call: ({ activation: own }, { inputs: [x], masks }) => ({ outputs: [own.apply(x)], masks }),
});

/**
 * y = x where threshold <= x < maxValue, maxValue above, negativeSlope (x - threshold) below.
 * (B, ...) to the same shape; a mask goes on. Keras: ReLU.
 *
 * @example layers.relu({ maxValue: 6 })
 */
export const relu = defineLayer({
  className: 'ReLU',
  options: {
    /** Upper limit. Default null: none. */
    maxValue: option<number | null>(
      'a number from 0 on, or null',
      (v) => v === null || (typeof v === 'number' && v >= 0),
      null,
    ),
    /** Default 0. */
    negativeSlope: atLeastZero(0),
    /** Default 0. */
    threshold: atLeastZero(0),
  },
  weights: () => [],
  outputs: (_config, [shape]) => [shape],
  call({ maxValue, negativeSlope, threshold }, { inputs: [x], masks }) {
    const above = threshold ? mul(x, less(threshold, x)) : positive(x);
    const limited = maxValue === null ? above : minimum(maximum(above, 0), maxValue);
    if (!negativeSlope) return { outputs: [limited], masks };
    return { outputs: [sub(limited, mul(positive(sub(threshold, x)), negativeSlope))], masks };
  },
});

/**
 * y = x above 0, negativeSlope x below. (B, ...) to the same shape; a mask goes on. Keras: LeakyReLU.
 *
 * @example layers.leakyRelu({ negativeSlope: 0.1 })
 */
export const leakyRelu = defineLayer({
  className: 'LeakyReLU',
  options: {
    /** Default 0.3. */
    negativeSlope: atLeastZero(0.3),
  },
  weights: () => [],
  outputs: (_config, [shape]) => [shape],
  call: ({ negativeSlope }, { inputs: [x], masks }) => ({
    outputs: [select(less(x, 0), mul(x, negativeSlope), x)],
    masks,
  }),
});

/**
 * y = x above 0, alpha (exp(x) - 1) below. Clevert et al. (2015).
 * (B, ...) to the same shape; a mask goes on. Keras: ELU.
 *
 * @example layers.elu()
 */
export const elu = defineLayer({
  className: 'ELU',
  options: {
    /** Default 1. */
    alpha: finiteNumber(1),
  },
  weights: () => [],
  outputs: (_config, [shape]) => [shape],
  call: ({ alpha }, { inputs: [x], masks }) => ({
    // The exponential of the positive side is never used; cutting it keeps an infinity out of the gradient. At 0 the slope is that below it.
    outputs: [select(less(0, x), x, mul(sub(exp(select(less(0, x), 0, x)), 1), alpha))],
    masks,
  }),
});

/**
 * y = x above 0, alpha x below, with a learnt alpha per element. He et al. (2015). Parameters: the product of the input's sizes, without the
 * batch and the shared axes. (B, ...) to the same shape; a mask goes on. Keras: PReLU.
 *
 * @example layers.prelu({ sharedAxes: [1] }) // one alpha per feature, for sequences of any length
 */
export const prelu = defineLayer({
  className: 'PReLU',
  options: {
    /** Default zeros. */
    alphaInitializer: initializerOption('zeros'),
    alphaRegularizer: regularizerOption(),
    alphaConstraint: constraintOption(),
    /** Axes, the first after the batch being 1, along which alpha is one. Default none. */
    sharedAxes: optionalAxes(),
  },
  weights({ alphaInitializer, alphaRegularizer, alphaConstraint, sharedAxes }, [shape], path) {
    const sizes = shape.slice(1).map((_, i) => (sharedAxes?.includes(i + 1) ? 1 : knownSize(shape, i + 1, path)));
    return [ruledWeight(plainWeight('alpha', sizes, alphaInitializer), alphaRegularizer, alphaConstraint)];
  },
  outputs: (_config, [shape]) => [shape],
  call: (_config, { inputs: [x], masks, weights }) => ({
    outputs: [sub(positive(x), mul(weights.alpha, positive(neg(x))))],
    masks,
  }),
});

/**
 * y = exp(x) / sum(exp(x)) along an axis, or several together. A mask of the shape of x leaves elements out: they are 0. (B, ...) to the same
 * shape. Keras: Softmax.
 *
 * @example layers.softmax()
 */
export const softmax = defineLayer({
  className: 'Softmax',
  options: {
    /** Default -1, the last. */
    axis: axesOption(-1),
  },
  weights: () => [],
  outputs({ axis }, [shape], path) {
    axesOf(axis, shape.length, path);
    return [shape];
  },
  call({ axis }, { inputs: [x], masks: [mask], path }) {
    const along = { axes: axesOf(axis, x.rank, path), keepDims: true };
    const own = mask && mask.rank === x.rank ? mask : null;
    const kept = own ? select(own, x, -1e9) : x;
    const e = exp(sub(kept, stopGradient(max(kept, along))));
    const y = div(e, sum(e, along));
    return { outputs: [own ? select(own, y, 0) : y], masks: [mask] };
  },
});
