/**
 * A layer is an immutable description: its class, its checked options, and rules that say which weights it has, which shapes it gives
 * and which operations it stands for. Weights and state live in a tree beside it (the model's), so that one description can be placed
 * in any number of models.
 */
import type { Shape } from '../core/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import type { Cell, SequenceFlags } from './cell.ts';
import type { InTime, InTimeCall, StepMemory } from './in-time.ts';
import {
  beyondKeras,
  dtypeOption,
  flag,
  nameOption,
  type OptionsIn,
  type OptionsOut,
  type OptionTable,
  parseOptions,
} from './options.ts';
import { regularizerOption } from './regularizers.ts';
import { type ApplyOptions, applyLayer, type SymbolicInput, type SymbolicTensor } from './symbolic.ts';
import type { WeightSpec } from './weight.ts';

/** A shape of which some sizes are known only at run time (null): the batch, the length. */
export type OpenShape = readonly (number | null)[];

/** Random draws inside a layer. Each call of `uniform` is a stream of its own under the key of the step. */
export interface LayerRandom {
  /** Uniform in [0, 1). */
  uniform(shape: Shape, seed?: number | null): Tensor;
}

/** What a layer is called with. */
export interface LayerCall {
  readonly inputs: readonly Tensor[];
  /** One per input: 0/1 of the shape [B, T], or null. */
  readonly masks: readonly (Tensor | null)[];
  readonly weights: Readonly<Record<string, Tensor>>;
  readonly training: boolean;
  readonly random: LayerRandom;
  /** What a stateful layer kept of the batch before, by name, [B, ...] each. */
  readonly carried?: Readonly<Record<string, Tensor>>;
  /** Where the layer stands, for messages: `encoder/lstm`. */
  readonly path: string;
  /** Where the model runs one step at a time, for layers with a rule `inTime`: the sequences have the one step, the rest is here. */
  readonly memory?: StepMemory;
}

export interface LayerResult {
  readonly outputs: readonly Tensor[];
  /** One per output. */
  readonly masks: readonly (Tensor | null)[];
  /** New values of weights that the layer itself changes, by name. */
  readonly updates?: Readonly<Record<string, Tensor>>;
  /** What a stateful layer keeps for the next batch, by name. */
  readonly carried?: Readonly<Record<string, Tensor>>;
  /** Single numbers that are added to the loss. */
  readonly losses?: readonly Tensor[];
  /** One per output: what a loss that belongs to this layer takes beside the output, by name. */
  readonly beside?: readonly Readonly<Record<string, Tensor>>[];
}

/** A state that a layer keeps between batches. */
export interface CarriedState {
  /** Unique in the layer; parts are joined by `/`. */
  readonly name: string;
  /** Of one row. */
  readonly shape: Shape;
}

/** Limits of the values of an input, checked before a run. */
export interface InputRange {
  /** Values must be integers from 0 to below this. */
  readonly below: number;
}

export interface LayerDefinition<T extends OptionTable = OptionTable> {
  /** Keras's class name. */
  readonly className: string;
  readonly options: T;
  /** What the layer computes on: `i32` where it looks things up by index. */
  readonly inputType?: Tensor['dtype'];
  inputRange?(config: OptionsOut<T>): InputRange | null;
  /** Steps of the input that hold nothing but this number are masked. Default null: none. */
  paddingValue?(config: OptionsOut<T>): number | null;
  /** Per input, where they differ; `any` takes both. Default: `inputType` for all. */
  inputTypes?(config: OptionsOut<T>): readonly (Tensor['dtype'] | 'any')[];
  /** Per input, where they differ. Default: `inputRange` for the first. */
  inputRanges?(config: OptionsOut<T>): readonly (InputRange | null)[];
  /** Per output. Default f32. */
  outputTypes?(config: OptionsOut<T>): readonly Tensor['dtype'][];
  /** Whether initial states may follow the input. Default: where there is a `recurrence`. */
  readonly takesStates?: boolean;
  /** Whether a fourth input says which query may look at which key: `apply([query, value], { attentionMask })`. Default false. */
  readonly takesAttentionMask?: boolean;
  /** Whether every row of a batch must stay in its place: rows are not ordered by length then. Default false. */
  keepsRows?(config: OptionsOut<T>): boolean;
  /** Whether the layer itself adds what its `activityRegularizer` asks for. Default false: its outputs pay. */
  readonly ownPenalties?: boolean;
  /** In training, the rows of a batch depend on each other: steps may not be put beside samples as further rows. Default false. */
  readonly acrossRows?: boolean;
  /** What Keras's summaries call the class, if not by the name under which it is written. */
  readonly shownName?: string;
  /** Where Keras's class lives, if not in `keras.layers`. */
  readonly keras?: { readonly module: string; readonly registeredName: string };
  /** Corrects what the options' own rules write for Keras. */
  kerasConfig?(config: OptionsOut<T>, json: Readonly<Record<string, unknown>>): Record<string, unknown>;
  /** Writes the whole object for Keras, for what is no class of layers: a model. */
  writeKeras?(layer: Layer, name: string): Record<string, unknown>;
  /** For layers over time: the cell and what is done with it, so that others (bidirectional) can drive it. */
  recurrence?(config: OptionsOut<T>): { readonly cell: Cell; readonly flags: SequenceFlags };
  /** The states that it keeps between batches. Default: none. */
  carried?(config: OptionsOut<T>, inputs: readonly OpenShape[], path: string): readonly CarriedState[];
  /**
   * Running one step at a time: how the outputs stand to time (the last one named stands for all that follow), or a refusal. Default: found
   * from the operations of `call`, which must not bring steps together.
   */
  inTime?(config: OptionsOut<T>, call: InTimeCall): readonly InTime[];
  /**
   * Whether the call with a memory takes several steps as well as one, so that training can cut sequences into windows. Default: where there
   * is a `recurrence`.
   */
  readonly severalSteps?: boolean;
  /** Rules between options; called once, when the description is made. */
  check?(config: OptionsOut<T>, where: string): void;
  /** Throws SHAPE, naming the path, for inputs that do not fit. */
  weights(config: OptionsOut<T>, inputs: readonly OpenShape[], path: string): readonly WeightSpec[];
  outputs(config: OptionsOut<T>, inputs: readonly OpenShape[], path: string): readonly OpenShape[];
  call(config: OptionsOut<T>, call: LayerCall): LayerResult;
}

/** A placed description: what factories return. */
export interface Layer {
  // biome-ignore lint/suspicious/noExplicitAny: the configuration belongs to the definition's own table
  readonly definition: LayerDefinition<any>;
  readonly className: string;
  /** As given by the user; null where the model names it. */
  readonly name: string | null;
  readonly trainable: boolean;
  readonly config: Readonly<Record<string, unknown>>;
  /**
   * Applies the layer to what stands for data, for `model({ inputs, outputs })`. Applied twice, both calls share one set of weights. Throws
   * SHAPE, naming the layer, where the inputs do not fit.
   *
   * @template Output `SymbolicTensor[]` for layers of several outputs (with `returnState`)
   * @example
   * const [y, h, c] = layers.lstm({ units: 8, returnState: true }).apply<SymbolicTensor[]>(x);
   * const z = layers.lstm({ units: 8 }).apply(x, { initialState: [h, c] });
   */
  apply<Output extends SymbolicTensor | SymbolicTensor[] = SymbolicTensor>(
    inputs: SymbolicInput,
    options?: ApplyOptions,
  ): Output;
}

/** Options that every layer has. */
export const baseOptions = {
  /** Unique in a model; default: the class in snake case, numbered from the second on. */
  name: nameOption(),
  /** Whether training changes the weights. Default true. */
  trainable: flag(true),
  /** float32. */
  dtype: dtypeOption(),
  /** Penalty on all that the layer returns, divided by the batch size and added to the loss. Default none. */
  activityRegularizer: beyondKeras(regularizerOption()),
};

type BaseOptions = typeof baseOptions;
/** A layer's own options stand for the base ones of the same name. */
type WithBase<T extends OptionTable> = Omit<BaseOptions, keyof T> & T;

export type LayerFactory<T extends OptionTable> = ((options?: OptionsIn<WithBase<T>>) => Layer) & {
  readonly definition: LayerDefinition<BaseOptions & T>;
};
/** A factory whose options may not all be left out. */
export type LayerFactoryRequired<T extends OptionTable> = ((options: OptionsIn<WithBase<T>>) => Layer) & {
  readonly definition: LayerDefinition<BaseOptions & T>;
};

type RequiredKeys<T extends OptionTable> = { [K in keyof T]: T[K]['required'] extends true ? K : never }[keyof T];
export type FactoryOf<T extends OptionTable> = [RequiredKeys<T>] extends [never]
  ? LayerFactory<T>
  : LayerFactoryRequired<T>;

/** Makes the factory of a layer from its definition; the base options come first. */
export function defineLayer<const T extends OptionTable>(
  definition: Omit<LayerDefinition<BaseOptions & T>, 'options'> & { readonly options: T },
): FactoryOf<T> {
  const options = { ...baseOptions, ...definition.options };
  const complete = { ...definition, options } as unknown as LayerDefinition<BaseOptions & T>;
  const factory = (given?: object): Layer => placeLayer(complete as unknown as LayerDefinition, given);
  return Object.assign(factory, { definition: complete }) as unknown as FactoryOf<T>;
}

/** A description from a definition and what a user gave. */
export function placeLayer(definition: LayerDefinition, given: object | undefined): Layer {
  const where = `layers.${definition.className}`;
  const config = parseOptions(definition.options, given, where) as Readonly<Record<string, unknown>>;
  definition.check?.(config as never, where);
  return makeLayer(
    definition,
    definition.className,
    (config.name as string | null) ?? null,
    config.trainable as boolean,
    config,
  );
}

/** A description whose options have been checked. */
export function makeLayer(
  // biome-ignore lint/suspicious/noExplicitAny: the configuration belongs to the definition's own table
  definition: LayerDefinition<any>,
  className: string,
  name: string | null,
  trainable: boolean,
  config: Layer['config'],
): Layer {
  const layer: Layer = Object.freeze({
    definition,
    className,
    name,
    trainable,
    config,
    apply(inputs: SymbolicInput, options?: ApplyOptions) {
      const outputs = applyLayer(layer, inputs, options);
      return (outputs.length === 1 ? outputs[0] : outputs) as never;
    },
  });
  return layer;
}

export function isLayer(value: unknown): value is Layer {
  return (
    typeof value === 'object' && value !== null && 'definition' in value && 'className' in value && 'config' in value
  );
}
