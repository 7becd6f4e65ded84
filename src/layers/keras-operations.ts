/**
 * The operations of `keras.ops` that may stand among the layers of a model, by Keras's class name: what their calls take and what they mean.
 * Truth is 0 or 1 here. Source: Keras 3, `keras/src/ops/numpy.py`, `nn.py`, `math.py`, `core.py`.
 */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, normalAxis, sizeOf } from '../core/shape.ts';
import { batchMatmul } from '../ops/batch-matmul.ts';
import { einsum, einsumTerms } from '../ops/einsum.ts';
import { oneHot } from '../ops/gather.ts';
import { matmul } from '../ops/matmul.ts';
import * as p from '../ops/pointwise.ts';
import { argmax, max, mean, min, sum } from '../ops/reduce.ts';
import { repeat, stride } from '../ops/repeat.ts';
import {
  broadcastTo,
  concat,
  expandDims,
  pad,
  reshape,
  reverse,
  slice,
  split,
  squeeze,
  stopGradient,
  transpose,
} from '../ops/shape.ts';
import { logSoftmax, softmax } from '../ops/softmax.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import { activationOf } from './activations.ts';
import { furtherOperations } from './further-keras-operations.ts';
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

/** Python's slices: `{ start, stop, step }`, null for what is left out. */
export interface SliceBounds {
  readonly slice: { readonly start: number | null; readonly stop: number | null; readonly step: number | null };
}

const isSlice = (v: unknown): v is SliceBounds => typeof v === 'object' && v !== null && 'slice' in v;

/** Every `step`-th element of an axis; the last step may lead beyond the end. */
function strideFrom(x: Tensor, axis: number, from: number, count: number, step: number): Tensor {
  const missing = from + count * step - x.shape[axis];
  const none = x.shape.map(() => 0);
  const long =
    missing > 0
      ? pad(
          x,
          none,
          none.map((_, i) => (i === axis ? missing : 0)),
        )
      : x;
  return stride(long, axis, from, count, step);
}

/** `x[key]`, a key of whole numbers, slices, null for new axes and '...'. */
function item(x: Tensor, key: unknown, where: string): Tensor {
  let keys: unknown[] = Array.isArray(key) ? [...key] : [key];
  const used = keys.filter((k) => k !== null && k !== '...').length;
  const at = keys.indexOf('...');
  const whole: SliceBounds = { slice: { start: null, stop: null, step: null } };
  if (at >= 0) keys = [...keys.slice(0, at), ...new Array(x.rank - used).fill(whole), ...keys.slice(at + 1)];
  let y = x;
  let axis = 0;
  const squeezed: number[] = [];
  for (const k of keys) {
    if (k === null) y = expandDims(y, axis);
    else if (typeof k === 'number') {
      const index = k < 0 ? k + y.shape[axis] : k;
      if (!(index >= 0 && index < y.shape[axis]))
        fail('SHAPE', where, `an index of axis ${axis} of ${formatShape(x.shape)}`, String(k));
      y = stride(y, axis, index, 1, 1);
      squeezed.push(axis);
    } else if (isSlice(k)) {
      const size = y.shape[axis];
      const { start, stop, step } = k.slice;
      const by = step ?? 1;
      const clip = (v: number) => Math.min(size, Math.max(0, v < 0 ? v + size : v));
      if (by < 0) {
        // The same elements from the other end.
        const low = (v: number) => Math.min(size - 1, Math.max(-1, v < 0 ? v + size : v));
        const from = size - 1 - low(start ?? size - 1);
        const stopAt = stop === null ? size : size - 1 - low(stop);
        y = strideFrom(reverse(y, axis), axis, from, Math.max(0, Math.ceil((stopAt - from) / -by)), -by);
      } else {
        const from = clip(start ?? 0);
        const count = Math.max(0, Math.ceil((clip(stop ?? size) - from) / by));
        if (from !== 0 || count !== size) y = strideFrom(y, axis, from, count, by);
      }
    } else fail('UNSUPPORTED', where, 'numbers and slices', showValue(k));
    axis++;
  }
  return squeezed.length
    ? reshape(
        y,
        y.shape.filter((_, i) => !squeezed.includes(i)),
      )
    : y;
}

/** A shape with at most one -1, filled in. */
function fullShape(x: Tensor, wanted: unknown, where: string): number[] {
  const sizes = (wanted as (number | null)[]).map((d) => d ?? -1);
  const known = sizes.filter((d) => d >= 0).reduce((a, b) => a * b, 1);
  const full = sizes.map((d) => (d < 0 ? sizeOf(x.shape) / known : d));
  if (sizes.filter((d) => d < 0).length > 1 || full.some((d) => !Number.isInteger(d)))
    fail('SHAPE', where, `a shape of as many values as ${formatShape(x.shape)}`, `(${sizes.join(', ')})`);
  return full;
}

/** numpy's product: vectors as a row or a column, stacks of matrices spread over each other. */
function product(a: Tensor, b: Tensor): Tensor {
  if (a.rank === 1) {
    const y = product(expandDims(a, 0), b);
    return squeeze(y, b.rank === 1 ? 0 : -2);
  }
  if (b.rank === 1) return squeeze(product(a, expandDims(b, 1)), -1);
  if (b.rank === 2) return matmul(a, b);
  const front: number[] = [];
  for (let i = 3; i <= Math.max(a.rank, b.rank); i++)
    front.unshift(Math.max(a.shape[a.rank - i] ?? 1, b.shape[b.rank - i] ?? 1));
  const spread = (x: Tensor) => broadcastTo(x, [...front, ...x.shape.slice(-2)]);
  return batchMatmul(spread(a), spread(b));
}

/** A function along the last axis, along any: null stands for all axes together. */
const shapedAlong = (run: (x: Tensor) => Tensor): KerasOperation => ({
  module: nn,
  parameters: ['x'],
  keepsMask: true,
  run({ x, axis }, where) {
    const own = tensor(x, where);
    if (axis === null) return reshape(run(reshape(own, [sizeOf(own.shape)])), own.shape);
    const along = [axis ?? -1].flat().map((a) => normalAxis(a as number, own.rank, where));
    if (along.length === 1 && along[0] === own.rank - 1) return run(own);
    const others = own.shape.map((_, i) => i).filter((i) => !along.includes(i));
    const order = [...others, ...along];
    const behind = transpose(own, order);
    const rows = others.map((i) => own.shape[i]);
    const flat = run(reshape(behind, [...rows, sizeOf(along.map((i) => own.shape[i]))]));
    return transpose(
      reshape(flat, behind.shape),
      own.shape.map((_, i) => order.indexOf(i)),
    );
  },
});

/** The place of the largest value, or of the smallest; the first of equals. */
const extreme = (least: boolean): KerasOperation =>
  shaped((x, { axis, keepdims }, where) => {
    const all = axis === null || axis === undefined;
    const own = all ? reshape(x, [sizeOf(x.shape)]) : x;
    const at = all ? 0 : normalAxis(axis as number, x.rank, where);
    const found = p.toFloat(argmax(least ? p.neg(own) : own, at));
    const kept = x.shape.map((d, i) => (all || i === at ? 1 : d));
    return keepdims === true ? reshape(found, kept) : found;
  });

/** The mean of squared distances from the mean. */
function variance(x: Tensor, options: { axes?: number[]; keepDims?: boolean }): Tensor {
  return mean(p.square(p.sub(x, mean(x, { ...options, keepDims: true }))), options);
}

/** Sizes of nested lists. */
function shapeOfList(list: unknown): number[] {
  return Array.isArray(list) ? [list.length, ...shapeOfList(list[0])] : [];
}

/** By class name. */
export const kerasOperations: ReadonlyMap<string, KerasOperation> = new Map(
  Object.entries<KerasOperation>({
    Add: binary(p.add),
    Subtract: binary(p.sub),
    Multiply: binary(p.mul),
    Divide: binary(p.div),
    TrueDivide: binary(p.div),
    Maximum: binary(p.maximum),
    Minimum: binary(p.minimum),
    Power: binary(p.pow),
    Equal: binary(p.equal),
    NotEqual: binary(p.notEqual),
    Less: binary(p.less),
    LessEqual: binary(p.lessEqual),
    Greater: binary(p.greater),
    GreaterEqual: binary(p.greaterEqual),
    LogicalAnd: binary((a, b) => p.mul(truth(a), truth(b))),
    LogicalOr: binary((a, b) => p.maximum(truth(a), truth(b))),
    LogicalNot: unary((x) => p.equal(x, 0)),
    Negative: unary(p.neg),
    Abs: unary(p.abs),
    Absolute: unary(p.abs),
    Sign: unary(p.sign),
    Square: unary(p.square),
    Sqrt: unary(p.sqrt),
    Reciprocal: unary(p.reciprocal),
    Exp: unary(p.exp),
    Log: unary(p.log),
    Log1p: unary(p.log1p),
    Tanh: unary(p.tanh),
    Sin: unary(p.sin),
    Cos: unary(p.cos),
    Floor: unary(p.floor),
    Round: unary(p.round),
    ZerosLike: unary((x) => p.mul(truth(x), 0)),
    OnesLike: unary((x) => p.maximum(truth(x), 1)),
    IsFinite: unary(p.isFinite),
    Isfinite: unary(p.isFinite),
    Rsqrt: unary(p.rsqrt, 'keras.src.ops.math'),
    Erf: unary(p.erf, 'keras.src.ops.math'),
    Relu: activation('relu'),
    Sigmoid: activation('sigmoid'),
    Softplus: activation('softplus'),
    Softsign: activation('softsign'),
    Silu: activation('silu'),
    Elu: activation('elu'),
    Selu: activation('selu'),
    HardSigmoid: activation('hardSigmoid'),
    Softmax: shapedAlong(softmax),
    LogSoftmax: shapedAlong(logSoftmax),
    Where: {
      module: numpy,
      parameters: ['condition', 'x1', 'x2'],
      keepsMask: true,
      run: ({ condition, x1, x2 }) => p.select(truth(operand(condition)), operand(x1), operand(x2)),
    },
    Clip: shaped((x, { x_min, x_max }) => p.minimum(p.maximum(x, number(x_min)), number(x_max))),
    Sum: reduction(sum),
    Mean: reduction(mean),
    Max: reduction(max),
    Min: reduction(min),
    Any: reduction((x, options) => max(truth(x), options)),
    All: reduction((x, options) => min(truth(x), options)),
    Argmax: extreme(false),
    Argmin: extreme(true),
    Reshape: shaped((x, { newshape }, where) => reshape(x, fullShape(x, newshape, where))),
    Transpose: shaped((x, { axes }) => transpose(x, (axes as number[] | null) ?? undefined)),
    ExpandDims: shaped((x, { axis }) => expandDims(x, [axis].flat()[0] as number)),
    Squeeze: shaped((x, { axis }) =>
      squeeze(x, axis === null || axis === undefined ? undefined : ([axis].flat()[0] as number)),
    ),
    Flip: shaped((x, { axis }) =>
      [axis ?? x.shape.map((_, i) => i)].flat().reduce<Tensor>((y, a) => reverse(y, a as number), x),
    ),
    BroadcastTo: shaped((x, { shape }) =>
      broadcastTo(
        x,
        (shape as (number | null)[]).map((d, i) => d ?? x.shape[i]),
      ),
    ),
    Repeat: shaped((x, { repeats, axis }, where) => {
      if (typeof repeats !== 'number' || typeof axis !== 'number')
        fail('UNSUPPORTED', where, 'one number of repeats and an axis', showValue(repeats));
      return repeat(x, repeats, normalAxis(axis, x.rank, where));
    }),
    Split: shaped((x, { indices_or_sections: parts, axis }, where) => {
      const at = normalAxis((axis as number | undefined) ?? 0, x.rank, where);
      if (typeof parts === 'number') return split(x, parts, at);
      const size = x.shape[at];
      const ends = [...(parts as number[]).map((i) => Math.min(size, i < 0 ? i + size : i)), size];
      return ends.map((end, i) => {
        const start = i ? ends[i - 1] : 0;
        const from = x.shape.map((_, k) => (k === at ? start : 0));
        return slice(
          x,
          from,
          x.shape.map((d, k) => (k === at ? Math.max(0, end - start) : d)),
        );
      });
    }),
    GetItem: shaped((x, { key }, where) => item(x, key, where), numpy, ['x', 'key']),
    Cast: shaped((x, { dtype }) => (String(dtype).startsWith('bool') ? truth(x) : p.toFloat(x)), 'keras.src.ops.core'),
    StopGradient: shaped((x) => stopGradient(x), 'keras.src.ops.core', ['variable']),
    OneHot: shaped((x, { num_classes, axis }, where) => {
      if ((axis ?? -1) !== -1) fail('UNSUPPORTED', where, 'axis -1', String(axis));
      return oneHot(p.toInt(x), num_classes as number);
    }, nn),
    Concatenate: {
      module: numpy,
      parameters: ['xs'],
      keepsMask: true,
      run: ({ xs, axis }, where) => concat(list(xs, where), (axis as number | undefined) ?? 0),
    },
    Stack: {
      module: numpy,
      parameters: ['x'],
      keepsMask: false,
      run: ({ x, axis }, where) => {
        const parts = list(x, where);
        const at = normalAxis((axis as number | undefined) ?? 0, parts[0].rank + 1, where);
        return concat(
          parts.map((part) => expandDims(part, at)),
          at,
        );
      },
    },
    Matmul: {
      module: numpy,
      parameters: ['x1', 'x2'],
      keepsMask: false,
      run: ({ x1, x2 }, where) => product(tensor(x1, where), tensor(x2, where)),
    },
    FloorDivide: binary((a, b) => p.floor(p.div(a, b))),
    Mod: binary((a, b) => p.sub(a, p.mul(p.floor(p.div(a, b)), b))),
    DivideNoNan: binary((a, b) => p.select(p.equal(b, 0), 0, p.div(a, p.select(p.equal(b, 0), 1, b)))),
    Expm1: unary((x) => p.sub(p.exp(x), 1)),
    Ceil: unary((x) => p.neg(p.floor(p.neg(x)))),
    LogSigmoid: activation('logSigmoid'),
    Relu6: activation('relu6'),
    HardSilu: activation('hardSilu'),
    HardTanh: activation('hardTanh'),
    TanhShrink: activation('tanhShrink'),
    SparseSigmoid: activation('sparseSigmoid'),
    SparsePlus: activation('sparsePlus'),
    LeakyRelu: {
      ...unary((x) => x, nn),
      run: ({ x, negative_slope = 0.2 }, where) => {
        const own = tensor(x, where);
        return p.select(p.less(own, 0), p.mul(own, number(negative_slope)), own);
      },
    },
    Gelu: {
      ...unary((x) => x, nn),
      run({ x, approximate }, where) {
        const own = tensor(x, where);
        if (approximate !== true) return activationOf('gelu', 'gelu').apply(own);
        // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
        const inner = p.mul(p.mul(own, p.add(p.mul(p.square(own), 0.044715), 1)), Math.sqrt(2 / Math.PI));
        return p.mul(p.mul(own, 0.5), p.add(p.tanh(inner), 1));
      },
    },
    Var: reduction(variance),
    Std: reduction((x, options) => p.sqrt(variance(x, options))),
    Logsumexp: {
      ...reduction((x, { axes, keepDims }) => {
        const peak = stopGradient(max(x, { axes, keepDims: true }));
        const total = p.add(p.log(sum(p.exp(p.sub(x, peak)), { axes, keepDims: true })), peak);
        return keepDims ? total : reshape(total, sum(x, { axes }).shape);
      }),
      module: 'keras.src.ops.math',
    },
    Normalize: shaped((x, { axis = -1, order = 2, epsilon }, where) => {
      if (order !== 2) fail('UNSUPPORTED', where, 'order 2', String(order));
      const least = epsilon === null || epsilon === undefined ? 1e-12 : number(epsilon);
      const squares = sum(p.square(x), { axes: [axis].flat() as number[], keepDims: true });
      return p.mul(x, p.rsqrt(p.maximum(squares, least * least)));
    }, nn),
    Cumsum: shaped((x, { axis }, where) => {
      const own = axis === null || axis === undefined ? reshape(x, [sizeOf(x.shape)]) : x;
      const at = normalAxis((axis as number | null | undefined) ?? 0, own.rank, where);
      const order = own.shape.map((_, i) => i).filter((i) => i !== at);
      const behind = transpose(own, [...order, at]);
      const size = own.shape[at];
      const triangle = Float64Array.from({ length: size * size }, (_, i) => (Math.floor(i / size) <= i % size ? 1 : 0));
      const flat = reshape(behind, [sizeOf(behind.shape) / size, size]);
      const summed = reshape(matmul(flat, constant(own.graph, triangle, [size, size])), behind.shape);
      const back = own.shape.map((_, i) => [...order, at].indexOf(i));
      return transpose(summed, back);
    }),
    Swapaxes: shaped((x, { axis1, axis2 }, where) => {
      const [a, b] = [axis1, axis2].map((axis) => normalAxis(axis as number, x.rank, where));
      return transpose(
        x,
        x.shape.map((_, i) => (i === a ? b : i === b ? a : i)),
      );
    }),
    Moveaxis: shaped((x, { source, destination }, where) => {
      const from = ([source].flat() as number[]).map((axis) => normalAxis(axis, x.rank, where));
      const to = ([destination].flat() as number[]).map((axis) => normalAxis(axis, x.rank, where));
      const order = x.shape.map((_, i) => i).filter((i) => !from.includes(i));
      for (const [place, k] of to.map((axis, k) => [axis, k]).sort((a, b) => a[0] - b[0]))
        order.splice(place, 0, from[k]);
      return transpose(x, order);
    }),
    Tile: shaped((x, { repeats }) => {
      const times = [repeats].flat() as number[];
      const rank = Math.max(times.length, x.rank);
      const own = [...new Array<number>(rank - x.rank).fill(1), ...x.shape];
      const full = [...new Array<number>(rank - times.length).fill(1), ...times];
      return full.reduce<Tensor>(
        (y, n, axis) => (n === 1 ? y : concat(new Array<Tensor>(n).fill(y), axis)),
        reshape(x, own),
      );
    }),
    Take: {
      module: numpy,
      parameters: ['x', 'indices'],
      keepsMask: false,
      run({ x, indices, axis }, where) {
        const own = tensor(x, where);
        const at = normalAxis((axis as number | null | undefined) ?? 0, own.rank, where);
        const list = indices instanceof NdArray ? indices.toNested() : indices;
        const flat = ([list].flat(8) as number[]).map((i) => (i < 0 ? i + own.shape[at] : i));
        if (!flat.every((i) => Number.isInteger(i) && i >= 0 && i < own.shape[at]))
          fail('UNSUPPORTED', where, `indices that are numbers below ${own.shape[at]}`, showValue(indices));
        const parts = flat.map((i) => stride(own, at, i, 1, 1));
        const joined = parts.length === 1 ? parts[0] : concat(parts, at);
        const sizes = shapeOfList(list);
        return reshape(joined, [...own.shape.slice(0, at), ...sizes, ...own.shape.slice(at + 1)]);
      },
    },
    Einsum: {
      module: numpy,
      parameters: ['a', 'b'],
      keepsMask: false,
      run({ a, b, subscripts }, where) {
        const [x, y] = [tensor(a, where), tensor(b, where)];
        return einsum(einsumTerms(String(subscripts), x.rank, where), x, y);
      },
    },
    ...furtherOperations,
    FullLike: {
      module: numpy,
      parameters: ['x', 'fill_value'],
      keepsMask: true,
      run: ({ x, fill_value }, where) =>
        broadcastTo(constant(tensor(x, where).graph, number(fill_value)), (x as Tensor).shape),
    },
  }),
);
