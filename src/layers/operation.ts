/**
 * An operation that stands among the layers of a model: what `ops` makes of symbolic tensors, and what Keras writes for `keras.ops`.
 * It has no weights. Where every step of the result comes from the same step of the inputs, their mask goes on.
 */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { toFloat } from '../ops/pointwise.ts';
import { standIns } from '../ops/probe.ts';
import { constant, Tensor } from '../ops/tensor.ts';
import { kerasOperations } from './keras-operations.ts';
import { defineLayer, type Layer, makeLayer, type OpenShape } from './layer.ts';
import { eitherMask } from './mask.ts';
import { connect, SymbolicTensor } from './symbolic.ts';

/** Stands in the arguments for an input of the call. */
export interface InputSlot {
  readonly input: number;
}

export type OperationFunction = (inputs: readonly Tensor[], where: string) => Tensor | readonly Tensor[];

interface Config {
  readonly run: OperationFunction;
  /** What the function was written for; an input of indices is turned into this. */
  readonly types: readonly Tensor['dtype'][];
  readonly keepsMask: boolean;
  /** What Keras writes: null for operations that it does not have. */
  readonly keras: {
    readonly module: string;
    readonly options: Readonly<Record<string, unknown>>;
    /** Of the call, with `{ input }` for tensors. */
    readonly args: readonly unknown[];
  } | null;
}

const inputsOf = ({ types, run }: Config, inputs: readonly Tensor[], where: string): readonly Tensor[] => {
  const result = run(
    inputs.map((x, i) => (types[i] === 'f32' ? toFloat(x) : x)),
    where,
  );
  return result instanceof Tensor ? [result] : result;
};

/** What the function returns for inputs of open shapes: looked at twice, with different sizes for what is open. */
function foundTypes(config: Config, shapes: readonly OpenShape[], where: string) {
  const look = (size: number) =>
    inputsOf(
      config,
      standIns(
        shapes.map((shape) => shape.map((d) => d ?? size)),
        where,
        config.types,
      ),
      where,
    );
  const [first, second] = [look(12), look(24)];
  return first.map((y, k) => ({
    shape: y.shape.map((d, i) => (d === second[k].shape[i] ? d : null)) as OpenShape,
    dtype: y.dtype,
  }));
}

/** The steps that count, (B, T) of the output: where all inputs with steps have a mask, those that count in one of them. */
function maskOf(inputs: readonly Tensor[], masks: readonly (Tensor | null)[], y: Tensor): Tensor | null {
  let joined: Tensor | null = null;
  for (const [i, mask] of masks.entries()) {
    if (inputs[i].rank < 2) continue;
    if (mask === null) {
      // What has no steps of its own (a row, a single step) says nothing about them.
      if (inputs[i].rank === y.rank && inputs[i].shape[1] === y.shape[1]) return null;
      continue;
    }
    joined = joined ? eitherMask(joined, mask) : mask;
  }
  const fits = joined && y.rank >= joined.rank && joined.shape.every((d, i) => d === y.shape[i]);
  return fits ? joined : null;
}

const definedOperation = defineLayer({
  className: 'Operation',
  options: {},
  inputTypes: (config) => (config as unknown as Config).types.map(() => 'any' as const),
  weights: () => [],
  outputs: (config, inputs, path) => foundTypes(config as unknown as Config, inputs, path).map(({ shape }) => shape),
  call(config, { inputs, masks, path }) {
    const own = config as unknown as Config;
    const outputs = inputsOf(own, inputs, path);
    return { outputs, masks: outputs.map((y) => (own.keepsMask ? maskOf(inputs, masks, y) : null)) };
  },
});

const operations = new WeakSet<Layer>();

/** How Keras writes an operation, and whether masks go on here; throws UNSUPPORTED for one that it does not have. */
export function operationToKeras(layer: Layer): Exclude<Config['keras'], null> & { readonly keepsMask: boolean } {
  const { keras, keepsMask } = layer.config as unknown as Config;
  if (!keras)
    fail(
      'UNSUPPORTED',
      layer.className,
      'an operation that Keras has too',
      `'${layer.className}'`,
      'Build the model in code and load its weights, or use operations of equal meaning that Keras has.',
    );
  return { ...keras, keepsMask };
}

/** Whether a layer is such an operation. */
export function isOperation(layer: Layer): boolean {
  return operations.has(layer);
}

/** A function on tensors as a node between symbolic ones; `className` is what summaries show. */
export function functionNode(
  className: string,
  inputs: readonly SymbolicTensor[],
  run: OperationFunction,
  options: { readonly name?: string | null; readonly keepsMask?: boolean; readonly keras?: Config['keras'] } = {},
): SymbolicTensor[] {
  const config: Config = {
    run,
    types: inputs.map(({ dtype }) => dtype),
    keepsMask: options.keepsMask ?? true,
    keras: options.keras ?? null,
  };
  const where = options.name ?? className;
  const types = foundTypes(
    config,
    inputs.map(({ shape }) => shape),
    where,
  ).map(({ dtype }) => dtype);
  const definition = { ...definedOperation.definition, outputTypes: () => types };
  const layer = makeLayer(definition, className, options.name ?? null, true, config as never);
  operations.add(layer);
  return connect(
    layer,
    inputs,
    inputs.map(() => null),
    where,
  );
}

/** Puts the inputs of a call in the place of their slots. */
export function fillSlots(value: unknown, inputs: readonly unknown[]): unknown {
  if (Array.isArray(value)) return value.map((v) => fillSlots(v, inputs));
  if (typeof value === 'object' && value !== null && 'input' in value) return inputs[(value as InputSlot).input];
  return value;
}

/** Takes symbolic tensors out of arguments and leaves slots in their place. */
export function takeSlots(value: unknown, inputs: SymbolicTensor[]): unknown {
  if (value instanceof SymbolicTensor) {
    inputs.push(value);
    return { input: inputs.length - 1 } satisfies InputSlot;
  }
  return Array.isArray(value) ? value.map((v) => takeSlots(v, inputs)) : value;
}

/** Arrays of numbers among the arguments, as tensors of the graph of the others. */
function withArrays(value: unknown, tensors: readonly Tensor[]): unknown {
  if (value instanceof NdArray) return constant(tensors[0].graph, Float64Array.from(value.data), value.shape);
  return Array.isArray(value) ? value.map((v) => withArrays(v, tensors)) : value;
}

/**
 * A Keras operation on symbolic tensors.
 *
 * @param args of the call, tensors and values, in Keras's order
 * @param options of the operation, in Keras's words
 * @param keepsMask whether a mask goes on where the steps stay. In Keras it ends at every operation, and so it does in models read from its files
 */
export function kerasOperation(
  className: string,
  args: readonly unknown[],
  options: Readonly<Record<string, unknown>>,
  name: string | null = null,
  keepsMask = false,
): SymbolicTensor[] {
  const operation = kerasOperations.get(className);
  if (!operation)
    fail(
      'UNSUPPORTED',
      name ?? className,
      `an operation among ${[...kerasOperations.keys()].join(', ')}`,
      `'${className}'`,
    );
  const inputs: SymbolicTensor[] = [];
  const slots = takeSlots(args, inputs) as unknown[];
  return functionNode(
    className,
    inputs,
    (tensors, where) => {
      const filled = fillSlots(slots, tensors) as unknown[];
      const given = Object.fromEntries(
        operation.parameters.map((key, i) => [key, key === 'indices' ? filled[i] : withArrays(filled[i], tensors)]),
      );
      return operation.run({ ...options, ...given }, where);
    },
    { name, keepsMask: keepsMask && operation.keepsMask, keras: { module: operation.module, options, args: slots } },
  );
}
