/** Activations and their derivatives against Keras (test/golden/activations.py), names in every spelling, and both hardSigmoids. */
import { describe, expect, it } from 'vitest';
import { compileStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { activationOf, activations } from '../../src/layers/activations.ts';
import { layers } from '../../src/layers/all.ts';
import { sum } from '../../src/ops/reduce.ts';
import { constant, type Tensor } from '../../src/ops/tensor.ts';
import { modelFromKerasConfig } from '../../src/train/from-keras.ts';
import { sequential } from '../../src/train/sequential.ts';
import { openMachine } from '../../src/vm/open.ts';
import { readGolden } from '../golden/golden.ts';

type Golden = Record<string, { x: number[]; y: number[]; d: number[] } | { rows: number[][]; y: number[][] }>;
const golden = readGolden<Golden>('activations.json');
/** x * (1 - tanh^2) at 100 multiplies the last bit of tanh in float32. */
const inexact: Record<string, number> = { mish: 50 };

describe.each([
  ['oracle', 1e-10],
  [undefined, 2e-6],
] as const)('activations on %s', (host, tolerance) => {
  it.each(Object.keys(golden))('%s', async (name) => {
    const c = golden[name];
    const shape = 'rows' in c ? [2, 3] : [c.x.length];
    const space = new StateSpace(await openMachine(host ? { host } : {}));
    const step = compileStep(space, name, (b) => {
      const x = b.input('x', shape);
      const y = activationOf(name, 'test').apply(x);
      const [d] = gradients([sum(y)], [constant(b.graph, 1)], [x]);
      return { outputs: { y, d: d as Tensor } };
    });
    const [result] = await step.run([{ x: 'rows' in c ? c.rows.flat() : c.x }]);
    const close = (actual: ArrayLike<number>, expected: number[]) =>
      expected.forEach((v, i) =>
        expect(Math.abs(actual[i] - v), `${i}`).toBeLessThan(
          tolerance * (inexact[name] ?? 1) * Math.max(1, Math.abs(v)),
        ),
      );
    close(result.y, c.y.flat());
    if ('d' in c) close(result.d, c.d);
  });
});

describe('names', () => {
  it('cover what Keras has, in every spelling', () => {
    for (const name of Object.keys(golden)) expect(activationOf(name, 'test').keras).toBe(name);
    expect(activationOf('swish', 'test')).toBe(activations.get('silu'));
    expect(activationOf(null, 'test').name).toBe('linear');
    expect(() => activationOf('tahn', 'dense.activation')).toThrow(
      /dense.activation: expected one of linear.*Did you mean 'tanh'/,
    );
  });
  it('hardSigmoid is the one of the generation that wrote the file', () => {
    const layer = { class_name: 'Dense', config: { units: 1, activation: 'hard_sigmoid' } };
    const read = (generation: 2 | 3) =>
      modelFromKerasConfig({ class_name: 'Sequential', config: { layers: [layer] } }, { generation }).layers[0].config
        .activation;
    expect(read(2)).toBe(activations.get('hardSigmoidKeras2'));
    expect(read(3)).toBe(activations.get('hardSigmoid'));
  });
  it("a function of one's own works, and cannot be written for Keras", async () => {
    const model = sequential([layers.input({ shape: [2] }), layers.dense({ units: 1, activation: (x) => x })]);
    expect((await model.predict([[1, 2]])).shape).toEqual([1, 1]);
    expect(() => model.toKerasConfig()).toThrow(/Dense.activation: expected an activation that Keras 3 has by name/);
  });
});
