/** A scan against the same steps written out, and its edges. */
import { describe, expect, it } from 'vitest';
import { evaluateGraph } from '../../src/engine/oracle.ts';
import { Graph, type Value } from '../../src/ir/graph.ts';
import { matmul } from '../../src/ops/matmul.ts';
import type { Dense } from '../../src/ops/op.ts';
import { add, mul, tanh } from '../../src/ops/pointwise.ts';
import { scan } from '../../src/ops/scan.ts';
import { reshape, slice } from '../../src/ops/shape.ts';
import { Tensor } from '../../src/ops/tensor.ts';

function input(graph: Graph, name: string, ...shape: number[]): Tensor {
  return new Tensor(graph, graph.input(name, { dtype: 'f32', shape }));
}

function run(outputs: Tensor[], given: [Tensor, number[]][]): number[][] {
  const values = evaluateGraph(
    outputs[0].graph,
    new Map(given.map(([t, data]): [Value, Dense] => [t.value, { shape: t.shape, data: Float64Array.from(data) }])),
  );
  return outputs.map((t) => [...(values.get(t.value) as Dense).data]);
}

/** h' = tanh(x + h U) */
const step = ([h]: Tensor[], [x]: Tensor[], [u]: Tensor[]) => {
  const next = tanh(add(x, matmul(h, u)));
  return { carry: [next], outputs: [next] };
};

describe('scan', () => {
  it.each([false, true])('equals its steps written out (reverse: %s)', (reverse) => {
    const [T, B, U] = [3, 2, 2];
    const graph = new Graph('scan');
    const x = input(graph, 'x', T, B, U);
    const h0 = input(graph, 'h', B, U);
    const u = input(graph, 'u', U, U);
    const looped = scan({ init: [h0], sequences: [x], constants: [u], length: T, reverse }, step);
    const written: Tensor[] = [];
    let h = h0;
    for (const t of reverse ? [2, 1, 0] : [0, 1, 2]) {
      h = tanh(add(reshape(slice(x, [t, 0, 0], [1, B, U]), [B, U]), matmul(h, u)));
      written[t] = h;
    }
    const numbers = Array.from({ length: T * B * U }, (_, i) => Math.sin(i));
    const [carry, stacked, last, ...steps] = run(
      [looped.carry[0], looped.outputs[0], h, ...written],
      [
        [x, numbers],
        [h0, [0.1, 0.2, 0.3, 0.4]],
        [u, [0.5, -1, 1, 0.25]],
      ],
    );
    expect(carry).toEqual(last);
    expect(stacked).toEqual(steps.flat());
  });

  it('adds up by hand', () => {
    const graph = new Graph('sum');
    const x = input(graph, 'x', 3, 1);
    const zero = input(graph, 'zero', 1);
    const { carry, outputs } = scan(
      { init: [zero], sequences: [x], constants: [], length: 3, reverse: true },
      ([total], [now]) => {
        const next = add(total, now);
        return { carry: [next], outputs: [next, mul(now, 10)] };
      },
    );
    expect(
      run(
        [...carry, ...outputs],
        [
          [x, [1, 2, 4]],
          [zero, [100]],
        ],
      ),
    ).toEqual([[107], [107, 106, 104], [10, 20, 40]]);
  });

  it('of no steps returns the start', () => {
    const graph = new Graph('none');
    const x = input(graph, 'x', 0, 2, 2);
    const h0 = input(graph, 'h', 2, 2);
    const u = input(graph, 'u', 2, 2);
    const { carry, outputs } = scan({ init: [h0], sequences: [x], constants: [u], length: 0 }, step);
    expect(outputs[0].shape).toEqual([0, 2, 2]);
    expect(
      run(
        [carry[0], outputs[0]],
        [
          [x, []],
          [h0, [1, 2, 3, 4]],
          [u, [0, 0, 0, 0]],
        ],
      ),
    ).toEqual([[1, 2, 3, 4], []]);
  });

  it('refuses tensors from outside, with the way out', () => {
    const graph = new Graph('outside');
    graph.path = 'cell';
    const x = input(graph, 'x', 3, 2);
    const h0 = input(graph, 'h', 2);
    const operands = { init: [h0], sequences: [x], constants: [], length: 3 };
    expect(() => scan(operands, ([h]) => ({ carry: [add(h, h0)], outputs: [] }))).toThrow(
      'add in cell: expected tensors of one graph, received tensors of two graphs. Values from outside a scan enter its body as constants.',
    );
    expect(() => scan(operands, () => ({ carry: [h0], outputs: [] }))).toThrow(
      'cell: scan: expected a step that returns tensors of its own graph',
    );
  });

  it('refuses what does not fit', () => {
    const graph = new Graph('fit');
    const x = input(graph, 'x', 3, 2);
    const h0 = input(graph, 'h', 2);
    const same = ([h]: Tensor[]) => ({ carry: [h], outputs: [] });
    expect(() => scan({ init: [h0], sequences: [x], constants: [], length: 4 }, same)).toThrow(
      'scan: expected sequence 0 with 4 steps on its first axis, received (3, 2)',
    );
    expect(() =>
      scan({ init: [h0], sequences: [x], constants: [], length: 3 }, () => ({ carry: [], outputs: [] })),
    ).toThrow('scan: expected a step that returns 1 carries, received 0');
    expect(() =>
      scan({ init: [h0], sequences: [x], constants: [], length: 3 }, ([h]) => ({
        carry: [reshape(h, [2, 1])],
        outputs: [],
      })),
    ).toThrow('scan: expected carry 0 to stay f32(2,), received f32(2, 1) after a step');
    expect(() => scan({ init: [h0], sequences: [], constants: [], length: -1 }, same)).toThrow(
      'a whole number from 0 on',
    );
  });
});
