/**
 * The sum of several matrix products whose left sides are the same rows, moved by some places: what a convolution is when the axes over which
 * its window goes are written behind each other as rows.
 *
 *   y[r] = sum over t of x[r + offsets[t]] kernel[t]
 *
 * for x[P, C], kernel[taps, C, F] and `rows` rows r. The products read x where it stands, instead of a copy for every element of the window.
 */
import { roundBfloat16 } from '../core/bfloat16.ts';
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import type { Attributes } from '../ir/graph.ts';
import { matmul, matmulTN, precisionOf } from './matmul.ts';
import { defineOperation } from './op.ts';
import { add } from './pointwise.ts';
import { concat, pad, reshape, slice, transpose } from './shape.ts';
import { apply, type Tensor } from './tensor.ts';

const offsetsOf = (attributes: Attributes) => attributes.offsets as readonly number[];

const slidingOperation = defineOperation({
  name: 'slidingProduct',
  infer([x, kernel], attributes) {
    const offsets = offsetsOf(attributes);
    const rows = attributes.rows as number;
    const fits =
      x.shape.length === 2 &&
      kernel.shape.length === 3 &&
      kernel.shape[0] === offsets.length &&
      kernel.shape[1] === x.shape[1] &&
      offsets.every((offset) => offset >= 0 && offset + rows <= x.shape[0]);
    if (!fits || x.dtype !== 'f32' || kernel.dtype !== 'f32')
      fail(
        'SHAPE',
        'slidingProduct',
        `x[P, C] and kernel[${offsets.length}, C, F] in f32, with ${rows} rows at each of ${offsets.join(', ')}`,
        `${x.dtype}${formatShape(x.shape)} and ${kernel.dtype}${formatShape(kernel.shape)}`,
      );
    return [{ dtype: 'f32', shape: [rows, kernel.shape[2]] }];
  },
  evaluate([x, kernel], attributes) {
    const round = precisionOf(attributes) === 'bfloat16' ? roundBfloat16 : (v: number) => v;
    const [, channels, filters] = kernel.shape;
    const rows = attributes.rows as number;
    const data = new Float64Array(rows * filters);
    offsetsOf(attributes).forEach((offset, t) => {
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < channels; c++) {
          const left = round(x.data[(r + offset) * channels + c]);
          const at = (t * channels + c) * filters;
          for (let f = 0; f < filters; f++) data[r * filters + f] += left * round(kernel.data[at + f]);
        }
    });
    return [{ shape: [rows, filters], data }];
  },
  vjp({ inputs: [x, kernel], attributes, needed }, [d]) {
    if (!d) return [null, null];
    const offsets = offsetsOf(attributes);
    const [places, channels] = x.shape;
    const filters = kernel.shape[2];
    const rows = attributes.rows as number;
    const precision = precisionOf(attributes);
    const forX = () => {
      const reach = Math.max(...offsets);
      const around = pad(d, [reach, 0], [places - rows, 0]);
      const turned = transpose(kernel, [0, 2, 1]);
      return slidingProduct(
        around,
        turned,
        { offsets: offsets.map((offset) => reach - offset), rows: places },
        precision,
      );
    };
    const forKernel = () =>
      concat(
        offsets.map((offset) => {
          const own = matmulTN(slice(x, [offset, 0], [rows, channels]), d, precision);
          return reshape(own, [1, channels, filters]);
        }),
        0,
      );
    return [needed[0] ? forX() : null, needed[1] ? forKernel() : null];
  },
});

export interface Slide {
  /** Of every element of the window, from 0 on. */
  readonly offsets: readonly number[];
  /** Of the result. */
  readonly rows: number;
}

/** y[r] = sum over t of x[r + offsets[t]] kernel[t]. @param precision as the graph has it where it is not given */
export function slidingProduct(
  x: Tensor,
  kernel: Tensor,
  { offsets, rows }: Slide,
  precision = x.graph.precision,
): Tensor {
  const rounds = precision === 'bfloat16' && kernel.shape[2] !== 1 && { precision };
  return apply(slidingOperation, [x, kernel], { offsets, rows, ...rounds })[0];
}

/** The same by products and slices, which are no more than another sight of x. */
export function slidingSum(x: Tensor, kernel: Tensor, attributes: Attributes): Tensor {
  const rows = attributes.rows as number;
  const [, channels, filters] = kernel.shape;
  const products = offsetsOf(attributes).map((offset, t) => {
    const weights = reshape(slice(kernel, [t, 0, 0], [1, channels, filters]), [channels, filters]);
    return matmul(slice(x, [offset, 0], [rows, channels]), weights, precisionOf(attributes));
  });
  return products.reduce((sum, product) => add(sum, product));
}
