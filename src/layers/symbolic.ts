/**
 * Tensors that stand for what will flow through a model: a layer applied to them gives further ones, and `model` makes a model of what lies
 * between its inputs and outputs. They hold no values, only shapes and where they come from.
 */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import type { Layer, OpenShape } from './layer.ts';
import { classToSnake } from './names.ts';
import { showValue } from './options.ts';

/** One application of a layer. */
export interface SymbolicCall {
  /** Calls are numbered as they are made, so that inputs come before their use. */
  readonly serial: number;
  readonly layer: Layer;
  readonly inputs: readonly SymbolicTensor[];
  /** Masks given by hand, one per input; null: the one that comes with the input. */
  readonly masks: readonly (SymbolicTensor | null)[];
  readonly outputs: readonly SymbolicTensor[];
}

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
  /** Layers over time: where the states start, in the order of `returnState`. */
  readonly initialState?: SymbolicTensor | readonly SymbolicTensor[];
  /** (B, T), 0 or 1: which steps count, in place of the mask that comes with the input; a list for several inputs. */
  readonly mask?: SymbolicTensor | null | readonly (SymbolicTensor | null)[];
}

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
  for (const key of Object.keys(options))
    if (key !== 'initialState' && key !== 'mask')
      fail('ARGUMENT', where, 'options among initialState, mask', `'${key}'`);
  const own = symbolicList(inputs, where);
  const states = options.initialState === undefined ? [] : symbolicList(options.initialState, `${where}: initialState`);
  if (states.length && !layer.definition.recurrence && !layer.definition.takesStates)
    fail('ARGUMENT', `${where}: initialState`, 'a layer over time', layer.className);
  const all = [...own, ...states];
  const given = Array.isArray(options.mask) ? options.mask : options.mask ? [options.mask] : [];
  if (given.length > all.length)
    fail('ARGUMENT', `${where}: mask`, `at most ${all.length} masks, one per input`, String(given.length));
  const masks = all.map((x, i) => {
    const mask = (given[i] ?? null) as SymbolicTensor | null;
    if (mask !== null) checkMask(mask, x, where);
    return mask;
  });
  return connect(layer, all, masks, where);
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
    );
}

let serial = 0;

/** Joins a layer to its inputs; what `applyLayer` and readers of files share. */
export function connect(
  layer: Layer,
  inputs: readonly SymbolicTensor[],
  masks: readonly (SymbolicTensor | null)[],
  where: string,
): SymbolicTensor[] {
  const shapes = layer.definition.outputs(
    layer.config,
    inputs.map(({ shape }) => shape),
    where,
  );
  const outputs: SymbolicTensor[] = [];
  const call: SymbolicCall = { serial: serial++, layer, inputs, masks, outputs };
  const types = layer.definition.outputTypes?.(layer.config);
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
