/**
 * Penalties on weights and outputs, with Keras's names and formulas. They are added to the loss, in training and in evaluation; only
 * weights that train have one. The slope of |x| at 0 is 0, as in TensorFlow and PyTorch (1 in JAX). Source: Keras 3, `keras/src/regularizers`; orthogonal: the mean of the absolute cosines between rows.
 */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { matmulNT } from '../ops/matmul.ts';
import { abs, add, maximum, mul, reciprocal, sqrt, square } from '../ops/pointwise.ts';
import { sum } from '../ops/reduce.ts';
import { transpose } from '../ops/shape.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import { type Described, describedOf, describedToKeras } from './described.ts';
import {
  choice,
  type Option,
  type OptionsIn,
  type OptionsOut,
  type OptionTable,
  option,
  parseOptions,
} from './options.ts';

export interface Regularizer extends Described {
  /** A single number, added to the loss. */
  penalty(x: Tensor): Tensor;
}

/** What may stand for a regulariser: a name with its default, one made by `regularizers`, or a function on a tensor. */
export type RegularizerLike = Regularizer | 'l1' | 'l2' | 'l1l2' | 'orthogonal' | ((x: Tensor) => Tensor) | null;

const factor = (fallback: number) =>
  option<number>('a number from 0 on', (v) => typeof v === 'number' && Number.isFinite(v) && v >= 0, fallback);

function define<const T extends OptionTable>(
  className: string,
  options: T,
  penalty: (config: OptionsOut<T>, x: Tensor) => Tensor,
) {
  return (given?: OptionsIn<T>): Regularizer => {
    const config = parseOptions(options, given, `regularizers.${className}`);
    return Object.freeze({ className, options, config, penalty: (x: Tensor) => penalty(config, x) });
  };
}

const absolutes = (x: Tensor, l1: number) => mul(sum(abs(x)), l1);
const squares = (x: Tensor, l2: number) => mul(sum(square(x)), l2);

/** The mean of |cosine| over the pairs of rows, or columns. */
function overlap(x: Tensor, rows: boolean): Tensor {
  if (x.rank !== 2) fail('SHAPE', x.graph.path, 'a matrix for the orthogonal regulariser', formatShape(x.shape));
  const size = x.shape[rows ? 0 : 1];
  if (size < 2) return constant(x.graph, 0);
  const norm = sqrt(sum(square(x), { axes: [rows ? 1 : 0], keepDims: true }));
  const unit = mul(x, reciprocal(maximum(norm, 1e-12)));
  const across = rows ? unit : transpose(unit);
  const products = matmulNT(across, across);
  const others = Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) ? 1 : 0));
  return mul(sum(abs(mul(products, constant(x.graph, others, [size, size])))), 1 / (size * (size - 1)));
}

/** The regularisers by their factories. */
export const regularizers = {
  /** l1 * sum |x|. Default 0.01. */
  l1: define('L1', { l1: factor(0.01) }, ({ l1 }, x) => absolutes(x, l1)),
  /** l2 * sum x^2. Default 0.01. */
  l2: define('L2', { l2: factor(0.01) }, ({ l2 }, x) => squares(x, l2)),
  /** l1 * sum |x| + l2 * sum x^2. Defaults 0. */
  l1l2: define('L1L2', { l1: factor(0), l2: factor(0) }, ({ l1, l2 }, x) => add(absolutes(x, l1), squares(x, l2))),
  /** factor * the mean of |cosine| between the rows (or columns) of a matrix. Default 0.01, rows. */
  orthogonal: define(
    'OrthogonalRegularizer',
    { factor: factor(0.01), mode: choice(['rows', 'columns'], 'rows') },
    (config, x) => mul(overlap(x, config.mode === 'rows'), config.factor),
  ),
};

const aliases = { l1l2: 'l1l2', orthogonalregularizer: 'orthogonal' };

function regularizerOf(value: unknown, where: string): Regularizer | null {
  if (value === null) return null;
  if (typeof value === 'function')
    return { className: 'custom', options: {}, config: {}, penalty: value as (x: Tensor) => Tensor };
  return describedOf<Regularizer>(value, regularizers, aliases, 'a regulariser', where);
}

/** The kind of option that takes a regulariser. */
export const regularizerOption = (): Option<RegularizerLike, Regularizer | null, false> => ({
  required: false,
  fallback: null,
  expected: 'a regulariser by name, one made by `regularizers`, or null',
  parse: regularizerOf,
  toKeras(regularizer, where) {
    if (regularizer?.className === 'custom')
      fail('UNSUPPORTED', where, 'a regulariser of `regularizers`', 'a function', 'A file cannot hold a function.');
    return regularizer && describedToKeras(regularizer, 'keras.regularizers');
  },
});
