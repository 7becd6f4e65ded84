/**
 * Activation functions by Keras's names and formulas, written with plain operations, so that each becomes part of the chain of its layer.
 * Source: Keras 3, `keras/src/activations`; Keras 2's hardSigmoid has its own name.
 */
import { fail } from '../core/errors.ts';
import {
  abs,
  add,
  div,
  erf,
  exp,
  less,
  lessEqual,
  maximum,
  minimum,
  mul,
  neg,
  relu,
  select,
  sigmoid,
  softplus,
  sqrt,
  square,
  sub,
  tanh,
} from '../ops/pointwise.ts';
import { sum } from '../ops/reduce.ts';
import { expandDims, stopGradient } from '../ops/shape.ts';
import { logSoftmax, softmax } from '../ops/softmax.ts';
import type { Tensor } from '../ops/tensor.ts';
import { camelToSnake, closestName, plainName } from './names.ts';
import { type Option, showValue } from './options.ts';

export interface Activation {
  /** Our name, in camel case; `custom` for a function of the user's. */
  readonly name: string;
  /** The name in Keras 3's configurations, or the object of a layer; null where it has none. */
  readonly keras: string | object | null;
  apply(x: Tensor): Tensor;
}

const clipUnit = (x: Tensor) => minimum(maximum(x, 0), 1);
// The exponential of the positive side is never used; cutting it keeps an infinity out of the gradient. At 0 the slope is that below it.
const expm1OfNegative = (x: Tensor) => sub(exp(select(less(0, x), 0, x)), 1);
const elu = (x: Tensor) => select(less(0, x), x, expm1OfNegative(x));
/**
 * The point of the simplex nearest to a row. Martins and Astudillo, "From softmax to sparsemax" (2016), equation 4; here by counting for every
 * element those that are not smaller, which needs no order.
 */
function sparsemax(x: Tensor): Tensor {
  const last = { axes: [-1] };
  const [own, others] = [expandDims(x, x.rank), expandDims(x, x.rank - 1)];
  const above = lessEqual(own, others);
  const count = sum(above, last);
  const total = sum(mul(above, others), last);
  const support = stopGradient(less(total, add(mul(count, x), 1)));
  const over = { ...last, keepDims: true };
  const limit = div(sub(sum(mul(support, x), over), 1), sum(support, over));
  return relu(sub(x, limit));
}

const hardSigmoid = (x: Tensor) => clipUnit(add(mul(x, 1 / 6), 0.5));

const formulas: Record<string, (x: Tensor) => Tensor> = {
  linear: (x) => x,
  relu: (x) => relu(x),
  sigmoid: (x) => sigmoid(x),
  tanh: (x) => tanh(x),
  softmax: (x) => softmax(x),
  logSoftmax: (x) => logSoftmax(x),
  /** clip(x / 6 + 1/2, 0, 1), as in Keras 3. */
  hardSigmoid,
  /** clip(x / 5 + 1/2, 0, 1), as in Keras 2 and TensorFlow.js. */
  hardSigmoidKeras2: (x) => clipUnit(add(mul(x, 0.2), 0.5)),
  softplus: (x) => softplus(x),
  softsign: (x) => div(x, add(abs(x), 1)),
  elu,
  selu: (x) => mul(select(less(0, x), x, mul(expm1OfNegative(x), 1.6732632423543772)), 1.0507009873554805),
  silu: (x) => mul(x, sigmoid(x)),
  hardSilu: (x) => mul(x, hardSigmoid(x)),
  /** x * Phi(x), the exact form. */
  gelu: (x) => mul(mul(x, 0.5), add(erf(mul(x, Math.SQRT1_2)), 1)),
  exponential: (x) => exp(x),
  mish: (x) => mul(x, tanh(softplus(x))),
  /** Slope 0.2 below zero. */
  leakyRelu: (x) => select(less(x, 0), mul(x, 0.2), x),
  relu6: (x) => minimum(relu(x), 6),
  logSigmoid: (x) => neg(softplus(neg(x))),
  tanhShrink: (x) => sub(x, tanh(x)),
  hardTanh: (x) => minimum(maximum(x, -1), 1),
  squareplus: (x) => mul(add(x, sqrt(add(square(x), 4))), 0.5),
  /** With its parameter of 1 the same as elu. */
  celu: elu,
  /** x outside of [-1/2, 1/2], else 0. */
  hardShrink: (x) => select(less(0.5, abs(x)), x, 0),
  /** Towards 0 by 1/2, at most to 0. */
  softShrink: (x) => sub(x, minimum(maximum(x, -0.5), 0.5)),
  /** clip((x + 1) / 2, 0, 1). */
  sparseSigmoid: (x) => clipUnit(mul(add(x, 1), 0.5)),
  /** 0 up to -1, x from 1 on, (x + 1)^2 / 4 between. */
  sparsePlus: (x) => select(less(x, 1), mul(square(relu(add(x, 1))), 0.25), x),
  sparsemax,
};

const aliases: Record<string, string> = { swish: 'silu', hardswish: 'hardSilu' };
const withoutKerasName = new Set(['hardSigmoidKeras2']);

export const activations: ReadonlyMap<string, Activation> = new Map(
  Object.entries(formulas).map(([name, apply]) => [
    name,
    Object.freeze({ name, keras: withoutKerasName.has(name) ? null : camelToSnake(name), apply }),
  ]),
);

const byPlainName = new Map([...activations].map(([name, activation]) => [plainName(name), activation]));
for (const [alias, name] of Object.entries(aliases))
  byPlainName.set(plainName(alias), activations.get(name) as Activation);

/**
 * The activation of a name in any spelling (`hardSigmoid`, `hard_sigmoid`), or of a function on tensors.
 * Throws ARGUMENT for a name that does not exist, with the nearest one.
 */
export function activationOf(value: unknown, where: string): Activation {
  if (value === null) return activations.get('linear') as Activation;
  if (typeof value === 'function') return { name: 'custom', keras: null, apply: value as (x: Tensor) => Tensor };
  if (typeof value === 'object' && 'apply' in value && typeof value.apply === 'function') return value as Activation;
  if (typeof value !== 'string')
    fail('ARGUMENT', where, 'the name of an activation, or a function on tensors', showValue(value));
  const found = byPlainName.get(plainName(value));
  if (found) return found;
  const near = closestName(value, activations.keys());
  fail(
    'ARGUMENT',
    where,
    `one of ${[...activations.keys()].join(', ')}`,
    `'${value}'`,
    near ? `Did you mean '${near}'?` : undefined,
  );
}

/** What may stand for an activation: a name, a function on tensors, or null for linear. */
export type ActivationLike = ActivationName | ((x: Tensor) => Tensor) | Activation | null;
export type ActivationName =
  | 'linear'
  | 'relu'
  | 'sigmoid'
  | 'tanh'
  | 'softmax'
  | 'logSoftmax'
  | 'hardSigmoid'
  | 'hardSigmoidKeras2'
  | 'softplus'
  | 'softsign'
  | 'elu'
  | 'selu'
  | 'silu'
  | 'swish'
  | 'hardSilu'
  | 'gelu'
  | 'exponential'
  | 'mish'
  | 'leakyRelu'
  | 'relu6'
  | 'logSigmoid'
  | 'tanhShrink'
  | 'hardTanh'
  | 'squareplus'
  | 'celu'
  | 'hardShrink'
  | 'softShrink'
  | 'sparseSigmoid'
  | 'sparsePlus'
  | 'sparsemax'
  | (string & {});

/** What is needed of a layer to stand as an activation. */
interface LayerLike {
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly definition: {
    weights(config: unknown, inputs: readonly (readonly (number | null)[])[], path: string): readonly unknown[];
    call(config: unknown, call: object): { readonly outputs: readonly Tensor[] };
  };
}

/** A layer without weights and draws, as Keras's files have them in the place of an activation: `LeakyReLU`, `Softmax`. */
function ofLayer({ className, config, definition }: LayerLike, json: object, where: string): Activation {
  if (definition.weights(config, [[null, 1]], where).length)
    fail('UNSUPPORTED', where, 'an activation without weights', `'${className}'`, `Put ${className} behind the layer.`);
  return {
    name: className,
    keras: json,
    apply: (x) =>
      definition.call(config, {
        inputs: [x],
        masks: [null],
        weights: {},
        training: false,
        random: { uniform: () => fail('UNSUPPORTED', where, 'an activation that draws nothing', `'${className}'`) },
        path: where,
      }).outputs[0],
  };
}

/** The kind of option that takes an activation. */
export const activationOption = (fallback: ActivationLike): Option<ActivationLike, Activation, false> => ({
  required: false,
  fallback,
  expected: 'the name of an activation, or a function on tensors',
  parse: activationOf,
  toKeras(activation, where) {
    if (activation.keras === null)
      fail(
        'UNSUPPORTED',
        where,
        'an activation that Keras 3 has by name',
        `'${activation.name}'`,
        'Save the model as a bundle of this library, or use a named activation.',
      );
    return activation.keras;
  },
  fromKeras(json, reading, where) {
    let name: unknown = json;
    // {class_name: 'function', config: 'relu'} and {class_name: 'LeakyReLU', config: {...}} are both written.
    if (json !== null && typeof json === 'object') {
      const { class_name: className, config } = json as { class_name?: unknown; config?: unknown };
      if (className === 'function') name = config;
      else return ofLayer(reading.layer(json, where) as LayerLike, json, where);
    }
    if (reading.generation === 2 && typeof name === 'string' && plainName(name) === 'hardsigmoid')
      return 'hardSigmoidKeras2';
    return name;
  },
});
