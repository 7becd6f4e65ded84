/**
 * IndRNN: every unit sees its own past alone, h = activation(x W + u * h + b). Li, Li, Cook, Zhu, Gao, "Independently recurrent neural
 * network" (2018). Deep stacks of it reach over thousands of steps where |u| stays near 1.
 */
import { matmul } from '../../ops/matmul.ts';
import { add, mul } from '../../ops/pointwise.ts';
import { activationOption } from '../activations.ts';
import { defineCell, zoneOut } from '../cell.ts';
import { initializerOption } from '../initializers.ts';
import { beyondKeras, fraction } from '../options.ts';
import { biasAndInitializers, regularizersAndDropout, seed, unitsAndActivation } from './options.ts';

/**
 * The independently recurrent cell for `layers.rnn`: x (B, F) and h (B, U) to h. Parameters: U (F + 2).
 *
 * @example layers.rnn({ cell: layers.indRNNCell({ units: 8 }) })
 */
export const indRNNCell = defineCell({
  name: 'IndRNNCell',
  axes: 1,
  options: {
    ...unitsAndActivation,
    /** Default relu. */
    activation: activationOption('relu'),
    ...biasAndInitializers,
    /** Of u. Default ones, which keeps what is there. */
    recurrentInitializer: initializerOption('ones'),
    ...regularizersAndDropout,
    ...seed,
    /** Share of the state that keeps its value at a step. Default 0. */
    zoneout: beyondKeras(fraction(0)),
  },
  state: ({ units }) => ({ h: [units] }),
  weights: ({ units, features, useBias, kernelInitializer, recurrentInitializer, biasInitializer }) => ({
    kernel: { shape: [features, units], initializer: kernelInitializer },
    recurrentKernel: { shape: [units], initializer: recurrentInitializer },
    ...(useBias && { bias: { shape: [units], initializer: biasInitializer } }),
  }),
  zoneout: ({ zoneout }) => (zoneout ? [zoneout] : []),
  step({ x, state: { h }, weights: w, config, dropout }) {
    const [input, state] = [dropout.inputs?.[0], dropout.recurrent?.[0]];
    const ofInput = matmul(input ? mul(x, input) : x, w.kernel);
    const sum = add(ofInput, mul(state ? mul(h, state) : h, w.recurrentKernel));
    const fresh = config.activation.apply(w.bias ? add(sum, w.bias) : sum);
    const next = zoneOut(fresh, h, config.zoneout, dropout.zoneout?.[0]);
    return { output: next, state: { h: next } };
  },
});
