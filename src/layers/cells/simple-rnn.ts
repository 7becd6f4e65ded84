/** SimpleRNN: h = activation(x W + h U + b). Elman, "Finding structure in time" (1990). */
import { add } from '../../ops/pointwise.ts';
import { defineCell, gateProduct } from '../cell.ts';
import { biasAndInitializers, regularizersAndDropout, seed, unitsAndActivation } from './options.ts';

/**
 * The fully connected cell whose output is its state, for `layers.rnn`: x (B, F) and h (B, U) to h. Parameters: U (F + U + 1).
 * Keras: SimpleRNNCell.
 *
 * @example layers.rnn({ cell: layers.simpleRNNCell({ units: 8 }) })
 */
export const simpleRNNCell = defineCell({
  name: 'SimpleRNNCell',
  axes: 1,
  options: { ...unitsAndActivation, ...biasAndInitializers, ...regularizersAndDropout, ...seed },
  state: ({ units }) => ({ h: [units] }),
  weights: ({ units, features, useBias, kernelInitializer, recurrentInitializer, biasInitializer }) => ({
    kernel: { shape: [features, units], initializer: kernelInitializer },
    recurrentKernel: { shape: [units, units], initializer: recurrentInitializer },
    ...(useBias && { bias: { shape: [units], initializer: biasInitializer } }),
  }),
  step({ x, state: { h }, weights: w, config, dropout }) {
    const product = add(gateProduct(x, w.kernel, dropout.inputs), gateProduct(h, w.recurrentKernel, dropout.recurrent));
    const next = config.activation.apply(w.bias ? add(product, w.bias) : product);
    return { output: next, state: { h: next } };
  },
});
