/** Sequences made longer and shorter. A mask ends here, as in Keras. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { repeat } from '../ops/repeat.ts';
import { pad, slice } from '../ops/shape.ts';
import { dataFormatOption, endsOption, needRank } from './axes.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { option } from './options.ts';

const words = '(batch, time, features)';

function croppedShape([before, after]: readonly [number, number], shape: OpenShape, path: string): OpenShape {
  const [batch, length, features] = needRank(shape, 3, words, path);
  if (length !== null && length <= before + after)
    fail('SHAPE', path, `more than the ${before + after} steps that are cut off`, formatShape(shape));
  return [batch, length === null ? null : length - before - after, features];
}

/**
 * Without so many steps at the beginning and at the end: (B, T, F) to (B, T - before - after, F). Keras: Cropping1D.
 *
 * @example layers.cropping1d({ cropping: [1, 0] })
 */
export const cropping1d = defineLayer({
  className: 'Cropping1D',
  options: {
    /** A number for both ends, or [before, after]. Default 1. */
    cropping: endsOption(1),
  },
  weights: () => [],
  outputs: ({ cropping }, [shape], path) => [croppedShape(cropping, shape, path)],
  call({ cropping }, { inputs: [x], path }) {
    return {
      outputs: [slice(x, [0, cropping[0], 0], croppedShape(cropping, x.shape, path) as number[])],
      masks: [null],
    };
  },
});

/**
 * So many zero steps before and after: (B, T, F) to (B, before + T + after, F). Keras: ZeroPadding1D.
 *
 * @example layers.zeroPadding1d({ padding: [2, 0] })
 */
export const zeroPadding1d = defineLayer({
  className: 'ZeroPadding1D',
  options: {
    /** A number for both ends, or [before, after]. Default 1. */
    padding: endsOption(1),
    /** Where the features stand. Default channelsLast. */
    dataFormat: dataFormatOption(),
  },
  weights: () => [],
  outputs({ padding: [before, after], dataFormat }, [shape], path) {
    const time = dataFormat === 'channelsFirst' ? 2 : 1;
    return [needRank(shape, 3, words, path).map((d, i) => (i === time && d !== null ? before + d + after : d))];
  },
  call({ padding: [before, after], dataFormat }, { inputs: [x] }) {
    const at = (n: number) => (dataFormat === 'channelsFirst' ? [0, 0, n] : [0, n, 0]);
    return { outputs: [pad(x, at(before), at(after))], masks: [null] };
  },
});

/**
 * Every step `size` times behind each other: (B, T, F) to (B, T size, F). Keras: UpSampling1D.
 *
 * @example layers.upSampling1d({ size: 2 })
 */
export const upSampling1d = defineLayer({
  className: 'UpSampling1D',
  options: {
    /** How often a step is repeated. Default 2. */
    size: option<number>('a positive integer', (v) => Number.isInteger(v) && (v as number) > 0, 2),
  },
  weights: () => [],
  outputs({ size }, [shape], path) {
    const [batch, length, features] = needRank(shape, 3, words, path);
    return [[batch, length === null ? null : length * size, features]];
  },
  call: ({ size }, { inputs: [x] }) => ({ outputs: [repeat(x, size, 1)], masks: [null] }),
});
