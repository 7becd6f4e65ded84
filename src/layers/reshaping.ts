/** The same values in another order or under other axes. A mask ends here, as in Keras. */
import { fail } from '../core/errors.ts';
import { formatShape, sizeOf } from '../core/shape.ts';
import { repeat } from '../ops/repeat.ts';
import { expandDims, reshape as reshaped, transpose } from '../ops/shape.ts';
import { channelsLast, dataFormatOption, needRank } from './axes.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { option, positiveInteger } from './options.ts';

const isInteger = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v);

/** The product of the sizes; null where one is open. */
function openSize(shape: OpenShape): number | null {
  return shape.every((d) => d !== null) ? sizeOf(shape as readonly number[]) : null;
}

/**
 * All axes but the batch as one: (B, T, F) to (B, T F). Keras: Flatten.
 *
 * @example layers.flatten()
 */
export const flatten = defineLayer({
  className: 'Flatten',
  options: {
    /** With channelsFirst the features are brought to the end before. Default channelsLast. */
    dataFormat: dataFormatOption(),
  },
  weights: () => [],
  outputs: (_config, [[batch, ...rest]]) => [[batch, openSize(rest)]],
  call({ dataFormat }, { inputs: [x] }) {
    return { outputs: [reshaped(channelsLast(x, dataFormat), [x.shape[0], sizeOf(x.shape.slice(1))])], masks: [null] };
  },
});

/** The target with its -1 resolved; null where it cannot be known. Throws SHAPE. */
function resolve(rest: OpenShape, target: readonly number[], path: string): OpenShape {
  const size = openSize(rest);
  const known = sizeOf(target.filter((d) => d !== -1));
  if (size !== null && (target.includes(-1) ? size % known !== 0 : size !== known))
    fail('SHAPE', path, `a targetShape of ${size} elements for ${formatShape(rest)}`, formatShape(target));
  return target.map((d) => (d === -1 ? (size === null ? null : size / known) : d));
}

/**
 * Other axes for the values of a sample: (B, ...) to (B, ...targetShape). Keras: Reshape.
 *
 * @example layers.reshape({ targetShape: [-1, 2] })
 */
export const reshape = defineLayer({
  className: 'Reshape',
  options: {
    /** Sizes without the batch; one may be -1, for what remains. */
    targetShape: option<readonly number[], true>(
      'a list of sizes, of which one may be -1',
      (v) =>
        Array.isArray(v) && v.every((d) => isInteger(d) && (d > 0 || d === -1)) && v.filter((d) => d === -1).length < 2,
      undefined,
      true,
    ),
  },
  weights: () => [],
  outputs: ({ targetShape }, [[batch, ...rest]], path) => [[batch, ...resolve(rest, targetShape, path)]],
  call({ targetShape }, { inputs: [x], path }) {
    const shape = resolve(x.shape.slice(1), targetShape, path) as readonly number[];
    return { outputs: [reshaped(x, [x.shape[0], ...shape])], masks: [null] };
  },
});

/**
 * The axes in another order: (B, T, F) to (B, F, T) for `dims: [2, 1]`. A mask goes on where the steps stay in their place. Keras: Permute.
 *
 * @example layers.permute({ dims: [2, 1] })
 */
export const permute = defineLayer({
  className: 'Permute',
  options: {
    /** Which axis stands where; the first after the batch is 1. */
    dims: option<readonly number[], true>(
      'an order of the numbers from 1 on',
      (v) => Array.isArray(v) && [...v].sort((a, b) => a - b).every((d, i) => d === i + 1),
      undefined,
      true,
    ),
  },
  weights: () => [],
  outputs({ dims }, [shape], path) {
    needRank(shape, dims.length + 1, `for dims ${dims}`, path);
    return [[shape[0], ...dims.map((d) => shape[d])]];
  },
  call: ({ dims }, { inputs: [x], masks: [mask] }) => ({
    outputs: [transpose(x, [0, ...dims])],
    masks: [dims[0] === 1 && mask?.rank === 2 ? mask : null],
  }),
});

/**
 * A vector as a sequence of n equal steps: (B, F) to (B, n, F). Keras: RepeatVector.
 *
 * @example layers.repeatVector({ n: 10 })
 */
export const repeatVector = defineLayer({
  className: 'RepeatVector',
  options: {
    /** Number of steps. */
    n: positiveInteger(),
  },
  weights: () => [],
  outputs({ n }, [shape], path) {
    const [batch, features] = needRank(shape, 2, '(batch, features)', path);
    return [[batch, n, features]];
  },
  // Of a vector that does not change, the step that comes is any of the n.
  inTime: (_config, { inputs: [kind] }) => [kind === 'fixed' ? 'steps' : kind],
  call: ({ n }, { inputs: [x], memory }) => ({ outputs: [repeat(expandDims(x, 1), memory ? 1 : n, 1)], masks: [null] }),
});
