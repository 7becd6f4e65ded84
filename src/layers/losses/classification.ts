/**
 * Losses over classes. Crossentropies take probabilities, which are clipped to [1e-7, 1 - 1e-7], or logits with `fromLogits`.
 * Source: Keras 3, `keras/src/losses/losses.py`, with the formulas of its JAX backend.
 */
import { fail } from '../../core/errors.ts';
import { oneHot } from '../../ops/gather.ts';
import {
  add,
  div,
  equal,
  log,
  maximum,
  minimum,
  mul,
  neg,
  notEqual,
  oneMinus,
  pow,
  select,
  sigmoid,
  softplus,
  square,
  sub,
  toFloat,
} from '../../ops/pointwise.ts';
import { max, mean, min, sum } from '../../ops/reduce.ts';
import { expandDims } from '../../ops/shape.ts';
import { softmax } from '../../ops/softmax.ts';
import { constant, type Tensor } from '../../ops/tensor.ts';
import { axisOption } from '../axes.ts';
import { finiteNumber, flag, option } from '../options.ts';
import {
  axisToEnd,
  clipped,
  epsilon,
  labelsBelow,
  logits,
  logProbabilities,
  normalized,
  smoothedBinary,
  smoothedClasses,
  smoothing,
  withoutAxis,
} from './classes.ts';
import { defineLoss } from './loss.ts';

const last = { axes: [-1] };

const isInteger = (v: unknown) => typeof v === 'number' && Number.isInteger(v);
const isNumber = (v: unknown) => typeof v === 'number' && Number.isFinite(v);

const binaryTerms = (y: Tensor, p: Tensor): Tensor => {
  const q = clipped(p);
  return neg(add(mul(y, log(q)), mul(oneMinus(y), log(oneMinus(q)))));
};

/**
 * -(y log p + (1 - y) log(1 - p)), the mean over `axis` (default: the last).
 *
 * @example losses.binaryCrossentropy({ fromLogits: true, labelSmoothing: 0.1 })
 */
export const binaryCrossentropy = defineLoss({
  className: 'BinaryCrossentropy',
  targets: 'values',
  options: { ...logits, ...smoothing, axis: axisOption(-1) },
  entries: ({ axis }, target) => withoutAxis(target, axis),
  values({ fromLogits, labelSmoothing, axis }, target, p) {
    const y = smoothedBinary(target, labelSmoothing);
    const terms = fromLogits ? add(mul(y, softplus(neg(p))), mul(oneMinus(y), softplus(p))) : binaryTerms(y, p);
    return mean(terms, { axes: [axis] });
  },
});

/**
 * Binary crossentropy times (1 - p of the target) ** `gamma`, so that easy entries count less; with `applyClassBalancing` also times
 * `alpha` for the class 1 and 1 - `alpha` for the class 0. Lin et al., "Focal loss for dense object detection" (2017), section 3.
 *
 * @example losses.binaryFocalCrossentropy({ gamma: 2, applyClassBalancing: true })
 */
export const binaryFocalCrossentropy = defineLoss({
  className: 'BinaryFocalCrossentropy',
  targets: 'values',
  options: {
    applyClassBalancing: flag(false),
    /** Default 0.25. */
    alpha: finiteNumber(0.25),
    /** Default 2. */
    gamma: finiteNumber(2),
    ...logits,
    ...smoothing,
    axis: axisOption(-1),
  },
  entries: ({ axis }, target) => withoutAxis(target, axis),
  values({ applyClassBalancing, alpha, gamma, fromLogits, labelSmoothing, axis }, target, prediction) {
    const y = smoothedBinary(target, labelSmoothing);
    const p = fromLogits ? sigmoid(prediction) : prediction;
    const hit = add(mul(y, p), mul(oneMinus(y), oneMinus(p)));
    const focal = mul(pow(oneMinus(hit), gamma), binaryTerms(y, p));
    const balance = () => add(mul(y, alpha), mul(oneMinus(y), 1 - alpha));
    return mean(applyClassBalancing ? mul(balance(), focal) : focal, { axes: [axis] });
  },
});

/**
 * -sum over classes of y log p, for targets of the shape of the prediction. With `labelSmoothing`, a share of the target is taken off and
 * spread over the classes: divided by the size of the last axis, as in Keras also where the classes are another `axis`.
 *
 * @example losses.categoricalCrossentropy({ labelSmoothing: 0.1 }) // after layers.dense({ units: 5, activation: 'softmax' })
 */
export const categoricalCrossentropy = defineLoss({
  className: 'CategoricalCrossentropy',
  targets: 'values',
  options: { ...logits, ...smoothing, axis: axisOption(-1) },
  classAxis: ({ axis }) => axis,
  entries: ({ axis }, target) => withoutAxis(target, axis),
  values({ fromLogits, labelSmoothing, axis }, target, prediction) {
    const y = axisToEnd(smoothedClasses(target, labelSmoothing), axis);
    return neg(sum(mul(y, logProbabilities(axisToEnd(prediction, axis), fromLogits)), last));
  },
});

/** A number, or one for every class. */
const alphaOption = option<number | readonly number[]>(
  'a number, or a list of them, one for every class',
  (v) => isNumber(v) || (Array.isArray(v) && v.length > 0 && v.every(isNumber)),
  0.25,
);

/**
 * -sum over classes of `alpha` (1 - p) ** `gamma` y log p. `alpha` is one number or one for every class; `labelSmoothing` as of
 * `categoricalCrossentropy`. Lin et al., "Focal loss for dense
 * object detection" (2017), section 3.
 *
 * @example losses.categoricalFocalCrossentropy({ alpha: [0.2, 0.3, 0.5] })
 */
export const categoricalFocalCrossentropy = defineLoss({
  className: 'CategoricalFocalCrossentropy',
  targets: 'values',
  options: {
    /** Default 0.25. */
    alpha: alphaOption,
    /** Default 2. */
    gamma: finiteNumber(2),
    ...logits,
    ...smoothing,
    axis: axisOption(-1),
  },
  classAxis: ({ axis }) => axis,
  entries: ({ axis }, target) => withoutAxis(target, axis),
  values({ alpha, gamma, fromLogits, labelSmoothing, axis }, target, prediction) {
    const y = axisToEnd(smoothedClasses(target, labelSmoothing), axis);
    const scores = axisToEnd(prediction, axis);
    const p = normalized(fromLogits ? softmax(scores) : scores);
    const classes = p.shape[p.rank - 1];
    if (typeof alpha !== 'number' && alpha.length !== 1 && alpha.length !== classes)
      fail(
        'SHAPE',
        'losses.CategoricalFocalCrossentropy.alpha',
        `${classes} numbers, one per class`,
        `${alpha.length}`,
      );
    const terms = mul(pow(oneMinus(p), gamma), mul(neg(y), log(p)));
    return sum(mul(terms, typeof alpha === 'number' ? alpha : rowOf(p, alpha)), last);
  },
});

/** Numbers along the last axis of what stands beside them. */
const rowOf = (x: Tensor, values: readonly number[]): Tensor => constant(x.graph, values, [values.length]);

/** 1 where a target is not of the class that does not count. */
const counting = (y: Tensor, ignoreClass: number): Tensor => notEqual(toFloat(y), ignoreClass);

/**
 * -log p of the target's class, for targets that are class indices. Entries of `ignoreClass` (any whole number, also one that is no class)
 * do not count.
 *
 * @example losses.sparseCategoricalCrossentropy({ fromLogits: true, ignoreClass: -1 })
 */
export const sparseCategoricalCrossentropy = defineLoss({
  className: 'SparseCategoricalCrossentropy',
  targets: 'indices',
  options: {
    ...logits,
    /** Default null: all classes count. */
    ignoreClass: option<number | null>('a whole number, or null', (v) => v === null || isInteger(v), null),
    axis: axisOption(-1),
  },
  classAxis: ({ axis }) => axis,
  targetShape: ({ axis }, prediction) => withoutAxis(prediction, axis),
  labels: ({ axis, ignoreClass }, prediction) => labelsBelow(classesAt(prediction, axis), ignoreClass),
  counted: ({ ignoreClass }, y) => (ignoreClass === null ? null : counting(y, ignoreClass)),
  values({ fromLogits, ignoreClass, axis }, y, prediction) {
    const scores = axisToEnd(prediction, axis);
    const hot = oneHot(y, scores.shape[scores.rank - 1]);
    if (ignoreClass === null) return neg(sum(mul(hot, logProbabilities(scores, fromLogits)), last));
    // As for a prediction that says nothing, so that nothing flows through what does not count.
    const counts = counting(y, ignoreClass);
    const safe = select(expandDims(counts, -1), scores, 1);
    return select(counts, neg(sum(mul(hot, logProbabilities(safe, fromLogits)), last)), 0);
  },
});

const classesAt = (prediction: readonly number[], axis: number): number =>
  prediction[(axis < 0 ? axis + prediction.length + 1 : axis) - 1] ?? 1;

/**
 * (1 - p ** `q`) / `q` for the probability p of the target's class: between crossentropy (q towards 0) and the absolute error (q towards 1),
 * for labels that may be wrong. Zhang and Sabuncu, "Generalized cross entropy loss" (2018).
 *
 * @example losses.categoricalGeneralizedCrossEntropy({ q: 0.7 })
 */
export const categoricalGeneralizedCrossEntropy = defineLoss({
  className: 'CategoricalGeneralizedCrossEntropy',
  targets: 'indices',
  options: {
    /** Default 0.5. */
    q: option<number>('a number between 0 and 1', (v) => isNumber(v) && (v as number) > 0 && (v as number) < 1, 0.5),
  },
  values: ({ q }, y, p) => div(oneMinus(pow(sum(mul(oneHot(y, p.shape[p.rank - 1]), p), last), q)), q),
});

/** Targets of 0 and 1 as -1 and 1, if all of the batch are such. */
function signs(y: Tensor): Tensor {
  const binary = min(maximum(equal(y, 0), equal(y, 1)));
  return select(binary, sub(mul(y, 2), 1), y);
}

/** max(1 - y p, 0), the mean over the last axis, for targets -1 and 1, or 0 and 1. */
export const hinge = defineLoss({
  className: 'Hinge',
  targets: 'values',
  options: {},
  values: (_config, y, p) => mean(maximum(oneMinus(mul(signs(y), p)), 0), last),
});

/** max(1 - y p, 0)^2, the mean over the last axis, for targets -1 and 1, or 0 and 1. */
export const squaredHinge = defineLoss({
  className: 'SquaredHinge',
  targets: 'values',
  options: {},
  values: (_config, y, p) => mean(square(maximum(oneMinus(mul(signs(y), p)), 0)), last),
});

/** max(1 + the largest p of a wrong class - p of the right one, 0), for one-hot targets. */
export const categoricalHinge = defineLoss({
  className: 'CategoricalHinge',
  targets: 'values',
  options: {},
  values(_config, y, p) {
    const right = sum(mul(y, p), last);
    const wrong = max(mul(oneMinus(y), p), last);
    return maximum(add(sub(wrong, right), 1), 0);
  },
});

/** sum of y log(y / p) over the last axis, both within [1e-7, 1]. */
export const klDivergence = defineLoss({
  className: 'KLDivergence',
  targets: 'values',
  options: {},
  values(_config, target, prediction) {
    const within = (x: Tensor) => minimum(maximum(x, epsilon), 1);
    const y = within(target);
    return sum(mul(y, log(div(y, within(prediction)))), last);
  },
});
