/** Conventions of derivatives where there is no slope, and that rules add nothing for operands that need no gradient. */
import { describe, expect, it } from 'vitest';
import { gradients } from '../../src/engine/gradients.ts';
import { evaluateGraph } from '../../src/engine/oracle.ts';
import { Graph, type Value } from '../../src/ir/graph.ts';
import { type Dense, definedOperations, operationOf } from '../../src/ops/op.ts';
import { abs, maximum, minimum, pow, relu, select, sqrt } from '../../src/ops/pointwise.ts';
import { max, min } from '../../src/ops/reduce.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { Tensor } from '../../src/ops/tensor.ts';
import { buildCase } from './case.ts';
import { cases } from './cases.ts';

/** Gradients of sum(f(inputs)), as lists. */
function slopes(inputs: number[][], build: (...tensors: Tensor[]) => Tensor): number[][] {
  const graph = new Graph('slopes');
  const tensors = inputs.map((x, i) => new Tensor(graph, graph.input(`x${i}`, { dtype: 'f32', shape: [x.length] })));
  const y = build(...tensors);
  const d = new Tensor(graph, graph.input('d', y.value.type));
  const found = gradients([y], [d], tensors);
  const dense = (data: ArrayLike<number>): Dense => ({ shape: [data.length], data: Float64Array.from(data) });
  const given = new Map<Value, Dense>(tensors.map((t, i) => [t.value, dense(inputs[i])]));
  given.set(d.value, { shape: y.shape, data: new Float64Array(y.shape[0] ?? 1).fill(1) });
  const values = evaluateGraph(graph, given);
  return found.map((t) => (t ? [...(values.get(t.value) as Dense).data] : []));
}

describe('where there is no slope', () => {
  it('abs and relu give 0 at 0', () => {
    expect(slopes([[-2, 0, 3]], abs)).toEqual([[-1, 0, 1]]);
    expect(slopes([[-2, 0, 3]], relu)).toEqual([[0, 0, 1]]);
  });

  it('equal operands of maximum and minimum share', () => {
    expect(
      slopes(
        [
          [1, 2, 3],
          [3, 2, 1],
        ],
        maximum,
      ),
    ).toEqual([
      [0, 0.5, 1],
      [1, 0.5, 0],
    ]);
    expect(
      slopes(
        [
          [1, 2, 3],
          [3, 2, 1],
        ],
        minimum,
      ),
    ).toEqual([
      [1, 0.5, 0],
      [0, 0.5, 1],
    ]);
  });

  it('equal largest and smallest elements share', () => {
    expect(slopes([[4, 1, 4, 0, 4]], (x) => max(x))).toEqual([[1 / 3, 0, 1 / 3, 0, 1 / 3]]);
    expect(slopes([[4, 1, 1, 2]], (x) => min(x))).toEqual([[0, 0.5, 0.5, 0]]);
  });

  it('pow at 0', () => {
    expect(
      slopes(
        [
          [0, 0, 0, 2],
          [0, 1, 2, 3],
        ],
        pow,
      ),
    ).toEqual([
      [0, 1, 0, 12],
      [0, 0, 0, 8 * Math.log(2)],
    ]);
  });

  it('select keeps a bad side out', () => {
    const [, x] = slopes(
      [
        [1, 0],
        [4, 9],
      ],
      (c, a) => select(c, sqrt(a), 0),
    );
    expect(x).toEqual([0.25, 0]);
  });

  it('softmax is steep nowhere for shifted inputs', () => {
    const [x] = slopes([[1e4, 1e4, 0]], (a) => softmax(a));
    expect(x.every((v) => Math.abs(v) < 1e-15)).toBe(true);
  });
});

describe('operands without need', () => {
  const rules = new Map(definedOperations().map((o) => [o.name, o]));
  it.each(cases.filter((c) => rules.get(c.op)?.vjp).map((c) => [`${c.op}: ${c.name}`, c] as const))(
    '%s',
    (_, entry) => {
      const { graph } = buildCase(entry);
      const node = graph.nodes.filter((n) => n.op === entry.op).pop();
      if (!node) throw new Error('the case does not make its operation');
      const inputs = node.inputs.map((v) => new Tensor(graph, v));
      const outputs = node.outputs.map((v) => new Tensor(graph, v));
      const d = outputs.map((t) => new Tensor(graph, graph.input('d', t.value.type)));
      const before = graph.nodes.length;
      const rule = operationOf(entry.op).vjp;
      const context = { inputs, outputs, attributes: node.attributes };
      expect(
        rule?.(
          { ...context, needed: inputs.map(() => true) },
          d.map(() => null),
        ),
      ).toEqual(inputs.map(() => null));
      expect(graph.nodes.length).toBe(before);
      // one operand at a time: no gradient appears for the others
      if (inputs.length > 1)
        inputs.forEach((_input, i) => {
          const found = rule?.({ ...context, needed: inputs.map((_x, k) => k === i) }, d) ?? [];
          found.forEach((t, k) => {
            if (k !== i) expect(t).toBeNull();
          });
        });
    },
  );
});
