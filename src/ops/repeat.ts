/** Elements repeated along an axis, and elements taken at equal distances: compositions of views and copies. */
import { normalAxis } from '../core/shape.ts';
import { broadcastTo, reshape, slice } from './shape.ts';
import type { Tensor } from './tensor.ts';

/** Every element `times` times behind each other along `axis`: [a, b] by 2 is [a, a, b, b]. */
export function repeat(x: Tensor, times: number, axis: number): Tensor {
  const at = normalAxis(axis, x.rank, 'repeat');
  const [before, size, after] = [x.shape.slice(0, at), x.shape[at], x.shape.slice(at + 1)];
  const apart = reshape(x, [...before, size, 1, ...after]);
  return reshape(broadcastTo(apart, [...before, size, times, ...after]), [...before, size * times, ...after]);
}

/** The `count` elements start, start + step, ... along `axis`. There must be room for start + count * step elements. */
export function stride(x: Tensor, axis: number, start: number, count: number, step: number): Tensor {
  const at = normalAxis(axis, x.rank, 'stride');
  const replaced = (shape: readonly number[], ...sizes: number[]) => [
    ...shape.slice(0, at),
    ...sizes,
    ...shape.slice(at + 1),
  ];
  const none = x.shape.map(() => 0);
  const run = slice(x, replaced(none, start), replaced(x.shape, count * step));
  if (step === 1) return run;
  const groups = reshape(run, replaced(x.shape, count, step));
  return reshape(slice(groups, replaced(none, 0, 0), replaced(x.shape, count, 1)), replaced(x.shape, count));
}
