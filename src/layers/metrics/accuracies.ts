/** Shares of entries that are right. Source: `keras/src/metrics/accuracy_metrics.py`. */
import { oneHot } from '../../ops/gather.ts';
import { equal, greater, less, lessEqual, select, toFloat, toInt } from '../../ops/pointwise.ts';
import { argmax, max, sum } from '../../ops/reduce.ts';
import { expandDims, slice } from '../../ops/shape.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { finiteNumber, flag, option } from '../options.ts';
import { meanOf } from './entries.ts';

const sameIndex = (a: Tensor, b: Tensor) => equal(toFloat(a), toFloat(b));

/** Whether fewer than k predictions are above that of the class at `index`; one that is not a number stands below all. */
function inTop(index: Tensor, p: Tensor, k: number): Tensor {
  const at = oneHot(toInt(index), p.shape[p.rank - 1]);
  const found = max(select(at, p, Number.NEGATIVE_INFINITY), { axes: [-1], keepDims: true });
  const own = select(equal(found, found), found, Number.NEGATIVE_INFINITY);
  return less(sum(greater(p, own), { axes: [-1] }), k);
}

/** Whether the index is among the first k entries, which are indices by falling score. */
function amongFirst(index: Tensor, sorted: Tensor, k: number): Tensor {
  const columns = Math.min(k, sorted.shape[sorted.rank - 1]);
  const first = slice(sorted, new Array<number>(sorted.rank).fill(0), [...sorted.shape.slice(0, -1), columns]);
  return lessEqual(1, sum(equal(first, expandDims(toFloat(index), index.rank)), { axes: [-1] }));
}

export const topCount = () =>
  option<number>('a positive integer', (v) => typeof v === 'number' && Number.isInteger(v) && v > 0, 5);

export const accuracies = {
  /** Share of values that equal their target. */
  accuracy: meanOf('Accuracy', 'values', {}, (_config, y, p) => equal(y, p)),
  /** Share of values on the right side of `threshold` (default 0.5). */
  binaryAccuracy: meanOf('BinaryAccuracy', 'values', { threshold: finiteNumber(0.5) }, ({ threshold }, y, p) =>
    equal(y, less(threshold, p)),
  ),
  /** Share of entries whose largest prediction is at the largest target. */
  categoricalAccuracy: meanOf('CategoricalAccuracy', 'values', {}, (_config, y, p) => sameIndex(argmax(y), argmax(p))),
  /** Share of entries whose largest prediction is at the target's index. */
  sparseCategoricalAccuracy: meanOf('SparseCategoricalAccuracy', 'indices', {}, (_config, y, p) =>
    sameIndex(y, argmax(p)),
  ),
  /** Share of entries whose class has one of the `k` (default 5) largest predictions; equal predictions count as one rank. */
  topKCategoricalAccuracy: meanOf('TopKCategoricalAccuracy', 'values', { k: topCount() }, ({ k }, y, p) =>
    inTop(argmax(y), p, k),
  ),
  /**
   * The same for targets that are indices. With `fromSortedIds` the predictions are class indices by falling score, and the first k are
   * looked at.
   */
  sparseTopKCategoricalAccuracy: meanOf(
    'SparseTopKCategoricalAccuracy',
    'indices',
    { k: topCount(), fromSortedIds: flag(false) },
    ({ k, fromSortedIds }, y, p) => (fromSortedIds ? amongFirst(y, p, k) : inTop(y, p, k)),
  ),
};
