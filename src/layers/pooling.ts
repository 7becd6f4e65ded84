/** Windows of steps, and whole sequences, made into one value per feature. A mask ends here. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { type WindowOptions, windowSpan, windows } from '../ops/convolution.ts';
import { add, div, maximum, mul, select, add as sumOf } from '../ops/pointwise.ts';
import { max, mean, sum } from '../ops/reduce.ts';
import { broadcastTo, expandDims, reshape } from '../ops/shape.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import {
  channelsLast,
  channelsLastShape,
  type DataFormat,
  dataFormatOption,
  fromChannelsLast,
  needRank,
  shapeFromChannelsLast,
  sizesOption,
} from './axes.ts';
import type { InTime, InTimeCall, StepMemory } from './in-time.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { besideMask } from './mask.ts';
import { beyondKeras, choice, flag, type Option } from './options.ts';

type Sizes = readonly number[];

const optionalSizes = (): Option<number | Sizes | null, Sizes | null, false> => {
  const sizes = sizesOption(1, undefined, true);
  return {
    required: false,
    fallback: null,
    expected: `${sizes.expected}, or null`,
    parse: (value, where) => (value === null ? null : sizes.parse(value, where)),
  };
};

interface PoolConfig {
  readonly poolSize: Sizes;
  readonly strides: Sizes | null;
  readonly padding: 'valid' | 'same';
  readonly dataFormat: DataFormat;
}

const poolOptions = {
  /** Size of the window. Default 2. */
  poolSize: sizesOption(1, 2, false),
  /** Steps between windows. Default: poolSize. */
  strides: optionalSizes(),
  /** valid: only whole windows; same: windows may reach beyond both ends, where nothing counts. Default valid. */
  padding: choice(['valid', 'same'], 'valid'),
  /** Where the features stand. Default channelsLast. */
  dataFormat: dataFormatOption(),
};

function windowsOf({ poolSize, strides, padding }: PoolConfig): WindowOptions {
  return { size: poolSize, strides: strides ?? poolSize, dilations: [1], padding };
}

function poolShape(config: PoolConfig, input: OpenShape, path: string): OpenShape {
  const shape = channelsLastShape(needRank(input, 3, '(batch, time, features)', path), config.dataFormat);
  const { size, strides, padding } = windowsOf(config);
  const { count } = windowSpan(shape[1], size[0], strides[0], 1, padding);
  if (count !== null && count <= 0)
    fail('SHAPE', path, `at least ${size[0]} steps`, formatShape(input), "Use a smaller poolSize, or padding: 'same'.");
  return shapeFromChannelsLast([shape[0], count, shape[2]], config.dataFormat);
}

function poolLayer(className: string, pool: (x: Tensor, windows: WindowOptions) => Tensor) {
  return defineLayer({
    className,
    options: poolOptions,
    kerasConfig: ({ poolSize, strides }, json) => ({ ...json, strides: strides ?? poolSize }),
    weights: () => [],
    outputs: (config, [shape], path) => [poolShape(config, shape, path)],
    call(config, { inputs: [x] }) {
      const y = pool(channelsLast(x, config.dataFormat), windowsOf(config));
      return { outputs: [fromChannelsLast(y, config.dataFormat)], masks: [null] };
    },
  });
}

/**
 * The largest value of each feature in a window of steps: (B, T, F) to (B, T', F). A mask ends here, as in Keras. Keras: MaxPooling1D.
 *
 * @example layers.maxPooling1d({ poolSize: 2 })
 */
export const maxPooling1d = poolLayer('MaxPooling1D', (x, options) =>
  windows(x, options, Number.NEGATIVE_INFINITY).reduce((a, b) => maximum(a, b)),
);

/**
 * The mean of each feature in a window of steps: (B, T, F) to (B, T', F). A mask ends here, as in Keras. Keras: AveragePooling1D.
 *
 * @example layers.averagePooling1d({ poolSize: 3, strides: 1, padding: 'same' })
 */
export const averagePooling1d = poolLayer('AveragePooling1D', (x, options) => {
  const taps = windows(x, options);
  const total = taps.reduce((a, b) => add(a, b));
  const length = x.shape[1];
  const [size] = options.size;
  const [step] = options.strides;
  const { before } = windowSpan(length, size, step, 1, options.padding);
  // How much of a window lies inside the sequence.
  const shares = Array.from({ length: total.shape[1] }, (_, i) => {
    const start = i * step - before;
    return 1 / (Math.min(start + size, length) - Math.max(start, 0));
  });
  if (shares.every((s) => s === 1 / size)) return mul(total, 1 / size);
  return mul(total, constant(x.graph, shares, [1, shares.length, 1]));
});

const globalOptions = {
  /** Where the features stand. Default channelsLast. */
  dataFormat: dataFormatOption(),
  /** Keep the axis of the steps, with size 1. Default false. */
  keepdims: flag(false),
};

function globalShape(
  { dataFormat, keepdims }: { readonly dataFormat: DataFormat; readonly keepdims: boolean },
  input: OpenShape,
  path: string,
): OpenShape {
  const [batch, , features] = channelsLastShape(needRank(input, 3, '(batch, time, features)', path), dataFormat);
  return keepdims ? shapeFromChannelsLast([batch, 1, features], dataFormat) : [batch, features];
}

/** One step at a time: of the steps so far. */
function globalInTime(
  { dataFormat }: { readonly dataFormat: DataFormat },
  { inputs, refuse }: InTimeCall,
): readonly InTime[] {
  if (!inputs.includes('steps')) return inputs;
  if (dataFormat !== 'channelsLast') refuse('with its features in front, time is the last axis');
  return ['latest'];
}

/** The largest of the steps so far, (B, F); 0 where all were masked. */
function largestSoFar(memory: StepMemory, x: Tensor, mask: Tensor | null): Tensor {
  const [batch, , features] = x.shape;
  const now = reshape(x, [batch, features]);
  const valid = mask ?? broadcastTo(constant(x.graph, 1), [batch, 1]);
  const known = memory.recall('known', [1]);
  const before = memory.recall('largest', [features]);
  const largest = select(valid, select(known, maximum(before, now), now), before);
  memory.keep('known', maximum(known, valid));
  memory.keep('largest', largest);
  return largest;
}

/** The mean of the steps so far, (B, F); 0 where all were masked. */
function meanSoFar(memory: StepMemory, x: Tensor, mask: Tensor | null): Tensor {
  const [batch, , features] = x.shape;
  const now = reshape(x, [batch, features]);
  const total = sumOf(memory.recall('total', [features]), mask ? select(mask, now, 0) : now);
  const count = sumOf(memory.recall('count', [1]), mask ?? 1);
  memory.keep('total', total);
  memory.keep('count', count);
  return div(total, maximum(count, 1));
}

const finishGlobal = (y: Tensor, { dataFormat, keepdims }: { dataFormat: DataFormat; keepdims: boolean }) =>
  keepdims ? fromChannelsLast(expandDims(y, 1), dataFormat) : y;

/**
 * The largest value of each feature over all steps: (B, T, F) to (B, F). A mask is not looked at and ends here, as in Keras, unless
 * `useMask` asks for it. Keras: GlobalMaxPooling1D.
 *
 * @example layers.globalMaxPooling1d({ useMask: true })
 */
export const globalMaxPooling1d = defineLayer({
  className: 'GlobalMaxPooling1D',
  options: {
    ...globalOptions,
    /** Leave masked steps out; a row without any valid step gives 0. Default false, what Keras does. */
    useMask: beyondKeras(flag(false)),
  },
  weights: () => [],
  outputs: (config, [shape], path) => [globalShape(config, shape, path)],
  inTime: globalInTime,
  call(config, { inputs: [given], masks: [mask], memory }) {
    const x = channelsLast(given, config.dataFormat);
    const over = { axes: [1] };
    if (memory)
      return { outputs: [finishGlobal(largestSoFar(memory, x, config.useMask ? mask : null), config)], masks: [null] };
    if (!config.useMask || !mask) return { outputs: [finishGlobal(max(x, over), config)], masks: [null] };
    const kept = select(besideMask(mask, 3), x, Number.NEGATIVE_INFINITY);
    const any = reshape(max(mask, over), [x.shape[0], 1]);
    return { outputs: [finishGlobal(select(any, max(kept, over), 0), config)], masks: [null] };
  },
});

/**
 * The mean of each feature over all steps that are not masked: (B, T, F) to (B, F); 0 for a row without any. The mask ends here.
 * Keras: GlobalAveragePooling1D.
 *
 * @example layers.globalAveragePooling1d()
 */
export const globalAveragePooling1d = defineLayer({
  className: 'GlobalAveragePooling1D',
  options: globalOptions,
  weights: () => [],
  outputs: (config, [shape], path) => [globalShape(config, shape, path)],
  inTime: globalInTime,
  call(config, { inputs: [given], masks: [mask], memory }) {
    const x = channelsLast(given, config.dataFormat);
    const over = { axes: [1] };
    if (memory) return { outputs: [finishGlobal(meanSoFar(memory, x, mask), config)], masks: [null] };
    if (!mask) return { outputs: [finishGlobal(mean(x, over), config)], masks: [null] };
    const total = sum(select(besideMask(mask, 3), x, 0), over);
    const count = maximum(reshape(sum(mask, over), [x.shape[0], 1]), 1);
    return { outputs: [finishGlobal(div(total, count), config)], masks: [null] };
  },
});
