/**
 * The minimal gated unit: one gate f that forgets and resets. Gates f, h beside each other along the last axis.
 * Zhou, Wu, Zhang, Zhou, "Minimal gated unit for recurrent neural networks" (2016), with the gate before the recurrent product of the
 * candidate; `resetAfter` (default) puts it after, so that a step needs one product.
 *
 * ```
 * f = sigmoid(x Wf + h Uf + bf)
 * candidate = tanh(x Wh + bh + f * (h Uh))       resetAfter
 * candidate = tanh(x Wh + bh + (f * h) Uh)       else
 * h = (1 - f) * h + f * candidate
 * ```
 */
import { matmul } from '../../ops/matmul.ts';
import { add, mul, oneMinus } from '../../ops/pointwise.ts';
import { split } from '../../ops/shape.ts';
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

/**
 * The minimal gated unit for `layers.rnn`: x (B, F) and h (B, U) to h. Parameters: 2 U (F + U + 1).
 *
 * @example layers.rnn({ cell: layers.minimalGatedUnitCell({ units: 8 }) })
 */
export const minimalGatedUnitCell = defineCell({
  name: 'MinimalGatedUnitCell',
  axes: 1,
  options: {
    ...unitsAndActivation,
    ...recurrentActivation,
    ...biasAndInitializers,
    ...regularizersAndDropout,
    /** Apply the gate after the recurrent product of the candidate. Default true. */
    resetAfter: flag(true),
    ...seed,
    ...gatedExtras,
  },
  state: ({ units }) => ({ h: [units] }),
  output: ({ units, outputProjection }) => [outputProjection ?? units],
  weights(config) {
    const { units, features, kernelInitializer, recurrentInitializer, biasInitializer } = config;
    return {
      kernel: { shape: [features, 2 * units], initializer: kernelInitializer, groups: 2 },
      recurrentKernel: { shape: [config.projection ?? units, 2 * units], initializer: recurrentInitializer, groups: 2 },
      ...(config.useBias && { bias: { shape: [2 * units], initializer: biasInitializer, groups: 2 } }),
      ...extraWeights(config, 2),
    };
  },
  prepare({ recurrentKernel, recurrentGain, ...rest }, { resetAfter }): Record<string, Tensor> {
    if (resetAfter) return { recurrentKernel, ...(recurrentGain && { recurrentGain }), ...rest };
    const [gates, candidate] = split(recurrentKernel, 2, -1);
    const [gatesGain, candidateGain] = recurrentGain ? split(recurrentGain, 2, -1) : [];
    return { gates, candidate, ...(recurrentGain && { gatesGain, candidateGain }), ...rest };
  },
  dropoutMasks: ({ recurrentDropout }) => (recurrentDropout > 0 ? 2 : 1),
  zoneout: ({ zoneout }) => (zoneout ? [zoneout] : []),
  step({ x, state: { h }, weights: w, config, dropout }) {
    const { activation, recurrentActivation: gate } = config;
    const ofInput = scaled(gateProduct(x, w.kernel, dropout.inputs), w.inputGain);
    const [xf, xh] = split(w.bias ? add(ofInput, w.bias) : ofInput, 2, -1);
    const mix = (f: Tensor, candidate: Tensor) => {
      const mixed = add(mul(oneMinus(f), h), mul(f, candidate));
      const next = zoneOut(mixed, h, config.zoneout, dropout.zoneout?.[0]);
      return { output: projected(next, w.outputKernel), state: { h: next }, gates: { forget: f, candidate } };
    };
    const seen = projected(h, w.projectionKernel);
    const masks = dropout.recurrent;
    if (config.resetAfter) {
      const ofState = scaled(gateProduct(seen, w.recurrentKernel, masks), w.recurrentGain);
      const [hf, hh] = split(ofState, 2, -1);
      const f = gate.apply(add(xf, hf));
      return mix(f, activation.apply(add(xh, mul(f, hh))));
    }
    const hf = scaled(gateProduct(seen, w.gates, masks && [masks[0]]), w.gatesGain);
    const f = gate.apply(add(xf, hf));
    const kept = projected(mul(f, h), w.projectionKernel);
    const hh = scaled(matmul(masks ? mul(kept, masks[1]) : kept, w.candidate), w.candidateGain);
    return mix(f, activation.apply(add(xh, hh)));
  },
});
