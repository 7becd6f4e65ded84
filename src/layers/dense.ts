/** The fully connected layer. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { matmul } from '../ops/matmul.ts';
import { add } from '../ops/pointwise.ts';
import { activationOption } from './activations.ts';
import { constraintOption } from './constraints.ts';
import { initializerOption } from './initializers.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { flag, positiveInteger } from './options.ts';
import { regularizerOption } from './regularizers.ts';
import { plainWeight, ruledWeight } from './weight.ts';

function featuresOf(shape: OpenShape, path: string): number {
  const features = shape[shape.length - 1];
  if (shape.length < 2 || typeof features !== 'number')
    fail(
      'SHAPE',
      path,
      'an input (batch, ..., features) with known features',
      formatShape(shape),
      'Give the last axis of the input a size.',
    );
  return features;
}

/**
 * y = activation(x W + b), on the last axis: (B, ..., F) to (B, ..., U). A mask goes on. Parameters: U (F + 1). Keras: Dense.
 *
 * @example layers.dense({ units: 1, activation: 'sigmoid' })
 */
export const dense = defineLayer({
  className: 'Dense',
  options: {
    /** Size of the output. */
    units: positiveInteger(),
    /** Default: linear. */
    activation: activationOption('linear'),
    /** Default true. */
    useBias: flag(true),
    /** Default glorotUniform. */
    kernelInitializer: initializerOption('glorotUniform'),
    /** Default zeros. */
    biasInitializer: initializerOption('zeros'),
    /** Added to the loss. Default none, as of all that follow. */
    kernelRegularizer: regularizerOption(),
    biasRegularizer: regularizerOption(),
    /** Of the output, divided by the batch size. */
    activityRegularizer: regularizerOption(),
    /** Holds after every step of the optimizer. */
    kernelConstraint: constraintOption(),
    biasConstraint: constraintOption(),
  },
  weights(config, [shape], path) {
    const { units, useBias, kernelInitializer, biasInitializer } = config;
    const kernel = plainWeight('kernel', [featuresOf(shape, path), units], kernelInitializer);
    const bias = plainWeight('bias', [units], biasInitializer);
    return [
      ruledWeight(kernel, config.kernelRegularizer, config.kernelConstraint),
      ...(useBias ? [ruledWeight(bias, config.biasRegularizer, config.biasConstraint)] : []),
    ];
  },
  outputs({ units }, [shape], path) {
    featuresOf(shape, path);
    return [[...shape.slice(0, -1), units]];
  },
  call({ activation }, { inputs: [x], masks, weights }) {
    const product = matmul(x, weights.kernel);
    return { outputs: [activation.apply(weights.bias ? add(product, weights.bias) : product)], masks };
  },
});
