/** Operands that do not fit: the message names the operation, what it wants and both shapes. */
import { describe, expect, it } from 'vitest';
import { UnrolledError } from '../../src/core/errors.ts';
import { evaluateGraph } from '../../src/engine/oracle.ts';
import { type DType, Graph, type Value } from '../../src/ir/graph.ts';
import { gather, oneHot, scatterAdd } from '../../src/ops/gather.ts';
import { matmul, matmulNT, matmulTN } from '../../src/ops/matmul.ts';
import { type Dense, defineOperation, operationOf } from '../../src/ops/op.ts';
import { add, exp, toFloat } from '../../src/ops/pointwise.ts';
import { uniform } from '../../src/ops/random.ts';
import { argmax, sum } from '../../src/ops/reduce.ts';
import { broadcastTo, concat, pad, reshape, reverse, slice, split, squeeze, transpose } from '../../src/ops/shape.ts';
import { Tensor } from '../../src/ops/tensor.ts';

const graph = new Graph('errors');
const f = (...shape: number[]) => new Tensor(graph, graph.input('x', { dtype: 'f32', shape }));
const ids = (...shape: number[]) => new Tensor(graph, graph.input('ids', { dtype: 'i32' as DType, shape }));

describe('operands that do not fit', () => {
  it.each<[string, () => unknown, string]>([
    ['SHAPE', () => add(f(2, 3), f(4)), 'add: expected shapes that broadcast together, received (2, 3) and (4,)'],
    [
      'ARGUMENT',
      () => exp(ids(3)),
      'exp: expected f32 operands, received i32(3,) as operand 0. Convert it with toFloat(x).',
    ],
    [
      'ARGUMENT',
      () => add(1 as unknown as Tensor, 2),
      'add: expected at least one tensor among the operands, received numbers alone',
    ],
    [
      'SHAPE',
      () => matmul(f(2, 3), f(4, 5)),
      'matmul: expected a[..., K] and b[K, N] in f32, received f32(2, 3) and f32(4, 5)',
    ],
    [
      'SHAPE',
      () => matmulNT(f(2, 3), f(4, 5)),
      'matmulNT: expected a[..., K] and b[N, K] in f32, received f32(2, 3) and f32(4, 5)',
    ],
    ['SHAPE', () => matmulTN(f(2, 3), f(4, 5)), 'matmulTN: expected a[R..., M] and b[R..., N] in f32'],
    ['SHAPE', () => matmul(f(), f(1, 1)), 'received f32() and f32(1, 1)'],
    ['SHAPE', () => sum(f(2, 3), { axes: [2] }), 'sum: expected an axis in -2..1, received 2'],
    [
      'SHAPE',
      () => sum(f(2, 3), { axes: [0, -2] }),
      'sum: expected different axes of (2, 3) in ascending order, received [0, 0]',
    ],
    ['ARGUMENT', () => sum(ids(3)), 'sum: expected an f32 operand, received i32(3,)'],
    ['SHAPE', () => argmax(f(3, 0)), 'its last axis, of size 1 or more, received f32(3, 0)'],
    [
      'SHAPE',
      () => reshape(f(2, 3), [4, 2]),
      'reshape: expected a shape of 6 elements for (2, 3), received (4, 2) of 8',
    ],
    [
      'SHAPE',
      () => reshape(f(2, 3), [4, -1]),
      'reshape: expected sizes that divide the 6 elements of (2, 3), received (4, -1)',
    ],
    ['SHAPE', () => reshape(f(2, 3), [-2, -3]), 'reshape: expected sizes that are whole numbers from 0 on'],
    ['SHAPE', () => squeeze(f(2, 3), 0), 'squeeze: expected size 1 on axis 0, received (2, 3)'],
    [
      'SHAPE',
      () => transpose(f(2, 3), [0, 0]),
      'transpose: expected an order of the axes 0..1 of (2, 3), received [0, 0]',
    ],
    [
      'SHAPE',
      () => slice(f(2, 3), [0, 2], [2, 2]),
      'slice: expected a box inside (2, 3), received start (0, 2) size (2, 2)',
    ],
    ['SHAPE', () => pad(f(2), [-1], [0]), 'pad: expected counts from 0 on for each axis of (2,)'],
    [
      'SHAPE',
      () => concat([f(2, 3), f(3, 3)]),
      'concat: expected operands like f32(2, 3) but for axis 1, received f32(3, 3)',
    ],
    ['SHAPE', () => concat([f(2, 3), ids(2, 3)]), 'received i32(2, 3)'],
    ['ARGUMENT', () => concat([]), 'concat: expected at least one tensor'],
    ['SHAPE', () => split(f(2, 5), 2), 'split: expected a number of equal parts of axis 1 of (2, 5), received 2'],
    ['SHAPE', () => broadcastTo(f(2), [3]), 'broadcastTo: expected shapes that broadcast together'],
    ['SHAPE', () => broadcastTo(f(3), [1]), 'broadcastTo: expected a shape that (3,) broadcasts to, received (1,)'],
    ['SHAPE', () => reverse(f(3), 1), 'reverse: expected an axis in -1..0, received 1'],
    [
      'SHAPE',
      () => gather(f(3, 2), f(2)),
      'gather: expected a table f32(V, D) and i32 indices, received f32(3, 2) and f32(2,)',
    ],
    ['SHAPE', () => scatterAdd(ids(3), f(2, 4), 5), 'scatterAdd: expected i32 indices [...] and f32 values [..., D]'],
    ['ARGUMENT', () => oneHot(f(3), 2), 'oneHot: expected i32 indices'],
    ['SHAPE', () => uniform(ids(3), [2]), 'uniform: expected a key i32(2,), received i32(3,)'],
  ])('%s %#', (code, make, message) => {
    let error: unknown;
    try {
      make();
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(UnrolledError);
    expect((error as UnrolledError).message).toContain(message);
    expect((error as UnrolledError).code).toBe(code);
  });

  it('name the layer under which they stand', () => {
    graph.path = 'encoder/dense';
    try {
      expect(() => matmul(f(2, 3), f(4, 5))).toThrow(/^encoder\/dense: matmul: expected/);
    } finally {
      graph.path = '';
    }
  });
});

describe('indices beyond the table', () => {
  it.each([3, -1])('%i is refused', (id) => {
    const own = new Graph('ids');
    const table = new Tensor(own, own.input('table', { dtype: 'f32', shape: [3, 1] }));
    const at = new Tensor(own, own.input('ids', { dtype: 'i32', shape: [2] }));
    gather(table, at);
    const given = new Map<Value, Dense>([
      [table.value, { shape: [3, 1], data: Float64Array.of(1, 2, 3) }],
      [at.value, { shape: [2], data: Float64Array.of(0, id) }],
    ]);
    expect(() => evaluateGraph(own, given)).toThrow(`gather: expected indices in 0..2, received ${id} at position 1`);
  });
});

describe('the registry', () => {
  it('has each operation once', () => {
    expect(() => defineOperation(operationOf('add'))).toThrow('operation add is defined twice');
    expect(() => operationOf('nothing')).toThrow('operation nothing is not defined');
  });

  it('leaves a tensor of the right type alone', () => {
    const x = f(2);
    expect(toFloat(x)).toBe(x);
  });
});
