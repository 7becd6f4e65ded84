/**
 * Normalisation over the batch. Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
 * shift" (2015); Ioffe, "Batch renormalization: towards reducing minibatch dependence in batch-normalized models" (2017).
 */
import { fail } from '../core/errors.ts';
import { add, div, maximum, minimum, mul, relu, rsqrt, select, sqrt, square, sub } from '../ops/pointwise.ts';
import { mean, sum } from '../ops/reduce.ts';
import { broadcastTo, reshape, stopGradient } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { axesOf, axisOption, knownSize } from './axes.ts';
import { type Initializer, initializerOption } from './initializers.ts';
import { defineLayer } from './layer.ts';
import { besideMask } from './mask.ts';
import { affineOptions, affineWeights } from './normalization.ts';
import { beyondKeras, finiteNumber, flag, type Option, showValue } from './options.ts';
import { plainWeight } from './weight.ts';

/** Keeps a division by a count of zero finite, as in Keras. */
const countEpsilon = 1e-7;

/** Limits of the correction of batch renormalisation; what is not given is not limited. */
export interface RenormClipping {
  readonly rmax?: number | null;
  readonly rmin?: number | null;
  /** Not below 0. */
  readonly dmax?: number | null;
}

const clippingOption = (): Option<RenormClipping | null, RenormClipping | null, false> => ({
  required: false,
  fallback: null,
  expected: 'an object of numbers among rmax, rmin and dmax, rmax not below rmin, dmax not below 0; or null',
  parse(value, where) {
    if (value === null) return null;
    const given = typeof value === 'object' && !Array.isArray(value) ? (value as Record<string, unknown>) : { value };
    const { rmax, rmin, dmax, ...others } = given;
    const isNumber = (v: unknown) => v === undefined || v === null || (typeof v === 'number' && !Number.isNaN(v));
    const fits =
      Object.keys(others).length === 0 &&
      [rmax, rmin, dmax].every(isNumber) &&
      !(typeof rmax === 'number' && typeof rmin === 'number' && rmax < rmin) &&
      !(typeof dmax === 'number' && dmax < 0);
    if (!fits) fail('ARGUMENT', where, this.expected, showValue(value));
    return Object.freeze({ ...given }) as RenormClipping;
  },
});

/** Roots of the values that another initialiser gives. */
const rootsOf = (initializer: Initializer): Initializer => ({
  ...initializer,
  values: (shape, key, room) => initializer.values(shape, key, room).map(Math.sqrt),
});

/** The correction (x r + d) that lets a batch be normalised as the moving statistics would: no gradient flows through it. */
function correction(
  center: Tensor,
  deviation: Tensor,
  { renormMean, renormStddev }: Readonly<Record<string, Tensor>>,
  { rmax, rmin, dmax }: RenormClipping,
  epsilon: number,
) {
  const own = maximum(reshape(renormStddev, center.shape), Math.sqrt(epsilon));
  let r = div(deviation, own);
  let d = div(sub(center, reshape(renormMean, center.shape)), own);
  if (typeof rmin === 'number') r = maximum(r, rmin);
  if (typeof rmax === 'number') r = minimum(r, rmax);
  if (typeof dmax === 'number') d = minimum(maximum(d, -dmax), dmax);
  return { r: stopGradient(r), d: stopGradient(d) };
}

/**
 * y = gamma (x - mean) / sqrt(variance + epsilon) + beta, per feature. In training, mean and variance (biased) are those of the batch, over
 * all its steps that are not masked, and the moving ones follow them by `moving = momentum * moving + (1 - momentum) * new`; else, and where
 * the layer is not `trainable`, they are the moving ones. With `renorm`, what a batch gives is corrected by (x r + d), with r and d from moving
 * statistics of their own, so that training sees what inference will see. The shape stays, a mask goes on. Weights: gamma, beta, movingMean,
 * movingVariance, and with `renorm` movingStddev, renormMean, renormStddev. Parameters: 4 F, of which 2 F are trained. Keras: BatchNormalization.
 *
 * @example layers.batchNormalization({ momentum: 0.9 })
 */
export const batchNormalization = defineLayer({
  className: 'BatchNormalization',
  acrossRows: true,
  options: {
    /** The axis of the features. Default -1, the last. */
    axis: axisOption(-1),
    /** Default 0.99. */
    momentum: finiteNumber(0.99),
    ...affineOptions,
    /** Default zeros. */
    movingMeanInitializer: initializerOption('zeros'),
    /** Default ones. */
    movingVarianceInitializer: initializerOption('ones'),
    // Young in Keras: written only where it is used, so that older releases read the file.
    /** Batch renormalisation. Default false. */
    renorm: beyondKeras(flag(false)),
    /** With `renorm`: limits of the correction, such as `{ rmax: 3, rmin: 1 / 3, dmax: 5 }`. Default none. */
    renormClipping: beyondKeras(clippingOption()),
    /** With `renorm`: momentum of the statistics that the correction is made from. Default 0.99. */
    renormMomentum: beyondKeras(finiteNumber(0.99)),
  },
  weights(config, [shape], path) {
    const sizes = [knownSize(shape, config.axis, path)];
    const kept = (name: string, initializer: Initializer) => plainWeight(name, sizes, initializer, false);
    const { movingMeanInitializer: ofMean, movingVarianceInitializer: ofVariance } = config;
    const further = [
      kept('movingStddev', rootsOf(ofVariance)),
      kept('renormMean', ofMean),
      kept('renormStddev', rootsOf(ofVariance)),
    ];
    return [
      ...affineWeights(config, sizes),
      kept('movingMean', ofMean),
      kept('movingVariance', ofVariance),
      ...(config.renorm ? further : []),
    ];
  },
  outputs: (_config, [shape]) => [shape],
  call(
    { axis, momentum, epsilon, trainable, renorm, renormClipping, renormMomentum },
    { inputs: [x], masks, weights, training, path },
  ) {
    const [feature] = axesOf(axis, x.rank, path);
    const axes = x.shape.flatMap((_, i) => (i === feature ? [] : [i]));
    const over = { axes, keepDims: true };
    const beside = x.shape.map((d, i) => (i === feature ? d : 1));
    const { movingMean, movingVariance, gamma, beta } = weights;
    const moments = () => {
      if (!masks[0]) {
        const center = mean(x, over);
        return { center, spread: mean(square(sub(x, center)), over) };
      }
      const valid = broadcastTo(besideMask(masks[0], x.rank), x.shape);
      const count = add(sum(valid, over), countEpsilon);
      const center = div(sum(select(valid, x, 0), over), count);
      return { center, spread: div(sum(select(valid, square(sub(x, center)), 0), over), count) };
    };
    const learning = training && trainable;
    const { center, spread } = learning
      ? moments()
      : { center: reshape(movingMean, beside), spread: reshape(movingVariance, beside) };
    const factor = rsqrt(add(spread, epsilon));
    const wide = (w: Tensor) => reshape(w, beside);
    const finish = (scale: Tensor | null, offset: Tensor | null) => {
      const scaled = mul(sub(x, center), scale ? mul(factor, scale) : factor);
      return [offset ? add(scaled, offset) : scaled];
    };
    const [scale, offset] = [gamma && wide(gamma), beta && wide(beta)];
    if (!learning) return { outputs: finish(scale, offset), masks };
    const follow = (moving: Tensor, now: Tensor, by = momentum) =>
      add(mul(moving, by), mul(reshape(now, moving.shape), 1 - by));
    const updates = { movingMean: follow(movingMean, center), movingVariance: follow(movingVariance, spread) };
    if (!renorm) return { outputs: finish(scale, offset), masks, updates };
    const deviation = sqrt(add(spread, epsilon));
    const { r, d } = correction(center, deviation, weights, renormClipping ?? {}, epsilon);
    const shift = scale ? mul(d, scale) : d;
    const movingStddev = follow(weights.movingStddev, deviation);
    return {
      outputs: finish(scale ? mul(r, scale) : r, offset ? add(shift, offset) : shift),
      masks,
      updates: {
        movingMean: updates.movingMean,
        movingVariance: relu(sub(square(movingStddev), epsilon)),
        movingStddev,
        renormMean: follow(weights.renormMean, center, renormMomentum),
        renormStddev: follow(weights.renormStddev, deviation, renormMomentum),
      },
    };
  },
});
