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
 * With `projection`: h = (sigmoid(o) * tanh(c)) P, of its size; Sak, Senior, Beaufays (2014), PyTorch's proj_size. With `outputProjection`
 * the output is (sigmoid(o) * tanh(c)) O, and the state what it was.
 */
import type { Shape } from '../../core/shape.ts';
import { matmul } from '../../ops/matmul.ts';
import { add, mul } from '../../ops/pointwise.ts';
import { split } from '../../ops/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { defineCell, gateProduct, zoneOut } from '../cell.ts';
import type { Initializer } from '../initializers.ts';
import { beyondKeras, flag, fraction } from '../options.ts';
import { extraWeights, normalize, projected, scaled } from './extras.ts';
import {
  biasAndInitializers,
  gatedExtras,
  recurrentActivation,
  regularizersAndDropout,
  seed,
  unitsAndActivation,
} from './options.ts';

/** The bias with its second quarter, the forget gate's, at 1. */
export function forgetBias(rest: Initializer): Initializer {
  return {
    ...rest,
    values(shape: Shape, key, room) {
      const values = rest.values(shape, key, room);
      const units = shape[0] / 4;
      return values.fill(1, units, 2 * units);
    },
  };
}

/**
 * The long short-term memory cell for `layers.rnn`: x (B, F), h (B, U) and c (B, U) to h and c. Parameters: 4 U (F + U + 1). Keras: LSTMCell.
 *
 * @example layers.rnn({ cell: layers.lstmCell({ units: 8 }) })
 */
export const lstmCell = defineCell({
  name: 'LSTMCell',
  axes: 1,
  options: {
    ...unitsAndActivation,
    ...recurrentActivation,
    ...biasAndInitializers,
    /** Start the forget gate's bias at 1. Default true. */
    unitForgetBias: flag(true),
    ...regularizersAndDropout,
    ...seed,
    /** Let the gates see the memory, i and f the old one, o the new one. Gers, Schmidhuber (2000). Default false. */
    peepholes: beyondKeras(flag(false)),
    ...gatedExtras,
    /** As `zoneout`, of the memory c. Default 0. */
    zoneoutMemory: beyondKeras(fraction(0)),
  },
  state: ({ units, projection }) => ({ h: [projection ?? units], c: [units] }),
  output: ({ units, projection, outputProjection }) => [outputProjection ?? projection ?? units],
  weights(config) {
    const { units, features, kernelInitializer, recurrentInitializer, biasInitializer, projection } = config;
    const forget = config.unitForgetBias ? forgetBias(biasInitializer) : biasInitializer;
    return {
      kernel: { shape: [features, 4 * units], initializer: kernelInitializer, groups: 4 },
      recurrentKernel: { shape: [projection ?? units, 4 * units], initializer: recurrentInitializer, groups: 4 },
      ...(config.useBias && { bias: { shape: [4 * units], initializer: forget, groups: 4 } }),
      ...(config.peepholes && { peepholes: { shape: [3 * units], initializer: 'glorotUniform' as const } }),
      ...extraWeights(config, 4),
      ...(config.layerNormalization && {
        memoryGain: { shape: [units], initializer: 'ones' as const },
        memoryBias: { shape: [units], initializer: 'zeros' as const },
      }),
    };
  },
  prepare({ peepholes, ...rest }): Record<string, Tensor> {
    if (!peepholes) return rest;
    const [peepI, peepF, peepO] = split(peepholes, 3, -1);
    return { ...rest, peepI, peepF, peepO };
  },
  zoneout: ({ zoneout, zoneoutMemory }) => (zoneout || zoneoutMemory ? [zoneout, zoneoutMemory] : []),
  // Keras draws four masks only where there is recurrent dropout, else one for all gates.
  dropoutMasks: ({ recurrentDropout }) => (recurrentDropout > 0 ? 4 : 1),
  step({ x, state: { h, c }, weights: w, config, dropout }) {
    const { activation, recurrentActivation: gate } = config;
    const ofInput = scaled(gateProduct(x, w.kernel, dropout.inputs), w.inputGain);
    const product = add(ofInput, scaled(gateProduct(h, w.recurrentKernel, dropout.recurrent), w.recurrentGain));
    const [i, f, g, o] = split(w.bias ? add(product, w.bias) : product, 4, -1);
    const seeing = (x: Tensor, weight: Tensor | undefined, memory: Tensor) =>
      weight ? add(x, mul(weight, memory)) : x;
    const forget = gate.apply(seeing(f, w.peepF, c));
    const kept = mul(forget, c);
    const input = gate.apply(seeing(i, w.peepI, c));
    const candidate = activation.apply(g);
    const fresh = add(kept, mul(input, candidate));
    const nextC = zoneOut(fresh, c, config.zoneoutMemory, dropout.zoneout?.[1]);
    const shown = w.memoryGain ? add(normalize(nextC, w.memoryGain), w.memoryBias) : nextC;
    const output = gate.apply(seeing(o, w.peepO, nextC));
    const memory = mul(output, activation.apply(shown));
    const nextH = zoneOut(projected(memory, w.projectionKernel), h, config.zoneout, dropout.zoneout?.[0]);
    return {
      output: w.outputKernel ? matmul(memory, w.outputKernel) : nextH,
      state: { h: nextH, c: nextC },
      gates: { input, forget, candidate, output },
    };
  },
});
