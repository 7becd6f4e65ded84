/**
 * Normalisation over the batch. Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
 * shift" (2015).
 */
import { add, div, mul, rsqrt, select, square, sub } from '../ops/pointwise.ts';
import { mean, sum } from '../ops/reduce.ts';
import { broadcastTo, reshape } from '../ops/shape.ts';
import { axesOf, axisOption, knownSize } from './axes.ts';
import { initializerOption } from './initializers.ts';
import { defineLayer } from './layer.ts';
import { besideMask } from './mask.ts';
import { affineOptions, affineWeights } from './normalization.ts';
import { finiteNumber } from './options.ts';
import { plainWeight } from './weight.ts';

/** Keeps a division by a count of zero finite, as in Keras. */
const countEpsilon = 1e-7;

/**
 * y = gamma (x - mean) / sqrt(variance + epsilon) + beta, per feature. In training, mean and variance (biased) are those of the batch, over
 * all its steps that are not masked, and the moving ones follow them by `moving = momentum * moving + (1 - momentum) * new`; else, and where
 * the layer is not `trainable`, they are the moving ones. The shape stays, a mask goes on. Weights: gamma, beta, movingMean, movingVariance.
 * Parameters: 4 F, of which 2 F are trained. Keras: BatchNormalization.
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
  },
  weights(config, [shape], path) {
    const sizes = [knownSize(shape, config.axis, path)];
    return [
      ...affineWeights(config, sizes),
      plainWeight('movingMean', sizes, config.movingMeanInitializer, false),
      plainWeight('movingVariance', sizes, config.movingVarianceInitializer, false),
    ];
  },
  outputs: (_config, [shape]) => [shape],
  call({ axis, momentum, epsilon, trainable }, { inputs: [x], masks, weights, training, path }) {
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
    const scaled = mul(sub(x, center), gamma ? mul(factor, reshape(gamma, beside)) : factor);
    const outputs = [beta ? add(scaled, reshape(beta, beside)) : scaled];
    if (!learning) return { outputs, masks };
    const follow = (moving: typeof x, now: typeof x) =>
      add(mul(moving, momentum), mul(reshape(now, moving.shape), 1 - momentum));
    return {
      outputs,
      masks,
      updates: { movingMean: follow(movingMean, center), movingVariance: follow(movingVariance, spread) },
    };
  },
});
