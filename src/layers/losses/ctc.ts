/** The loss of connectionist temporal classification: sequences of labels for longer sequences of steps, without an alignment. */
import { fail } from '../../core/errors.ts';
import { formatShape, sizeOf } from '../../core/shape.ts';
import { ctcLoss, runningCount } from '../../ops/ctc.ts';
import { div, greater, less, lessEqual, log, maximum, mul, notEqual, toFloat } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import { reshape, slice } from '../../ops/shape.ts';
import { logSoftmax } from '../../ops/softmax.ts';
import { constant, type Tensor } from '../../ops/tensor.ts';
import { flag, option } from '../options.ts';
import { labelsBelow, normalized } from './classes.ts';
import { defineLoss } from './loss.ts';

const isInteger = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v);

/** 1 for entries that are labels. */
function labelsOf(names: Tensor, padding: number, blank: number): Tensor {
  const given = notEqual(names, padding);
  const certain = mul(given, notEqual(names, blank));
  const begun = mul(given, greater(runningCount(certain), 0));
  return mul(begun, lessEqual(runningCount(begun), sum(certain, { axes: [1], keepDims: true })));
}

/** 1 for the first `counts` places of each row. */
function firstOf(counts: Tensor, places: number): Tensor {
  const index = Float64Array.from({ length: places }, (_, i) => i);
  return less(constant(counts.graph, index, [1, places]), counts);
}

/**
 * -log of the probability of the labels of a row under all alignments with its steps. Predictions (B, T, C) are logits, targets (B, N) class
 * indices; N has nothing to do with T. One value per row.
 *
 * - Label lengths: `padding` is left out wherever it stands, and blanks before the first label and after the last one too. (Blanks have no
 *   place between labels. As in Keras, a row then has as many labels as entries other than blanks, from the first of those on.)
 * - Input lengths: steps that are masked (by a layer, or by the `mask` of `fit`) are left out, wherever they stand. Keras uses them all.
 * - With `lengthsInTargets`, a row of the targets is [number of steps, number of labels, labels ...], and both count from the start.
 *
 * Where the labels are too many for the steps (repeated ones need a blank between), the loss is infinite and stops the training; with
 * `zeroInfinity` such rows have the loss 0 and no gradient. Graves et al., "Connectionist temporal classification" (2006). Keras: CTC with
 * the defaults. PyTorch: CTCLoss, whose reduction `mean` is `perLabel` here.
 *
 * @example
 * // 26 letters and the blank 0; rows of labels padded by -1
 * model.compile({ loss: losses.ctc({ zeroInfinity: true }) });
 */
export const ctc = defineLoss({
  className: 'CTC',
  targets: 'indices',
  wholeSequences: true,
  options: {
    /** Which class is the blank. Negative ones count from the end. Default 0. */
    blank: { ...option<number>('a whole number', isInteger, 0), beyond: true },
    /** What fills rows of labels, beside the blank. Default -1. */
    padding: { ...option<number>('a whole number', isInteger, -1), beyond: true },
    /** Infinite losses become 0, without a gradient. Default false. */
    zeroInfinity: { ...flag(false), beyond: true },
    /** The predictions are logits; false: probabilities. Default true. */
    fromLogits: { ...flag(true), beyond: true },
    /** The value of a row is divided by the number of its labels (by 1 where there are none). Default false. */
    perLabel: { ...flag(false), beyond: true },
    /** Targets begin with the number of steps and the number of labels. Default false. */
    lengthsInTargets: { ...flag(false), beyond: true },
  },
  targetShape({ lengthsInTargets }, prediction, target) {
    if (prediction.length !== 2)
      fail('SHAPE', 'losses.CTC', 'predictions (batch, time, classes)', formatShape([null, ...prediction]));
    const least = lengthsInTargets ? 3 : 1;
    if (target.length > 2 || (target.length === 2 && target[1] !== 1) || sizeOf(target) < least)
      fail(
        'SHAPE',
        'losses.CTC',
        lengthsInTargets ? 'targets (batch, 2 + labels)' : 'targets (batch, labels), at least one label',
        formatShape([null, ...target]),
        'Pad rows of fewer labels with -1.',
      );
    return [sizeOf(target)];
  },
  entries: () => [],
  labels({ padding, lengthsInTargets }, [length, classes]) {
    const plain = labelsBelow(classes, padding);
    if (!lengthsInTargets) return plain;
    return {
      expected: `the number of steps, the number of labels, and then ${plain.expected}`,
      test: (value, place) => (place > 1 ? plain.test(value, place) : value >= 0 && (place === 1 || value <= length)),
    };
  },
  values(config, target, prediction, { mask }) {
    const [rows, length, classes] = prediction.shape;
    const blank = config.blank < 0 ? config.blank + classes : config.blank;
    const labels = config.lengthsInTargets ? slice(target, [0, 2], [rows, target.shape[1] - 2]) : target;
    const names = toFloat(labels);
    let labelMask = labelsOf(names, config.padding, blank);
    let steps = mask;
    if (config.lengthsInTargets) {
      const counts = toFloat(target);
      labelMask = firstOf(slice(counts, [0, 1], [rows, 1]), labels.shape[1]);
      const given = firstOf(slice(counts, [0, 0], [rows, 1]), length);
      steps = mask ? mul(mask, given) : given;
    }
    const logProbabilities = config.fromLogits ? logSoftmax(prediction) : log(normalized(prediction));
    const values = ctcLoss(logProbabilities, labels, {
      blank,
      labelMask,
      mask: steps,
      zeroInfinity: config.zeroInfinity,
    });
    if (!config.perLabel) return values;
    return div(values, maximum(reshape(sum(labelMask, { axes: [1] }), [rows]), 1));
  },
});
