/** Options and checks that speak of axes: which are meant, how large they are, and where the channels stand. */
import { fail } from '../core/errors.ts';
import { formatShape, normalAxis } from '../core/shape.ts';
import { transpose } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import type { OpenShape } from './layer.ts';
import { type Option, option, showValue } from './options.ts';

const isInteger = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v);

/** One axis, counted from the front with the batch as 0, or from the end with -1. Older files hold a list of one. */
export const axisOption = (fallback: number): Option<number, number, false> => ({
  ...option<number>('the number of an axis', isInteger, fallback),
  fromKeras: (json) => (Array.isArray(json) && json.length === 1 ? json[0] : json),
});

/** One axis or several. */
export const axesOption = (fallback: number): Option<number | readonly number[], number | readonly number[], false> =>
  option<number | readonly number[]>(
    'the number of an axis, or a list of them',
    (v) => isInteger(v) || (Array.isArray(v) && v.length > 0 && v.every(isInteger)),
    fallback,
  );

/** Several axes, or none given. */
export const optionalAxes = (): Option<number | readonly number[] | null, readonly number[] | null, false> => ({
  required: false,
  fallback: null,
  expected: 'the number of an axis, a list of them, or null',
  parse(value, where) {
    const list = isInteger(value) ? [value] : value;
    if (list !== null && !(Array.isArray(list) && list.every(isInteger)))
      fail('ARGUMENT', where, this.expected, showValue(value));
    return list as readonly number[] | null;
  },
});

/** Axes counted from the front, ascending. Throws SHAPE. */
export function axesOf(axes: number | readonly number[], rank: number, path: string): number[] {
  const list = typeof axes === 'number' ? [axes] : axes;
  return list.map((axis) => normalAxis(axis, rank, `${path}.axis`)).sort((a, b) => a - b);
}

/** Numbers per spatial axis: one for all, or a list. */
export const sizesOption = <Required extends boolean>(
  rank: number,
  fallback: number | undefined,
  required: Required,
): Option<number | readonly number[], readonly number[], Required> => ({
  required,
  fallback,
  expected: rank === 1 ? 'a positive integer' : `a positive integer, or a list of ${rank}`,
  parse(value, where) {
    const list = Array.isArray(value) ? value : new Array<unknown>(rank).fill(value);
    if (list.length !== rank || !list.every((n) => isInteger(n) && n > 0))
      fail('ARGUMENT', where, this.expected, showValue(value));
    return Object.freeze(list) as readonly number[];
  },
});

/** Counts at the two ends of an axis: one for both, or [before, after]. */
export const endsOption = (
  fallback: number,
): Option<number | readonly [number, number], readonly [number, number], false> => ({
  required: false,
  fallback,
  expected: 'a whole number, or [before, after]',
  parse(value, where) {
    const list = Array.isArray(value) ? value : [value, value];
    if (list.length !== 2 || !list.every((n) => isInteger(n) && n >= 0))
      fail('ARGUMENT', where, this.expected, showValue(value));
    return Object.freeze(list) as unknown as readonly [number, number];
  },
});

/** Whether features stand last, (B, ..., C), or behind the batch, (B, C, ...). */
export type DataFormat = 'channelsLast' | 'channelsFirst';

export const dataFormatOption = (): Option<DataFormat, DataFormat, false> => ({
  ...option<DataFormat>(
    "'channelsLast' or 'channelsFirst'",
    (v) => v === 'channelsLast' || v === 'channelsFirst',
    'channelsLast',
  ),
  toKeras: (value) => (value === 'channelsFirst' ? 'channels_first' : 'channels_last'),
  fromKeras: (json) =>
    json === null || json === 'channels_last' ? 'channelsLast' : json === 'channels_first' ? 'channelsFirst' : json,
});

const behindBatch = (rank: number) => [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1];
const inFront = (rank: number) => [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)];

/** x with its channels last. */
export function channelsLast(x: Tensor, format: DataFormat): Tensor {
  return format === 'channelsLast' || x.rank < 3 ? x : transpose(x, behindBatch(x.rank));
}

/** The way back. */
export function fromChannelsLast(x: Tensor, format: DataFormat): Tensor {
  return format === 'channelsLast' || x.rank < 3 ? x : transpose(x, inFront(x.rank));
}

/** The same for shapes. */
export function channelsLastShape(shape: OpenShape, format: DataFormat): OpenShape {
  return format === 'channelsLast' ? shape : behindBatch(shape.length).map((axis) => shape[axis]);
}

export function shapeFromChannelsLast(shape: OpenShape, format: DataFormat): OpenShape {
  return format === 'channelsLast' ? shape : inFront(shape.length).map((axis) => shape[axis]);
}

/** Throws SHAPE unless there are so many axes. */
export function needRank(shape: OpenShape | undefined, rank: number, words: string, path: string): OpenShape {
  if (shape?.length !== rank)
    fail('SHAPE', path, `an input of ${rank} axes, ${words}`, shape ? formatShape(shape) : 'no input');
  return shape;
}

/** The size of an axis that a weight depends on. Throws SHAPE where it is open. */
export function knownSize(shape: OpenShape, axis: number, path: string): number {
  const size = shape[normalAxis(axis, shape.length, path)];
  if (typeof size !== 'number')
    fail('SHAPE', path, `a known size on axis ${axis}`, formatShape(shape), 'Give this axis of the input a size.');
  return size;
}
