/**
 * Projections of weights after every step of the optimizer, with Keras's names and formulas. Norms run over `axis`, the first one by
 * default: of a kernel, over all that goes into a unit. Source: Keras 3, `keras/src/constraints`.
 */
import { fail } from '../core/errors.ts';
import { add, div, maximum, minimum, mul, sqrt, square } from '../ops/pointwise.ts';
import { sum } from '../ops/reduce.ts';
import type { Tensor } from '../ops/tensor.ts';
import { axesOf, axesOption } from './axes.ts';
import { type Described, describedOf, describedToKeras } from './described.ts';
import { type Option, type OptionsIn, type OptionsOut, type OptionTable, option, parseOptions } from './options.ts';

export interface Constraint extends Described {
  project(weight: Tensor): Tensor;
}

/** What may stand for a constraint: a name with its defaults, one made by `constraints`, or a function on a tensor. */
export type ConstraintLike =
  | Constraint
  | 'maxNorm'
  | 'minMaxNorm'
  | 'nonNeg'
  | 'unitNorm'
  | ((weight: Tensor) => Tensor)
  | null;

const epsilon = 1e-7;
const norm = (fallback: number) =>
  option<number>('a number from 0 on', (v) => typeof v === 'number' && Number.isFinite(v) && v >= 0, fallback);

function define<const T extends OptionTable>(
  className: string,
  options: T,
  project: (config: OptionsOut<T>, weight: Tensor) => Tensor,
) {
  return (given?: OptionsIn<T>): Constraint => {
    const config = parseOptions(options, given, `constraints.${className}`);
    return Object.freeze({ className, options, config, project: (weight: Tensor) => project(config, weight) });
  };
}

const normsOf = (w: Tensor, axis: number | readonly number[]) =>
  sqrt(sum(square(w), { axes: axesOf(axis, w.rank, w.graph.path), keepDims: true }));
const clip = (x: Tensor, from: number, to: number) => minimum(maximum(x, from), to);

/** The constraints by their factories. */
export const constraints = {
  /** Norms of at most `maxValue`. Defaults 2, axis 0. */
  maxNorm: define('MaxNorm', { maxValue: norm(2), axis: axesOption(0) }, ({ maxValue, axis }, w) => {
    const norms = normsOf(w, axis);
    return mul(w, div(clip(norms, 0, maxValue), add(norms, epsilon)));
  }),
  /** Norms between `minValue` and `maxValue`, approached by the share `rate`. Defaults 0, 1, 1, axis 0. */
  minMaxNorm: define(
    'MinMaxNorm',
    { minValue: norm(0), maxValue: norm(1), rate: norm(1), axis: axesOption(0) },
    ({ minValue, maxValue, rate, axis }, w) => {
      const norms = normsOf(w, axis);
      const desired = add(mul(clip(norms, minValue, maxValue), rate), mul(norms, 1 - rate));
      return mul(w, div(desired, add(norms, epsilon)));
    },
  ),
  /** No weight below 0. */
  nonNeg: define('NonNeg', {}, (_config, w) => maximum(w, 0)),
  /** Norms of 1. Default axis 0. */
  unitNorm: define('UnitNorm', { axis: axesOption(0) }, ({ axis }, w) => div(w, add(normsOf(w, axis), epsilon))),
};

function constraintOf(value: unknown, where: string): Constraint | null {
  if (value === null) return null;
  if (typeof value === 'function')
    return { className: 'custom', options: {}, config: {}, project: value as (w: Tensor) => Tensor };
  return describedOf<Constraint>(value, constraints, {}, 'a constraint', where);
}

/** The kind of option that takes a constraint. */
export const constraintOption = (): Option<ConstraintLike, Constraint | null, false> => ({
  required: false,
  fallback: null,
  expected: 'a constraint by name, one made by `constraints`, or null',
  parse: constraintOf,
  toKeras(constraint, where) {
    if (constraint?.className === 'custom')
      fail('UNSUPPORTED', where, 'a constraint of `constraints`', 'a function', 'A file cannot hold a function.');
    return constraint && describedToKeras(constraint, 'keras.constraints');
  },
});
