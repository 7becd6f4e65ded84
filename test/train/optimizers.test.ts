/** Optimizers against Keras (test/golden/training.py): ten steps of two weights, with clipping and decay. */
import { describe, expect, it } from 'vitest';
import { compileStep } from '../../src/engine/compile.ts';
import { StateSpace } from '../../src/engine/state.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { optimizerOf, optimizers } from '../../src/train/optimizers/all.ts';
import { clipGradients } from '../../src/train/optimizers/optimizer.ts';
import { openMachine } from '../../src/vm/open.ts';
import { readGolden } from '../golden/golden.ts';

interface Golden {
  start: [number[][], number[]];
  gradients: [number[][], number[]][];
  optimizers: { class_name: string; config: Record<string, unknown>; trajectory: [number[][], number[]][] }[];
}
const golden = readGolden<Golden>('training.json');
const shapes = [[3, 4], [4]];

async function trajectory(c: Golden['optimizers'][number], host: 'oracle' | undefined): Promise<number[][]> {
  const optimizer = optimizerOf(c);
  const space = new StateSpace(await openMachine(host ? { host } : {}));
  shapes.forEach((shape, i) => {
    space.declare(`w${i}`, shape);
    space.set(`w${i}`, golden.start[i].flat());
    for (const slot of optimizer.slots) space.declare(`${slot}${i}`, shape);
  });
  const names = Object.keys(optimizer.scalars(0, 1));
  const step = compileStep(space, 'optimizer', (b) => {
    const scalars = Object.fromEntries(names.map((name) => [name, b.input(name, [])]));
    const clipped = clipGradients(
      optimizer,
      shapes.map((shape, i) => b.input(`g${i}`, shape)),
    );
    const updates: Record<string, Tensor> = {};
    clipped.forEach((gradient, i) => {
      const slots = Object.fromEntries(optimizer.slots.map((slot) => [slot, b.state(`${slot}${i}`)]));
      const next = optimizer.update({ weight: b.state(`w${i}`), gradient, slots, scalars });
      updates[`w${i}`] = next.weight;
      for (const [slot, value] of Object.entries(next.slots)) updates[`${slot}${i}`] = value;
    });
    return { outputs: {}, updates };
  });
  const seen: number[][] = [];
  for (const [k, pair] of golden.gradients.entries()) {
    const scalars = optimizer.scalars(k, optimizer.config.learningRate);
    await step.run([
      {
        g0: pair[0].flat(),
        g1: pair[1],
        ...Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, [value]])),
      },
    ]);
    seen.push([...space.get('w0'), ...space.get('w1')]);
  }
  return seen;
}

describe.each([
  ['oracle', 1e-10],
  [undefined, 1e-5],
] as const)('ten steps on %s', (host, tolerance) => {
  it.each(golden.optimizers)('$class_name $config', async (c) => {
    const seen = await trajectory(c, host);
    c.trajectory.forEach((weights, k) => {
      const expected = [...weights[0].flat(), ...weights[1]];
      expected.forEach((w, i) => expect(Math.abs(seen[k][i] - w), `step ${k}, value ${i}`).toBeLessThan(tolerance * 3));
    });
  });
});

describe('options', () => {
  it('have the defaults of Keras', () => {
    expect(optimizers.sgd().config.learningRate).toBe(0.01);
    expect(optimizers.adam().config).toMatchObject({ learningRate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 });
    expect(optimizers.rmsprop().config).toMatchObject({
      learningRate: 0.001,
      rho: 0.9,
      epsilon: 1e-7,
      centered: false,
    });
  });
  it('allow one way of clipping', () => {
    expect(() => optimizers.adam({ clipnorm: 1, clipvalue: 1 })).toThrow(/one way of clipping/);
  });
  it('that do not exist are answered with the nearest', () => {
    expect(() => optimizers.adam({ learning_rate: 0.1 } as object)).toThrow(/`learningRate: 0.1`/);
    expect(() => optimizerOf('adamm')).toThrow(/sgd, rmsprop, adam.*Did you mean 'adam'/);
  });
});
