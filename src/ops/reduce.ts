/** Operations that reduce axes: sum, max, min, mean, and the index of the largest. */
import { fail } from '../core/errors.ts';
import { formatShape, normalAxis, type Shape, sizeOf, stridesOf } from '../core/shape.ts';
import type { Attributes, Type } from '../ir/graph.ts';
import { LANES, Reduction } from '../ir/kernels.ts';
import { type LowerContext, type Operand, roundUp } from '../ir/lower.ts';
import { walk } from './dense.ts';
import { type Dense, defineOperation, type Operation, type VjpContext } from './op.ts';
import { div, equal, mul } from './pointwise.ts';
import { broadcastTo, reshape, transpose } from './shape.ts';
import { apply, type Tensor } from './tensor.ts';

export interface ReduceOptions {
  /** The axes that go; negative ones count from the end. Default: all. */
  readonly axes?: readonly number[];
  /** Whether they stay with size 1. Default: false. */
  readonly keepDims?: boolean;
}

const axesOf = (attributes: Attributes): readonly number[] => attributes.axes as readonly number[];

/** The shape with the reduced axes as 1. */
function keptShape(shape: Shape, axes: readonly number[]): Shape {
  return shape.map((d, i) => (axes.includes(i) ? 1 : d));
}

function reducedShape(shape: Shape, attributes: Attributes): Shape {
  const axes = axesOf(attributes);
  return attributes.keepDims ? keptShape(shape, axes) : shape.filter((_, i) => !axes.includes(i));
}

function inferReduction(name: string, [x]: readonly Type[], attributes: Attributes): Type[] {
  const axes = axesOf(attributes);
  if (x.dtype !== 'f32')
    fail('ARGUMENT', name, 'an f32 operand', `${x.dtype}${formatShape(x.shape)}`, 'Convert it with toFloat(x).');
  if (axes.some((a, i) => a < 0 || a >= x.shape.length || (i > 0 && a <= axes[i - 1])))
    fail('SHAPE', name, `different axes of ${formatShape(x.shape)} in ascending order`, `[${axes.join(', ')}]`);
  return [{ dtype: 'f32', shape: reducedShape(x.shape, attributes) }];
}

function evaluateReduction(
  x: Dense,
  attributes: Attributes,
  start: number,
  step: (a: number, b: number) => number,
): Dense {
  const kept = keptShape(x.shape, axesOf(attributes));
  const data = new Float64Array(sizeOf(kept)).fill(start);
  const strides = stridesOf(kept).map((s, i) => (kept[i] === 1 ? 0 : s));
  let k = 0;
  walk(x.shape, strides, 0, (at) => {
    data[at] = step(data[at], x.data[k++]);
  });
  return { shape: reducedShape(x.shape, attributes), data };
}

/** Equal largest (smallest) elements share the cotangent equally. */
function extremeRule({ inputs: [x], outputs: [y], attributes }: VjpContext, d: Tensor | null): Tensor | null {
  if (!d) return null;
  const axes = axesOf(attributes);
  const kept = keptShape(x.shape, axes);
  const chosen = equal(x, reshape(y, kept));
  return mul(chosen, div(reshape(d, kept), sum(chosen, { axes, keepDims: true })));
}

/** The last axis, or some axes before it that stand together; `4-simplify` brings every reduction into this form. */
function lowerReduction(kind: 'sum' | 'max' | 'min', context: LowerContext): void {
  const { shape } = context.inputs[0].type;
  const axes = axesOf(context.attributes);
  const last = shape.length - 1;
  if (axes[0] === last) return lowerLast(kind, context);
  const [x] = context.inputs;
  const [y] = context.outputs;
  const outer = sizeOf(shape.slice(0, axes[0]));
  const middle = sizeOf(axes.map((a) => shape[a]));
  const innerRows = sizeOf(shape.slice(axes[0] + axes.length, last));
  const { pitch } = x.layout;
  const kindField = Reduction[kind];
  if (innerRows * pitch === 1) {
    const fields = { kind: kindField, rows: outer, cols: middle, src: x.at, pitch: middle };
    context.emit('REDUCE_LAST', { ...fields, dst: y.at, inner: Math.max(1, outer), dstPitch: outer });
    return;
  }
  const middleStride = innerRows * pitch;
  const outerStride = middle * middleStride;
  if (innerRows === 1 || pitch === y.layout.pitch) {
    const blocks = roundUp(innerRows === 1 ? y.layout.pitch : middleStride) / LANES;
    const dst = { dst: y.at, dstOuterStride: innerRows * y.layout.pitch };
    context.emit('REDUCE_MIDDLE', {
      kind: kindField,
      outer,
      middle,
      blocks,
      src: x.at,
      outerStride,
      middleStride,
      ...dst,
    });
    return;
  }
  // Rows that stand farther apart than those of the result: each by itself.
  const fields = { kind: kindField, middle, blocks: y.layout.pitch / LANES, middleStride };
  const moved = ({ at }: Operand, by: number) => ({ ...at, offset: at.offset + by });
  const [fromOuter, toOuter] = [outerStride, innerRows * y.layout.pitch];
  const [from, to] = outer < innerRows ? [pitch, y.layout.pitch] : [fromOuter, toOuter];
  const [eachFrom, eachTo] = outer < innerRows ? [fromOuter, toOuter] : [pitch, y.layout.pitch];
  for (let i = 0; i < Math.min(outer, innerRows); i++)
    context.emit('REDUCE_MIDDLE', {
      ...fields,
      outer: Math.max(outer, innerRows),
      outerStride: from,
      src: moved(x, i * eachFrom),
      dst: moved(y, i * eachTo),
      dstOuterStride: to,
    });
}

function lowerLast(kind: keyof typeof Reduction, { inputs: [x], outputs: [y], emit }: LowerContext): void {
  const { rows, cols, pitch } = x.layout;
  // The result has one element per row, whether the axis is kept or not.
  const kept = y.layout.cols === 1 || !y.type.shape.length;
  const [inner, dstPitch] = kept ? [Math.max(1, rows), rows] : [Math.max(1, y.layout.cols), y.layout.pitch];
  emit('REDUCE_LAST', { kind: Reduction[kind], rows, cols, src: x.at, pitch, dst: y.at, inner, dstPitch });
}

const sumOperation = defineOperation({
  name: 'sum',
  infer: (inputs, attributes) => inferReduction('sum', inputs, attributes),
  evaluate: ([x], attributes) => [evaluateReduction(x, attributes, 0, (a, b) => a + b)],
  vjp: ({ inputs: [x], attributes }, [d]) => [
    d && broadcastTo(reshape(d, keptShape(x.shape, axesOf(attributes))), x.shape),
  ],
  lower: (context) => lowerReduction('sum', context),
});

const maxOperation = defineOperation({
  name: 'max',
  infer: (inputs, attributes) => inferReduction('max', inputs, attributes),
  evaluate: ([x], attributes) => [evaluateReduction(x, attributes, Number.NEGATIVE_INFINITY, Math.max)],
  vjp: (context, [d]) => [extremeRule(context, d)],
  lower: (context) => lowerReduction('max', context),
});

const minOperation = defineOperation({
  name: 'min',
  infer: (inputs, attributes) => inferReduction('min', inputs, attributes),
  evaluate: ([x], attributes) => [evaluateReduction(x, attributes, Number.POSITIVE_INFINITY, Math.min)],
  vjp: (context, [d]) => [extremeRule(context, d)],
  lower: (context) => lowerReduction('min', context),
});

function normalAxes(x: Tensor, axes: readonly number[] | undefined, where: string): number[] {
  if (!axes) return x.shape.map((_, i) => i);
  return axes.map((a) => normalAxis(a, x.rank, where)).sort((a, b) => a - b);
}

function reduction(operation: Operation, x: Tensor, { axes, keepDims = false }: ReduceOptions): Tensor {
  return apply(operation, [x], { axes: normalAxes(x, axes, operation.name), keepDims })[0];
}

/** The sum over the axes; 0 where there is nothing to sum. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduction(sumOperation, x, options);
}

/** The largest element along the axes; -inf where there is none, NaN where one is. */
export function max(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduction(maxOperation, x, options);
}

/** The smallest element along the axes; inf where there is none, NaN where one is. */
export function min(x: Tensor, options: ReduceOptions = {}): Tensor {
  return reduction(minOperation, x, options);
}

/** The mean over the axes; NaN where there is nothing. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const count = normalAxes(x, options.axes, 'mean').reduce((n, a) => n * x.shape[a], 1);
  return mul(sum(x, options), 1 / count);
}

const argmaxOperation = defineOperation({
  name: 'argmax',
  infer([x], attributes) {
    const axis = attributes.axis as number;
    if (x.dtype !== 'f32' || !x.shape.length || !x.shape[x.shape.length - 1] || axis !== x.shape.length - 1)
      fail(
        'SHAPE',
        'argmax',
        'an f32 operand and its last axis, of size 1 or more',
        `${x.dtype}${formatShape(x.shape)} and axis ${axis}`,
      );
    return [{ dtype: 'i32', shape: x.shape.slice(0, -1) }];
  },
  evaluate([x]) {
    const cols = x.shape[x.shape.length - 1];
    const shape = x.shape.slice(0, -1);
    const data = new Float64Array(sizeOf(shape));
    for (let r = 0; r < data.length; r++) {
      const row = x.data.subarray(r * cols, (r + 1) * cols);
      let best = 0;
      for (let c = 1; c < cols; c++) if (row[c] > row[best]) best = c;
      data[r] = best;
    }
    return [{ shape, data }];
  },
  lower: (context) => lowerLast('argmax', context),
});

/** The index (i32) of the largest element along `axis` (default: the last), the first of equals. Which index a row with NaN gives is not defined. */
export function argmax(x: Tensor, axis = -1): Tensor {
  const at = normalAxis(axis, x.rank, 'argmax');
  const last = x.rank - 1;
  const moved = at === last ? x : transpose(x, [...x.shape.keys()].filter((i) => i !== at).concat(at));
  return apply(argmaxOperation, [moved], { axis: last })[0];
}
