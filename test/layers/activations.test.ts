/** Activations and their derivatives against Keras (test/golden/activations.py), names in every spelling, and both hardSigmoids. */
import { describe, expect, it } from 'vitest';
import type { NdArray } from '../../src/core/array.ts';
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

describe('sparsemax', () => {
  // Not held against Keras 3.15, which adds cumulative sums where the sum belongs and does not reach the simplex.
  it('is the nearest point of the simplex, ties included', async () => {
    const rows = [
      [0.1, 0.2, 0.3, -2],
      [100, 100, -100, 3],
      [0.5, 0.5, 0.5, 0.5],
      [4, 1, 2, 0],
    ];
    const model = sequential([layers.input({ shape: [4] }), layers.activation({ activation: 'sparsemax' })]);
    const y = await model.predict(rows);
    const expected = [
      [7 / 30, 1 / 3, 13 / 30, 0],
      [0.5, 0.5, 0, 0],
      [0.25, 0.25, 0.25, 0.25],
      [1, 0, 0, 0],
    ];
    expected.flat().forEach((v, i) => expect(y.data[i]).toBeCloseTo(v, 5));
    // The derivative within the support: 1 - 1/k beside -1/k.
    const { inputGradients } = await model.vjp([rows[0]], [[1, 0, 0, 0]]);
    [2 / 3, -1 / 3, -1 / 3, 0].forEach((v, i) => expect((inputGradients as NdArray).data[i]).toBeCloseTo(v, 6));
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
  it('a layer may stand for one in a file, and is written again', async () => {
    const leaky = { module: 'keras.layers', class_name: 'LeakyReLU', config: { name: 'l', negative_slope: 0.25 } };
    const read = (activation: unknown) =>
      modelFromKerasConfig({
        class_name: 'Sequential',
        config: {
          layers: [
            { class_name: 'InputLayer', config: { batch_shape: [null, 2] } },
            { class_name: 'Dense', config: { units: 2, activation } },
          ],
        },
      });
    const model = read(leaky);
    for (const own of [model, modelFromKerasConfig(model.toKerasConfig())]) {
      own.setWeights([
        [
          [1, 0],
          [0, 1],
        ],
        [0, 0],
      ]);
      expect(Array.from((await own.predict([[-2, 3]])).data)).toEqual([-0.5, 3]);
    }
    expect(() => read({ class_name: 'PReLU', config: { name: 'p' } })).toThrow(
      /an activation without weights, received 'PReLU'/,
    );
  });
  it("a function of one's own works, and cannot be written for Keras", async () => {
    const model = sequential([layers.input({ shape: [2] }), layers.dense({ units: 1, activation: (x) => x })]);
    expect((await model.predict([[1, 2]])).shape).toEqual([1, 1]);
    expect(() => model.toKerasConfig()).toThrow(/Dense.activation: expected an activation that Keras 3 has by name/);
  });
});
