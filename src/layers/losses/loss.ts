/**
 * What a loss is: a function of a graph that gives one value per entry (per sample, or per sample and step), and the reduction that brings
 * masks and sample weights in and makes one number of them.
 *
 * Source: Keras 3, `keras/src/losses/loss.py`.
 */
import { fail } from '../../core/errors.ts';
import { formatShape, normalAxis, type Shape, sameShape, sizeOf } from '../../core/shape.ts';
import { div, maximum, mul, select } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import { broadcastTo, reshape } from '../../ops/shape.ts';
import { constant, Tensor } from '../../ops/tensor.ts';
import type { Described } from '../described.ts';
import {
  dtypeOption,
  type Option,
  type OptionsIn,
  type OptionsOut,
  type OptionTable,
  option,
  parseOptions,
  showValue,
} from '../options.ts';

/**
 * How the values of the entries become one.
 * - `sum_over_batch_size` and `mean`: their sum by their number, or by the number of valid ones where there is a mask;
 * - `mean_with_sample_weight`: the sum by the sum of the weights of the valid entries;
 * - `sum`;
 * - `none`: not at all, which training cannot use.
 */
export type Reduction = 'sum_over_batch_size' | 'mean' | 'mean_with_sample_weight' | 'sum' | 'none';

const reductions: readonly Reduction[] = ['sum_over_batch_size', 'mean', 'mean_with_sample_weight', 'sum', 'none'];

/** What a loss is told beside target and prediction. */
export interface LossCall {
  /** Of the prediction: 0 or 1 per step, [B, T]; null: there is none. */
  readonly mask: Tensor | null;
  /** What the layer that made the prediction hands to a loss of its own, by name. */
  readonly beside: Readonly<Record<string, Tensor>>;
  readonly training: boolean;
}

const plainCall: LossCall = { mask: null, beside: {}, training: false };

/** What targets of indices may hold. */
export interface Labels {
  /** Words for messages: `a label from 0 to 4`. */
  readonly expected: string;
  /** @param place on the last axis of the targets */
  test(value: number, place: number): boolean;
}

export interface Loss extends Described {
  /** What the targets are: class indices (i32), or values. */
  readonly targets: 'indices' | 'values';
  readonly reduction: Reduction;
  /**
   * One value per entry: [B], or [B, T], ... `target` has been brought to the shape that `targetShape` gives.
   *
   * @param call needed by losses over whole sequences alone
   */
  values(target: Tensor, prediction: Tensor, call?: LossCall): Tensor;
  /** The shape of targets for a prediction, both without the batch. Missing: as the prediction, for indices without its last axis. */
  targetShape?(prediction: Shape, target: Shape): Shape;
  /** The shape of the values of one sample. Missing: the target's, without the last axis unless it holds indices. */
  entries?(target: Shape, prediction: Shape): Shape;
  /** 0/1 in the shape of the values: which of them count at all. Missing: all. */
  counted?(target: Tensor, prediction: Tensor): Tensor;
  /** The mask is used by `values`, which gives one value per sample. */
  readonly wholeSequences?: boolean;
  /** Which whole numbers may stand in targets of indices. Missing: those of the classes. @param prediction without the batch */
  labels?(prediction: Shape): Labels;
  /** Which axis of the prediction holds the classes. Missing: the last. */
  readonly classAxis?: number;
}

interface LossDefinition<T extends OptionTable> {
  /** Keras's class name, or ours where Keras has none. */
  readonly className: string;
  readonly targets: Loss['targets'];
  readonly options: T;
  readonly wholeSequences?: boolean;
  check?(config: OptionsOut<T>, where: string): void;
  values(config: OptionsOut<T>, target: Tensor, prediction: Tensor, call: LossCall): Tensor;
  targetShape?(config: OptionsOut<T>, prediction: Shape, target: Shape): Shape;
  entries?(config: OptionsOut<T>, target: Shape, prediction: Shape): Shape;
  counted?(config: OptionsOut<T>, target: Tensor, prediction: Tensor): Tensor | null;
  labels?(config: OptionsOut<T>, prediction: Shape): Labels;
  classAxis?(config: OptionsOut<T>): number;
}

const reductionOption: Option<Reduction | null, Reduction, false> = {
  required: false,
  fallback: 'sum_over_batch_size',
  expected: `one of ${reductions.map(showValue).join(', ')}`,
  parse(value, where) {
    const name = value === null ? 'none' : value;
    if (!(reductions as readonly unknown[]).includes(name)) fail('ARGUMENT', where, this.expected, showValue(value));
    return name as Reduction;
  },
  // Keras 2's words.
  fromKeras: (json) => (json === 'auto' ? 'sum_over_batch_size' : json),
};

/** Options that every loss has. */
const baseOptions = {
  /** How the values of the entries become one. Default: `sum_over_batch_size`. */
  reduction: reductionOption,
  /** In messages and configurations. */
  name: option<string | null>('a name', (v) => v === null || typeof v === 'string', null),
  dtype: { ...dtypeOption(), toKeras: (): unknown => 'float32' },
};

type BaseOptions = typeof baseOptions;

/** Makes the factory of a loss from its definition. */
export function defineLoss<const T extends OptionTable>(definition: LossDefinition<T>) {
  const options = { ...definition.options, ...baseOptions } as T & BaseOptions;
  const { className, targets, wholeSequences } = definition;
  const where = `losses.${className}`;
  return (given?: OptionsIn<T & BaseOptions>): Loss => {
    const parsed = parseOptions(options, given, where);
    const config = parsed as unknown as OptionsOut<T>;
    definition.check?.(config, where);
    const { targetShape, entries, counted, labels, classAxis } = definition;
    return {
      className,
      options,
      config: parsed,
      targets,
      reduction: (parsed as unknown as { reduction: Reduction }).reduction,
      ...(wholeSequences && { wholeSequences }),
      values: (target, prediction, call = plainCall) => definition.values(config, target, prediction, call),
      ...(targetShape && { targetShape: (prediction, target) => targetShape(config, prediction, target) }),
      ...(entries && { entries: (target, prediction) => entries(config, target, prediction) }),
      ...(counted && {
        counted: (target, prediction) => counted(config, target, prediction) ?? constant(prediction.graph, 1),
      }),
      ...(labels && { labels: (prediction) => labels(config, prediction) }),
      ...(classAxis && { classAxis: classAxis(config) }),
    };
  };
}

/** What a function of one's own gives, if it is a tensor. Throws ARGUMENT. */
export function tensorFrom(value: unknown, where: string): Tensor {
  if (value instanceof Tensor) return value;
  fail(
    'ARGUMENT',
    where,
    'a function that returns a tensor',
    showValue(value),
    'Return what `ops` gives, without `await`.',
  );
}

/** A loss of one's own, from a function of target and prediction to one value per entry. */
export function functionLoss(values: (target: Tensor, prediction: Tensor) => Tensor): Loss {
  return {
    className: 'function',
    options: {},
    config: {},
    targets: 'values',
    reduction: 'sum_over_batch_size',
    values: (target, prediction) => tensorFrom(values(target, prediction), 'compile: loss'),
  };
}

/** The shape of a loss's values for one sample: what sample weights may have. Both shapes are without the batch. */
export function entriesOf(loss: Loss, target: Shape, prediction: Shape): Shape {
  return loss.entries?.(target, prediction) ?? (loss.targets === 'indices' ? target : target.slice(0, -1));
}

/**
 * The shape of targets that a loss wants for a prediction, both without the batch; a target whose trailing axis of 1 is missing, or is
 * one too many, is brought to it. Throws SHAPE.
 */
export function targetShape(loss: Loss, target: Shape, prediction: Shape, where: string): Shape {
  const plain = loss.targets === 'indices' ? prediction.slice(0, -1) : prediction;
  const wanted = loss.targetShape?.(prediction, target) ?? plain;
  if (sameShape(target, wanted) || sameShape(target, [...wanted, 1]) || sameShape([...target, 1], wanted))
    return wanted;
  // Indices with an axis of 1 where the prediction has its classes.
  const at = normalAxis(loss.classAxis ?? -1, prediction.length + 1, where) - 1;
  const kept = target.filter((_, i) => i !== at);
  if (loss.targets === 'indices' && target[at] === 1 && sameShape(kept, wanted)) return wanted;
  const open = (shape: Shape) => formatShape([null, ...shape]);
  const sparse =
    loss.targets === 'values' &&
    (sameShape(target, prediction.slice(0, -1)) || sameShape(target, [...prediction.slice(0, -1), 1]));
  const dense = loss.targets === 'indices' && sameShape(target, prediction);
  fail(
    'SHAPE',
    where,
    `targets ${open(wanted)} for predictions ${open(prediction)}`,
    open(target),
    sparse
      ? "For class indices use loss: 'sparseCategoricalCrossentropy'."
      : dense
        ? "For one-hot targets use loss: 'categoricalCrossentropy'."
        : 'Give targets of that shape, or end the model with a layer whose output has the shape of the targets.',
  );
}

/** [B] beside [B, T]: trailing axes of 1 are added. */
function toRank(x: Tensor, rank: number): Tensor {
  return x.rank >= rank ? x : reshape(x, [...x.shape, ...new Array<number>(rank - x.rank).fill(1)]);
}

/**
 * One number of the values. With a mask, the sum over valid entries is divided by their exact number; 0 where none is valid.
 *
 * @param weight [B], or the shape of the values, or null
 * @param mask its axes are the first ones of the values, 0 or 1; or null. Masks of more axes than the values have are not used.
 */
export function reduceLoss(
  values: Tensor,
  weight: Tensor | null,
  mask: Tensor | null,
  reduction: Reduction = 'sum_over_batch_size',
): Tensor {
  const rank = Math.max(values.rank, weight?.rank ?? 0);
  const beside = weight && toRank(weight, rank);
  const weighted = beside ? mul(values, beside) : values;
  const { shape } = weighted;
  const valid = mask && mask.rank <= values.rank ? toRank(mask, rank) : null;
  // Not a product: a masked entry may be infinite, and 0 times infinity is not 0.
  const total = sum(valid ? select(valid, weighted, 0) : weighted);
  if (reduction === 'sum') return total;
  if (reduction === 'mean_with_sample_weight' && (beside || valid)) {
    const counting = beside && valid ? mul(valid, beside) : (beside ?? valid);
    const weights = sum(broadcastTo(counting as Tensor, shape));
    // Weights may be small, so that no bound but zero itself is put under them.
    return select(weights, div(total, select(weights, weights, 1)), 0);
  }
  if (!valid) return mul(total, 1 / Math.max(1, sizeOf(shape)));
  const entries = mul(sum(valid), sizeOf(shape) / Math.max(1, sizeOf(valid.shape)));
  return div(total, maximum(entries, 1));
}

/** The loss of one output as one number: its values, what counts of them, and their reduction. */
export function totalLoss(
  loss: Loss,
  target: Tensor,
  prediction: Tensor,
  weight: Tensor | null,
  call: LossCall = plainCall,
): Tensor {
  const values = loss.values(target, prediction, call);
  const mask = loss.wholeSequences ? null : call.mask;
  const counted = loss.counted?.(target, prediction) ?? null;
  if (!counted || counted.rank === 0) return reduceLoss(values, weight, mask, loss.reduction);
  const both = mask && mask.rank <= counted.rank ? mul(counted, toRank(mask, counted.rank)) : counted;
  return reduceLoss(values, weight, both, loss.reduction);
}
