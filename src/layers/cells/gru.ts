/**
 * GRU: gates z, r, h beside each other along the last axis, in this order (Keras's; PyTorch has r, z, n).
 * Cho et al., "Learning phrase representations using RNN encoder-decoder" (2014), with the reset gate before the recurrent product;
 * `resetAfter` (default) puts it after, as cuDNN does, with a bias of its own: bias is (2, 3U), row 0 of the input, row 1 recurrent.
 *
 * ```
 * z = sigmoid(x Wz + h Uz + bz);  r = sigmoid(x Wr + h Ur + br)
 * candidate = tanh(x Wh + bh + r * (h Uh + bh'))       resetAfter
 * candidate = tanh(x Wh + bh + (r * h) Uh)             else
 * h = z * h + (1 - z) * candidate
 * ```
 */
import { matmul } from '../../ops/matmul.ts';
import { add, mul, oneMinus } from '../../ops/pointwise.ts';
import { reshape, slice, split } from '../../ops/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { defineCell, gateProduct } from '../cell.ts';
import { flag } from '../options.ts';
import {
  biasAndInitializers,
  recurrentActivation,
  regularizersAndDropout,
  seed,
  unitsAndActivation,
} from './options.ts';

const row = (bias: Tensor, index: number) => reshape(slice(bias, [index, 0], [1, bias.shape[1]]), [bias.shape[1]]);

/** The gated recurrent unit. */
export const gruCell = defineCell({
  name: 'GRUCell',
  options: {
    ...unitsAndActivation,
    ...recurrentActivation,
    ...biasAndInitializers,
    ...regularizersAndDropout,
    /** Apply the reset gate after the recurrent product. Default true. */
    resetAfter: flag(true),
    ...seed,
  },
  state: ({ units }) => ({ h: [units] }),
  weights: ({ units, features, useBias, resetAfter, kernelInitializer, recurrentInitializer, biasInitializer }) => ({
    kernel: { shape: [features, 3 * units], initializer: kernelInitializer },
    recurrentKernel: { shape: [units, 3 * units], initializer: recurrentInitializer },
    ...(useBias && { bias: { shape: resetAfter ? [2, 3 * units] : [3 * units], initializer: biasInitializer } }),
  }),
  prepare({ kernel, recurrentKernel, bias }, { units, resetAfter }): Record<string, Tensor> {
    if (resetAfter)
      return bias
        ? { kernel, recurrentKernel, inputBias: row(bias, 0), recurrentBias: row(bias, 1) }
        : { kernel, recurrentKernel };
    const gates = slice(recurrentKernel, [0, 0], [units, 2 * units]);
    const candidate = slice(recurrentKernel, [0, 2 * units], [units, units]);
    return bias ? { kernel, gates, candidate, inputBias: bias } : { kernel, gates, candidate };
  },
  dropoutMasks: ({ recurrentDropout }) => (recurrentDropout > 0 ? 3 : 1),
  step({ x, state: { h }, weights: w, config: { activation, recurrentActivation: gate, resetAfter }, dropout }) {
    const ofInput = gateProduct(x, w.kernel, dropout.inputs);
    const [xz, xr, xh] = split(w.inputBias ? add(ofInput, w.inputBias) : ofInput, 3, -1);
    const mix = (z: Tensor, candidate: Tensor) => {
      const next = add(mul(z, h), mul(oneMinus(z), candidate));
      return { output: next, state: { h: next } };
    };
    if (resetAfter) {
      const ofState = gateProduct(h, w.recurrentKernel, dropout.recurrent);
      const [hz, hr, hh] = split(w.recurrentBias ? add(ofState, w.recurrentBias) : ofState, 3, -1);
      const z = gate.apply(add(xz, hz));
      const r = gate.apply(add(xr, hr));
      return mix(z, activation.apply(add(xh, mul(r, hh))));
    }
    const masks = dropout.recurrent;
    const [hz, hr] = split(gateProduct(h, w.gates, masks?.slice(0, 2) ?? null), 2, -1);
    const z = gate.apply(add(xz, hz));
    const r = gate.apply(add(xr, hr));
    const kept = mul(r, masks ? mul(h, masks[2]) : h);
    return mix(z, activation.apply(add(xh, matmul(kept, w.candidate))));
  },
});
