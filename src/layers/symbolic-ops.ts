/**
 * `ops` as users have it: every function takes tensors, and symbolic tensors, for which it becomes a node of the model. Where Keras has the
 * operation, the node is Keras's, so that configurations can be written.
 */
import * as plain from '../ops/namespace.ts';
import type { Tensor } from '../ops/tensor.ts';
import { fillSlots, functionNode, kerasOperation, takeSlots } from './operation.ts';
import { SymbolicTensor } from './symbolic.ts';

type Swapped<T> = T extends Tensor
  ? SymbolicTensor
  : T extends (...args: never[]) => unknown
    ? T
    : T extends readonly unknown[]
      ? { [K in keyof T]: Swapped<T[K]> }
      : T;

/** The function on tensors, and the same on symbolic ones. */
export type Lifted<F> = F extends (...args: infer A) => infer R
  ? F & ((...args: { [K in keyof A]: Swapped<A[K]> }) => Swapped<R>)
  : F;

type Operations = { readonly [K in keyof typeof plain]: Lifted<(typeof plain)[K]> };

/** Arguments of the call and options of the operation, from our arguments. */
type Translation = (...args: never[]) => {
  readonly args: readonly unknown[];
  readonly options?: Readonly<Record<string, unknown>>;
};

const same: Translation = (...args: unknown[]) => ({ args });

interface Reduce {
  readonly axes?: readonly number[];
  readonly keepDims?: boolean;
}

const reduced: Translation = (x: unknown, { axes, keepDims = false }: Reduce = {}) => ({
  args: [x],
  options: { axis: axes ? [...axes] : null, keepdims: keepDims },
});

/** Our function to Keras's class. */
const named: Readonly<Record<string, readonly [string, Translation]>> = {
  add: ['Add', same],
  sub: ['Subtract', same],
  mul: ['Multiply', same],
  div: ['Divide', same],
  maximum: ['Maximum', same],
  minimum: ['Minimum', same],
  pow: ['Power', same],
  equal: ['Equal', same],
  notEqual: ['NotEqual', same],
  less: ['Less', same],
  lessEqual: ['LessEqual', same],
  greater: ['Greater', same],
  greaterEqual: ['GreaterEqual', same],
  neg: ['Negative', same],
  abs: ['Absolute', same],
  sign: ['Sign', same],
  square: ['Square', same],
  sqrt: ['Sqrt', same],
  rsqrt: ['Rsqrt', same],
  reciprocal: ['Reciprocal', same],
  exp: ['Exp', same],
  log: ['Log', same],
  log1p: ['Log1p', same],
  tanh: ['Tanh', same],
  sin: ['Sin', same],
  cos: ['Cos', same],
  erf: ['Erf', same],
  floor: ['Floor', same],
  round: ['Round', same],
  relu: ['Relu', same],
  sigmoid: ['Sigmoid', same],
  softplus: ['Softplus', same],
  select: ['Where', same],
  matmul: ['Matmul', same],
  stopGradient: ['StopGradient', same],
  softmax: ['Softmax', (x: unknown) => ({ args: [x], options: { axis: -1 } })],
  logSoftmax: ['LogSoftmax', (x: unknown) => ({ args: [x], options: { axis: -1 } })],
  sum: ['Sum', reduced],
  mean: ['Mean', reduced],
  max: ['Max', reduced],
  min: ['Min', reduced],
  reshape: ['Reshape', (x: unknown, shape: readonly number[]) => ({ args: [x], options: { newshape: [...shape] } })],
  transpose: ['Transpose', (x: unknown, axes: readonly number[] | null = null) => ({ args: [x], options: { axes } })],
  expandDims: ['ExpandDims', (x: unknown, axis: number) => ({ args: [x], options: { axis } })],
  squeeze: ['Squeeze', (x: unknown, axis: number | null = null) => ({ args: [x], options: { axis } })],
  reverse: ['Flip', (x: unknown, axis: number) => ({ args: [x], options: { axis } })],
  concat: ['Concatenate', (xs: unknown, axis = -1) => ({ args: [xs], options: { axis } })],
  split: [
    'Split',
    (x: unknown, parts: number, axis = -1) => ({ args: [x], options: { indices_or_sections: parts, axis } }),
  ],
};

const holdsSymbol = (value: unknown): boolean =>
  value instanceof SymbolicTensor || (Array.isArray(value) && value.some(holdsSymbol));

function lift(name: string, run: (...args: never[]) => unknown) {
  return (...args: unknown[]): unknown => {
    if (!args.some(holdsSymbol)) return run(...(args as never[]));
    const translation = named[name];
    let outputs: SymbolicTensor[];
    if (translation) {
      const [className, translate] = translation;
      const { args: own, options = {} } = translate(...(args as never[]));
      outputs = kerasOperation(className, own, options, null, true);
    } else {
      const inputs: SymbolicTensor[] = [];
      const slots = takeSlots(args, inputs) as unknown[];
      outputs = functionNode(name, inputs, (tensors) => run(...(fillSlots(slots, tensors) as never[])) as Tensor, {
        keepsMask: false,
      });
    }
    return outputs.length === 1 ? outputs[0] : outputs;
  };
}

/**
 * The functions on tensors that cells, layers and losses of one's own are written with; on symbolic tensors they become nodes of the model.
 *
 * @example const y = ops.tanh(ops.add(layers.dense({ units: 8 }).apply(x), 1));
 */
export const ops = Object.fromEntries(
  Object.entries(plain).map(([name, run]) => [name, lift(name, run as (...args: never[]) => unknown)]),
) as unknown as Operations;
