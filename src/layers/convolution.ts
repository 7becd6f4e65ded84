/** Convolutions over time and over pictures. A mask ends here, as in Keras. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { convolve, convolveDepthwise, type Padding, type WindowOptions, windowSpan } from '../ops/convolution.ts';
import { matmul } from '../ops/matmul.ts';
import { add } from '../ops/pointwise.ts';
import { concat, reshape, slice } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { type Activation, activationOption } from './activations.ts';
import {
  channelsLast,
  channelsLastShape,
  type DataFormat,
  dataFormatOption,
  fromChannelsLast,
  knownSize,
  needRank,
  shapeFromChannelsLast,
  sizesOption,
} from './axes.ts';
import { constraintOption } from './constraints.ts';
import type { InTime, InTimeCall, StepMemory } from './in-time.ts';
import { initializerOption } from './initializers.ts';
import { defineLayer, type LayerCall, type LayerResult, type OpenShape } from './layer.ts';
import { choice, flag, type OptionsOut, option, positiveInteger } from './options.ts';
import { regularizerOption } from './regularizers.ts';
import { plainWeight, ruledWeight, type WeightSpec } from './weight.ts';

const count = (fallback: number) =>
  option<number>('a positive integer', (v) => Number.isInteger(v) && (v as number) > 0, fallback);

/** Options that all have, in two parts between which the kernels stand. */
const windowOptions = <const P extends Padding>(rank: number, paddings: readonly P[]) => ({
  /** Size of the window, one number or one per axis. */
  kernelSize: sizesOption(rank, undefined, true),
  /** Steps between windows. Default 1. */
  strides: sizesOption(rank, 1, false),
  /** valid: only whole windows; same: zeros at both ends keep the length; causal: zeros in front only. Default valid. */
  padding: choice(paddings, 'valid' as P),
  /** Where the features stand. Default channelsLast. */
  dataFormat: dataFormatOption(),
  /** Steps between the elements of a window. Default 1. */
  dilationRate: sizesOption(rank, 1, false),
});

const endOptions = () => ({
  /** Default: linear. */
  activation: activationOption('linear'),
  /** Default true. */
  useBias: flag(true),
});

interface WindowConfig {
  readonly kernelSize: readonly number[];
  readonly strides: readonly number[];
  readonly padding: Padding;
  readonly dataFormat: DataFormat;
  readonly dilationRate: readonly number[];
}

const windowOf = ({ kernelSize, strides, padding, dilationRate }: WindowConfig): WindowOptions => ({
  size: kernelSize,
  strides,
  dilations: dilationRate,
  padding,
});

const axisWords = (rank: number) => (rank === 1 ? '(batch, time, features)' : '(batch, height, width, features)');

/** The input with its features last. Throws SHAPE. */
function inputShape({ kernelSize, dataFormat }: WindowConfig, shape: OpenShape, path: string): OpenShape {
  return channelsLastShape(needRank(shape, kernelSize.length + 2, axisWords(kernelSize.length), path), dataFormat);
}

function outputShape(config: WindowConfig, input: OpenShape, filters: number, path: string): OpenShape {
  const shape = inputShape(config, input, path);
  const spatial = config.kernelSize.map((size, i) => {
    const length = shape[i + 1];
    const { count: windows } = windowSpan(length, size, config.strides[i], config.dilationRate[i], config.padding);
    if (windows !== null && windows <= 0)
      fail(
        'SHAPE',
        path,
        `at least ${(size - 1) * config.dilationRate[i] + 1} elements for a window of ${size}`,
        formatShape(input),
        "Use a smaller kernelSize, or padding: 'same'.",
      );
    return windows;
  });
  return shapeFromChannelsLast([shape[0], ...spatial, filters], config.dataFormat);
}

/** Bias, activation and the order of the axes. */
function finish(
  config: WindowConfig & { readonly activation: Activation },
  { inputs: [x], weights }: LayerCall,
  product: (x: Tensor) => Tensor,
): LayerResult {
  const y = product(channelsLast(x, config.dataFormat));
  const shifted = weights.bias ? add(y, weights.bias) : y;
  return { outputs: [fromChannelsLast(config.activation.apply(shifted), config.dataFormat)], masks: [null] };
}

function checkSteps({ strides, dilationRate }: WindowConfig, where: string): void {
  if (Math.max(...strides) > 1 && Math.max(...dilationRate) > 1)
    fail('ARGUMENT', where, 'strides or dilationRate of 1', `strides ${strides} and dilationRate ${dilationRate}`);
}

/** One step at a time: a step that sees itself and earlier ones. */
function causalInTime(config: WindowConfig, { inputs, refuse }: InTimeCall): readonly InTime[] {
  if (!inputs.includes('steps')) return inputs;
  const { kernelSize, strides, padding, dataFormat } = config;
  if (dataFormat !== 'channelsLast') refuse('with its features in front, time is the last axis');
  if (strides[0] !== 1) refuse(`it gives one step for every ${strides[0]} that come`);
  if (padding !== 'causal' && kernelSize[0] > 1)
    refuse(`with padding '${padding}' a step sees later ones`, "Train it with padding: 'causal'.");
  return ['steps'];
}

/** The steps that the windows of the present ones see; zeros before the first. */
function windowInMemory(memory: StepMemory, x: Tensor, { kernelSize, dilationRate }: WindowConfig): Tensor {
  const before = (kernelSize[0] - 1) * dilationRate[0];
  if (!before) return x;
  const [batch, length, features] = x.shape;
  const { after = length } = memory;
  const window = concat([memory.recall('window', [before, features]), x], 1);
  memory.keep('window', slice(window, [0, after, 0], [batch, before, features]));
  return window;
}

const biasOptions = {
  /** Default zeros. */
  biasInitializer: initializerOption('zeros'),
  biasRegularizer: regularizerOption(),
  activityRegularizer: regularizerOption(),
  biasConstraint: constraintOption(),
};

function biasWeight(
  config: { readonly useBias: boolean } & OptionsOut<typeof biasOptions>,
  filters: number,
): readonly WeightSpec[] {
  if (!config.useBias) return [];
  return [
    ruledWeight(plainWeight('bias', [filters], config.biasInitializer), config.biasRegularizer, config.biasConstraint),
  ];
}

/** A layer class over `rank` axes. */
function convolutionLayer<const P extends Padding>(className: string, rank: number, paddings: readonly P[]) {
  return defineLayer({
    className,
    options: {
      /** Number of output features. */
      filters: positiveInteger(),
      ...windowOptions(rank, paddings),
      /** Features and filters are cut into so many groups, each seeing its own. Default 1. */
      groups: count(1),
      ...endOptions(),
      /** Default glorotUniform. */
      kernelInitializer: initializerOption('glorotUniform'),
      /** Default zeros. */
      biasInitializer: initializerOption('zeros'),
      kernelRegularizer: regularizerOption(),
      biasRegularizer: regularizerOption(),
      activityRegularizer: regularizerOption(),
      kernelConstraint: constraintOption(),
      biasConstraint: constraintOption(),
    },
    check(config, where) {
      checkSteps(config, where);
      if (config.filters % config.groups)
        fail('ARGUMENT', where, `filters that are a multiple of ${config.groups} groups`, String(config.filters));
    },
    weights(config, [shape], path) {
      const features = knownSize(inputShape(config, shape, path), -1, path);
      if (features % config.groups)
        fail('SHAPE', path, `a number of features that is a multiple of ${config.groups} groups`, String(features));
      const kernel = [...config.kernelSize, features / config.groups, config.filters];
      return [
        ruledWeight(
          plainWeight('kernel', kernel, config.kernelInitializer),
          config.kernelRegularizer,
          config.kernelConstraint,
        ),
        ...biasWeight(config, config.filters),
      ];
    },
    outputs: (config, [shape], path) => [outputShape(config, shape, config.filters, path)],
    ...(rank === 1 && {
      inTime: (config: WindowConfig, call: InTimeCall) => causalInTime(config, call),
      severalSteps: true,
    }),
    call: (config, call) => {
      const { memory } = call;
      const step = { ...windowOf(config), padding: 'valid' } as const;
      const { kernel } = call.weights;
      return finish(config, call, (x) =>
        memory
          ? convolve(windowInMemory(memory, x, config), kernel, step, config.groups)
          : convolve(x, kernel, windowOf(config), config.groups),
      );
    },
  });
}

/**
 * Filters over a window of steps: (B, T, F) to (B, T', filters). With `padding: 'causal'` a step sees itself and earlier ones only.
 * Parameters: filters (kernelSize F / groups + 1). Keras: Conv1D.
 *
 * @example layers.conv1d({ filters: 32, kernelSize: 3, padding: 'causal', dilationRate: 2, activation: 'relu' })
 */
export const conv1d = convolutionLayer('Conv1D', 1, ['valid', 'same', 'causal']);

/**
 * Filters over a window of a picture: (B, H, W, F) to (B, H', W', filters). Parameters: filters (height width F / groups + 1).
 * Keras: Conv2D.
 *
 * @example layers.conv2d({ filters: 16, kernelSize: [3, 5], padding: 'same' })
 */
export const conv2d = convolutionLayer('Conv2D', 2, ['valid', 'same']);

const depthwiseOptions = {
  /** Default glorotUniform. */
  depthwiseInitializer: initializerOption('glorotUniform'),
  depthwiseRegularizer: regularizerOption(),
  depthwiseConstraint: constraintOption(),
};

/**
 * Every feature with filters of its own: (B, T, F) to (B, T', F depthMultiplier). Weights: kernel (kernelSize, F, depthMultiplier), bias.
 * Keras: DepthwiseConv1D.
 *
 * @example layers.depthwiseConv1d({ kernelSize: 3, padding: 'same' })
 */
export const depthwiseConv1d = defineLayer({
  className: 'DepthwiseConv1D',
  options: {
    ...windowOptions(1, ['valid', 'same']),
    /** Filters per feature. Default 1. */
    depthMultiplier: count(1),
    ...endOptions(),
    ...depthwiseOptions,
    ...biasOptions,
  },
  weights(config, [shape], path) {
    const features = knownSize(inputShape(config, shape, path), -1, path);
    const kernel = [...config.kernelSize, features, config.depthMultiplier];
    return [
      ruledWeight(
        plainWeight('kernel', kernel, config.depthwiseInitializer),
        config.depthwiseRegularizer,
        config.depthwiseConstraint,
      ),
      ...biasWeight(config, features * config.depthMultiplier),
    ];
  },
  outputs(config, [shape], path) {
    const features = knownSize(inputShape(config, shape, path), -1, path);
    return [outputShape(config, shape, features * config.depthMultiplier, path)];
  },
  call: (config, call) => finish(config, call, (x) => convolveDepthwise(x, call.weights.kernel, windowOf(config))),
});

/**
 * Filters per feature, then a mixture of their results at each step: (B, T, F) to (B, T', filters). Weights: depthwiseKernel
 * (kernelSize, F, depthMultiplier), pointwiseKernel (1, F depthMultiplier, filters), bias. Chollet, "Xception" (2017).
 * Keras: SeparableConv1D.
 *
 * @example layers.separableConv1d({ filters: 32, kernelSize: 5 })
 */
export const separableConv1d = defineLayer({
  className: 'SeparableConv1D',
  options: {
    /** Number of output features. */
    filters: positiveInteger(),
    ...windowOptions(1, ['valid', 'same']),
    /** Filters per feature before the mixture. Default 1. */
    depthMultiplier: count(1),
    ...endOptions(),
    ...depthwiseOptions,
    /** Default glorotUniform. */
    pointwiseInitializer: initializerOption('glorotUniform'),
    pointwiseRegularizer: regularizerOption(),
    pointwiseConstraint: constraintOption(),
    ...biasOptions,
  },
  weights(config, [shape], path) {
    const features = knownSize(inputShape(config, shape, path), -1, path);
    const { kernelSize, depthMultiplier, filters } = config;
    const deep = plainWeight(
      'depthwiseKernel',
      [...kernelSize, features, depthMultiplier],
      config.depthwiseInitializer,
    );
    const mixing = [1, features * depthMultiplier, filters];
    const mixed = plainWeight('pointwiseKernel', mixing, config.pointwiseInitializer);
    return [
      ruledWeight(deep, config.depthwiseRegularizer, config.depthwiseConstraint),
      ruledWeight(mixed, config.pointwiseRegularizer, config.pointwiseConstraint),
      ...biasWeight(config, filters),
    ];
  },
  outputs: (config, [shape], path) => [outputShape(config, shape, config.filters, path)],
  call: (config, call) =>
    finish(config, call, (x) => {
      const { depthwiseKernel, pointwiseKernel } = call.weights;
      const deep = convolveDepthwise(x, depthwiseKernel, windowOf(config));
      return matmul(deep, reshape(pointwiseKernel, pointwiseKernel.shape.slice(1)));
    }),
});
