/** What an operation of `keras.ops` is here, and the words that the tables of operations are written in. */
import { fail } from '../core/errors.ts';
import * as p from '../ops/pointwise.ts';
import { Tensor, type TensorLike } from '../ops/tensor.ts';
import { activationOf } from './activations.ts';
import { showValue } from './options.ts';

/** Arguments of the call and options of the operation, by Keras's names. */
export type OperationArguments = Readonly<Record<string, unknown>>;

export interface KerasOperation {
  readonly module: string;
  /** Names of the call's arguments, in order; the others are options of the operation. */
  readonly parameters: readonly string[];
  /** Whether masks of the inputs hold for the output: every step of it comes from the same step of the inputs. */
  readonly keepsMask: boolean;
  run(given: OperationArguments, where: string): Tensor | readonly Tensor[];
}

export const numpy = 'keras.src.ops.numpy';
export const nn = 'keras.src.ops.nn';

export function tensor(value: unknown, where: string): Tensor {
  if (!(value instanceof Tensor)) fail('UNSUPPORTED', where, 'a tensor', showValue(value));
  return value;
}

export function number(value: unknown): number {
  return typeof value === 'boolean' ? Number(value) : (value as number);
}

export const operand = (value: unknown): TensorLike => (value instanceof Tensor ? value : number(value));

export function list(value: unknown, where: string): Tensor[] {
  if (!Array.isArray(value)) fail('UNSUPPORTED', where, 'a list of tensors', showValue(value));
  return value.map((x) => tensor(x, where));
}

export const binary = (run: (a: TensorLike, b: TensorLike) => Tensor): KerasOperation => ({
  module: numpy,
  parameters: ['x1', 'x2'],
  keepsMask: true,
  run: ({ x1, x2 }) => run(operand(x1), operand(x2)),
});

export const unary = (run: (x: Tensor) => Tensor, module = numpy): KerasOperation => ({
  module,
  parameters: ['x'],
  keepsMask: true,
  run: ({ x }, where) => run(tensor(x, where)),
});

export const activation = (name: string): KerasOperation => unary((x) => activationOf(name, name).apply(x), nn);

export const reduction = (
  run: (x: Tensor, options: { axes?: number[]; keepDims?: boolean }) => Tensor,
): KerasOperation => ({
  module: numpy,
  parameters: ['x'],
  keepsMask: false,
  run({ x, axis, keepdims }, where) {
    const axes = axis === null || axis === undefined ? {} : { axes: [axis].flat() as number[] };
    return run(tensor(x, where), { ...axes, keepDims: keepdims === true });
  },
});

export const truth = (x: TensorLike): Tensor => p.notEqual(x, 0);

export const shaped = (
  run: (x: Tensor, options: OperationArguments, where: string) => Tensor | Tensor[],
  module = numpy,
  parameters: readonly string[] = ['x'],
): KerasOperation => ({
  module,
  parameters,
  keepsMask: false,
  run: (given, where) => run(tensor(given[parameters[0]], where), given, where),
});
