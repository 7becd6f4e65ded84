/** Operations that move elements without changing them. They take f32 and i32 alike; only f32 carries gradients. */
import { fail } from '../core/errors.ts';
import { broadcastShapes, formatShape, normalAxis, type Shape, sameShape, sizeOf, stridesOf } from '../core/shape.ts';
import type { Attributes, Graph, Type } from '../ir/graph.ts';
import { axisStrides, copyDimensions, type LowerContext, type Operand } from '../ir/lower.ts';
import { readStrided, spread, walk } from './dense.ts';
import { defineOperation } from './op.ts';
import { sumTo } from './sum-to.ts';
import { apply, constant, type Tensor } from './tensor.ts';

const numbers = (attributes: Attributes, name: string): readonly number[] => attributes[name] as readonly number[];

/** Zeros of a shape. */
export function zeros(graph: Graph, shape: Shape): Tensor {
  return broadcastTo(constant(graph, 0), shape);
}

function checkShape(shape: Shape, where: string): void {
  if (shape.some((d) => !Number.isInteger(d) || d < 0))
    fail('SHAPE', where, 'sizes that are whole numbers from 0 on', formatShape(shape));
}

/** Copies a box of elements between two values; interleaved rows are copied whole. */
function emitBox(
  emit: LowerContext['emit'],
  from: Operand,
  to: Operand,
  shape: Shape,
  src: readonly number[],
  dst: readonly number[],
  srcOffset = 0,
  dstOffset = 0,
): void {
  if (!sizeOf(shape)) return;
  const last = shape.length - 1;
  const wide = from.layout.groups > 1 ? from.layout.pitch : undefined;
  const dims = shape.map((size, i) => ({
    size: i === last ? (wide ?? size) : size,
    srcStride: src[i],
    dstStride: dst[i],
  }));
  const at = (operand: Operand, offset: number) => ({ ...operand.at, offset: operand.at.offset + offset });
  emit('COPY', { src: at(from, srcOffset), dst: at(to, dstOffset) }, { dims: copyDimensions(dims) });
}

// ---- reshape

const reshapeOperation = defineOperation({
  name: 'reshape',
  infer([x], attributes) {
    const shape = numbers(attributes, 'shape');
    checkShape(shape, 'reshape');
    if (sizeOf(shape) !== sizeOf(x.shape))
      fail(
        'SHAPE',
        'reshape',
        `a shape of ${sizeOf(x.shape)} elements for ${formatShape(x.shape)}`,
        `${formatShape(shape)} of ${sizeOf(shape)}`,
      );
    return [{ dtype: x.dtype, shape }];
  },
  evaluate: ([x], attributes) => [{ shape: numbers(attributes, 'shape'), data: x.data }],
  vjp: ({ inputs }, [d]) => [d && reshape(d, inputs[0].shape)],
});

/** The same elements in row-major order under another shape. One size may be -1: it is what remains. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const open = shape.indexOf(-1);
  let full = shape;
  if (open >= 0) {
    const rest = sizeOf(shape.filter((_, i) => i !== open));
    const size = sizeOf(x.shape) / rest;
    if (!Number.isInteger(size))
      fail(
        'SHAPE',
        'reshape',
        `sizes that divide the ${sizeOf(x.shape)} elements of ${formatShape(x.shape)}`,
        formatShape(shape),
      );
    full = shape.map((d, i) => (i === open ? size : d));
  }
  return sameShape(full, x.shape) ? x : apply(reshapeOperation, [x], { shape: full })[0];
}

/** A new axis of size 1 at `axis` of the result. */
export function expandDims(x: Tensor, axis: number): Tensor {
  const at = normalAxis(axis, x.rank + 1, 'expandDims');
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Without the axis, which must have size 1; without `axis`, without all axes of size 1. */
export function squeeze(x: Tensor, axis?: number): Tensor {
  if (axis === undefined)
    return reshape(
      x,
      x.shape.filter((d) => d !== 1),
    );
  const at = normalAxis(axis, x.rank, 'squeeze');
  if (x.shape[at] !== 1) fail('SHAPE', 'squeeze', `size 1 on axis ${at}`, formatShape(x.shape));
  return reshape(
    x,
    x.shape.filter((_, i) => i !== at),
  );
}

// ---- transpose

const transposeOperation = defineOperation({
  name: 'transpose',
  infer([x], attributes) {
    const perm = numbers(attributes, 'perm');
    if (perm.length !== x.shape.length || x.shape.some((_, i) => !perm.includes(i)))
      fail(
        'SHAPE',
        'transpose',
        `an order of the axes 0..${x.shape.length - 1} of ${formatShape(x.shape)}`,
        `[${perm.join(', ')}]`,
      );
    return [{ dtype: x.dtype, shape: perm.map((p) => x.shape[p]) }];
  },
  evaluate([x], attributes) {
    const perm = numbers(attributes, 'perm');
    const strides = stridesOf(x.shape);
    const shape = perm.map((p) => x.shape[p]);
    return [
      {
        shape,
        data: readStrided(
          x.data,
          shape,
          perm.map((p) => strides[p]),
        ),
      },
    ];
  },
  vjp({ attributes }, [d]) {
    const perm = numbers(attributes, 'perm');
    return [
      d &&
        transpose(
          d,
          perm.map((_, i) => perm.indexOf(i)),
        ),
    ];
  },
  lower({ attributes, inputs: [x], outputs: [y], emit }) {
    const perm = numbers(attributes, 'perm');
    const src = axisStrides(x.type.shape, x.layout);
    const dst = axisStrides(y.type.shape, y.layout);
    emitBox(
      emit,
      x,
      y,
      y.type.shape,
      perm.map((p) => src[p]),
      dst,
    );
  },
});

/** Axis i of the result is axis `perm[i]` of x; by default the axes in reverse. */
export function transpose(x: Tensor, perm: readonly number[] = x.shape.map((_, i) => x.rank - 1 - i)): Tensor {
  const axes = perm.map((p) => normalAxis(p, x.rank, 'transpose'));
  return apply(transposeOperation, [x], { perm: axes })[0];
}

// ---- slice and pad

const sliceOperation = defineOperation({
  name: 'slice',
  infer([x], attributes) {
    const start = numbers(attributes, 'start');
    const size = numbers(attributes, 'size');
    const fits = x.shape.every((d, i) => start[i] >= 0 && size[i] >= 0 && start[i] + size[i] <= d);
    if (start.length !== x.shape.length || size.length !== x.shape.length || !fits)
      fail(
        'SHAPE',
        'slice',
        `a box inside ${formatShape(x.shape)}`,
        `start ${formatShape(start)} size ${formatShape(size)}`,
      );
    return [{ dtype: x.dtype, shape: size }];
  },
  evaluate([x], attributes) {
    const size = numbers(attributes, 'size');
    const strides = stridesOf(x.shape);
    const offset = numbers(attributes, 'start').reduce((sum, s, i) => sum + s * strides[i], 0);
    return [{ shape: size, data: readStrided(x.data, size, strides, offset) }];
  },
  vjp({ inputs, attributes }, [d]) {
    if (!d) return [null];
    const start = numbers(attributes, 'start');
    const size = numbers(attributes, 'size');
    return [
      pad(
        d,
        start,
        inputs[0].shape.map((n, i) => n - start[i] - size[i]),
      ),
    ];
  },
  lower({ attributes, inputs: [x], outputs: [y], emit }) {
    const src = axisStrides(x.type.shape, x.layout);
    const offset = numbers(attributes, 'start').reduce((sum, s, i) => sum + s * src[i], 0);
    emitBox(emit, x, y, y.type.shape, src, axisStrides(y.type.shape, y.layout), offset);
  },
});

/** The box that begins at `start` and has `size` elements, for every axis. */
export function slice(x: Tensor, start: readonly number[], size: readonly number[]): Tensor {
  return apply(sliceOperation, [x], { start, size })[0];
}

const padOperation = defineOperation({
  name: 'pad',
  infer([x], attributes) {
    const before = numbers(attributes, 'before');
    const after = numbers(attributes, 'after');
    const bad = (list: readonly number[]) =>
      list.length !== x.shape.length || list.some((n) => !Number.isInteger(n) || n < 0);
    if (bad(before) || bad(after))
      fail(
        'SHAPE',
        'pad',
        `counts from 0 on for each axis of ${formatShape(x.shape)}`,
        `before ${formatShape(before)} after ${formatShape(after)}`,
      );
    return [{ dtype: x.dtype, shape: x.shape.map((d, i) => before[i] + d + after[i]) }];
  },
  evaluate([x], attributes) {
    const before = numbers(attributes, 'before');
    const after = numbers(attributes, 'after');
    const shape = x.shape.map((d, i) => before[i] + d + after[i]);
    const data = new Float64Array(sizeOf(shape));
    const strides = stridesOf(shape);
    let k = 0;
    walk(
      x.shape,
      strides,
      before.reduce((sum, b, i) => sum + b * strides[i], 0),
      (at) => {
        data[at] = x.data[k++];
      },
    );
    return [{ shape, data }];
  },
  vjp: ({ inputs, attributes }, [d]) => [d && slice(d, numbers(attributes, 'before'), inputs[0].shape)],
  lower({ attributes, inputs: [x], outputs: [y], emit }) {
    const dst = axisStrides(y.type.shape, y.layout);
    const offset = numbers(attributes, 'before').reduce((sum, b, i) => sum + b * dst[i], 0);
    emit('FILL', { dst: y.at, count: y.layout.rows * y.layout.pitch, value: 0 });
    emitBox(emit, x, y, x.type.shape, axisStrides(x.type.shape, x.layout), dst, 0, offset);
  },
});

/** Zeros before and after x, so many on each axis. */
export function pad(x: Tensor, before: readonly number[], after: readonly number[]): Tensor {
  return apply(padOperation, [x], { before, after })[0];
}

// ---- concat and split

const concatOperation = defineOperation({
  name: 'concat',
  infer(inputs, attributes) {
    const axis = attributes.axis as number;
    const [first] = inputs;
    for (const x of inputs)
      if (
        x.dtype !== first.dtype ||
        x.shape.length !== first.shape.length ||
        x.shape.some((d, i) => i !== axis && d !== first.shape[i])
      )
        fail(
          'SHAPE',
          'concat',
          `operands like ${first.dtype}${formatShape(first.shape)} but for axis ${axis}`,
          `${x.dtype}${formatShape(x.shape)}`,
        );
    const total = inputs.reduce((sum, x) => sum + x.shape[axis], 0);
    return [{ dtype: first.dtype, shape: first.shape.map((d, i) => (i === axis ? total : d)) }];
  },
  evaluate(inputs, attributes) {
    const axis = attributes.axis as number;
    const [first] = inputs;
    const total = inputs.reduce((sum, x) => sum + x.shape[axis], 0);
    const shape = first.shape.map((d, i) => (i === axis ? total : d));
    const data = new Float64Array(sizeOf(shape));
    const strides = stridesOf(shape);
    let start = 0;
    for (const x of inputs) {
      let k = 0;
      walk(x.shape, strides, start * strides[axis], (at) => {
        data[at] = x.data[k++];
      });
      start += x.shape[axis];
    }
    return [{ shape, data }];
  },
  vjp({ inputs, attributes, needed }, [d]) {
    if (!d) return inputs.map(() => null);
    const axis = attributes.axis as number;
    let at = 0;
    return inputs.map((x, i) => {
      const start = x.shape.map((_, k) => (k === axis ? at : 0));
      at += x.shape[axis];
      return needed[i] ? slice(d, start, x.shape) : null;
    });
  },
});

/** The tensors behind each other along `axis` (default: the last). */
export function concat(tensors: readonly Tensor[], axis = -1): Tensor {
  if (!tensors.length) fail('ARGUMENT', 'concat', 'at least one tensor', 'none');
  if (tensors.length === 1) return tensors[0];
  return apply(concatOperation, tensors, { axis: normalAxis(axis, tensors[0].rank, 'concat') })[0];
}

const splitOperation = defineOperation({
  name: 'split',
  infer([x], attributes) {
    const axis = attributes.axis as number;
    const parts = attributes.parts as number;
    if (!Number.isInteger(parts) || parts < 1 || x.shape[axis] % parts)
      fail('SHAPE', 'split', `a number of equal parts of axis ${axis} of ${formatShape(x.shape)}`, String(parts));
    const shape = x.shape.map((d, i) => (i === axis ? d / parts : d));
    return Array.from({ length: parts }, (): Type => ({ dtype: x.dtype, shape }));
  },
  evaluate([x], attributes) {
    const axis = attributes.axis as number;
    const parts = attributes.parts as number;
    const strides = stridesOf(x.shape);
    const shape = x.shape.map((d, i) => (i === axis ? d / parts : d));
    return Array.from({ length: parts }, (_, p) => ({
      shape,
      data: readStrided(x.data, shape, strides, p * shape[axis] * strides[axis]),
    }));
  },
  vjp({ outputs, attributes }, cotangents) {
    if (cotangents.every((d) => d === null)) return [null];
    return [
      concat(
        cotangents.map((d, i) => d ?? zeros(outputs[i].graph, outputs[i].shape)),
        attributes.axis as number,
      ),
    ];
  },
  lower({ attributes, inputs: [x], outputs, emit }) {
    const axis = attributes.axis as number;
    const src = axisStrides(x.type.shape, x.layout);
    outputs.forEach((y, i) => {
      const { shape } = y.type;
      emitBox(emit, x, y, shape, src, axisStrides(shape, y.layout), i * shape[axis] * src[axis]);
    });
  },
});

/** Equal parts along `axis` (default: the last). */
export function split(x: Tensor, parts: number, axis = -1): Tensor[] {
  return apply(splitOperation, [x], { axis: normalAxis(axis, x.rank, 'split'), parts });
}

// ---- broadcast

const broadcastOperation = defineOperation({
  name: 'broadcast',
  infer([x], attributes) {
    const shape = numbers(attributes, 'shape');
    checkShape(shape, 'broadcastTo');
    if (!sameShape(broadcastShapes(x.shape, shape, 'broadcastTo'), shape))
      fail('SHAPE', 'broadcastTo', `a shape that ${formatShape(x.shape)} broadcasts to`, formatShape(shape));
    return [{ dtype: x.dtype, shape }];
  },
  evaluate([x], attributes) {
    const shape = numbers(attributes, 'shape');
    return [{ shape, data: spread(x, shape) }];
  },
  vjp: ({ inputs }, [d]) => [d && sumTo(d, inputs[0].shape)],
  lower({ inputs: [x], outputs: [y], emit }) {
    const { shape } = y.type;
    const own = axisStrides(x.type.shape, x.layout);
    const lead = shape.length - x.type.shape.length;
    const src = shape.map((_, i) => (i < lead || x.type.shape[i - lead] === 1 ? 0 : own[i - lead]));
    emitBox(emit, x, y, shape, src, axisStrides(shape, y.layout));
  },
});

/** x repeated along its axes of size 1 and along new leading axes, by NumPy's rule. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply(broadcastOperation, [x], { shape })[0];
}

// ---- reverse

const reverseOperation = defineOperation({
  name: 'reverse',
  infer: ([x]) => [x],
  evaluate([x], attributes) {
    const axis = attributes.axis as number;
    const strides = stridesOf(x.shape);
    const offset = Math.max(x.shape[axis] - 1, 0) * strides[axis];
    return [
      {
        shape: x.shape,
        data: readStrided(
          x.data,
          x.shape,
          strides.map((s, i) => (i === axis ? -s : s)),
          offset,
        ),
      },
    ];
  },
  vjp: ({ attributes }, [d]) => [d && reverse(d, attributes.axis as number)],
  lower({ attributes, inputs: [x], outputs: [y], emit }) {
    const axis = attributes.axis as number;
    const { shape } = x.type;
    const own = axisStrides(shape, x.layout);
    const src = own.map((stride, i) => (i === axis ? -stride : stride));
    emitBox(emit, x, y, shape, src, axisStrides(shape, y.layout), Math.max(0, shape[axis] - 1) * own[axis]);
  },
});

/** x with the order along `axis` turned round. */
export function reverse(x: Tensor, axis: number): Tensor {
  return apply(reverseOperation, [x], { axis: normalAxis(axis, x.rank, 'reverse') })[0];
}

// ---- stopGradient

const stopGradientOperation = defineOperation({
  name: 'stopGradient',
  infer: ([x]) => [x],
  evaluate: ([x]) => [x],
});

/** x, through which no gradient flows. */
export function stopGradient(x: Tensor): Tensor {
  return apply(stopGradientOperation, [x])[0];
}
