/**
 * Normalisation of every sample, or of every step, by itself. Ba et al., "Layer normalization" (2016); Zhang and Sennrich, "Root mean square
 * layer normalization" (2019); Wu and He, "Group normalization" (2018).
 */
import { fail } from '../core/errors.ts';
import { formatShape, type Shape } from '../core/shape.ts';
import { add, div, maximum, mul, rsqrt, sqrt, square, sub } from '../ops/pointwise.ts';
import { mean, sum } from '../ops/reduce.ts';
import { reshape } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { axesOf, axesOption, axisOption, knownSize } from './axes.ts';
import { constraintOption } from './constraints.ts';
import { initializerOf, initializerOption } from './initializers.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { flag, type OptionsOut, option, positiveNumber } from './options.ts';
import { regularizerOption } from './regularizers.ts';
import { plainWeight, ruledWeight, type WeightSpec } from './weight.ts';

/** Options of those that scale and shift. */
export const affineOptions = {
  /** Default 0.001. */
  epsilon: positiveNumber(1e-3),
  /** Add beta. Default true. */
  center: flag(true),
  /** Multiply with gamma. Default true. */
  scale: flag(true),
  /** Default zeros. */
  betaInitializer: initializerOption('zeros'),
  /** Default ones. */
  gammaInitializer: initializerOption('ones'),
  betaRegularizer: regularizerOption(),
  gammaRegularizer: regularizerOption(),
  betaConstraint: constraintOption(),
  gammaConstraint: constraintOption(),
};

type AffineConfig = OptionsOut<typeof affineOptions>;

/** gamma and beta, as far as the options ask for them. */
export function affineWeights(config: AffineConfig, sizes: Shape): WeightSpec[] {
  const gamma = plainWeight('gamma', sizes, config.gammaInitializer);
  const beta = plainWeight('beta', sizes, config.betaInitializer);
  return [
    ...(config.scale ? [ruledWeight(gamma, config.gammaRegularizer, config.gammaConstraint)] : []),
    ...(config.center ? [ruledWeight(beta, config.betaRegularizer, config.betaConstraint)] : []),
  ];
}

/** The sizes of the axes, in order, which must be known. */
function sizesOf(shape: OpenShape, axis: number | readonly number[], path: string): Shape {
  return axesOf(axis, shape.length, path).map((i) => knownSize(shape, i, path));
}

/** Sizes of the axes where they stand, and 1 elsewhere. */
const spreadOver = (x: Tensor, axes: readonly number[]): Shape => x.shape.map((d, i) => (axes.includes(i) ? d : 1));

/**
 * y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance (biased) over the axes, by default the features of a step.
 * The shape stays, a mask goes on. Parameters: 2 F. Keras: LayerNormalization.
 *
 * @example layers.layerNormalization()
 */
export const layerNormalization = defineLayer({
  className: 'LayerNormalization',
  options: {
    /** The axis or axes that are normalised together. Default -1, the last. */
    axis: axesOption(-1),
    ...affineOptions,
  },
  weights: (config, [shape], path) => affineWeights(config, sizesOf(shape, config.axis, path)),
  outputs: (_config, [shape]) => [shape],
  call({ axis, epsilon }, { inputs: [x], masks, weights: { gamma, beta }, path }) {
    const axes = axesOf(axis, x.rank, path);
    const over = { axes, keepDims: true };
    const apart = sub(x, mean(x, over));
    const plain = mul(apart, rsqrt(add(mean(square(apart), over), epsilon)));
    const scaled = gamma ? mul(plain, reshape(gamma, spreadOver(x, axes))) : plain;
    return { outputs: [beta ? add(scaled, reshape(beta, spreadOver(x, axes))) : scaled], masks };
  },
});

/**
 * y = scale x / sqrt(mean(x^2) + epsilon), with the mean over the axes, by default the features of a step. The shape stays; a mask ends
 * here, as in Keras. Parameters: F. Keras: RMSNormalization.
 *
 * @example layers.rmsNormalization()
 */
export const rmsNormalization = defineLayer({
  className: 'RMSNormalization',
  options: {
    /** The axis or axes that are normalised together. Default -1, the last. */
    axis: axesOption(-1),
    /** Default 0.000001. */
    epsilon: positiveNumber(1e-6),
  },
  weights: ({ axis }, [shape], path) => [
    plainWeight('scale', sizesOf(shape, axis, path), initializerOf('ones', `${path}.scale`)),
  ],
  outputs: (_config, [shape]) => [shape],
  call({ axis, epsilon }, { inputs: [x], weights: { scale }, path }) {
    const axes = axesOf(axis, x.rank, path);
    const plain = mul(x, rsqrt(add(mean(square(x), { axes, keepDims: true }), epsilon)));
    return { outputs: [mul(plain, reshape(scale, spreadOver(x, axes)))], masks: [null] };
  },
});

/** The smallest square of a length that is divided by. */
const smallestSquare = 1e-24;

/** x / |x| along the axes, and 0 for 0. */
export function unitLength(x: Tensor, axes: readonly number[], least: number = smallestSquare): Tensor {
  return div(x, sqrt(maximum(sum(square(x), { axes, keepDims: true }), least)));
}

/**
 * y = x / |x|: length 1 along the axes. The shape stays, a mask goes on. Keras: UnitNormalization.
 *
 * @example layers.unitNormalization()
 */
export const unitNormalization = defineLayer({
  className: 'UnitNormalization',
  options: {
    /** The axis or axes that are normalised together. Default -1, the last. */
    axis: axesOption(-1),
  },
  weights: () => [],
  outputs({ axis }, [shape], path) {
    axesOf(axis, shape.length, path);
    return [shape];
  },
  call: ({ axis }, { inputs: [x], masks, path }) => ({
    outputs: [unitLength(x, axesOf(axis, x.rank, path))],
    masks,
  }),
});

/** Throws SHAPE where the groups do not fit; -1 groups are as many as there are features. */
function groupsOf(groups: number, features: number, path: string): number {
  const count = groups === -1 ? features : groups;
  if (features % count)
    fail('SHAPE', path, `a number of features that is a multiple of ${count} groups`, String(features));
  return count;
}

/**
 * y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance (biased) over a group of features and all other axes of a
 * sample, steps included. The shape stays, a mask goes on. Parameters: 2 F. Keras: GroupNormalization.
 *
 * @example layers.groupNormalization({ groups: 4 })
 */
export const groupNormalization = defineLayer({
  className: 'GroupNormalization',
  options: {
    /** How many groups the features are cut into; -1: each by itself. Default 32. */
    groups: option<number>(
      'a positive integer, or -1',
      (v) => Number.isInteger(v) && ((v as number) > 0 || v === -1),
      32,
    ),
    /** The axis of the features. Default -1, the last. */
    axis: axisOption(-1),
    ...affineOptions,
  },
  weights(config, [shape], path) {
    const features = knownSize(shape, config.axis, path);
    groupsOf(config.groups, features, path);
    return affineWeights(config, [features]);
  },
  outputs: (_config, [shape]) => [shape],
  call({ groups, axis, epsilon }, { inputs: [x], masks, weights: { gamma, beta }, path }) {
    const [feature] = axesOf(axis, x.rank, path);
    if (feature === 0) fail('SHAPE', `${path}.axis`, 'an axis after the batch', formatShape(x.shape));
    const count = groupsOf(groups, x.shape[feature], path);
    const grouped = reshape(
      x,
      x.shape.flatMap((d, i) => (i === feature ? [count, d / count] : [d])),
    );
    const over = { axes: grouped.shape.flatMap((_, i) => (i === 0 || i === feature ? [] : [i])), keepDims: true };
    const apart = sub(grouped, mean(grouped, over));
    const plain = reshape(mul(apart, rsqrt(add(mean(square(apart), over), epsilon))), x.shape);
    const scaled = gamma ? mul(plain, reshape(gamma, spreadOver(x, [feature]))) : plain;
    return { outputs: [beta ? add(scaled, reshape(beta, spreadOver(x, [feature]))) : scaled], masks };
  },
});
