/**
 * Connectionist temporal classification: the probability of a sequence of labels under all of its alignments with a longer sequence of
 * steps. A scan over the steps in log space, so that its derivative is the compiler's.
 *
 * Graves, Fernández, Gomez and Schmidhuber, "Connectionist temporal classification" (2006), section 4.1. With the labels l1 .. lN, the states
 * are blank l1 blank l2 ... blank; a step stays, goes on by one, or goes on by two where that leaves out a blank between different labels.
 */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { gather, scatterAdd } from './gather.ts';
import { add, equal, exp, greater, log, maximum, mul, notEqual, select, sub, toFloat, toInt } from './pointwise.ts';
import { max, sum } from './reduce.ts';
import { scan } from './scan.ts';
import { broadcastTo, concat, pad, reshape, slice, stopGradient, transpose, zeros } from './shape.ts';
import { constant, type Tensor } from './tensor.ts';

export interface CtcOptions {
  /** Which class is the blank. Default 0. */
  readonly blank?: number;
  /** [B, N], 0 or 1: which labels there are; the others are left out, wherever they stand. Default: all. */
  readonly labelMask?: Tensor | null;
  /** [B, T], 0 or 1: which steps there are; the others are left out, wherever they stand. Default: all. */
  readonly mask?: Tensor | null;
  /** What the loss is, without a gradient, where no alignment is possible: 0, or infinite. Default false: infinite. */
  readonly zeroInfinity?: boolean;
}

/** The logarithm of zero: finite, so that the difference of two is not NaN, and sums of thousands stay within float32. */
const never = -1e30;

/** Columns moved to the back; zeros come in at the front. */
const shifted = (x: Tensor, by: number): Tensor =>
  pad(slice(x, [0, 0], [x.shape[0], x.shape[1] - by]), [0, by], [0, 0]);

/** Of 0 and 1 [B, N]: how many ones there are up to each place, itself included. */
export function runningCount(x: Tensor): Tensor {
  let total = x;
  // After a turn, each place holds the sum of twice as many before it.
  for (let by = 1; by < x.shape[1]; by *= 2) total = add(total, shifted(total, by));
  return total;
}

/** The labels that there are, in order from the first place on; zeros follow. [B, N], [B, N] -> [B, N] floats. */
function compacted(labels: Tensor, valid: Tensor): Tensor {
  const { graph } = labels;
  const [rows, count] = labels.shape;
  const place = sub(runningCount(valid), 1);
  const start = constant(
    graph,
    Float64Array.from({ length: rows }, (_, b) => b * count),
    [rows, 1],
  );
  // What is no label goes to one more row that nobody reads.
  const target = toInt(select(valid, add(place, start), rows * count));
  const values = reshape(mul(labels, valid), [rows, count, 1]);
  return reshape(slice(scatterAdd(target, values, rows * count + 1), [0, 0], [rows * count, 1]), [rows, count]);
}

/** a, b [B, N] -> a1 b1 a2 b2 ... [B, 2 N] */
function interleaved(a: Tensor, b: Tensor): Tensor {
  const [rows, count] = a.shape;
  const column = (x: Tensor) => reshape(x, [rows, count, 1]);
  return reshape(concat([column(a), column(b)], -1), [rows, 2 * count]);
}

/**
 * -log of the probability of labels, one per row: [B].
 *
 * @param logProbabilities [B, T, C], log of probabilities that add up to 1 over the classes (`logSoftmax`)
 * @param labels i32 [B, N], N at least 1; where `labelMask` is 0, any class
 * @example ctcLoss(logSoftmax(scores), labels, { blank: 0 })
 */
export function ctcLoss(logProbabilities: Tensor, labels: Tensor, options: CtcOptions = {}): Tensor {
  const { blank = 0, labelMask = null, mask = null, zeroInfinity = false } = options;
  const { graph } = logProbabilities;
  const fits = logProbabilities.rank === 3 && labels.rank === 2 && labels.shape[0] === logProbabilities.shape[0];
  if (!fits || !labels.shape[1])
    fail(
      'SHAPE',
      'ctcLoss',
      'log probabilities (batch, time, classes) and labels (batch, at least one)',
      `${formatShape(logProbabilities.shape)} and ${formatShape(labels.shape)}`,
    );
  const [rows, length, classes] = logProbabilities.shape;
  const count = labels.shape[1];
  if (!Number.isInteger(blank) || blank < 0 || blank >= classes)
    fail('ARGUMENT', 'ctcLoss: blank', `a class from 0 to ${classes - 1}`, String(blank));
  const states = 2 * count + 1;
  const ones = (shape: readonly number[]) => broadcastTo(constant(graph, 1), shape);
  const valid = labelMask ?? ones([rows, count]);
  const present = compacted(toFloat(labels), valid);

  // The class of every state, and the places from which two states back may be reached.
  const blanks = mul(ones([rows, count]), blank);
  const symbols = concat([interleaved(blanks, present), mul(ones([rows, 1]), blank)], -1);
  const fresh = mul(notEqual(present, shifted(present, 1)), secondOn(graph, count));
  const skips = concat([interleaved(zeros(graph, [rows, count]), fresh), zeros(graph, [rows, 1])], -1);

  // log p of every state at every step: rows of a table of all classes of all samples.
  const table = reshape(transpose(logProbabilities, [0, 2, 1]), [rows * classes, length]);
  const offset = Float64Array.from({ length: rows }, (_, b) => b * classes);
  const ids = toInt(add(symbols, constant(graph, offset, [rows, 1])));
  const emitted = maximum(transpose(gather(table, ids), [2, 0, 1]), never);
  const steps = transpose(mask ?? ones([rows, length]), [1, 0]);

  const first = Float64Array.from({ length: states }, (_, s) => (s ? never : 0));
  const init = broadcastTo(constant(graph, first, [1, states]), [rows, states]);
  const border = constant(
    graph,
    Float64Array.from({ length: states }, (_, s) => (s ? 0 : never)),
    [1, states],
  );
  const { carry } = scan(
    { init: [init], sequences: [emitted, reshape(steps, [length, rows, 1])], constants: [skips, border], length },
    ([alpha], [now, here], [may, edge]) => {
      const one = add(shifted(alpha, 1), edge);
      const two = select(may, shifted(alpha, 2), never);
      const top = stopGradient(maximum(maximum(alpha, one), two));
      const total = add(add(exp(sub(alpha, top)), exp(sub(one, top))), exp(sub(two, top)));
      return { carry: [select(here, add(add(top, log(total)), now), alpha)], outputs: [] };
    },
  );

  // The last label, or the blank after it.
  const ends = mul(sum(valid, { axes: [1], keepDims: true }), 2);
  const index = constant(
    graph,
    Float64Array.from({ length: states }, (_, s) => s),
    [1, states],
  );
  const final = select(maximum(equal(index, ends), equal(index, sub(ends, 1))), carry[0], never);
  const top = stopGradient(max(final, { axes: [1], keepDims: true }));
  const total = add(reshape(top, [rows]), log(sum(exp(sub(final, top)), { axes: [1] })));
  return select(greater(total, never / 2), sub(0, total), zeroInfinity ? 0 : Number.POSITIVE_INFINITY);
}

/** [1, N]: 0 for the first label, 1 for all others. */
const secondOn = (graph: Tensor['graph'], count: number): Tensor =>
  constant(
    graph,
    Float64Array.from({ length: count }, (_, k) => (k ? 1 : 0)),
    [1, count],
  );
