/**
 * TensorFlow's functions that tf-keras and Keras 2 wrote among the layers of a model (`TFOpLambda`, `SlicingOpLambda`), as the operations of
 * Keras 3 that mean the same. The first argument stands in front, all others come by name. Source: tf-keras, `layers/core/tf_op_layer.py`.
 */
import { fail } from '../core/errors.ts';
import { kerasOperation } from './operation.ts';
import { showValue } from './options.ts';
import { SymbolicTensor } from './symbolic.ts';

type Named = Readonly<Record<string, unknown>>;

/** Keras's class, the arguments of its call and its options, from the first argument and the named ones. */
interface Translated {
  readonly className: string;
  readonly args: readonly unknown[];
  readonly options?: Named;
}

type Translation = (first: unknown, named: Named, where: string) => Translated;

/** Of one tensor, without options. */
const of =
  (className: string): Translation =>
  (first, named, where) => {
    refuseOthers(named, [], where);
    return { className, args: [first] };
  };

/** Of two, the second called `y` (or `b`). */
const pair =
  (className: string): Translation =>
  (first, { y, b, ...rest }, where) => {
    refuseOthers(rest, [], where);
    return { className, args: [first, y ?? b] };
  };

const reduced =
  (className: string): Translation =>
  (first, { axis = null, keepdims = false, ...rest }, where) => {
    refuseOthers(rest, [], where);
    return { className, args: [first], options: { axis, keepdims: keepdims === true } };
  };

/** An option of its own name: TensorFlow's to Keras's. */
const withOptions =
  (className: string, names: Readonly<Record<string, string>>, fixed: Named = {}): Translation =>
  (first, named, where) => {
    refuseOthers(named, Object.keys(names), where);
    const options = Object.entries(names).flatMap(([theirs, ours]) =>
      named[theirs] === undefined ? [] : [[ours, named[theirs]]],
    );
    return { className, args: [first], options: { ...fixed, ...Object.fromEntries(options) } };
  };

function refuseOthers(named: Named, known: readonly string[], where: string): void {
  for (const [key, value] of Object.entries(named))
    if (!known.includes(key) && key !== 'name' && value !== null && value !== undefined && value !== false)
      fail('UNSUPPORTED', where, `arguments among ${known.join(', ') || 'none'}`, `${key}: ${showValue(value)}`);
}

const onlyLast = (className: string): Translation => withOptions(className, { axis: 'axis' }, { axis: -1 });

/** By the name of TensorFlow's function, as `tf.` would be written before it. */
const functions: Readonly<Record<string, Translation>> = {
  '__operators__.add': pair('Add'),
  'math.add': pair('Add'),
  'math.subtract': pair('Subtract'),
  'math.multiply': pair('Multiply'),
  'math.divide': pair('Divide'),
  'math.truediv': pair('Divide'),
  'math.divide_no_nan': pair('DivideNoNan'),
  'math.pow': pair('Power'),
  'math.maximum': pair('Maximum'),
  'math.minimum': pair('Minimum'),
  'math.squared_difference': (first, { y }) => ({
    className: 'Square',
    args: kerasOperation('Subtract', [first, y], {}),
  }),
  'math.floordiv': pair('FloorDivide'),
  'math.floormod': pair('Mod'),
  'math.equal': pair('Equal'),
  'math.not_equal': pair('NotEqual'),
  '__operators__.eq': pair('Equal'),
  '__operators__.ne': pair('NotEqual'),
  'math.less': pair('Less'),
  'math.less_equal': pair('LessEqual'),
  'math.greater': pair('Greater'),
  'math.greater_equal': pair('GreaterEqual'),
  'math.logical_and': pair('LogicalAnd'),
  'math.logical_or': pair('LogicalOr'),
  'math.logical_not': of('LogicalNot'),
  'math.negative': of('Negative'),
  'math.abs': of('Absolute'),
  'math.sign': of('Sign'),
  'math.square': of('Square'),
  'math.sqrt': of('Sqrt'),
  'math.rsqrt': of('Rsqrt'),
  'math.reciprocal': of('Reciprocal'),
  'math.exp': of('Exp'),
  'math.expm1': of('Expm1'),
  'math.log': of('Log'),
  'math.log1p': of('Log1p'),
  'math.tanh': of('Tanh'),
  'math.sin': of('Sin'),
  'math.cos': of('Cos'),
  'math.erf': of('Erf'),
  'math.erfc': of('Erfc'),
  'math.tan': of('Tan'),
  'math.sinh': of('Sinh'),
  'math.cosh': of('Cosh'),
  'math.asinh': of('Arcsinh'),
  'math.acosh': of('Arccosh'),
  'math.atanh': of('Arctanh'),
  'math.floor': of('Floor'),
  'math.ceil': of('Ceil'),
  'math.round': of('Round'),
  'math.is_finite': of('Isfinite'),
  'math.sigmoid': of('Sigmoid'),
  'math.log_sigmoid': of('LogSigmoid'),
  'math.softplus': of('Softplus'),
  'math.reduce_sum': reduced('Sum'),
  'math.reduce_mean': reduced('Mean'),
  'math.reduce_max': reduced('Max'),
  'math.reduce_min': reduced('Min'),
  'math.reduce_prod': reduced('Prod'),
  'math.reduce_any': reduced('Any'),
  'math.reduce_all': reduced('All'),
  'math.reduce_variance': reduced('Var'),
  'math.reduce_std': reduced('Std'),
  'math.reduce_logsumexp': reduced('Logsumexp'),
  'math.argmax': withOptions('Argmax', { axis: 'axis' }, { axis: 0 }),
  'math.l2_normalize': withOptions('Normalize', { axis: 'axis', epsilon: 'epsilon' }, { order: 2 }),
  'math.cumsum': withOptions('Cumsum', { axis: 'axis' }, { axis: 0 }),
  'nn.relu': of('Relu'),
  'nn.relu6': of('Relu6'),
  'nn.sigmoid': of('Sigmoid'),
  'nn.tanh': of('Tanh'),
  'nn.softplus': of('Softplus'),
  'nn.softsign': of('Softsign'),
  'nn.elu': of('Elu'),
  'nn.selu': of('Selu'),
  'nn.silu': of('Silu'),
  'nn.swish': of('Silu'),
  'nn.leaky_relu': withOptions('LeakyRelu', { alpha: 'negative_slope' }, { negative_slope: 0.2 }),
  'nn.gelu': withOptions('Gelu', { approximate: 'approximate' }, { approximate: false }),
  'nn.softmax': onlyLast('Softmax'),
  'nn.log_softmax': onlyLast('LogSoftmax'),
  concat: (first, { axis }) => ({ className: 'Concatenate', args: [first], options: { axis } }),
  stack: (first, { axis = 0 }) => ({ className: 'Stack', args: [first], options: { axis } }),
  reshape: withOptions('Reshape', { shape: 'newshape' }),
  transpose: withOptions('Transpose', { perm: 'axes' }, { axes: null }),
  expand_dims: withOptions('ExpandDims', { axis: 'axis' }),
  squeeze: withOptions('Squeeze', { axis: 'axis' }, { axis: null }),
  reverse: withOptions('Flip', { axis: 'axis' }),
  roll: withOptions('Roll', { shift: 'shift', axis: 'axis' }),
  unstack: withOptions('Unstack', { axis: 'axis', num: 'num' }, { axis: 0 }),
  pad: (first, { paddings, mode = 'CONSTANT', constant_values: value = 0, ...rest }, where) => {
    refuseOthers(rest, [], where);
    return {
      className: 'Pad',
      args: [first, value],
      options: { pad_width: paddings, mode: String(mode).toLowerCase() },
    };
  },
  tensordot: (first, { b, axes }) => ({ className: 'Tensordot', args: [first, b], options: { axes } }),
  tile: withOptions('Tile', { multiples: 'repeats' }),
  repeat: withOptions('Repeat', { repeats: 'repeats', axis: 'axis' }),
  split: withOptions('Split', { num_or_size_splits: 'indices_or_sections', axis: 'axis' }, { axis: 0 }),
  cast: withOptions('Cast', { dtype: 'dtype' }),
  clip_by_value: withOptions('Clip', { clip_value_min: 'x_min', clip_value_max: 'x_max' }),
  one_hot: (first, { depth, axis, ...rest }, where) => {
    refuseOthers(rest, [], where);
    return { className: 'OneHot', args: [first], options: { num_classes: depth, axis: axis ?? -1 } };
  },
  gather: (first, { indices, axis }) => ({ className: 'Take', args: [first, indices], options: { axis: axis ?? 0 } }),
  where: (first, { x, y }) => ({ className: 'Where', args: [first, x, y] }),
  'linalg.matmul': (first, { b, transpose_a, transpose_b, ...rest }, where) => {
    refuseOthers(rest, [], where);
    const turned = (x: unknown, turn: unknown) =>
      turn === true && x instanceof SymbolicTensor ? kerasOperation('Swapaxes', [x], { axis1: -1, axis2: -2 })[0] : x;
    return { className: 'Matmul', args: [turned(first, transpose_a), turned(b, transpose_b)] };
  },
  stop_gradient: of('StopGradient'),
  identity: (first) => ({ className: 'Multiply', args: [first, 1] }),
  zeros_like: of('ZerosLike'),
  ones_like: of('OnesLike'),
  '__operators__.getitem': (first, { slice_spec: key }) => ({ className: 'GetItem', args: [first, itemKey(key)] }),
};

/** Names that mean the same, without their group in front. */
const aliases: Readonly<Record<string, string>> = {
  add: 'math.add',
  subtract: 'math.subtract',
  multiply: 'math.multiply',
  divide: 'math.divide',
  matmul: 'linalg.matmul',
  'nn.l2_normalize': 'math.l2_normalize',
  'linalg.l2_normalize': 'math.l2_normalize',
  'compat.v1.transpose': 'transpose',
  'compat.v1.squeeze': 'squeeze',
  'compat.v1.where': 'where',
  'compat.v1.gather': 'gather',
  'nn.log_sigmoid': 'math.log_sigmoid',
  clip_by_value_v2: 'clip_by_value',
};

/** Slices as tf-keras writes them: `{ start, stop, step }`, whole numbers, null for a new axis. */
function itemKey(key: unknown): unknown {
  const one = (k: unknown): unknown => {
    if (typeof k !== 'object' || k === null) return k;
    if ('class_name' in k) return '...';
    const { start = null, stop = null, step = null } = k as Named;
    return { slice: { start, stop, step } };
  };
  return Array.isArray(key) ? key.map(one) : one(key);
}

/** TensorFlow's function that a layer of a file stands for; null where it is none. */
export function tensorflowFunction(json: Named): string | null {
  if (json.class_name !== 'TFOpLambda' && json.class_name !== 'SlicingOpLambda') return null;
  const name = String((json.config as Named | undefined)?.function ?? '');
  return aliases[name] ?? aliases[name.replace(/^math\./, '')] ?? name;
}

/** Whether such a function is there. */
export function knowsTensorflow(name: string): boolean {
  return Object.hasOwn(functions, name);
}

/** The function on symbolic tensors. Throws UNSUPPORTED for one that is not there. */
export function tensorflowOperation(name: string, first: unknown, named: Named, where: string): SymbolicTensor[] {
  if (!knowsTensorflow(name))
    fail(
      'UNSUPPORTED',
      where,
      `a function among ${Object.keys(functions).join(', ')}`,
      `'tf.${name}'`,
      'Write the model with a layer of your own in its place (`defineLayer`, `registerLayer`), or with layers of Keras.',
    );
  const { className, args, options } = functions[name](first, named, where);
  return kerasOperation(className, args, options ?? {}, where);
}
