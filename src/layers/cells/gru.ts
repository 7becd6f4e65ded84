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
import { defineCell, gateProduct, zoneOut } from '../cell.ts';
import { flag } from '../options.ts';
import { extraWeights, projected, scaled } from './extras.ts';
import {
  biasAndInitializers,
  gatedExtras,
  recurrentActivation,
  regularizersAndDropout,
  seed,
  unitsAndActivation,
} from './options.ts';

const row = (bias: Tensor, index: number) => reshape(slice(bias, [index, 0], [1, bias.shape[1]]), [bias.shape[1]]);

/**
 * The gated recurrent unit for `layers.rnn`: x (B, F) and h (B, U) to h. Parameters: as of `layers.gru`. Keras: GRUCell.
 *
 * @example layers.rnn({ cell: layers.gruCell({ units: 8 }) })
 */
export const gruCell = defineCell({
  name: 'GRUCell',
  axes: 1,
  options: {
    ...unitsAndActivation,
    ...recurrentActivation,
    ...biasAndInitializers,
    ...regularizersAndDropout,
    /** Apply the reset gate after the recurrent product. Default true. */
    resetAfter: flag(true),
    ...seed,
    ...gatedExtras,
  },
  state: ({ units }) => ({ h: [units] }),
  output: ({ units, outputProjection }) => [outputProjection ?? units],
  weights(config) {
    const { units, features, resetAfter, kernelInitializer, recurrentInitializer, biasInitializer } = config;
    const bias = { shape: resetAfter ? [2, 3 * units] : [3 * units], initializer: biasInitializer, groups: 3 };
    return {
      kernel: { shape: [features, 3 * units], initializer: kernelInitializer, groups: 3 },
      recurrentKernel: { shape: [config.projection ?? units, 3 * units], initializer: recurrentInitializer, groups: 3 },
      ...(config.useBias && { bias }),
      ...extraWeights(config, 3),
    };
  },
  prepare({ kernel, recurrentKernel, bias, recurrentGain, ...rest }, { units, resetAfter }): Record<string, Tensor> {
    if (resetAfter) {
      const biases: Record<string, Tensor> = bias ? { inputBias: row(bias, 0), recurrentBias: row(bias, 1) } : {};
      return { kernel, recurrentKernel, ...biases, ...(recurrentGain && { recurrentGain }), ...rest };
    }
    const [size] = recurrentKernel.shape;
    const gates = slice(recurrentKernel, [0, 0], [size, 2 * units]);
    const candidate = slice(recurrentKernel, [0, 2 * units], [size, units]);
    const gains: Record<string, Tensor> = recurrentGain
      ? {
          gatesGain: slice(recurrentGain, [0], [2 * units]),
          candidateGain: slice(recurrentGain, [2 * units], [units]),
        }
      : {};
    return { kernel, gates, candidate, ...(bias && { inputBias: bias }), ...gains, ...rest };
  },
  zoneout: ({ zoneout }) => (zoneout ? [zoneout] : []),
  dropoutMasks: ({ recurrentDropout }) => (recurrentDropout > 0 ? 3 : 1),
  step({ x, state: { h }, weights: w, config, dropout }) {
    const { activation, recurrentActivation: gate } = config;
    const ofInput = scaled(gateProduct(x, w.kernel, dropout.inputs), w.inputGain);
    const [xz, xr, xh] = split(w.inputBias ? add(ofInput, w.inputBias) : ofInput, 3, -1);
    const mix = (z: Tensor, reset: Tensor, candidate: Tensor) => {
      const mixed = add(mul(z, h), mul(oneMinus(z), candidate));
      const next = zoneOut(mixed, h, config.zoneout, dropout.zoneout?.[0]);
      return { output: projected(next, w.outputKernel), state: { h: next }, gates: { update: z, reset, candidate } };
    };
    if (config.resetAfter) {
      const seen = projected(h, w.projectionKernel);
      const ofState = scaled(gateProduct(seen, w.recurrentKernel, dropout.recurrent), w.recurrentGain);
      const [hz, hr, hh] = split(w.recurrentBias ? add(ofState, w.recurrentBias) : ofState, 3, -1);
      const z = gate.apply(add(xz, hz));
      const r = gate.apply(add(xr, hr));
      return mix(z, r, activation.apply(add(xh, mul(r, hh))));
    }
    const masks = dropout.recurrent;
    const seen = projected(h, w.projectionKernel);
    const [hz, hr] = split(scaled(gateProduct(seen, w.gates, masks?.slice(0, 2) ?? null), w.gatesGain), 2, -1);
    const z = gate.apply(add(xz, hz));
    const r = gate.apply(add(xr, hr));
    const kept = w.projectionKernel ? projected(mul(r, h), w.projectionKernel) : mul(r, masks ? mul(h, masks[2]) : h);
    const masked = w.projectionKernel && masks ? mul(kept, masks[2]) : kept;
    return mix(z, r, activation.apply(add(xh, scaled(matmul(masked, w.candidate), w.candidateGain))));
  },
});
