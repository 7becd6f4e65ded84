/** Every loss by its factory, and the loss that a name stands for. */
import type { Shape } from '../../core/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { describedOf } from '../described.ts';
import { circle } from './circle.ts';
import {
  binaryCrossentropy,
  binaryFocalCrossentropy,
  categoricalCrossentropy,
  categoricalFocalCrossentropy,
  categoricalGeneralizedCrossEntropy,
  categoricalHinge,
  hinge,
  klDivergence,
  sparseCategoricalCrossentropy,
  squaredHinge,
} from './classification.ts';
import { crf } from './crf.ts';
import { ctc } from './ctc.ts';
import { gaussianLikelihood, studentTLikelihood } from './likelihood.ts';
import { functionLoss, type Loss } from './loss.ts';
import { dice, tversky } from './overlap.ts';
import {
  cosineSimilarity,
  huber,
  logCosh,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredError,
  meanSquaredLogarithmicError,
  poisson,
  quantile,
} from './regression.ts';
import { sampledSoftmax } from './sampled-softmax.ts';

/**
 * Every loss by its factory. Those without options are also given by their names, such as `loss: 'mse'`.
 *
 * Predictions are (B, ..., C), targets of the same shape or, for class indices, (B, ...); a trailing axis of 1 may be missing or one too many.
 * A loss gives one value for each entry, (B) or (B, T), in the unit of its formula (crossentropies in nats). Sample weights are (B) or of the
 * shape of the values; a mask (B, T) leaves steps out; `reduction` (default `sum_over_batch_size`) makes one number of them.
 *
 * Errors: ARGUMENT for options, SHAPE and DATA, when the model is trained, for targets that do not fit and labels out of range.
 *
 * Source: Keras 3, `keras/src/losses`, where a loss does not name another.
 *
 * @example model.compile({ optimizer: 'adam', loss: losses.binaryCrossentropy({ fromLogits: true }) });
 */
export const losses = {
  binaryCrossentropy,
  categoricalCrossentropy,
  sparseCategoricalCrossentropy,
  binaryFocalCrossentropy,
  categoricalFocalCrossentropy,
  categoricalGeneralizedCrossEntropy,
  hinge,
  squaredHinge,
  categoricalHinge,
  klDivergence,
  meanSquaredError,
  meanAbsoluteError,
  meanAbsolutePercentageError,
  meanSquaredLogarithmicError,
  logCosh,
  huber,
  poisson,
  cosineSimilarity,
  quantile,
  gaussianLikelihood,
  studentTLikelihood,
  dice,
  tversky,
  circle,
  ctc,
  crf,
  sampledSoftmax,
};

/** Keras's short names, of all generations, and some of our own. */
const aliases = {
  mse: 'meanSquaredError',
  mae: 'meanAbsoluteError',
  mape: 'meanAbsolutePercentageError',
  msle: 'meanSquaredLogarithmicError',
  bce: 'binaryCrossentropy',
  cce: 'categoricalCrossentropy',
  scce: 'sparseCategoricalCrossentropy',
  kld: 'klDivergence',
  kullbackleiblerdivergence: 'klDivergence',
  huberloss: 'huber',
  cosineproximity: 'cosineSimilarity',
  pinball: 'quantile',
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
  if (typeof value === 'function') return functionLoss(value as Loss['values']);
  if (value === 'crossentropy' || value === 'ce') {
    const { binary, sparse } = kindOfLabels(target ?? (prediction.slice(1) as number[]), prediction);
    if (binary) return losses.binaryCrossentropy();
    return sparse ? losses.sparseCategoricalCrossentropy() : losses.categoricalCrossentropy();
  }
  return describedOf<Loss>(value, losses, aliases, 'a loss', 'compile: loss');
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
