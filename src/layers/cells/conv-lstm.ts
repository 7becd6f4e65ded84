/**
 * LSTM whose products are convolutions, over one, two or three axes: x (B, ...spatial, C), states (B, ...windows, filters). The
 * convolution of the state has steps of 1 and keeps its size.
 * Shi et al., "Convolutional LSTM network: a machine learning approach for precipitation nowcasting" (2015), without peepholes, as in Keras.
 */
import { fail } from '../../core/errors.ts';
import { formatShape, type Shape } from '../../core/shape.ts';
import { convolve, type WindowOptions, windowSpan } from '../../ops/convolution.ts';
import { add, mul } from '../../ops/pointwise.ts';
import { concat, split } from '../../ops/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { activationOption } from '../activations.ts';
import {
  channelsLast,
  channelsLastShape,
  type DataFormat,
  dataFormatOption,
  fromChannelsLast,
  shapeFromChannelsLast,
  sizesOption,
} from '../axes.ts';
import { type CellSizes, defineCell } from '../cell.ts';
import { choice, flag, positiveInteger } from '../options.ts';
import { forgetBias } from './lstm.ts';
import { biasAndInitializers, recurrentActivation, regularizersAndDropout, seed } from './options.ts';

interface Windows {
  readonly kernelSize: readonly number[];
  readonly strides: readonly number[];
  readonly padding: 'valid' | 'same';
  readonly dataFormat: DataFormat;
  readonly dilationRate: readonly number[];
}

const lastOf = (shape: Shape, format: DataFormat) => channelsLastShape([null, ...shape], format).slice(1) as Shape;

/** Shape of a state of one row. */
function stateShape(config: Windows & CellSizes & { readonly filters: number }): Shape {
  const spatial = lastOf(config.inputShape, config.dataFormat).slice(0, -1);
  const windows = spatial.map((length, i) => {
    const { count } = windowSpan(
      length,
      config.kernelSize[i],
      config.strides[i],
      config.dilationRate[i],
      config.padding,
    );
    if (!count || count < 1)
      fail(
        'SHAPE',
        config.path,
        `at least ${(config.kernelSize[i] - 1) * config.dilationRate[i] + 1} elements for a window of ${config.kernelSize[i]}`,
        formatShape(config.inputShape),
        "Use a smaller kernelSize, or padding: 'same'.",
      );
    return count;
  });
  return shapeFromChannelsLast([null, ...windows, config.filters], config.dataFormat).slice(1) as Shape;
}

/** The convolution for all gates, each with a mask of its own where there are any. */
function gateConvolution(x: Tensor, kernel: Tensor, masks: readonly Tensor[] | null, windows: WindowOptions): Tensor {
  if (!masks) return convolve(x, kernel, windows);
  if (masks.length === 1) return convolve(mul(x, masks[0]), kernel, windows);
  const kernels = split(kernel, masks.length, -1);
  return concat(masks.map((mask, g) => convolve(mul(x, mask), kernels[g], windows)));
}

function convLstmCell(rank: number) {
  return defineCell({
    name: `ConvLSTM${rank}DCell`,
    axes: rank + 1,
    options: {
      /** Channels of the state and of the output. */
      filters: positiveInteger(),
      /** Size of the window, one number or one per axis. */
      kernelSize: sizesOption(rank, undefined, true),
      /** Steps between windows of the input. Default 1. */
      strides: sizesOption(rank, 1, false),
      /** valid: only whole windows of the input; same: zeros at both ends. Default valid. */
      padding: choice(['valid', 'same'], 'valid'),
      /** Where the channels stand. Default channelsLast. */
      dataFormat: dataFormatOption(),
      /** Steps between the elements of a window of the input. Default 1. */
      dilationRate: sizesOption(rank, 1, false),
      /** Of the candidate and of the output. Default tanh. */
      activation: activationOption('tanh'),
      ...recurrentActivation,
      ...biasAndInitializers,
      /** Start the forget gate's bias at 1. Default true. */
      unitForgetBias: flag(true),
      ...regularizersAndDropout,
      ...seed,
    },
    state: (config) => ({ h: stateShape(config), c: stateShape(config) }),
    weights(config) {
      const { kernelSize, filters, biasInitializer } = config;
      const shape = lastOf(config.inputShape, config.dataFormat);
      const channels = shape[shape.length - 1];
      const gates = 4 * filters;
      const forget = config.unitForgetBias ? forgetBias(biasInitializer) : biasInitializer;
      const kernel = { shape: [...kernelSize, channels, gates], initializer: config.kernelInitializer, groups: 1 };
      const recurrentKernel = {
        shape: [...kernelSize, filters, gates],
        initializer: config.recurrentInitializer,
        groups: 1,
      };
      const bias = { shape: [gates], initializer: forget, groups: 1 };
      return { kernel, recurrentKernel, ...(config.useBias && { bias }) };
    },
    // Keras draws a mask for each gate, with recurrent dropout or without.
    dropoutMasks: () => 4,
    step({ x, state: { h, c }, weights: w, config, dropout }) {
      const { activation, recurrentActivation: gate, dataFormat } = config;
      const last = (t: Tensor) => channelsLast(t, dataFormat);
      const first = (t: Tensor) => fromChannelsLast(t, dataFormat);
      const ones = config.kernelSize.map(() => 1);
      const windows = {
        size: config.kernelSize,
        strides: config.strides,
        dilations: config.dilationRate,
        padding: config.padding,
      };
      const around = { size: config.kernelSize, strides: ones, dilations: ones, padding: 'same' as const };
      const ofInput = gateConvolution(last(x), w.kernel, dropout.inputs?.map(last) ?? null, windows);
      const ofState = gateConvolution(last(h), w.recurrentKernel, dropout.recurrent?.map(last) ?? null, around);
      const product = add(ofInput, ofState);
      const [i, f, g, o] = split(w.bias ? add(product, w.bias) : product, 4, -1);
      const forget = gate.apply(f);
      const kept = mul(forget, last(c));
      const input = gate.apply(i);
      const candidate = activation.apply(g);
      const nextC = add(kept, mul(input, candidate));
      const output = gate.apply(o);
      const nextH = first(mul(output, activation.apply(nextC)));
      return { output: nextH, state: { h: nextH, c: first(nextC) }, gates: { input, forget, candidate, output } };
    },
  });
}

/** Over one axis: x (B, rows, channels). */
export const convLstm1dCell = convLstmCell(1);
/** Over two axes: x (B, rows, columns, channels). */
export const convLstm2dCell = convLstmCell(2);
/** Over three axes: x (B, planes, rows, columns, channels). */
export const convLstm3dCell = convLstmCell(3);
