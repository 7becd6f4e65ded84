/**
 * True and false positives and negatives at thresholds. A step does not count them for every threshold: it finds how many thresholds lie
 * below each prediction and adds the entry's weight to that bucket, one for positive and one for negative labels. Out of the buckets come
 * all four counts of all thresholds, on the host.
 *
 * A prediction is positive where it is above the threshold; a label is positive where it is not 0.
 * Source: `keras/src/metrics/metrics_utils.py`, `update_confusion_matrix_variables`.
 */
import { fail } from '../../core/errors.ts';
import { formatShape, sizeOf } from '../../core/shape.ts';
import { oneHot, scatterAdd } from '../../ops/gather.ts';
import {
  add,
  floor,
  greater,
  less,
  maximum,
  mul,
  neg,
  notEqual,
  oneMinus,
  select,
  toInt,
} from '../../ops/pointwise.ts';
import { argmax, sum } from '../../ops/reduce.ts';
import { concat, expandDims, reshape, slice, zeros } from '../../ops/shape.ts';
import { constant, type Tensor } from '../../ops/tensor.ts';
import { option } from '../options.ts';
import { entryWeights } from './entries.ts';
import { type Given, ratio, type Totals } from './metric.ts';

/** Thresholds in ascending order, and where each of those that were given stands among them. */
export interface Thresholds {
  readonly ascending: readonly number[];
  readonly places: readonly number[];
  /** They divide the range from 0 to 1 into equal parts, so a prediction's bucket is computed instead of searched. */
  readonly even: boolean;
  /** The first lies just below 0 and the last just above 1, so that every prediction is above the first and none above the last. */
  readonly open: boolean;
}

/** NumPy's allclose with Keras's tolerance. */
function evenlySpaced(values: readonly number[]): boolean {
  const parts = values.length - 1;
  return parts >= 2 && values.every((v, i) => Math.abs(v - i / parts) <= 1e-7 + 1e-5 * (i / parts));
}

export function thresholdsOf(given: readonly number[]): Thresholds {
  const order = given.map((_, i) => i).sort((a, b) => given[a] - given[b]);
  const places = new Array<number>(given.length);
  order.forEach((from, at) => {
    places[from] = at;
  });
  return { ascending: order.map((i) => given[i]), places, even: evenlySpaced(given), open: false };
}

/** `count` thresholds from 0 to 1 in equal steps. */
export function evenThresholds(count: number): number[] {
  return count === 1 ? [0.5] : Array.from({ length: count }, (_, i) => i / (count - 1));
}

/** Thresholds within (0, 1), with one just below 0 and one just above 1 around them, as AUC has them. */
export function openThresholds(inner: readonly number[]): Thresholds {
  const sorted = [...inner].sort((a, b) => a - b);
  const ascending = [-1e-7, ...sorted, 1 + 1e-7];
  return { ascending, places: ascending.map((_, i) => i), even: evenlySpaced([0, ...sorted, 1]), open: true };
}

const inRange = (v: unknown) => typeof v === 'number' && v >= 0 && v <= 1;

/** The option `thresholds`: one number or several. */
export const thresholdOption = () =>
  option<number | readonly number[] | null>(
    'a number from 0 to 1, a list of such numbers, or null',
    (v) => v === null || inRange(v) || (Array.isArray(v) && v.length > 0 && v.every(inRange)),
    null,
  );

/** The option `topK`. */
export const topKOption = () =>
  option<number | null>(
    'a positive integer, or null',
    (v) => v === null || (typeof v === 'number' && Number.isInteger(v) && v > 0),
    null,
  );

/** The option `classId`. */
export const classOption = () =>
  option<number | null>(
    'the index of a class, or null for all',
    (v) => v === null || (typeof v === 'number' && Number.isInteger(v) && v >= 0),
    null,
  );

export interface OutcomeOptions {
  /** Only the so many largest predictions of an entry may be positive. */
  readonly topK?: number | null;
  /** Only this class is looked at. */
  readonly classId?: number | null;
  /** Counts of their own for every label (the last axis). */
  readonly multiLabel?: boolean;
  /** A weight for each label. */
  readonly labelWeights?: readonly number[] | null;
}

/** 1 at the k largest of the last axis, the first of equals before the later ones. */
function largest(p: Tensor, k: number): Tensor {
  const classes = p.shape[p.rank - 1];
  let chosen = zeros(p.graph, p.shape);
  for (let i = 0; i < Math.min(k, classes); i++)
    chosen = add(chosen, oneHot(argmax(select(chosen, Number.NEGATIVE_INFINITY, p)), classes));
  return chosen;
}

/** How many thresholds lie below each prediction. */
function thresholdsBelow(p: Tensor, { ascending, even, open }: Thresholds): Tensor {
  if (ascending.length === 1) return greater(p, ascending[0]);
  if (even) {
    // Comparisons, so that what is not a number is 0 too.
    const within = select(less(0, p), select(less(p, 1), p, 1), 0);
    const above = neg(floor(neg(mul(within, ascending.length - 1))));
    return open ? maximum(above, 1) : above;
  }
  return sum(greater(expandDims(p, p.rank), constant(p.graph, ascending, [ascending.length])), { axes: [-1] });
}

/** Takes the one class; the axis stays. */
function takeClass(x: Tensor, classId: number): Tensor {
  const last = x.rank - 1;
  if (x.rank < 2 || classId >= x.shape[last])
    fail(
      'SHAPE',
      'compile: metrics: classId',
      `predictions (.., C) with more than ${classId} classes`,
      formatShape(x.shape),
    );
  return slice(
    x,
    x.shape.map((_, i) => (i === last ? classId : 0)),
    [...x.shape.slice(0, last), 1],
  );
}

/** `buckets`: (labels, thresholds + 1, 2) as one vector; the last axis is the weight of positive labels and of negative ones. */
export function countOutcomes(
  target: Tensor,
  prediction: Tensor,
  given: Given,
  thresholds: Thresholds,
  { topK = null, classId = null, multiLabel = false, labelWeights = null }: OutcomeOptions = {},
): Record<string, Tensor> {
  const count = thresholds.ascending.length;
  const chosen = topK === null ? null : largest(prediction, topK);
  const one = (x: Tensor) => (classId === null ? x : takeClass(x, classId));
  const p = one(prediction);
  const found = thresholdsBelow(p, thresholds);
  const below = chosen ? select(one(chosen), found, 0) : found;
  const positive = notEqual(one(target), 0);
  const labels = labelWeights && constant(p.graph, labelWeights, [labelWeights.length]);
  const own = entryWeights(p.shape, given);
  const weights = own && labels ? mul(own, labels) : (own ?? labels);
  const parts = [positive, oneMinus(positive)].map((x) => (weights ? mul(x, weights) : x));
  if (count === 1 && !multiLabel) {
    const sums = [oneMinus(below), below].flatMap((side) => parts.map((part) => sum(mul(part, side))));
    return {
      buckets: concat(
        sums.map((s) => reshape(s, [1])),
        0,
      ),
    };
  }
  const classes = multiLabel ? p.shape[p.rank - 1] : 1;
  const offsets = constant(
    p.graph,
    Float64Array.from({ length: classes }, (_, i) => i * (count + 1)),
    [classes],
  );
  const rows = multiLabel ? add(below, offsets) : below;
  const size = sizeOf(p.shape);
  const pairs = concat(
    parts.map((part) => reshape(part, [size, 1])),
    1,
  );
  const table = scatterAdd(reshape(toInt(rows), [size]), pairs, classes * (count + 1));
  return { buckets: reshape(table, [classes * (count + 1) * 2]) };
}

/** One number for each threshold. */
export interface Outcomes {
  readonly truePositives: number[];
  readonly falsePositives: number[];
  readonly trueNegatives: number[];
  readonly falseNegatives: number[];
}

/** The counts of one label, in the order in which the thresholds were given. */
export function outcomesOf({ buckets }: Totals, { places }: Thresholds, label = 0): Outcomes {
  const count = places.length;
  const start = label * (count + 1) * 2;
  // Sums from either end: no differences, so what is nothing is exactly 0.
  const sums = (side: number) => {
    const upTo = new Float64Array(count + 1);
    const above = new Float64Array(count + 1);
    for (let k = 0; k < count; k++) upTo[k + 1] = upTo[k] + buckets[start + 2 * k + side];
    for (let k = count; k > 0; k--) above[k - 1] = above[k] + buckets[start + 2 * k + side];
    return { above: places.map((place) => above[place]), upTo: places.map((place) => upTo[place + 1]) };
  };
  const positive = sums(0);
  const negative = sums(1);
  return {
    truePositives: positive.above,
    falsePositives: negative.above,
    trueNegatives: negative.upTo,
    falseNegatives: positive.upTo,
  };
}

/** a / (a + b) for every threshold, 0 where both are 0. */
export const shares = (a: readonly number[], b: readonly number[]): number[] => a.map((x, i) => ratio(x, x + b[i]));
