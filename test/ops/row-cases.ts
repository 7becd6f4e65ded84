/** Cases of the operations on rows of a table by a list of them. */
import { mul, square, sub } from '../../src/ops/pointwise.ts';
import { distinct, pickRows, putRows } from '../../src/ops/rows.ts';
import { concat } from '../../src/ops/shape.ts';
import { constant, type Tensor } from '../../src/ops/tensor.ts';
import { type Case, entry, f, ids, still } from './case.ts';

const list = (like: Tensor, rows: readonly number[]) => constant(like.graph, rows, [rows.length], 'i32');

/** The rows of a table that a batch names, squared where they stand. */
const squared = (table: Tensor, x: Tensor) => {
  const { names } = distinct(x, table.shape[0], false);
  return putRows(table, names, square(pickRows(table, names)));
};

export const rowCases: readonly Case[] = [
  ...(
    [
      ['a sequence', 11, [3, 5]],
      ['one index', 7, [1]],
      ['more indices than rows', 5, [4, 19]],
      ['one row', 1, [3]],
      ['a column', 9, [6, 1]],
    ] as const
  ).map(([name, rows, shape]) =>
    entry('distinct', name, [ids(rows, ...shape)], ([x]) => Object.values(distinct(x, rows, true)), still),
  ),
  entry('distinct', 'no index', [ids(5, 2, 0)], ([x]) => Object.values(distinct(x, 5, true)), still),
  entry(
    'pickRows',
    'with holes, some twice',
    [f(7, 17)],
    ([table]) => pickRows(table, list(table, [3, -1, 0, 6, 3, -1])),
    still,
  ),
  entry(
    'pickRows',
    'of a table of the same shape',
    [f(3, 5)],
    ([x]) => mul(x, pickRows(x, list(x, [2, -1, 0]))),
    still,
  ),
  entry('pickRows', 'one row', [f(4, 2)], ([table]) => pickRows(table, list(table, [1])), still),
  entry(
    'putRows',
    'with holes',
    [f(9, 20), f(4, 20)],
    ([table, x]) => putRows(table, list(table, [8, -1, 2, 0]), x),
    still,
  ),
  entry(
    'putRows',
    'two tables by one list, one of them from the other',
    [f(9, 33), f(9, 33), f(3, 33)],
    ([a, b, x]) => {
      const names = list(a, [7, 1, -1]);
      const row = sub(pickRows(a, names), x);
      return [putRows(a, names, row), putRows(b, names, mul(row, pickRows(b, names)))];
    },
    still,
  ),
  entry('putRows', 'the distinct rows of a batch', [f(9, 18), ids(9, 2, 3)], ([table, x]) => squared(table, x), still),
  entry(
    'putRows',
    'a table that is read again, and one that another operation reads',
    [f(9, 18), ids(9, 4)],
    ([table, x]) => {
      const next = squared(table, x);
      return [concat([next, table], 1), sub(next, table), squared(next, x)];
    },
    still,
  ),
];
