/**
 * Rarer operations of `keras.ops` that may stand among the layers of a model, all of them compositions. Source: Keras 3,
 * `keras/src/ops/numpy.py`, `nn.py`, `math.py`, `core.py`, `linalg.py`.
 */
import { fail } from '../core/errors.ts';
import { normalAxis, sizeOf } from '../core/shape.ts';
import { oneHot } from '../ops/gather.ts';
import { matmul } from '../ops/matmul.ts';
import * as p from '../ops/pointwise.ts';
import { max, mean, min, sum } from '../ops/reduce.ts';
import { stride } from '../ops/repeat.ts';
import { broadcastTo, concat, expandDims, pad, reshape, reverse, slice, split, transpose } from '../ops/shape.ts';
import { constant, type Tensor, type TensorLike } from '../ops/tensor.ts';
import {
  activation,
  binary,
  type KerasOperation,
  list,
  nn,
  number,
  numpy,
  operand,
  reduction,
  shaped,
  tensor,
  truth,
  unary,
} from './keras-operation.ts';
import { showValue } from './options.ts';

const math = 'keras.src.ops.math';
const core = 'keras.src.ops.core';
const linalg = 'keras.src.ops.linalg';

const flat = (x: Tensor) => reshape(x, [sizeOf(x.shape)]);
const isNone = (value: unknown): value is null | undefined => value === null || value === undefined;

/** Part of one axis. */
function part(x: Tensor, axis: number, start: number, count: number): Tensor {
  return slice(
    x,
    x.shape.map((_, i) => (i === axis ? start : 0)),
    x.shape.map((d, i) => (i === axis ? count : d)),
  );
}

/** Rounded towards zero. */
const trunc = (x: Tensor) => p.select(p.less(x, 0), p.neg(p.floor(p.neg(x))), p.floor(x));

const squared = (x: TensorLike) => (typeof x === 'number' ? x * x : p.square(x));
const size = (x: TensorLike) => (typeof x === 'number' ? Math.abs(x) : p.abs(x));

/** The product along an axis, by halves. */
function productAlong(x: Tensor, axis: number): Tensor {
  let y = x;
  if (y.shape[axis] === 0) return p.add(sum(y, { axes: [axis], keepDims: true }), 1);
  while (y.shape[axis] > 1) {
    const half = y.shape[axis] >> 1;
    const folded = p.mul(part(y, axis, 0, half), part(y, axis, half, half));
    y = y.shape[axis] % 2 ? concat([folded, part(y, axis, 2 * half, 1)], axis) : folded;
  }
  return y;
}

/** Sums over the last axes of x and the first of y, or over named ones. */
function tensordot(x: Tensor, y: Tensor, axes: unknown, where: string): Tensor {
  const named = Array.isArray(axes)
    ? axes.map((side) => [side].flat() as number[])
    : [x.shape.map((_, i) => i).slice(x.rank - (axes as number)), y.shape.map((_, i) => i).slice(0, axes as number)];
  const [left, right] = [
    named[0].map((a) => normalAxis(a, x.rank, where)),
    named[1].map((a) => normalAxis(a, y.rank, where)),
  ];
  const keptLeft = x.shape.map((_, i) => i).filter((i) => !left.includes(i));
  const keptRight = y.shape.map((_, i) => i).filter((i) => !right.includes(i));
  const depth = sizeOf(left.map((i) => x.shape[i]));
  const [rows, cols] = [keptLeft.map((i) => x.shape[i]), keptRight.map((i) => y.shape[i])];
  const a = reshape(transpose(x, [...keptLeft, ...left]), [sizeOf(rows), depth]);
  const b = reshape(transpose(y, [...right, ...keptRight]), [depth, sizeOf(cols)]);
  return reshape(matmul(a, b), [...rows, ...cols]);
}

/** numpy's dot: the last axis of x with the one before the last of y. */
function dot(x: Tensor, y: Tensor, where: string): Tensor {
  if (!x.rank || !y.rank) return p.mul(x, y);
  return tensordot(x, y, [[-1], [y.rank === 1 ? 0 : -2]], where);
}

const joined = (axis: number, least: number): KerasOperation => ({
  module: numpy,
  parameters: ['xs'],
  keepsMask: false,
  run({ xs }, where) {
    const parts = list(xs, where).map((x) => {
      let y = x;
      while (y.rank < least) y = y.rank === 1 && least > 1 ? expandDims(y, 0) : expandDims(y, y.rank ? -1 : 0);
      return y;
    });
    return concat(parts, parts[0].rank === 1 ? 0 : axis);
  },
});

/** Elements on one side of a diagonal of the last two axes. */
const triangle = (lower: boolean): KerasOperation =>
  shaped((x, { k }) => {
    const [rows, cols] = x.shape.slice(-2);
    const by = number(k ?? 0);
    const inside = (i: number) => {
      const distance = (i % cols) - Math.floor(i / cols);
      return lower ? distance <= by : distance >= by;
    };
    const kept = Float64Array.from({ length: rows * cols }, (_, i) => (inside(i) ? 1 : 0));
    return p.select(broadcastTo(constant(x.graph, kept, [rows, cols]), x.shape), x, 0);
  });

/** x minus its mean, times the reciprocal root of the variance, along some axes. */
function normalised(x: Tensor, axis: unknown, epsilon: unknown, centred: boolean): Tensor {
  const axes = { axes: [axis ?? -1].flat() as number[], keepDims: true };
  const centre = centred ? p.sub(x, mean(x, axes)) : x;
  return p.mul(centre, p.rsqrt(p.add(mean(p.square(centre), axes), isNone(epsilon) ? 1e-7 : number(epsilon))));
}

/** A scale or an offset of the sizes of the axes that are normalised. */
function alongAxes(x: Tensor, value: unknown, axis: unknown): TensorLike {
  const own = operand(value);
  if (typeof own === 'number') return own;
  const axes = [axis ?? -1].flat().map((a) => normalAxis(a as number, x.rank, 'axis'));
  return reshape(
    own,
    x.shape.map((d, i) => (axes.includes(i) ? d : 1)),
  );
}

/** By class name. */
export const furtherOperations: Readonly<Record<string, KerasOperation>> = {
  ConvertToTensor: { ...shaped((x, { dtype }) => (String(dtype) === 'bool' ? truth(x) : x), core), keepsMask: true },
  SaturateCast: { ...shaped((x) => x, core), keepsMask: true },
  Copy: unary((x) => x),
  Fabs: unary(p.abs),
  Fmax: binary(p.maximum),
  Fmin: binary(p.minimum),
  Trunc: unary((x) => trunc(x)),
  Fmod: binary((a, b) => p.sub(a, p.mul(trunc(p.div(a, b)), b))),
  Tan: unary((x) => p.div(p.sin(x), p.cos(x))),
  Sinh: unary((x) => p.mul(p.sub(p.exp(x), p.exp(p.neg(x))), 0.5)),
  Cosh: unary((x) => p.mul(p.add(p.exp(x), p.exp(p.neg(x))), 0.5)),
  Arcsinh: unary((x) => {
    // log(a + sqrt(a^2 + 1)) without the loss of small a.
    const a = p.abs(x);
    const root = p.sqrt(p.add(p.square(a), 1));
    return p.mul(p.sign(x), p.log1p(p.add(a, p.div(p.square(a), p.add(root, 1)))));
  }),
  Arccosh: unary((x) => p.log(p.add(x, p.sqrt(p.sub(p.square(x), 1))))),
  Arctanh: unary((x) => p.mul(p.sub(p.log1p(x), p.log1p(p.neg(x))), 0.5)),
  Exp2: unary((x) => p.exp(p.mul(x, Math.LN2))),
  Log2: unary((x) => p.mul(p.log(x), Math.LOG2E)),
  Log10: unary((x) => p.mul(p.log(x), Math.LOG10E)),
  Logaddexp: binary((a, b) => p.add(p.maximum(a, b), p.log1p(p.exp(p.neg(p.abs(p.sub(a, b))))))),
  Hypot: binary((a, b) => p.sqrt(p.add(squared(a), squared(b)))),
  Deg2rad: unary((x) => p.mul(x, Math.PI / 180)),
  Rad2deg: unary((x) => p.mul(x, 180 / Math.PI)),
  Heaviside: binary((a, b) => p.select(p.equal(a, 0), b, p.greater(a, 0))),
  LogicalXor: binary((a, b) => p.notEqual(truth(a), truth(b))),
  Isclose: {
    module: numpy,
    parameters: ['x1', 'x2', 'rtol', 'atol'],
    keepsMask: true,
    run({ x1, x2, rtol = 1e-5, atol = 1e-8 }) {
      const [a, b] = [operand(x1), operand(x2)];
      return p.lessEqual(p.abs(p.sub(a, b)), p.add(p.mul(size(b), number(rtol)), number(atol)));
    },
  },
  EmptyLike: unary((x) => p.mul(truth(x), 0)),
  Erfc: unary((x) => p.sub(1, p.erf(x)), math),

  Celu: shaped((x, { alpha = 1 }) => {
    const a = number(alpha);
    return p.add(p.relu(x), p.mul(p.sub(p.exp(p.div(p.minimum(x, 0), a)), 1), a));
  }, nn),
  Squareplus: shaped((x, { b = 4 }) => p.mul(p.add(x, p.sqrt(p.add(p.square(x), number(b)))), 0.5), nn),
  SoftShrink: shaped((x, { threshold = 0.5 }) => {
    const t = number(threshold);
    return p.sub(p.relu(p.sub(x, t)), p.relu(p.sub(p.neg(x), t)));
  }, nn),
  HardShrink: shaped((x, { threshold = 0.5 }) => p.select(p.greater(p.abs(x), number(threshold)), x, 0), nn),
  Threshold: shaped(
    (x, { threshold, default_value: value }) => p.select(p.greater(x, number(threshold)), x, number(value)),
    nn,
  ),
  Sparsemax: { ...activation('sparsemax') },
  Glu: shaped((x, { axis = -1 }) => {
    const [value, gate] = split(x, 2, axis as number);
    return p.mul(value, p.sigmoid(gate));
  }, nn),

  Amax: reduction(max),
  Amin: reduction(min),
  Ptp: reduction((x, options) => p.sub(max(x, options), min(x, options))),
  CountNonzero: reduction((x, options) => sum(truth(x), options)),
  Prod: reduction((x, { axes = x.shape.map((_, i) => i), keepDims }) => {
    const own = axes.map((axis) => normalAxis(axis, x.rank, 'Prod'));
    const y = own.reduce<Tensor>((z, axis) => productAlong(z, axis), x);
    return keepDims
      ? y
      : reshape(
          y,
          x.shape.filter((_, i) => !own.includes(i)),
        );
  }),
  Average: shaped(
    (x, { weights, axis }, where) => {
      const axes = isNone(axis) ? {} : { axes: [axis].flat() as number[] };
      if (isNone(weights)) return mean(x, axes);
      const w = tensor(weights, where);
      const spread =
        w.rank === x.rank
          ? w
          : reshape(
              w,
              x.shape.map((d, i) => (i === normalAxis(axis as number, x.rank, where) ? d : 1)),
            );
      const full = broadcastTo(spread, x.shape);
      return p.div(sum(p.mul(x, full), axes), sum(full, axes));
    },
    numpy,
    ['x', 'weights'],
  ),
  Moments: shaped((x, { axes, keepdims }) => {
    const own = { axes: [axes].flat() as number[], keepDims: keepdims === true };
    return [mean(x, own), mean(p.square(p.sub(x, mean(x, { ...own, keepDims: true }))), own)];
  }, nn),
  Norm: shaped((x, { ord, axis, keepdims }, where) => {
    const axes = isNone(axis) ? x.shape.map((_, i) => i) : ([axis].flat() as number[]);
    const own = { axes, keepDims: keepdims === true };
    if (isNone(ord) || (ord === 2 && axes.length === 1) || ord === 'fro') return p.sqrt(sum(p.square(x), own));
    if (axes.length === 1 && ord === 1) return sum(p.abs(x), own);
    if (axes.length === 1 && (ord === 'inf' || ord === Number.POSITIVE_INFINITY)) return max(p.abs(x), own);
    fail('UNSUPPORTED', where, 'a norm of order null, 1, 2 or inf along one axis', showValue(ord));
  }, linalg),
  LayerNorm: shaped(
    (x, { gamma, beta, axis, epsilon, rms_scaling: rms }) => {
      let y = normalised(x, axis, epsilon, rms !== true);
      if (!isNone(gamma)) y = p.mul(y, alongAxes(x, gamma, axis));
      return isNone(beta) ? y : p.add(y, alongAxes(x, beta, axis));
    },
    nn,
    ['x', 'gamma', 'beta'],
  ),
  RMSNorm: shaped(
    (x, { scale, axis, epsilon }) => {
      const y = normalised(x, axis, epsilon, false);
      return isNone(scale) ? y : p.mul(y, alongAxes(x, scale, axis));
    },
    nn,
    ['x', 'scale'],
  ),

  Ravel: shaped(flat),
  Roll: shaped((x, { shift, axis }, where) => {
    if (isNone(axis)) {
      const y = flat(x);
      return reshape(roll(y, number(shift), 0), x.shape);
    }
    const [axes, shifts] = [[axis].flat() as number[], [shift].flat() as number[]];
    return axes.reduce<Tensor>((y, a, i) => roll(y, shifts[i] ?? shifts[0], normalAxis(a, x.rank, where)), x);
  }),
  Fliplr: shaped((x) => reverse(x, 1)),
  Flipud: shaped((x) => reverse(x, 0)),
  Diff: shaped(
    (x, { n = 1, axis = -1 }, where) => {
      const at = normalAxis(axis as number, x.rank, where);
      let y = x;
      for (let k = 0; k < number(n); k++) y = p.sub(part(y, at, 1, y.shape[at] - 1), part(y, at, 0, y.shape[at] - 1));
      return y;
    },
    numpy,
    ['a'],
  ),
  Pad: shaped(
    (x, { pad_width: width, mode = 'constant', constant_values: value }, where) => {
      if (mode !== 'constant') fail('UNSUPPORTED', where, "mode 'constant'", showValue(mode));
      const given = [width].flat(2) as number[];
      const ends = x.shape.map((_, i) =>
        given.length === 1
          ? [given[0], given[0]]
          : given.length === 2
            ? given
            : [given[2 * i] ?? 0, given[2 * i + 1] ?? 0],
      );
      const padded = (y: Tensor) =>
        pad(
          y,
          ends.map(([before]) => before),
          ends.map(([, after]) => after),
        );
      const by = isNone(value) ? 0 : number(value);
      return by === 0 ? padded(x) : p.add(padded(p.sub(x, by)), by);
    },
    numpy,
    ['x', 'constant_values'],
  ),
  Tril: triangle(true),
  Triu: triangle(false),
  Hstack: joined(1, 1),
  Vstack: joined(0, 2),
  Unstack: shaped((x, { axis = 0 }, where) => {
    const at = normalAxis(axis as number, x.rank, where);
    return Array.from({ length: x.shape[at] }, (_, i) => stride(x, at, i, 1, 1)).map((y) =>
      reshape(
        y,
        y.shape.filter((_, k) => k !== at),
      ),
    );
  }, core),
  Slice: shaped(
    (x, { start_indices: start, shape }, where) => {
      const from = start as number[];
      if (!Array.isArray(from) || !from.every(Number.isInteger))
        fail('UNSUPPORTED', where, 'start indices that are numbers', showValue(start));
      return slice(
        x,
        from,
        (shape as number[]).map((d, i) => (d < 0 ? x.shape[i] - from[i] : d)),
      );
    },
    core,
    ['inputs', 'start_indices'],
  ),
  MultiHot: shaped((x, { num_classes: classes }) => max(oneHot(p.toInt(x), classes as number), { axes: [-2] }), nn, [
    'inputs',
  ]),

  Outer: {
    module: numpy,
    parameters: ['x1', 'x2'],
    keepsMask: false,
    run({ x1, x2 }, where) {
      const [a, b] = [flat(tensor(x1, where)), flat(tensor(x2, where))];
      return p.mul(expandDims(a, 1), expandDims(b, 0));
    },
  },
  Dot: {
    module: numpy,
    parameters: ['x1', 'x2'],
    keepsMask: false,
    run: ({ x1, x2 }, where) => dot(tensor(x1, where), tensor(x2, where), where),
  },
  Inner: {
    module: numpy,
    parameters: ['x1', 'x2'],
    keepsMask: false,
    run: ({ x1, x2 }, where) => tensordot(tensor(x1, where), tensor(x2, where), [[-1], [-1]], where),
  },
  Vdot: {
    module: numpy,
    parameters: ['x1', 'x2'],
    keepsMask: false,
    run: ({ x1, x2 }, where) => sum(p.mul(flat(tensor(x1, where)), flat(tensor(x2, where)))),
  },
  Tensordot: {
    module: numpy,
    parameters: ['x1', 'x2'],
    keepsMask: false,
    run: ({ x1, x2, axes = 2 }, where) => tensordot(tensor(x1, where), tensor(x2, where), axes, where),
  },
};

function roll(x: Tensor, by: number, axis: number): Tensor {
  const length = x.shape[axis];
  const shift = length ? ((by % length) + length) % length : 0;
  if (!shift) return x;
  return concat([part(x, axis, length - shift, shift), part(x, axis, 0, length - shift)], axis);
}
