/**
 * Rows of a table that a list names. The compiler makes these operations after differentiation (`engine/touched-rows.ts`): with them the gradient
 * of a table is kept as the rows that a batch has touched. A list may name a row once; -1 in it names none.
 */
import { fail } from '../core/errors.ts';
import { formatShape, sizeOf } from '../core/shape.ts';
import type { Type } from '../ir/graph.ts';
import { checkId, idFields } from './gather.ts';
import { type Dense, defineOperation } from './op.ts';
import { apply, type Tensor } from './tensor.ts';

const list = (length: number): Type => ({ dtype: 'i32', shape: [length] });

const distinctOperation = defineOperation({
  name: 'distinct',
  infer([ids], attributes) {
    const rows = attributes.rows as number;
    if (ids.dtype !== 'i32' || ids.shape.length < 1 || !(rows >= 1))
      fail(
        'SHAPE',
        'distinct',
        'i32 indices [..., N] and rows from 1 on',
        `${ids.dtype}${formatShape(ids.shape)}, ${rows}`,
      );
    return [list(Math.min(sizeOf(ids.shape), rows)), ids, list(1), list(rows)];
  },
  evaluate([ids], attributes) {
    const rows = attributes.rows as number;
    const table = new Float64Array(rows).fill(-1);
    const found: number[] = [];
    ids.data.forEach((id, r) => {
      checkId('distinct', id, rows, r);
      if (table[id] < 0) table[id] = found.push(id) - 1;
    });
    const names = new Float64Array(Math.min(ids.data.length, rows)).fill(-1);
    names.set(found);
    return [
      { shape: [names.length], data: names },
      { shape: ids.shape, data: ids.data.map((id) => table[id]) },
      { shape: [1], data: Float64Array.of(found.length) },
      { shape: [rows], data: table },
    ];
  },
  lower({ attributes, inputs: [ids], outputs: [names, places, count, table], emit }) {
    const vocabulary = attributes.rows as number;
    emit('DISTINCT', {
      ...idFields(ids),
      vocabulary,
      table: table.at,
      clear: attributes.inverse ? 1 : 0,
      most: names.layout.cols,
      list: names.at,
      places: places.at,
      placesPitch: places.layout.pitch,
      number: count.at,
    });
  },
});

export interface Distinct {
  /** i32 [min(N, rows)]: the indices in the order in which they first stand in the list, then -1. */
  readonly names: Tensor;
  /** Shaped like the indices: the place of each among the names. */
  readonly places: Tensor;
  /** i32 [1]: how many names there are. */
  readonly count: Tensor;
  /** i32 [rows]: the place of each row among the names, -1 where it is not there. Only with `inverse`. */
  readonly table: Tensor;
}

/** ids[...] in 0..rows-1 -> the distinct ones among them. */
export function distinct(ids: Tensor, rows: number, inverse: boolean): Distinct {
  const [names, places, count, table] = apply(distinctOperation, [ids], { rows, inverse });
  return { names, places, count, table };
}

function checkRows(name: string, table: Type, index: Type): void {
  if (table.dtype !== 'f32' || table.shape.length !== 2 || index.dtype !== 'i32' || index.shape.length !== 1)
    fail(
      'SHAPE',
      name,
      'a table f32(V, D) and i32 indices (N)',
      `${table.dtype}${formatShape(table.shape)} and ${index.dtype}${formatShape(index.shape)}`,
    );
}

/** Calls f with the place of every row of the list that is in the table, and with its place in the list. */
function eachRow(table: Dense, index: Dense, f: (to: number, from: number) => void): void {
  const [rows, depth] = table.shape;
  index.data.forEach((i, r) => {
    if (i >= 0 && i < rows) f(i * depth, r * depth);
  });
}

const pickRowsOperation = defineOperation({
  name: 'pickRows',
  infer([table, index]) {
    checkRows('pickRows', table, index);
    return [{ dtype: 'f32', shape: [index.shape[0], table.shape[1]] }];
  },
  evaluate([table, index]) {
    const depth = table.shape[1];
    const data = new Float64Array(index.data.length * depth);
    eachRow(table, index, (at, r) => data.set(table.data.subarray(at, at + depth), r));
    return [{ shape: [index.data.length, depth], data }];
  },
});

/** table[V, D], index[N] -> [N, D]: the named rows, zeros for -1. A load of the chain that reads it. */
export function pickRows(table: Tensor, index: Tensor): Tensor {
  return apply(pickRowsOperation, [table, index])[0];
}

const putRowsOperation = defineOperation({
  name: 'putRows',
  infer([table, index, values]) {
    checkRows('putRows', table, index);
    if (values.dtype !== 'f32' || formatShape(values.shape) !== formatShape([index.shape[0], table.shape[1]]))
      fail(
        'SHAPE',
        'putRows',
        `values ${formatShape([index.shape[0], table.shape[1]])}`,
        `${values.dtype}${formatShape(values.shape)}`,
      );
    return [table];
  },
  evaluate([table, index, values]) {
    const depth = table.shape[1];
    const data = Float64Array.from(table.data);
    eachRow(table, index, (at, r) => data.set(values.data.subarray(r, r + depth), at));
    return [{ shape: table.shape, data }];
  },
});

/**
 * table[V, D], index[N], values[N, D] -> [V, D]: the table with the named rows replaced. A store of the chain that makes the values; what it costs
 * does not depend on V, where the table may be written in place.
 */
export function putRows(table: Tensor, index: Tensor, values: Tensor): Tensor {
  return apply(putRowsOperation, [table, index, values])[0];
}
