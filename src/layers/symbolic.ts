/**
 * Tensors that stand for what will flow through a model: a layer applied to them gives further ones, and `model` makes a model of what lies
 * between its inputs and outputs. They hold no values, only shapes and where they come from.
 */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import type { Layer, OpenShape } from './layer.ts';
import { classToSnake } from './names.ts';
import { showValue } from './options.ts';
import { valuesLayer } from './values.ts';

/** One application of a layer. */
export interface SymbolicCall {
  /** Calls are numbered as they are made, so that inputs come before their use. */
  readonly serial: number;
  readonly layer: Layer;
  readonly inputs: readonly SymbolicTensor[];
  /** Masks given by hand, one per input; null: the one that comes with the input. */
  readonly masks: readonly (SymbolicTensor | null)[];
  readonly outputs: readonly SymbolicTensor[];
  readonly given: CallArguments;
}

/** What a call says otherwise than its layer and its model. */
export interface CallArguments {
  /** Options of the layer that hold for this call, by their names. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether the call is one of training; null: as the model runs. */
  readonly training: boolean | null;
}

const nothingGiven: CallArguments = { options: {}, training: null };

export class SymbolicTensor {
  /** Batch in front; null for sizes that are known only at run time. */
  readonly shape: OpenShape;
  readonly dtype: 'f32' | 'i32';
  /** Where it comes from. */
  readonly call: SymbolicCall;
  /** Which output of the call. */
  readonly output: number;
  constructor(shape: OpenShape, dtype: 'f32' | 'i32', call: SymbolicCall, output: number) {
    this.shape = shape;
    this.dtype = dtype;
    this.call = call;
    this.output = output;
  }
  toString(): string {
    return `SymbolicTensor ${this.dtype}${formatShape(this.shape)} of ${nameOf(this.call.layer)}`;
  }
}

export interface ApplyOptions {
  /**
   * Layers over time: where the states start, in the order of `returnState`. Symbolic tensors, or arrays of numbers: (B, U) for batches of B
   * rows, (1, U) for rows that all start alike.
   */
  readonly initialState?: StateInput | readonly StateInput[];
  /** (B, T), 0 or 1: which steps count, in place of the mask that comes with the input; a list for several inputs. */
  readonly mask?: SymbolicTensor | null | readonly (SymbolicTensor | null)[];
  /** Attention with heads: which query may look at which key, (B, T, S), 0 or 1. */
  readonly attentionMask?: SymbolicTensor | null;
  /** Attention: as the option of the layer, for this call. */
  readonly useCausalMask?: boolean;
  /** Attention: as the option of the layer, for this call. */
  readonly returnAttentionScores?: boolean;
  /** Whether the call is one of training (dropout, statistics of the batch), whatever the model does. Default: as the model runs. */
  readonly training?: boolean | null;
}

/** A state to start with: symbolic, or numbers. */
export type StateInput = SymbolicTensor | NdArray | readonly number[] | readonly (readonly number[])[];

/** One tensor, or several in a list. */
export type SymbolicInput = SymbolicTensor | readonly SymbolicTensor[];

/** A layer's name, or what it will be called if nothing stands in the way. */
export function nameOf(layer: Layer): string {
  return layer.name ?? classToSnake(layer.className);
}

/**
 * Applies a layer. Throws SHAPE, naming the layer, where the inputs do not fit it.
 *
 * @returns all outputs
 */
export function applyLayer(layer: Layer, inputs: SymbolicInput, options: ApplyOptions = {}): SymbolicTensor[] {
  const where = nameOf(layer);
  const { definition } = layer;
  for (const key of Object.keys(options))
    if (!applyKeys.includes(key)) fail('ARGUMENT', where, `options among ${applyKeys.join(', ')}`, `'${key}'`);
  const own = symbolicList(inputs, where);
  if (options.initialState !== undefined && !definition.recurrence && !definition.takesStates)
    fail('ARGUMENT', `${where}: initialState`, 'a layer over time', layer.className);
  const states = options.initialState === undefined ? [] : stateInputs(options.initialState, own[0], where);
  const { attentionMask } = options;
  if (attentionMask) {
    if (!definition.takesAttentionMask)
      fail('ARGUMENT', `${where}: attentionMask`, 'an attention layer with heads', layer.className);
    // It is the fourth input, behind the key.
    if (own.length === 2) own.push(own[1]);
    own.push(...symbolicList(attentionMask, `${where}: attentionMask`));
  }
  const callOptions: Record<string, unknown> = {};
  for (const key of ['useCausalMask', 'returnAttentionScores'] as const) {
    if (options[key] === undefined) continue;
    const kind = definition.options[key];
    if (!kind) fail('ARGUMENT', `${where}: ${key}`, 'an attention layer', layer.className);
    callOptions[key] = kind.parse(options[key], `${where}: ${key}`);
  }
  const { training = null } = options;
  if (training !== null && typeof training !== 'boolean')
    fail('ARGUMENT', `${where}: training`, 'true, false or null', showValue(training));
  const all = [...own, ...states];
  const given = Array.isArray(options.mask) ? options.mask : options.mask ? [options.mask] : [];
  if (given.length > all.length)
    fail('ARGUMENT', `${where}: mask`, `at most ${all.length} masks, one per input`, String(given.length));
  const masks = all.map((x, i) => {
    const mask = (given[i] ?? null) as SymbolicTensor | null;
    if (mask !== null) checkMask(mask, x, where);
    return mask;
  });
  return connect(layer, all, masks, where, { options: callOptions, training });
}

const applyKeys = ['initialState', 'mask', 'attentionMask', 'useCausalMask', 'returnAttentionScores', 'training'];

/** A list of numbers, or of lists of them. */
const isNumbers = (value: unknown): boolean =>
  Array.isArray(value) && value.length > 0 && value.every((v) => typeof v === 'number' || isNumbers(v));

/** Symbolic tensors for states that are given, numbers among them. */
function stateInputs(given: unknown, x: SymbolicTensor | undefined, where: string): SymbolicTensor[] {
  const single =
    given instanceof SymbolicTensor ||
    given instanceof NdArray ||
    (Array.isArray(given) && isNumbers(given[0]) === false && isNumbers(given));
  const list: readonly unknown[] = single || !Array.isArray(given) ? [given] : given;
  return list.map((state, i) => {
    if (state instanceof NdArray || isNumbers(state)) {
      const array = state instanceof NdArray ? state : NdArray.from(state as number[][]);
      if (!x) fail('ARGUMENT', where, 'an input beside the initial states', 'none');
      const rows = array.shape.length === 1 ? NdArray.from(array.data, [1, ...array.shape]) : array;
      return connect(valuesLayer(rows), [x], [null], `${where}: initialState[${i}]`)[0];
    }
    return symbolicList([state], `${where}: initialState`)[0];
  });
}

function checkMask(mask: unknown, x: SymbolicTensor, where: string): void {
  if (!(mask instanceof SymbolicTensor)) fail('ARGUMENT', `${where}: mask`, 'a symbolic tensor', showValue(mask));
  const fits =
    mask.shape.length === 2 && mask.shape.every((d, i) => d === null || x.shape[i] === null || d === x.shape[i]);
  if (!fits)
    fail(
      'SHAPE',
      `${where}: mask`,
      `one value per sample and step, ${formatShape(x.shape.slice(0, 2))}`,
      formatShape(mask.shape),
      'Make the mask of the sequence that this layer reads, such as `ops.notEqual(ids, 0)`.',
    );
}

let serial = 0;

/** Joins a layer to its inputs; what `applyLayer` and readers of files share. */
export function connect(
  layer: Layer,
  inputs: readonly SymbolicTensor[],
  masks: readonly (SymbolicTensor | null)[],
  where: string,
  given: CallArguments = nothingGiven,
): SymbolicTensor[] {
  const config = { ...layer.config, ...given.options };
  const shapes = layer.definition.outputs(
    config,
    inputs.map(({ shape }) => shape),
    where,
  );
  const outputs: SymbolicTensor[] = [];
  const call: SymbolicCall = { serial: serial++, layer, inputs, masks, outputs, given };
  const types = layer.definition.outputTypes?.(config);
  shapes.forEach((shape, i) => {
    outputs.push(new SymbolicTensor(shape, types?.[i] ?? 'f32', call, i));
  });
  return outputs;
}

/** A list of symbolic tensors of one or several. Throws ARGUMENT for anything else. */
export function symbolicList(value: unknown, where: string): SymbolicTensor[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  list.forEach((x, i) => {
    if (!(x instanceof SymbolicTensor))
      fail(
        'ARGUMENT',
        Array.isArray(value) ? `${where}: [${i}]` : where,
        'a symbolic tensor',
        showValue(x),
        'Start with `input({ shape: [100, 8] })` and apply layers to it.',
      );
  });
  return list as SymbolicTensor[];
}
