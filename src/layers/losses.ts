/**
 * Losses with Keras's formulas, as functions of a graph. A loss gives one value per sample (or per sample and step); `reduceLoss` brings
 * masks and sample weights in and takes the mean: the sum over valid entries by the count of valid entries.
 *
 * Crossentropies take probabilities, which are clipped to [1e-7, 1 - 1e-7], or logits with `fromLogits`.
 * Source: Keras 3, `keras/src/losses`, with the JAX backend's formulas.
 */
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sizeOf } from '../core/shape.ts';
import { oneHot } from '../ops/gather.ts';
import {
  abs,
  add,
  div,
  log,
  maximum,
  minimum,
  mul,
  neg,
  oneMinus,
  select,
  softplus,
  square,
  sub,
} from '../ops/pointwise.ts';
import { mean, sum } from '../ops/reduce.ts';
import { reshape } from '../ops/shape.ts';
import { logSoftmax } from '../ops/softmax.ts';
import type { Tensor } from '../ops/tensor.ts';
import { type Described, describedOf } from './described.ts';
import {
  flag,
  fraction,
  type OptionsIn,
  type OptionsOut,
  type OptionTable,
  only,
  option,
  parseOptions,
} from './options.ts';

export interface Loss extends Described {
  /** What the targets are: class indices (i32), or values of the shape of the prediction. */
  readonly targets: 'indices' | 'values';
  /** [B, ...]: one value per entry. `target` has been brought to the rank that `alignTarget` gives. */
  values(target: Tensor, prediction: Tensor): Tensor;
}

/** Keras's guard of logarithms and divisions. */
const epsilon = 1e-7;

const clipped = (p: Tensor) => minimum(maximum(p, epsilon), 1 - epsilon);

function define<const T extends OptionTable>(
  className: string,
  targets: Loss['targets'],
  own: T,
  values: (config: OptionsOut<T>, target: Tensor, prediction: Tensor) => Tensor,
) {
  const options = {
    ...own,
    /** How the values of the entries become one. */
    reduction: {
      ...only('sum_over_batch_size', 'The mean over valid entries is what this version takes.'),
      // Keras 2's word for the same.
      fromKeras: (json: unknown) => (json === 'auto' ? 'sum_over_batch_size' : json),
    },
    /** In messages and configurations. */
    name: option<string | null>('a name', (v) => v === null || typeof v === 'string', null),
    dtype: { ...option<unknown>('a type', () => true, 'float32'), toKeras: () => 'float32' },
  };
  return (given?: OptionsIn<T>): Loss => {
    const config = parseOptions(options, given, `losses.${className}`);
    return { className, options, config, targets, values: (t, p) => values(config as unknown as OptionsOut<T>, t, p) };
  };
}

const logits = { fromLogits: flag(false) };
const smoothing = { labelSmoothing: fraction(0) };

/** log p of every class, from probabilities or logits. */
function logProbabilities(prediction: Tensor, fromLogits: boolean): Tensor {
  if (fromLogits) return logSoftmax(prediction);
  return log(clipped(div(prediction, sum(prediction, { axes: [-1], keepDims: true }))));
}

const lastAxisOnly = { axis: only(-1, 'The classes must be the last axis.') };

/** Every loss by its factory: `losses.binaryCrossentropy({ fromLogits: true })`. */
export const losses = {
  /** -(y log p + (1 - y) log(1 - p)), the mean over the last axis. */
  binaryCrossentropy: define(
    'BinaryCrossentropy',
    'values',
    { ...logits, ...smoothing, ...lastAxisOnly },
    ({ fromLogits, labelSmoothing }, y, p) => {
      const t = labelSmoothing ? add(mul(y, 1 - labelSmoothing), 0.5 * labelSmoothing) : y;
      if (fromLogits) return mean(add(mul(t, softplus(neg(p))), mul(oneMinus(t), softplus(p))), { axes: [-1] });
      const q = clipped(p);
      return neg(mean(add(mul(t, log(q)), mul(oneMinus(t), log(oneMinus(q)))), { axes: [-1] }));
    },
  ),
  /** -sum over classes of y log p, for targets of the shape of the prediction. */
  categoricalCrossentropy: define(
    'CategoricalCrossentropy',
    'values',
    { ...logits, ...smoothing, ...lastAxisOnly },
    ({ fromLogits, labelSmoothing }, y, p) => {
      const classes = p.shape[p.rank - 1];
      const t = labelSmoothing ? add(mul(y, 1 - labelSmoothing), labelSmoothing / classes) : y;
      return neg(sum(mul(t, logProbabilities(p, fromLogits)), { axes: [-1] }));
    },
  ),
  /** -log p of the target's class, for targets that are class indices. */
  sparseCategoricalCrossentropy: define(
    'SparseCategoricalCrossentropy',
    'indices',
    { ...logits, ...lastAxisOnly, ignoreClass: only(null, 'Mask such entries, or give them a sampleWeight of 0.') },
    ({ fromLogits }, y, p) =>
      neg(sum(mul(oneHot(y, p.shape[p.rank - 1]), logProbabilities(p, fromLogits)), { axes: [-1] })),
  ),
  /** (y - p)^2, the mean over the last axis. */
  meanSquaredError: define('MeanSquaredError', 'values', {}, (_config, y, p) =>
    mean(square(sub(y, p)), { axes: [-1] }),
  ),
  /** |y - p|, the mean over the last axis. */
  meanAbsoluteError: define('MeanAbsoluteError', 'values', {}, (_config, y, p) => mean(abs(sub(y, p)), { axes: [-1] })),
};

const aliases = {
  mse: 'meanSquaredError',
  mae: 'meanAbsoluteError',
  bce: 'binaryCrossentropy',
  cce: 'categoricalCrossentropy',
  scce: 'sparseCategoricalCrossentropy',
};

/** What may stand for a loss: a name, one made by `losses`, Keras's object, or a function (target, prediction) to one value per entry. */
export type LossLike =
  | keyof typeof losses
  | keyof typeof aliases
  | 'crossentropy'
  | (string & {})
  | Loss
  | ((target: Tensor, prediction: Tensor) => Tensor)
  | Readonly<Record<string, unknown>>;

/**
 * The loss of a name. `crossentropy` is chosen by shapes, as in Keras. Throws ARGUMENT for a name that does not exist.
 *
 * @param target the shape of the targets without the batch; null where it is not known yet
 */
export function lossOf(value: LossLike, target: Shape | null, prediction: readonly (number | null)[]): Loss {
  if (typeof value === 'function')
    return { className: 'function', options: {}, config: {}, targets: 'values', values: value as Loss['values'] };
  if (value === 'crossentropy' || value === 'ce') {
    const { binary, sparse } = kindOfLabels(target ?? (prediction.slice(1) as number[]), prediction);
    if (binary) return losses.binaryCrossentropy();
    return sparse ? losses.sparseCategoricalCrossentropy() : losses.categoricalCrossentropy();
  }
  return describedOf(value, losses, aliases, 'a loss', 'compile: loss');
}

/** Keras's choice between binary, sparse and one-hot labels. `target` is without the batch. */
export function kindOfLabels(
  target: Shape,
  prediction: readonly (number | null)[],
): { binary: boolean; sparse: boolean } {
  const classes = prediction[prediction.length - 1] ?? 1;
  const rank = target.length + 1;
  const last = target.length ? target[target.length - 1] : null;
  return { binary: classes === 1, sparse: rank < prediction.length || (last === 1 && classes > 1) };
}

/**
 * The shape of targets that a loss wants for a prediction, both without the batch; a target whose trailing axis of 1 is missing, or is
 * one too many, is brought to it. Throws SHAPE.
 */
export function targetShape(loss: Loss, target: Shape, prediction: Shape, where: string): Shape {
  const wanted = loss.targets === 'indices' ? prediction.slice(0, -1) : prediction;
  const same = (a: Shape, b: Shape) => a.length === b.length && a.every((d, i) => d === b[i]);
  if (same(target, wanted) || same(target, [...wanted, 1]) || same([...target, 1], wanted)) return wanted;
  const open = (shape: Shape) => formatShape([null, ...shape]);
  const sparse =
    loss.targets === 'values' &&
    (same(target, prediction.slice(0, -1)) || same(target, [...prediction.slice(0, -1), 1]));
  const dense = loss.targets === 'indices' && same(target, prediction);
  fail(
    'SHAPE',
    where,
    `targets ${open(wanted)} for predictions ${open(prediction)}`,
    open(target),
    sparse
      ? "For class indices use loss: 'sparseCategoricalCrossentropy'."
      : dense
        ? "For one-hot targets use loss: 'categoricalCrossentropy'."
        : undefined,
  );
}

/** Brings values per entry to the axes of a mask or weight by taking the mean over the rest. */
export function meanToRank(values: Tensor, rank: number): Tensor {
  if (values.rank <= rank) return values;
  return mean(values, { axes: Array.from({ length: values.rank - rank }, (_, i) => rank + i) });
}

/** [B] beside [B, T]: trailing axes of 1 are added. */
function toRank(x: Tensor, rank: number): Tensor {
  return x.rank >= rank ? x : reshape(x, [...x.shape, ...new Array<number>(rank - x.rank).fill(1)]);
}

/**
 * The mean of the values: sum(values * weight * mask) by the count of valid entries; 0 where none is valid.
 *
 * @param weight [B] or the shape of the values, or null
 * @param mask the shape of the values, 0 or 1, or null
 */
export function reduceLoss(values: Tensor, weight: Tensor | null, mask: Tensor | null): Tensor {
  let weighted = values;
  if (weight) weighted = mul(weighted, toRank(weight, values.rank));
  if (!mask || values.rank < mask.rank) return mul(sum(weighted), 1 / Math.max(1, sizeOf(values.shape)));
  const beside = toRank(mask, values.rank);
  // Not a product: a masked entry may be infinite, and 0 times infinity is not 0.
  const total = sum(select(beside, weighted, 0));
  const valid = mul(sum(mask), sizeOf(values.shape) / Math.max(1, sizeOf(mask.shape)));
  return div(total, maximum(valid, 1));
}
