/** Chains of tags against all sequences written out: partition, score, gradients (the marginals), decoding; masks left, right and within. */
import { describe, expect, it } from 'vitest';
import { RandomKey } from '../../src/core/random.ts';
import { type Chain, chainDecode, chainLogPartition, chainMarginals, chainScore } from '../../src/ops/linear-chain.ts';
import { goldenMachines, relativeDistance } from '../golden/golden.ts';
import { flat, type Nested, runGraph } from '../layers/loss-run.ts';

const machines = await goldenMachines();
const [B, T, K] = [10, 4, 3];
const key = RandomKey.from(5);
const draw = (label: string, shape: number[]): Nested => {
  const values = Array.from(key.split(label).normal(shape.reduce((n, d) => n * d, 1)));
  const build = (dims: number[]): Nested =>
    dims.length ? Array.from({ length: dims[0] }, () => build(dims.slice(1))) : (values.shift() as number);
  return build(shape);
};
const potentials = draw('potentials', [B, T, K]) as number[][][];
const transitions = draw('transitions', [K, K]) as number[][];
const start = draw('start', [K]) as number[];
const end = draw('end', [K]) as number[];
const mask = [
  [1, 1, 1, 1],
  [1, 1, 0, 0],
  [0, 0, 1, 1],
  [1, 0, 0, 1],
  [0, 0, 0, 0],
  [1, 0, 1, 1],
  [1, 1, 0, 1],
  [1, 0, 0, 1],
  [0, 1, 0, 1],
  [1, 0, 1, 0],
];
const tags = [
  [0, 1, 2, 1],
  [2, 2, 0, 0],
  [1, 0, 1, 0],
  [0, 2, 2, 1],
  [0, 0, 0, 0],
  [0, 1, 1, 2],
  [2, 0, 2, 1],
  [1, 1, 1, 2],
  [0, 2, 2, 0],
  [2, 1, 2, 1],
];
const hot = tags.map((row) => row.map((y) => Array.from({ length: K }, (_, k) => (k === y ? 1 : 0))));

const stepsOf = (b: number) => mask[b].flatMap((m, t) => (m ? [t] : []));

function score(b: number, y: readonly number[], bounds: boolean): number {
  const steps = stepsOf(b);
  if (!steps.length) return 0;
  let total = steps.reduce((sum, t, i) => sum + potentials[b][t][y[i]], 0);
  for (let i = 1; i < y.length; i++) total += transitions[y[i - 1]][y[i]];
  return bounds ? total + start[y[0]] + end[y[y.length - 1]] : total;
}

/** All sequences of tags of a row with their scores. */
function sequences(b: number, bounds: boolean) {
  const { length } = stepsOf(b);
  return Array.from({ length: K ** length }, (_, code) => {
    const y = Array.from({ length }, (_, i) => Math.floor(code / K ** i) % K);
    return { y, score: score(b, y, bounds) };
  });
}

const logPartition = (b: number, bounds: boolean) =>
  Math.log(sequences(b, bounds).reduce((sum, { score: s }) => sum + Math.exp(s), 0));

/** The probability of each tag at each step. */
function shares(bounds: boolean): number[][][] {
  return potentials.map((row, b) => {
    const result = row.map((step) => step.map(() => 0));
    for (const { y, score: s } of sequences(b, bounds))
      stepsOf(b).forEach((t, i) => {
        result[t][y[i]] += Math.exp(s - logPartition(b, bounds));
      });
    return result;
  });
}

describe.each(machines.map((machine) => [machine.traits.host, machine] as const))('chains on %s', (host, machine) => {
  const tolerance = host === 'oracle' ? 1e-9 : 1e-5;
  const inputs = { potentials, transitions, start, end, mask, hot };
  const run = (trace: (chain: Chain, hot: Chain['potentials']) => Chain['potentials'], bounds = true) =>
    runGraph(machine, inputs, {}, (t) => {
      const chain = { ...(t as unknown as Chain), ...(!bounds && { start: null, end: null }) };
      return { y: trace(chain, t.hot) };
    });

  it.each([true, false])('sum over all sequences; boundaries %s', async (bounds) => {
    const { results, gradients } = await run((chain) => chainLogPartition(chain), bounds);
    const expected = mask.map((_, b) => logPartition(b, bounds));
    expect(relativeDistance(results.y, expected)).toBeLessThan(tolerance);
    expect(relativeDistance(gradients.potentials, flat(shares(bounds)))).toBeLessThan(tolerance);
  });

  it('have gradients of transitions, start and end that are expected counts', async () => {
    const { gradients } = await run((chain) => chainLogPartition(chain));
    const pairs = transitions.map((row) => row.map(() => 0));
    const [first, last] = [new Array<number>(K).fill(0), new Array<number>(K).fill(0)];
    mask.forEach((_, b) => {
      for (const { y, score: s } of sequences(b, true)) {
        if (!y.length) continue;
        const p = Math.exp(s - logPartition(b, true));
        first[y[0]] += p;
        last[y[y.length - 1]] += p;
        for (let i = 1; i < y.length; i++) pairs[y[i - 1]][y[i]] += p;
      }
    });
    expect(relativeDistance(gradients.transitions, flat(pairs))).toBeLessThan(tolerance);
    expect(relativeDistance(gradients.start, first)).toBeLessThan(tolerance);
    expect(relativeDistance(gradients.end, last)).toBeLessThan(tolerance);
  });

  it.each([true, false])('score a sequence; boundaries %s', async (bounds) => {
    const { results, gradients } = await run(chainScore, bounds);
    const expected = tags.map((row, b) =>
      score(
        b,
        stepsOf(b).map((t) => row[t]),
        bounds,
      ),
    );
    expect(relativeDistance(results.y, expected)).toBeLessThan(tolerance);
    const counted = hot.map((row, b) => row.map((step, t) => step.map((v) => v * mask[b][t])));
    expect(relativeDistance(gradients.potentials, flat(counted))).toBeLessThan(tolerance);
  });

  it.each([true, false])('give the probability of every tag; boundaries %s', async (bounds) => {
    const { results } = await run((chain) => chainMarginals(chain), bounds);
    expect(relativeDistance(results.y, flat(shares(bounds)))).toBeLessThan(tolerance);
  });

  it.each([true, false])('are decoded to the best sequence; boundaries %s', async (bounds) => {
    const { results } = await run((chain) => chainDecode(chain), bounds);
    const expected = potentials.map((row, b) => {
      const best = sequences(b, bounds).reduce((a, s) => (s.score > a.score ? s : a));
      const steps = stepsOf(b);
      return row.map((step, t) => step.map((_, k) => (steps.includes(t) && best.y[steps.indexOf(t)] === k ? 1 : 0)));
    });
    expect(results.y).toEqual(flat(expected));
  });
});
