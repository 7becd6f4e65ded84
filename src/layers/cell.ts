/**
 * A cell is a pure step on tensors: (x, state, weights) to (output, new state). `recurrent.ts` makes a layer over time of it. The built-in
 * cells and those of a user come from the same function, `defineCell`, and are compiled by the same passes.
 */
import { fail } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import { matmul } from '../ops/matmul.ts';
import { add, mul, select } from '../ops/pointwise.ts';
import { concat, split } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { type Gates, type StateTree, stateLeaves, type TensorsOf } from './cell-state.ts';
import type { Constraint } from './constraints.ts';
import { type Initializer, type InitializerLike, initializerOf } from './initializers.ts';
import { type OptionsIn, type OptionsOut, type OptionTable, parseOptions, positiveInteger } from './options.ts';
import type { Regularizer } from './regularizers.ts';
import { ruledWeight, type WeightSpec } from './weight.ts';

/** A weight of a cell where its shape alone does not say enough. */
export interface CellWeight {
  readonly shape: Shape;
  /** Default by name: glorotUniform for kernels, orthogonal for names with `recurrent`, zeros for biases. */
  readonly initializer?: InitializerLike;
  /** Gates beside each other along the last axis. Default: the last axis by `units`, where that is a whole number. */
  readonly groups?: number;
  /** Default: the options `kernelRegularizer`, `recurrentRegularizer`, `biasRegularizer`, where the cell has them. */
  readonly regularizer?: Regularizer | null;
  /** Default: the options `kernelConstraint`, `recurrentConstraint`, `biasConstraint`, where the cell has them. */
  readonly constraint?: Constraint | null;
}

/** What a step has drawn for it in training. */
export interface CellDropout {
  /** Masks of x and of the state: one mask for all gates, one per gate, or null. */
  readonly inputs: readonly Tensor[] | null;
  readonly recurrent: readonly Tensor[] | null;
  /** 1 where a state keeps its value at this step, for each leaf with a zoneout rate; null when predicting. */
  readonly zoneout: readonly (Tensor | null)[] | null;
  /** Those of the cells within this one. */
  readonly parts: readonly CellDropout[];
}

/** What a cell is told about its inputs. */
export interface CellSizes {
  /** The last axis of x. */
  readonly features: number;
  /** Shape of x for one row at one step. */
  readonly inputShape: Shape;
  /** Shapes of the further inputs by name, for one row (at one step). */
  readonly inputShapes: Readonly<Record<string, Shape>>;
  /** Where the layer stands, for messages. */
  readonly path: string;
}

type Tensors = Readonly<Record<string, Tensor>>;

export interface CellStep<T extends OptionTable, S extends StateTree> {
  /** [B, F] */
  readonly x: Tensor;
  /** Further inputs by name: sequences at this step, and constants; each [B, ...]. */
  readonly inputs: Tensors;
  /** The tree of `state`, each leaf [B, ...]. */
  readonly state: TensorsOf<S>;
  readonly weights: Tensors;
  readonly config: OptionsOut<T>;
  readonly dropout: CellDropout;
}

export interface CellDefinition<T extends OptionTable, S extends StateTree = StateTree> {
  /** Class name: `MinimalGatedUnit`. */
  readonly name: string;
  /** Options; default `{ units }`. */
  readonly options?: T;
  /** Names of further sequences, (B, T, ...), that the layer takes after x. */
  readonly sequences?: readonly string[];
  /** Names of inputs, (B, ...), that are the same at every step; the layer takes them after the sequences. */
  readonly constants?: readonly string[];
  /** Axes of x for one row at one step; other inputs are refused. Default: any. */
  readonly axes?: number;
  /** Shapes of the state of one row, as a tree of any form; the order is that of returnState. */
  state(config: OptionsOut<T> & CellSizes): S;
  /** Shape of the output of one row. Default: that of the first state. */
  output?(config: OptionsOut<T> & CellSizes): Shape;
  /** Shapes of the weights, by name, in the order of getWeights. `features` is the last axis of x. */
  weights(config: OptionsOut<T> & CellSizes): Readonly<Record<string, Shape | CellWeight>>;
  /** Runs once before the loop: what the step does not need to do again (cutting weights into parts). */
  prepare?(weights: Tensors, config: OptionsOut<T>): Tensors;
  /** Masks per draw where `dropout` or `recurrentDropout` are among the options: as Keras's cells do. Default: one for all gates. */
  dropoutMasks?(config: OptionsOut<T>): number;
  /** For each leaf of the state the share that keeps its value; give it to `zoneOut` in the step. Default: none. */
  zoneout?(config: OptionsOut<T>): readonly number[];
  /** The cells that this one is made of, the output of each being the x of the next. */
  parts?(config: OptionsOut<T>): readonly Cell[];
  /**
   * One step. Uses `x`, `inputs`, `state`, `weights` and numbers alone. `gates` are what `inspect` shows of it, by name; they cost nothing
   * where nobody looks.
   */
  step(step: CellStep<T, S>): { readonly output: Tensor; readonly state: TensorsOf<S>; readonly gates?: Gates };
}

const unitsOnly = {
  /** Size of the state and of the output. */
  units: positiveInteger(),
};
type UnitsOnly = typeof unitsOnly;

/** A cell with its options checked. */
export interface Cell {
  // biome-ignore lint/suspicious/noExplicitAny: configuration and state belong to the definition's own types
  readonly definition: CellDefinition<any, any> & { readonly options: OptionTable };
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** What a layer over time does with its cell. */
export interface SequenceFlags {
  readonly returnSequences: boolean;
  readonly returnState: boolean;
  readonly goBackwards: boolean;
  readonly zeroOutputForMask: boolean;
  /** Keep the state for the next batch. */
  readonly stateful: boolean;
}

export type CellFactory<T extends OptionTable, S extends StateTree = StateTree> = ((options: OptionsIn<T>) => Cell) & {
  readonly definition: CellDefinition<T, S> & { readonly options: T };
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
 *     return { output: next, state: { h: next }, gates: { forget, candidate } };
 *   },
 * });
 * layers.rnn({ cell: minimalGatedUnit({ units: 32 }), returnSequences: true });
 */
export function defineCell<const T extends OptionTable = UnitsOnly, S extends StateTree = StateTree>(
  definition: CellDefinition<T, S>,
): CellFactory<T, S> {
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

const withSizes = (cell: Cell, sizes: CellSizes) => ({ ...cell.config, ...sizes });

/** The state of one row. */
export function stateOf(cell: Cell, sizes: CellSizes): StateTree {
  return cell.definition.state(withSizes(cell, sizes)) as StateTree;
}

/** Shape of the output of one row. */
export function outputOf(cell: Cell, sizes: CellSizes): Shape {
  return cell.definition.output?.(withSizes(cell, sizes)) ?? stateLeaves(stateOf(cell, sizes))[0].shape;
}

/** What cells in a row are told: the output of each is the x of the next. */
export function partSizes(parts: readonly Cell[], sizes: CellSizes): CellSizes[] {
  const all: CellSizes[] = [];
  let own = sizes;
  for (const part of parts) {
    all.push(own);
    const inputShape = outputOf(part, own);
    own = { features: inputShape[inputShape.length - 1], inputShape, inputShapes: {}, path: own.path };
  }
  return all;
}

/** The weights of a cell for its inputs. */
export function cellWeights(cell: Cell, sizes: CellSizes, trainable: boolean, path: string): WeightSpec[] {
  const { config } = cell;
  return Object.entries(cell.definition.weights(withSizes(cell, sizes))).map(([name, declared]) => {
    const spec: CellWeight = Array.isArray(declared) ? { shape: declared as Shape } : (declared as CellWeight);
    const last = spec.shape[spec.shape.length - 1];
    if (!spec.shape.every((d) => Number.isInteger(d) && d > 0))
      fail('SHAPE', `${path}/${name}`, 'a shape of positive sizes', `(${spec.shape.join(', ')})`);
    const { units } = config;
    const groups = spec.groups ?? (typeof units === 'number' && last % units === 0 ? last / units : 1);
    const initializer: Initializer = initializerOf(spec.initializer ?? initializerByName(name), `${path}/${name}`);
    const option = name === 'recurrentKernel' ? 'recurrent' : name;
    return ruledWeight(
      { name, shape: spec.shape, initializer, trainable, groups },
      spec.regularizer ?? (config[`${option}Regularizer`] as Regularizer | null | undefined),
      spec.constraint ?? (config[`${option}Constraint`] as Constraint | null | undefined),
    );
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

/**
 * Zoneout of a state: the share `rate` of its elements keeps the previous value, drawn for each step; without a mask, the expected value.
 * Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations" (2017).
 *
 * @param mask 1 where the previous value stays, null when predicting
 */
export function zoneOut(next: Tensor, previous: Tensor, rate: number, mask: Tensor | null | undefined): Tensor {
  if (!rate) return next;
  return mask ? select(mask, previous, next) : add(mul(previous, rate), mul(next, 1 - rate));
}
