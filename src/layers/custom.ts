/** A layer of one's own without weights, from a pure function on tensors. */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { standIns } from '../ops/probe.ts';
import { Tensor } from '../ops/tensor.ts';
import { defineLayer, type Layer, type LayerCall, type OpenShape } from './layer.ts';
import { option } from './options.ts';

/** What a function of one's own is told beside its inputs. */
export type CustomCall = Pick<LayerCall, 'masks' | 'training'>;
/** One output, or several. Built from the tensors given and from numbers, with the operations of `ops`. */
export type CustomFunction = (inputs: readonly Tensor[], call: CustomCall) => Tensor | readonly Tensor[];

export interface CustomOptions {
  readonly name?: string | null;
  /** Shapes of the outputs from those of the inputs. Default: found by looking at what the function returns. */
  readonly outputShapes?: (inputs: readonly OpenShape[], path: string) => readonly OpenShape[];
  /** Masks of the outputs from those of the inputs. Default: the first input's, for outputs that have its (B, T). */
  readonly outputMasks?: (masks: readonly (Tensor | null)[]) => readonly (Tensor | null)[];
}

const isFunction = (v: unknown) => typeof v === 'function';

const listed = (result: Tensor | readonly Tensor[], path: string): readonly Tensor[] => {
  const list = result instanceof Tensor ? [result] : result;
  if (!Array.isArray(list) || !list.length || !list.every((y) => y instanceof Tensor))
    fail('ARGUMENT', path, 'a function that returns a tensor, or a list of tensors', String(list));
  return list;
};

/**
 * The shapes that a function returns, with open sizes where they follow open sizes of the inputs: it is looked at twice, on a graph that is
 * thrown away, with different stand-ins for what is open.
 */
function foundShapes(fn: CustomFunction, inputs: readonly OpenShape[], path: string): OpenShape[] {
  const look = (size: number) => {
    const tensors = standIns(
      inputs.map((shape) => shape.map((d) => d ?? size)),
      path,
    );
    const result = fn(tensors, { masks: inputs.map(() => null), training: false });
    return listed(result, path).map((y) => y.shape);
  };
  const [first, second] = [look(6), look(10)];
  return first.map((shape, k) => shape.map((d, i) => (d === second[k][i] ? d : null)));
}

const definedCustom = defineLayer({
  className: 'Custom',
  options: {
    fn: option<CustomFunction, true>('a function on tensors', isFunction, undefined, true),
    outputShapes: option<CustomOptions['outputShapes'] | null>(
      'a function on shapes, or null',
      (v) => v === null || isFunction(v),
      null,
    ),
    outputMasks: option<CustomOptions['outputMasks'] | null>(
      'a function on masks, or null',
      (v) => v === null || isFunction(v),
      null,
    ),
  },
  kerasConfig: () =>
    fail(
      'UNSUPPORTED',
      'layers.custom',
      'a layer that is data',
      'a function',
      'A function cannot be written to a file: build the model in code and load its weights.',
    ),
  weights: () => [],
  outputs: ({ fn, outputShapes }, inputs, path) => outputShapes?.(inputs, path) ?? foundShapes(fn, inputs, path),
  call({ fn, outputMasks, outputShapes }, { inputs, masks, training, path }) {
    const outputs = listed(fn(inputs, { masks, training }), path);
    const promised = outputShapes?.(
      inputs.map((x) => x.shape),
      path,
    );
    outputs.forEach((y, k) => {
      const shape = promised?.[k];
      if (promised && !(shape?.length === y.rank && shape.every((d, i) => d === null || d === y.shape[i])))
        fail('SHAPE', path, `output ${k} as ${shape ? formatShape(shape) : 'not promised'}`, formatShape(y.shape));
    });
    if (outputMasks) return { outputs, masks: outputMasks(masks) };
    const [mask] = masks;
    const keeps = (y: Tensor) => mask && y.rank >= mask.rank && mask.shape.every((d, i) => d === y.shape[i]);
    return { outputs, masks: outputs.map((y) => (keeps(y) ? mask : null)) };
  },
});

/**
 * A layer from a pure function on tensors, compiled and differentiated as all others.
 *
 * @param fn gets the list of inputs, (B, ...) each, and returns a tensor or a list of them
 * @example layers.custom(([x]) => ops.mul(x, ops.sigmoid(x)), { name: 'swish' })
 */
function makeCustom(fn: CustomFunction, options: CustomOptions = {}): Layer {
  return definedCustom({ fn, ...options });
}

export const custom = Object.assign(makeCustom, { definition: definedCustom.definition });
