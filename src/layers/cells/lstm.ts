/**
 * LSTM: gates i, f, c, o beside each other along the last axis, in this order (Keras's; PyTorch has i, f, g, o, the same with g for c).
 * Hochreiter and Schmidhuber, "Long short-term memory" (1997); forget gate: Gers, Schmidhuber, Cummins (2000), its bias of 1: Jozefowicz,
 * Zaremba, Sutskever (2015).
 *
 * ```
 * i, f, g, o = split(x W + h U + b)
 * c = sigmoid(f) * c + sigmoid(i) * tanh(g)
 * h = sigmoid(o) * tanh(c)
 * ```
 */
import type { Shape } from '../../core/shape.ts';
import { add, mul } from '../../ops/pointwise.ts';
import { split } from '../../ops/shape.ts';
import { defineCell, gateProduct } from '../cell.ts';
import type { Initializer } from '../initializers.ts';
import { flag } from '../options.ts';
import {
  biasAndInitializers,
  recurrentActivation,
  regularizersAndDropout,
  seed,
  unitsAndActivation,
} from './options.ts';

/** The bias with its second quarter, the forget gate's, at 1. */
function forgetBias(rest: Initializer): Initializer {
  return {
    ...rest,
    values(shape: Shape, key) {
      const values = rest.values(shape, key);
      const units = shape[0] / 4;
      return values.fill(1, units, 2 * units);
    },
  };
}

/** The long short-term memory cell. */
export const lstmCell = defineCell({
  name: 'LSTMCell',
  options: {
    ...unitsAndActivation,
    ...recurrentActivation,
    ...biasAndInitializers,
    /** Start the forget gate's bias at 1. Default true. */
    unitForgetBias: flag(true),
    ...regularizersAndDropout,
    ...seed,
  },
  state: ({ units }) => ({ h: [units], c: [units] }),
  weights: ({
    units,
    features,
    useBias,
    unitForgetBias,
    kernelInitializer,
    recurrentInitializer,
    biasInitializer,
  }) => ({
    kernel: { shape: [features, 4 * units], initializer: kernelInitializer },
    recurrentKernel: { shape: [units, 4 * units], initializer: recurrentInitializer },
    ...(useBias && {
      bias: { shape: [4 * units], initializer: unitForgetBias ? forgetBias(biasInitializer) : biasInitializer },
    }),
  }),
  // Keras draws four masks only where there is recurrent dropout, else one for all gates.
  dropoutMasks: ({ recurrentDropout }) => (recurrentDropout > 0 ? 4 : 1),
  step({ x, state: { h, c }, weights: w, config: { activation, recurrentActivation: gate }, dropout }) {
    const product = add(gateProduct(x, w.kernel, dropout.inputs), gateProduct(h, w.recurrentKernel, dropout.recurrent));
    const [i, f, g, o] = split(w.bias ? add(product, w.bias) : product, 4, -1);
    const nextC = add(mul(gate.apply(f), c), mul(gate.apply(i), activation.apply(g)));
    const nextH = mul(gate.apply(o), activation.apply(nextC));
    return { output: nextH, state: { h: nextH, c: nextC } };
  },
});
