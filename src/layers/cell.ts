/**
 * A cell is a pure step on tensors: (x, state, weights) to (output, new state). `recurrent.ts` makes a layer over time of it. The built-in
 * cells and those of a user come from the same function, `defineCell`, and are compiled by the same passes.
 */
import { fail } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import { matmul } from '../ops/matmul.ts';
import { mul } from '../ops/pointwise.ts';
import { concat, split } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { type Initializer, type InitializerLike, initializerOf } from './initializers.ts';
import { type OptionsIn, type OptionsOut, type OptionTable, parseOptions, positiveInteger } from './options.ts';
import type { WeightSpec } from './weight.ts';

/** A weight of a cell where its shape alone does not say enough. */
export interface CellWeight {
  readonly shape: Shape;
  /** Default by name: glorotUniform for kernels, orthogonal for names with `recurrent`, zeros for biases. */
  readonly initializer?: InitializerLike;
  /** Gates beside each other along the last axis. Default: the last axis by `units`, where that is a whole number. */
  readonly groups?: number;
}

/** Dropout inside a step: one mask for all gates, one per gate, or none. */
export interface CellDropout {
  readonly inputs: readonly Tensor[] | null;
  readonly recurrent: readonly Tensor[] | null;
}

type Tensors = Readonly<Record<string, Tensor>>;

export interface CellStep<T extends OptionTable> {
  /** [B, F] */
  readonly x: Tensor;
  /** Each [B, ...]. */
  readonly state: Tensors;
  readonly weights: Tensors;
  readonly config: OptionsOut<T>;
  readonly dropout: CellDropout;
}

export interface CellDefinition<T extends OptionTable> {
  /** Class name: `MinimalGatedUnit`. */
  readonly name: string;
  /** Options; default `{ units }`. */
  readonly options?: T;
  /** Shapes of the state of one row, by name; the order is that of returnState. */
  state(config: OptionsOut<T>): Readonly<Record<string, Shape>>;
  /** Shape of the output of one row. Default: that of the first state. */
  output?(config: OptionsOut<T>): Shape;
  /** Shapes of the weights, by name, in the order of getWeights. `features` is the last axis of x. */
  weights(config: OptionsOut<T> & { readonly features: number }): Readonly<Record<string, Shape | CellWeight>>;
  /** Runs once before the loop: what the step does not need to do again (cutting weights into parts). */
  prepare?(weights: Tensors, config: OptionsOut<T>): Tensors;
  /** Masks per draw where `dropout` or `recurrentDropout` are among the options: as Keras's cells do. Default: one for all gates. */
  dropoutMasks?(config: OptionsOut<T>): number;
  /** One step. Uses `x`, `state`, `weights` and numbers alone. */
  step(step: CellStep<T>): { readonly output: Tensor; readonly state: Tensors };
}

const unitsOnly = {
  /** Size of the state and of the output. */
  units: positiveInteger(),
};
type UnitsOnly = typeof unitsOnly;

/** A cell with its options checked. */
export interface Cell {
  // biome-ignore lint/suspicious/noExplicitAny: the configuration belongs to the definition's own table
  readonly definition: CellDefinition<any> & { readonly options: OptionTable };
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** What a layer over time does with its cell. */
export interface SequenceFlags {
  readonly returnSequences: boolean;
  readonly returnState: boolean;
  readonly goBackwards: boolean;
  readonly zeroOutputForMask: boolean;
}

export type CellFactory<T extends OptionTable> = ((options: OptionsIn<T>) => Cell) & {
  readonly definition: CellDefinition<T> & { readonly options: T };
};

/**
 * Defines a recurrent cell: a pure function of one step. The result makes cells for `layers.rnn({ cell })`.
 *
 * @example
 * const minimalGatedUnit = defineCell({
 *   name: 'MinimalGatedUnit',
 *   state: ({ units }) => ({ h: [units] }),
 *   weights: ({ units, features }) => ({ kernel: [features, 2 * units], recurrentKernel: [units, 2 * units], bias: [2 * units] }),
 *   step: ({ x, state: { h }, weights: w }) => {
 *     const [xf, xh] = ops.split(ops.add(ops.matmul(x, w.kernel), w.bias), 2);
 *     const [hf, hh] = ops.split(ops.matmul(h, w.recurrentKernel), 2);
 *     const forget = ops.sigmoid(ops.add(xf, hf));
 *     const candidate = ops.tanh(ops.add(xh, ops.mul(forget, hh)));
 *     const next = ops.add(ops.mul(forget, candidate), ops.mul(ops.oneMinus(forget), h));
 *     return { output: next, state: { h: next } };
 *   },
 * });
 * layers.rnn({ cell: minimalGatedUnit({ units: 32 }), returnSequences: true });
 */
export function defineCell<const T extends OptionTable = UnitsOnly>(definition: CellDefinition<T>): CellFactory<T> {
  const complete = { ...definition, options: (definition.options ?? unitsOnly) as T };
  const factory = (given: OptionsIn<T>): Cell =>
    Object.freeze({
      definition: complete as never,
      className: definition.name,
      config: parseOptions(complete.options, given, definition.name) as Readonly<Record<string, unknown>>,
    });
  return Object.assign(factory, { definition: complete });
}

export function isCell(value: unknown): value is Cell {
  return (
    typeof value === 'object' &&
    value !== null &&
    'definition' in value &&
    typeof (value as Cell).definition?.step === 'function'
  );
}

function initializerByName(name: string): InitializerLike {
  if (/bias/i.test(name)) return 'zeros';
  return /recurrent/i.test(name) ? 'orthogonal' : 'glorotUniform';
}

/** The weights of a cell for inputs of so many features. */
export function cellWeights(cell: Cell, features: number, trainable: boolean, path: string): WeightSpec[] {
  const units = cell.config.units;
  return Object.entries(cell.definition.weights({ ...cell.config, features })).map(([name, declared]) => {
    const spec: CellWeight = Array.isArray(declared) ? { shape: declared as Shape } : (declared as CellWeight);
    const last = spec.shape[spec.shape.length - 1];
    if (!spec.shape.every((d) => Number.isInteger(d) && d > 0))
      fail('SHAPE', `${path}/${name}`, 'a shape of positive sizes', `(${spec.shape.join(', ')})`);
    const groups = spec.groups ?? (typeof units === 'number' && last % units === 0 ? last / units : 1);
    const initializer: Initializer = initializerOf(spec.initializer ?? initializerByName(name), `${path}/${name}`);
    return { name, shape: spec.shape, initializer, trainable, groups };
  });
}

/**
 * `x W` where dropout may have a mask for every gate: concat_g((x * mask_g) W_g). Without masks it is one product.
 *
 * @param x [B, F]
 * @param kernel [F, G*U]
 * @param masks none, one [B, F] for all gates, or G of them
 */
export function gateProduct(x: Tensor, kernel: Tensor, masks: readonly Tensor[] | null): Tensor {
  if (!masks) return matmul(x, kernel);
  if (masks.length === 1) return matmul(mul(x, masks[0]), kernel);
  const parts = split(kernel, masks.length, -1);
  return concat(
    masks.map((mask, g) => matmul(mul(x, mask), parts[g])),
    -1,
  );
}
