/** Cases of operations that are made of others: batched products, letters, windows. */
import { batchMatmul, batchMatmulNT, batchMatmulTN } from '../../src/ops/batch-matmul.ts';
import { convolve, convolveDepthwise, type Padding, windows } from '../../src/ops/convolution.ts';
import { einsum, einsumTerms } from '../../src/ops/einsum.ts';
import { maximum } from '../../src/ops/pointwise.ts';
import { repeat, stride } from '../../src/ops/repeat.ts';
import { slidingProduct } from '../../src/ops/sliding-product.ts';
import { type Case, entry, f } from './case.ts';

const product = { kernelTolerance: 1e-5 };
const window = (size: number[], strides: number[], dilations: number[], padding: Padding) => ({
  size,
  strides,
  dilations,
  padding,
});

/** The kernel comes second: x[B, T, F] or [B, H, W, F]. */
const einsumCase = (equation: string, x: number[], w: number[]): Case =>
  entry(
    'composite',
    `einsum ${equation}`,
    [f(...x), f(...w)],
    ([a, b]) => einsum(einsumTerms(equation, a.rank, ''), a, b),
    product,
  );

export const composedCases: Case[] = [
  entry('composite', 'batchMatmul', [f(3, 5, 7), f(3, 7, 2)], ([a, b]) => batchMatmul(a, b), product),
  entry(
    'composite',
    'batchMatmul, two leading axes',
    [f(2, 3, 4, 17), f(2, 3, 17, 5)],
    ([a, b]) => batchMatmul(a, b),
    product,
  ),
  entry('composite', 'batchMatmul of no matrices', [f(0, 5, 7), f(0, 7, 2)], ([a, b]) => batchMatmul(a, b)),
  entry('composite', 'batchMatmul of one', [f(1, 1, 1), f(1, 1, 33)], ([a, b]) => batchMatmul(a, b), product),
  entry('composite', 'batchMatmulNT', [f(3, 5, 7), f(3, 2, 7)], ([a, b]) => batchMatmulNT(a, b), product),
  entry('composite', 'batchMatmulNT with itself', [f(2, 4, 3)], ([a]) => batchMatmulNT(a, a), product),
  entry('composite', 'batchMatmulTN', [f(3, 7, 5), f(3, 7, 2)], ([a, b]) => batchMatmulTN(a, b), product),
  einsumCase('btf,fhd->bthd', [2, 3, 5], [5, 2, 3]),
  einsumCase('btf,tfu->btu', [2, 3, 5], [3, 5, 4]),
  einsumCase('btfx,fu->bu', [2, 3, 5, 2], [5, 4]),
  entry('composite', 'repeat', [f(2, 3, 4)], ([x]) => repeat(x, 3, 1)),
  entry('composite', 'repeat of the last axis', [f(2, 17)], ([x]) => repeat(x, 2, -1)),
  entry('composite', 'stride', [f(2, 11, 3)], ([x]) => stride(x, 1, 1, 3, 3)),
  entry('composite', 'windows with a fill', [f(2, 7, 3)], ([x]) =>
    windows(x, window([3], [2], [1], 'same'), -9).reduce((a, b) => maximum(a, b)),
  ),
  ...(['valid', 'same', 'causal'] as const).map((padding) =>
    entry(
      'composite',
      `convolution ${padding}`,
      [f(2, 9, 3), f(3, 3, 4)],
      ([x, k]) => convolve(x, k, window([3], [1], [2], padding)),
      product,
    ),
  ),
  entry(
    'composite',
    'convolution of a picture',
    [f(2, 5, 4, 3), f(2, 3, 3, 4)],
    ([x, k]) => convolve(x, k, window([2, 3], [2, 1], [1, 1], 'same')),
    product,
  ),
  entry(
    'slidingProduct',
    'of one axis',
    [f(9, 3), f(2, 3, 4)],
    ([x, k]) => slidingProduct(x, k, { offsets: [2, 0], rows: 7 }),
    product,
  ),
  entry(
    'slidingProduct',
    'of one column, at one place twice',
    [f(21, 17), f(3, 17, 1)],
    ([x, k]) => slidingProduct(x, k, { offsets: [0, 5, 5], rows: 11 }),
    product,
  ),
  entry(
    'slidingProduct',
    'of no rows',
    [f(4, 3), f(2, 3, 4)],
    ([x, k]) => slidingProduct(x, k, { offsets: [0, 2], rows: 0 }),
    product,
  ),
  ...(
    [
      ['valid', [2, 3], [1, 1]],
      ['same', [2, 3], [1, 1]],
      ['same', [3, 4], [2, 1]],
      ['same', [5, 5], [1, 1]],
      ['valid', [2, 2], [3, 2]],
    ] as const
  ).map(([padding, size, dilations]) =>
    entry(
      'composite',
      `convolution of a picture by single steps, ${padding}, ${size}, ${dilations}`,
      [f(2, 5, 4, 3), f(...size, 3, 4)],
      ([x, k]) => convolve(x, k, window([...size], [1, 1], [...dilations], padding)),
      product,
    ),
  ),
  entry(
    'composite',
    'convolution of a room',
    [f(2, 3, 4, 2, 3), f(2, 3, 2, 3, 17)],
    ([x, k]) => convolve(x, k, window([2, 3, 2], [1, 1, 1], [1, 1, 1], 'same')),
    product,
  ),
  entry(
    'composite',
    'convolution of no rows',
    [f(0, 5, 3), f(3, 3, 4)],
    ([x, k]) => convolve(x, k, window([3], [1], [1], 'same')),
    product,
  ),
  entry(
    'composite',
    'convolution in groups',
    [f(2, 7, 4), f(3, 2, 6)],
    ([x, k]) => convolve(x, k, window([3], [1], [1], 'valid'), 2),
    product,
  ),
  entry(
    'composite',
    'depthwise convolution',
    [f(2, 7, 3), f(3, 3, 2)],
    ([x, k]) => convolveDepthwise(x, k, window([3], [1], [1], 'valid')),
    product,
  ),
];
