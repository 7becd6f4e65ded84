/** The fully connected layer. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { matmul } from '../ops/matmul.ts';
import { add } from '../ops/pointwise.ts';
import { activationOption } from './activations.ts';
import { initializerOption } from './initializers.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { absent, flag, positiveInteger } from './options.ts';

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
 * y = activation(x W + b), on the last axis: (B, ..., F) to (B, ..., U). A mask goes on. Parameters: U (F + 1).
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
    kernelRegularizer: absent('Regularisers'),
    biasRegularizer: absent('Regularisers'),
    activityRegularizer: absent('Regularisers'),
    kernelConstraint: absent('Constraints'),
    biasConstraint: absent('Constraints'),
  },
  weights: ({ units, useBias, kernelInitializer, biasInitializer }, [shape], path) => [
    {
      name: 'kernel',
      shape: [featuresOf(shape, path), units],
      initializer: kernelInitializer,
      trainable: true,
      groups: 1,
    },
    ...(useBias ? [{ name: 'bias', shape: [units], initializer: biasInitializer, trainable: true, groups: 1 }] : []),
  ],
  outputs({ units }, [shape], path) {
    featuresOf(shape, path);
    return [[...shape.slice(0, -1), units]];
  },
  call({ activation }, { inputs: [x], masks, weights }) {
    const product = matmul(x, weights.kernel);
    return { outputs: [activation.apply(weights.bias ? add(product, weights.bias) : product)], masks };
  },
});
