/** What every operation promises: types as inferred, and derivatives as central differences find them. */
import { describe, expect, it } from 'vitest';
import { RandomKey } from '../../src/core/random.ts';
import { sizeOf } from '../../src/core/shape.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { evaluateGraph } from '../../src/engine/oracle.ts';
import { type Value, verifyGraph } from '../../src/ir/graph.ts';
import { type Dense, definedOperations, operationOf } from '../../src/ops/op.ts';
import { Tensor } from '../../src/ops/tensor.ts';
import { type BuiltCase, buildCase, type Case } from './case.ts';
import { cases } from './cases.ts';
import { drawInputs } from './inputs.ts';

function evaluate(
  { graph, inputs, outputs }: BuiltCase,
  given: readonly Dense[],
  extra: [Value, Dense][] = [],
): Dense[] {
  const values = evaluateGraph(
    graph,
    new Map([...inputs.map((t, i): [Value, Dense] => [t.value, given[i]]), ...extra]),
  );
  return outputs.map((t) => values.get(t.value) as Dense);
}

/** Which inputs of a case have a gradient to compare. */
function differentiable(entry: Case): boolean[] {
  const known =
    entry.op === 'composite' || entry.op === 'scan' || entry.op === 'constant' || !!operationOf(entry.op).vjp;
  return entry.inputs.map((x, i) =>
    entry.differentiable ? !!entry.differentiable[i] : known && x.dtype === 'f32' && x.values !== 'special',
  );
}

describe('every operation', () => {
  it('has cases', () => {
    const tried = new Set(cases.map((c) => c.op));
    expect(
      definedOperations()
        .map((o) => o.name)
        .filter((name) => !tried.has(name)),
    ).toEqual([]);
  });

  it('with a derivative has a case that tries it', () => {
    const tried = new Set(cases.filter((c) => differentiable(c).some(Boolean)).map((c) => c.op));
    expect(
      definedOperations()
        .filter((o) => o.vjp && !tried.has(o.name))
        .map((o) => o.name),
    ).toEqual([]);
  });

  it('names each case once', () => {
    const names = cases.map((c) => `${c.op}: ${c.name}`);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('types', () => {
  it.each(cases.map((c) => [`${c.op}: ${c.name}`, c] as const))('%s', (_, entry) => {
    const built = buildCase(entry);
    verifyGraph(built.graph);
    if (entry.op !== 'composite') expect(built.graph.nodes.map((n) => n.op)).toContain(entry.op);
    evaluate(built, drawInputs(entry)).forEach((result, i) => {
      expect(result.shape).toEqual(built.outputs[i].shape);
      expect(result.data.length).toBe(sizeOf(result.shape));
      if (built.outputs[i].dtype === 'i32') expect(result.data.every(Number.isInteger)).toBe(true);
    });
  });
});

const step = 2e-5;

/** The derivative along random directions, weighted by random cotangents, by the rules and by central differences. */
function compare(entry: Case, seed: number): [number, number] {
  const mask = differentiable(entry);
  const built = buildCase(entry);
  const at = drawInputs(entry, seed);
  const key = RandomKey.from(seed).split('directions');
  const directions = at.map((x, i) => Float64Array.from(key.split('input').split(i).normal(x.data.length)));
  const weights = built.outputs.map((t, i) => Float64Array.from(key.split('output').split(i).normal(sizeOf(t.shape))));

  const moved = (h: number): Dense[] =>
    at.map((x, i) => (mask[i] ? { shape: x.shape, data: x.data.map((v, k) => v + h * directions[i][k]) } : x));
  const weighted = (results: Dense[]): number =>
    results.reduce((sum, y, i) => sum + y.data.reduce((part, v, k) => part + v * weights[i][k], 0), 0);
  const difference = (h: number): number => weighted(evaluate(built, moved(h))) - weighted(evaluate(built, moved(-h)));
  const numeric = (8 * difference(step) - difference(2 * step)) / (12 * step); // of fourth order

  const { graph, inputs, outputs } = built;
  const cotangents = outputs.map((t, i) => new Tensor(graph, graph.input(`d${i}`, t.value.type)));
  const wrt = inputs.filter((_, i) => mask[i]);
  const found = gradients(outputs, cotangents, wrt);
  verifyGraph(graph);
  const given = cotangents.map((t, i): [Value, Dense] => [t.value, { shape: t.shape, data: weights[i] }]);
  let exact = 0;
  const chosen = directions.filter((_, i) => mask[i]);
  found.forEach((gradient, i) => {
    if (!gradient) return;
    expect(gradient.shape).toEqual(wrt[i].shape);
    const [value] = evaluate({ graph, inputs, outputs: [gradient] }, at, given);
    exact += value.data.reduce((sum, v, k) => sum + v * chosen[i][k], 0);
  });
  return [exact, numeric];
}

describe('derivatives against central differences', () => {
  const tried = cases.filter((c) => differentiable(c).some(Boolean));
  it.each(tried.map((c) => [`${c.op}: ${c.name}`, c] as const))('%s', (_, entry) => {
    for (const seed of [1, 2]) {
      const [exact, numeric] = compare(entry, seed);
      expect(Math.abs(exact - numeric)).toBeLessThanOrEqual((entry.tolerance ?? 1e-8) * Math.max(1, Math.abs(exact)));
    }
  });
});
