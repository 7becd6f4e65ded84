import { expect, it } from 'vitest';
import { CommonSubexpressions } from '../../src/engine/common-subexpressions.ts';
import { type Attributes, Graph, type Node, type Value } from '../../src/ir/graph.ts';

const type = (shape: readonly number[]) => ({ dtype: 'f32', shape }) as const;
const constant = (graph: Graph, data: readonly number[]): Node =>
  graph.add('constant', [], { data: Float64Array.from(data), shape: [data.length], dtype: 'f32' }, [
    type([data.length]),
  ]);

it('finds what computes the same, and nothing else', () => {
  const graph = new Graph('common');
  const [x, y] = ['x', 'y'].map((name) => graph.input(name, type([2, 3])));
  const common = new CommonSubexpressions();
  const add = (op: string, inputs: Value[], attributes: Attributes = {}) =>
    graph.add(op, inputs, attributes, [type([2, 3])]);
  const first = [
    add('add', [x, y]),
    add('add', [y, x]),
    add('mul', [x, y]),
    add('sum', [x], { axes: [0], keepDims: true }),
    add('sum', [x], { axes: [1], keepDims: true }),
    add('sum', [x], { axes: [0], keepDims: false }),
  ];
  for (const node of first) expect(common.find(node)).toBe(null);
  for (const { op, inputs, attributes } of first)
    expect(common.find(add(op, [...inputs], { ...attributes }))?.op).toBe(op);
  expect(common.find(add('sum', [x], { axes: [1], keepDims: true }))).toBe(first[4]);
});

it('takes constants for the same where all their bits are', () => {
  const graph = new Graph('constants');
  const common = new CommonSubexpressions();
  for (const data of [[0], [-0], [Number.NaN], [1], [1, 2], [1, 3], [1, 1]])
    expect(common.find(constant(graph, data)), String(data)).toBe(null);
  for (const data of [[0], [-0], [Number.NaN], [1, 3]])
    expect(Array.from(common.find(constant(graph, data))?.attributes.data as Float64Array)).toEqual(data);
  // Long ones are compared by what holds them.
  const long = new Array<number>(20).fill(7);
  const known = constant(graph, long);
  expect(common.find(known)).toBe(null);
  expect(common.find(constant(graph, long))).toBe(null);
  expect(common.find(graph.add('constant', [], known.attributes, [type([20])]))).toBe(known);
});
