/** Rows of a table by index: looking them up, adding into them, and writing an index as a row. Indices are i32. */
import { fail } from '../core/errors.ts';
import { formatShape, sameShape, sizeOf } from '../core/shape.ts';
import { LANES } from '../ir/kernels.ts';
import { type Operand, roundUp } from '../ir/lower.ts';
import { defineOperation } from './op.ts';
import { apply, type Tensor } from './tensor.ts';

/** Where the indices stand, as GATHER and its like read them. */
export function idFields({ layout, at }: Operand) {
  return { rows: layout.rows * layout.cols, ids: at, inner: Math.max(1, layout.cols), idsPitch: layout.pitch };
}

export function checkId(where: string, id: number, rows: number, at: number): void {
  if (!(id >= 0 && id < rows)) fail('DATA', where, `indices in 0..${rows - 1}`, `${id} at position ${at}`);
}

const gatherOperation = defineOperation({
  name: 'gather',
  infer([table, ids]) {
    if (table.dtype !== 'f32' || table.shape.length !== 2 || ids.dtype !== 'i32')
      fail(
        'SHAPE',
        'gather',
        'a table f32(V, D) and i32 indices',
        `${table.dtype}${formatShape(table.shape)} and ${ids.dtype}${formatShape(ids.shape)}`,
      );
    return [{ dtype: 'f32', shape: [...ids.shape, table.shape[1]] }];
  },
  evaluate([table, ids]) {
    const [rows, depth] = table.shape;
    const data = new Float64Array(ids.data.length * depth);
    ids.data.forEach((id, r) => {
      checkId('gather', id, rows, r);
      data.set(table.data.subarray(id * depth, (id + 1) * depth), r * depth);
    });
    return [{ shape: [...ids.shape, depth], data }];
  },
  vjp: ({ inputs: [table, ids], needed }, [d]) => [d && needed[0] ? scatterAdd(ids, d, table.shape[0]) : null, null],
  lower({ inputs: [table, ids], outputs: [y], emit }) {
    emit('GATHER', {
      ...idFields(ids),
      table: table.at,
      tablePitch: table.layout.pitch,
      vocabulary: table.type.shape[0],
      blocks: roundUp(y.layout.cols) / LANES,
      dst: y.at,
      dstPitch: y.layout.pitch,
    });
  },
});

/** table[V, D], ids[...] -> [..., D]: the rows of the table that the indices name. An index outside the table is an error. */
export function gather(table: Tensor, ids: Tensor): Tensor {
  return apply(gatherOperation, [table, ids])[0];
}

const scatterAddOperation = defineOperation({
  name: 'scatterAdd',
  infer([ids, values], attributes) {
    const rows = attributes.rows as number;
    const agree = values.shape.length === ids.shape.length + 1 && sameShape(values.shape.slice(0, -1), ids.shape);
    if (ids.dtype !== 'i32' || values.dtype !== 'f32' || !agree)
      fail(
        'SHAPE',
        'scatterAdd',
        'i32 indices [...] and f32 values [..., D]',
        `${ids.dtype}${formatShape(ids.shape)} and ${values.dtype}${formatShape(values.shape)}`,
      );
    return [{ dtype: 'f32', shape: [rows, values.shape[values.shape.length - 1]] }];
  },
  evaluate([ids, values], attributes) {
    const rows = attributes.rows as number;
    const depth = values.shape[values.shape.length - 1];
    const data = new Float64Array(rows * depth);
    ids.data.forEach((id, r) => {
      checkId('scatterAdd', id, rows, r);
      for (let c = 0; c < depth; c++) data[id * depth + c] += values.data[r * depth + c];
    });
    return [{ shape: [rows, depth], data }];
  },
  vjp: ({ inputs: [ids], needed }, [d]) => [null, d && needed[1] ? gather(d, ids) : null],
  lower({ attributes, inputs: [ids, values], outputs: [y], emit }) {
    emit('SCATTER_ADD', {
      ...idFields(ids),
      src: values.at,
      srcPitch: values.layout.pitch,
      vocabulary: attributes.rows as number,
      blocks: y.layout.cols === 1 ? 0 : roundUp(y.layout.cols) / LANES,
      dst: y.at,
      dstPitch: y.layout.pitch,
    });
  },
});

/** ids[...], values[..., D] -> [rows, D]: zeros, to whose rows the values are added in order. */
export function scatterAdd(ids: Tensor, values: Tensor, rows: number): Tensor {
  return apply(scatterAddOperation, [ids, values], { rows })[0];
}

const oneHotOperation = defineOperation({
  name: 'oneHot',
  infer([ids], attributes) {
    const depth = attributes.depth as number;
    if (ids.dtype !== 'i32' || !Number.isInteger(depth) || depth < 0)
      fail(
        'ARGUMENT',
        'oneHot',
        'i32 indices and a depth from 0 on',
        `${ids.dtype}${formatShape(ids.shape)} and ${depth}`,
      );
    return [{ dtype: 'f32', shape: [...ids.shape, depth] }];
  },
  evaluate([ids], attributes) {
    const depth = attributes.depth as number;
    const data = new Float64Array(sizeOf(ids.shape) * depth);
    ids.data.forEach((id, r) => {
      if (id >= 0 && id < depth) data[r * depth + id] = 1;
    });
    return [{ shape: [...ids.shape, depth], data }];
  },
  lower({ attributes, inputs: [ids], outputs: [y], emit }) {
    const blocks = roundUp(y.layout.cols) / LANES;
    emit('ONE_HOT', {
      ...idFields(ids),
      depth: attributes.depth as number,
      blocks,
      dst: y.at,
      dstPitch: y.layout.pitch,
    });
  },
});

/** ids[...] -> [..., depth]: 1 at the index, else 0; an index out of range gives a row of zeros. */
export function oneHot(ids: Tensor, depth: number): Tensor {
  return apply(oneHotOperation, [ids], { depth })[0];
}
