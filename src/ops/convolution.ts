/**
 * Convolutions over any number of axes, x[B, ...spatial, C], as compositions: the shifted slices of x that the elements of a window see,
 * beside each other, and one matrix product. Channels stand last.
 */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { matmul } from './matmul.ts';
import { add, mul } from './pointwise.ts';
import { stride } from './repeat.ts';
import { broadcastTo, concat, pad, reshape, slice, split } from './shape.ts';
import { slidingProduct } from './sliding-product.ts';
import { constant, type Tensor } from './tensor.ts';

/** What lies beyond the ends: nothing, as much as keeps the length (at stride 1) on both sides, or that all in front. */
export type Padding = 'valid' | 'same' | 'causal';

export interface WindowOptions {
  /** One size per spatial axis, as all here. */
  readonly size: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padding: Padding;
}

/** How many windows an axis of a length has (null: open), and the elements that are added in front of it. */
export function windowSpan(
  length: number | null,
  size: number,
  step: number,
  dilation: number,
  padding: Padding,
): { count: number | null; before: number } {
  const reach = (size - 1) * dilation + 1;
  if (length === null) return { count: null, before: padding === 'causal' ? reach - 1 : 0 };
  if (padding === 'valid') return { count: Math.floor((length - reach) / step) + 1, before: 0 };
  const count = Math.ceil(length / step);
  if (padding === 'causal') return { count, before: reach - 1 };
  return { count, before: Math.floor(Math.max((count - 1) * step + reach - length, 0) / 2) };
}

function filled(x: Tensor, axis: number, size: number, fill: number): Tensor {
  return broadcastTo(
    constant(x.graph, fill),
    x.shape.map((d, i) => (i === axis ? size : d)),
  );
}

/**
 * What each element of the window sees: a tensor [B, ...windows, C] per element, in row-major order.
 *
 * @param fill the value beyond the ends
 */
export function windows(x: Tensor, { size, strides, dilations, padding }: WindowOptions, fill = 0): Tensor[] {
  let taps = [x];
  size.forEach((elements, k) => {
    const axis = k + 1;
    const length = x.shape[axis];
    const { count, before } = windowSpan(length, elements, strides[k], dilations[k], padding);
    if (!count || count < 0)
      fail(
        'SHAPE',
        x.graph.path || 'windows',
        `at least ${(elements - 1) * dilations[k] + 1} elements on axis ${axis} for a window of ${elements}`,
        formatShape(x.shape),
      );
    const after = Math.max(0, (elements - 1) * dilations[k] + count * strides[k] - before - length);
    taps = taps.flatMap((tap) => {
      const parts = [tap];
      if (before) parts.unshift(filled(tap, axis, before, fill));
      if (after) parts.push(filled(tap, axis, after, fill));
      const padded = concat(parts, axis);
      return Array.from({ length: elements }, (_, j) => stride(padded, axis, j * dilations[k], count, strides[k]));
    });
  });
  return taps;
}

/** Whether the window moves by single elements, is wider than one, and stands at least once on every axis. */
function slides(x: Tensor, { size, strides, dilations, padding }: WindowOptions): boolean {
  if (strides.some((step) => step !== 1) || size.every((elements) => elements === 1)) return false;
  return size.every((elements, k) => {
    const { count, before } = windowSpan(x.shape[k + 1], elements, 1, dilations[k], padding);
    return count !== null && count > 0 && count + (elements - 1) * dilations[k] - before - x.shape[k + 1] >= 0;
  });
}

/**
 * A convolution of steps of 1: the elements of all axes are written as rows behind each other, with zeros between the lines, over which the window is
 * moved. The zeros behind a line are those in front of the next one too. Windows that begin among the zeros are computed and left out.
 */
function convolveRows(x: Tensor, kernel: Tensor, { size, dilations, padding }: WindowOptions): Tensor {
  const [batch, channels, filters] = [x.shape[0], x.shape[x.rank - 1], kernel.shape[kernel.rank - 1]];
  const axes = size.map((elements, k) => {
    const length = x.shape[k + 1];
    const { count, before } = windowSpan(length, elements, 1, dilations[k], padding);
    const reach = (elements - 1) * dilations[k];
    const gap = Math.max(before, (count as number) + reach - before - length);
    return { elements, dilation: dilations[k], count: count as number, before, reach, gap, length: length + gap };
  });
  const lengths = axes.map(({ length }) => length);
  const rowsFrom = (k: number) => lengths.slice(k).reduce((a, b) => a * b, 1);
  const total = (rows: (axis: (typeof axes)[number]) => number) =>
    axes.reduce((sum, axis, k) => sum + rows(axis) * rowsFrom(k + 1), 0);
  const gaps = axes.map(({ gap }) => gap);
  const front = total(({ before }) => before);
  const behind = total(({ reach }) => reach) - front;
  const whole = rowsFrom(0);
  // The zeros in front and behind are ends of one more row of the batch on either side.
  const [first, more] = [front ? 1 : 0, behind ? 1 : 0];
  const none = size.map(() => 0);
  const spaced = first + more + Math.max(...gaps) ? pad(x, [first, ...none, 0], [more, ...gaps, 0]) : x;
  const lines = reshape(spaced, [(first + batch + more) * whole, channels]);
  const rows = slice(lines, [first * whole - front, 0], [front + batch * whole + behind, channels]);
  const offsets = axes.reduce<number[]>(
    (found, { elements, dilation }, k) =>
      found.flatMap((at) => Array.from({ length: elements }, (_, j) => at + j * dilation * rowsFrom(k + 1))),
    [0],
  );
  const taps = reshape(kernel, [offsets.length, channels, filters]);
  const all = reshape(slidingProduct(rows, taps, { offsets, rows: batch * rowsFrom(0) }), [batch, ...lengths, filters]);
  const counts = [batch, ...axes.map(({ count }) => count), filters];
  return slice(
    all,
    counts.map(() => 0),
    counts,
  );
}

/**
 * The convolution (without flipping, as everywhere in this field) of x[B, ...spatial, C] with a kernel [...size, C / groups, filters].
 *
 * @param groups channels and filters are cut into so many parts, each seeing its own
 */
export function convolve(x: Tensor, kernel: Tensor, options: WindowOptions, groups = 1): Tensor {
  if (groups > 1) {
    const kernels = split(kernel, groups, -1);
    return concat(split(x, groups, -1).map((part, i) => convolve(part, kernels[i], options)));
  }
  if (slides(x, options)) return convolveRows(x, kernel, options);
  return matmul(concat(windows(x, options)), reshape(kernel, [-1, kernel.shape[kernel.rank - 1]]));
}

/** Every channel with filters of its own: x[B, ...spatial, C] and a kernel [...size, C, M] to [B, ...windows, C * M]. */
export function convolveDepthwise(x: Tensor, kernel: Tensor, options: WindowOptions): Tensor {
  const [channels, multiplier] = kernel.shape.slice(-2);
  const taps = windows(x, options);
  const wide = multiplier === 1 ? [channels] : [channels, multiplier];
  const rows = split(reshape(kernel, [taps.length, channels * multiplier]), taps.length, 0);
  const parts = taps.map((tap, i) =>
    mul(multiplier === 1 ? tap : reshape(tap, [...tap.shape, 1]), reshape(rows[i], wide)),
  );
  const total = parts.reduce((sum, part) => add(sum, part));
  return multiplier === 1 ? total : reshape(total, [...total.shape.slice(0, -2), channels * multiplier]);
}
