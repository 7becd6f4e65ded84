/**
 * The loop: `scan` runs a body once for every time step. Its derivative is made by the differentiating phase of the
 * engine and its exact meaning by the oracle, because both walk the body.
 *
 * ```
 * for t in 0..length-1 (reverse: length-1..0)
 *   carry, y = body(carry, sequences[t], constants)
 *   outputs[t] = y
 * ```
 */
import { fail, UnrolledError } from '../core/errors.ts';
import { formatShape, sameShape } from '../core/shape.ts';
import { type Attributes, Graph, type ScanAttributes, type Type } from '../ir/graph.ts';
import { defineOperation } from './op.ts';
import { apply, Tensor } from './tensor.ts';

const typeText = (type: Type): string => `${type.dtype}${formatShape(type.shape)}`;

const sameType = (a: Type, b: Type): boolean => a.dtype === b.dtype && sameShape(a.shape, b.shape);

const scanOperation = defineOperation({
  name: 'scan',
  infer(inputs, attributes) {
    const { body, length, carries, sequences } = attributes as unknown as ScanAttributes;
    const stacked = (type: Type): Type => ({ dtype: type.dtype, shape: [length, ...type.shape] });
    if (inputs.length !== body.inputs.length)
      fail('SHAPE', 'scan', `${body.inputs.length} operands for the body`, String(inputs.length));
    body.inputs.forEach((inner, i) => {
      const want = i >= carries && i < carries + sequences ? stacked(inner.type) : inner.type;
      if (!sameType(want, inputs[i])) fail('SHAPE', 'scan', `operand ${i} as ${typeText(want)}`, typeText(inputs[i]));
    });
    return body.outputs.map(({ type }, i) => (i < carries ? type : stacked(type)));
  },
  evaluate() {
    throw new UnrolledError('INTERNAL', 'scan is evaluated by the oracle, which walks its body');
  },
});

export interface ScanOperands {
  /** The carry before the first step. */
  readonly init: readonly Tensor[];
  /** Time-major, [T, ...]; the body gets one step of each. */
  readonly sequences: readonly Tensor[];
  /** What every step gets whole: weights, masks, anything from outside. */
  readonly constants: readonly Tensor[];
  /** T; 0 is legal. */
  readonly length: number;
  /** Walks from the last step to the first. Outputs stand at the index of their step all the same. Default: false. */
  readonly reverse?: boolean;
}

export interface ScanStep {
  readonly carry: readonly Tensor[];
  readonly outputs: readonly Tensor[];
}

export interface ScanResult {
  /** The carry after the last step. */
  readonly carry: Tensor[];
  /** Stacked over time, [T, ...]. */
  readonly outputs: Tensor[];
}

/**
 * Runs `step` over time. The tensors that `step` gets belong to a graph of their own; it must use these and numbers alone.
 *
 * @example
 * // a running sum of x[T, B, F]
 * const { outputs } = scan({ init: [zero], sequences: [x], constants: [], length: T }, ([total], [now]) => {
 *   const next = add(total, now);
 *   return { carry: [next], outputs: [next] };
 * });
 */
export function scan(
  { init, sequences, constants, length, reverse = false }: ScanOperands,
  step: (carry: Tensor[], x: Tensor[], constants: Tensor[]) => ScanStep,
): ScanResult {
  const operands = [...init, ...sequences, ...constants];
  if (!operands.length) fail('ARGUMENT', 'scan', 'at least one tensor', 'none');
  if (!Number.isInteger(length) || length < 0)
    fail('ARGUMENT', 'scan', 'a length that is a whole number from 0 on', String(length));
  const { path } = operands[0].graph;
  const where = path ? `${path}: scan` : 'scan';
  sequences.forEach((x, i) => {
    if (x.shape[0] !== length)
      fail('SHAPE', where, `sequence ${i} with ${length} steps on its first axis`, formatShape(x.shape));
  });

  const body = new Graph('body');
  body.path = path;
  body.precision = operands[0].graph.precision;
  const inner = (name: string, tensors: readonly Tensor[], drop: number): Tensor[] =>
    tensors.map((x, i) => new Tensor(body, body.input(`${name}${i}`, { dtype: x.dtype, shape: x.shape.slice(drop) })));
  const result = step(inner('carry', init, 0), inner('x', sequences, 1), inner('constant', constants, 0));

  if (result.carry.length !== init.length)
    fail('SHAPE', where, `a step that returns ${init.length} carries`, String(result.carry.length));
  for (const x of [...result.carry, ...result.outputs])
    if (x.graph !== body)
      fail(
        'ARGUMENT',
        where,
        'a step that returns tensors of its own graph',
        'a tensor from outside',
        'Values from outside a scan enter its body as constants.',
      );
  result.carry.forEach((x, i) => {
    if (!sameType(x.value.type, init[i].value.type))
      fail(
        'SHAPE',
        where,
        `carry ${i} to stay ${typeText(init[i].value.type)}`,
        `${typeText(x.value.type)} after a step`,
      );
  });
  body.outputs = [...result.carry, ...result.outputs].map((x) => x.value);
  const attributes: ScanAttributes = { body, length, reverse, carries: init.length, sequences: sequences.length };
  const outputs = apply(scanOperation, operands, attributes as unknown as Attributes);
  return { carry: outputs.slice(0, init.length), outputs: outputs.slice(init.length) };
}
