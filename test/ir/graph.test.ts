/** The language of graphs: its print is stable, and its verifier finds what is wrong. */
import { describe, expect, test } from 'vitest';
import { Graph, printGraph, verifyGraph } from '../../src/ir/graph.ts';
import { columnRuns, floatsOf, layoutOf } from '../../src/ir/lower.ts';
import { add, mul } from '../../src/ops/pointwise.ts';
import { scan } from '../../src/ops/scan.ts';
import { Tensor } from '../../src/ops/tensor.ts';

function running(): Graph {
  const graph = new Graph('running');
  const x = new Tensor(graph, graph.input('x', { dtype: 'f32', shape: [4, 2] }));
  const zero = new Tensor(graph, graph.input('zero', { dtype: 'f32', shape: [2] }));
  graph.path = 'sum';
  const { outputs } = scan({ init: [zero], sequences: [x], constants: [], length: 4 }, ([total], [now]) => {
    const next = add(total, mul(now, 2));
    return { carry: [next], outputs: [next] };
  });
  graph.outputs = [outputs[0].value];
  return graph;
}

test('the print names values by order of appearance and indents bodies', () => {
  expect(printGraph(running())).toBe(
    [
      'graph running',
      '  %0:f32(4, 2) = input() {name=x}',
      '  %1:f32(2,) = input() {name=zero}',
      '  %2:f32(2,), %3:f32(4, 2) = scan(%1, %0) {length=4 reverse=false carries=1 sequences=1}  # sum',
      '    graph body',
      '      %0:f32(2,) = input() {name=carry0}  # sum',
      '      %1:f32(2,) = input() {name=x0}  # sum',
      '      %2:f32() = constant() {data=[2] shape=[] dtype=f32}  # sum',
      '      %3:f32(2,) = mul(%1, %2)  # sum',
      '      %4:f32(2,) = add(%0, %3)  # sum',
      '      return %4, %4',
      '  return %3',
    ].join('\n'),
  );
  expect(() => verifyGraph(running())).not.toThrow();
});

describe('the verifier refuses', () => {
  test('a value that is used before it is made', () => {
    const graph = running();
    graph.nodes.reverse();
    expect(() => verifyGraph(graph)).toThrow(/before it is made/);
  });
  test('a body that does not fit its scan', () => {
    const graph = running();
    const node = graph.nodes.find((n) => n.op === 'scan');
    if (!node) throw new Error('no scan');
    node.attributes = { ...node.attributes, length: 5 };
    expect(() => verifyGraph(graph)).toThrow(/scan input 1: \(4, 2\) outside/);
  });
  test('an output that nobody makes', () => {
    const graph = running();
    graph.outputs = [new Graph('other').input('y', { dtype: 'f32', shape: [] })];
    expect(() => verifyGraph(graph)).toThrow(/an output is not made/);
  });
});

describe('layouts', () => {
  test('rows are padded to blocks of 16, single columns are dense', () => {
    expect(layoutOf([3, 5, 20])).toEqual({ rows: 15, cols: 20, groups: 1, pitch: 32 });
    expect(layoutOf([7, 1])).toEqual({ rows: 7, cols: 1, groups: 1, pitch: 1 });
    expect(layoutOf([])).toEqual({ rows: 1, cols: 1, groups: 1, pitch: 1 });
    expect(floatsOf(layoutOf([7, 1]))).toBe(16);
  });
  test('groups are interleaved by block', () => {
    const layout = layoutOf([2, 40], 2);
    expect(layout.pitch).toBe(64);
    expect(columnRuns(layout)).toEqual([
      { column: 0, at: 0, count: 16 },
      { column: 20, at: 16, count: 16 },
      { column: 16, at: 32, count: 4 },
      { column: 36, at: 48, count: 4 },
    ]);
  });
});
