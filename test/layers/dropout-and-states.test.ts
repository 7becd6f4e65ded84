/** Dropout as Keras draws it, and states handed from one call to the next. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { compileStep } from '../../src/engine/compile.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { layers } from '../../src/layers/all.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { slice } from '../../src/ops/shape.ts';
import { sequential } from '../../src/train/sequential.ts';
import { openMachine } from '../../src/vm/open.ts';

const ones = (...shape: number[]) => NdArray.from(new Float32Array(shape.reduce((a, b) => a * b)).fill(1), shape);

describe('dropout', () => {
  it('keeps a share of the values, scaled up, in training alone', async () => {
    const model = sequential([layers.input({ shape: [500] }), layers.dropout({ rate: 0.4 })]);
    const x = ones(20, 500);
    expect((await model.predict(x)).toNested()).toEqual(x.toNested());
    const { outputs, inputGradients } = await model.vjp(x, ones(20, 500), { training: true });
    const kept = outputs.data.filter((v: number) => v !== 0);
    expect(new Set(kept)).toEqual(new Set([kept[0]]));
    expect(kept[0]).toBeCloseTo(1 / 0.6, 6);
    expect(kept.length / 10_000).toBeCloseTo(0.6, 1);
    expect((inputGradients as NdArray).toNested()).toEqual(outputs.toNested());
  });

  it('with a noise shape shares the draw along the axes of 1', async () => {
    const model = sequential([
      layers.input({ shape: [4, 50] }),
      layers.dropout({ rate: 0.5, noiseShape: [null, 1, null] }),
    ]);
    const { outputs } = await model.vjp(ones(2, 4, 50), ones(2, 4, 50), { training: true });
    for (const [first, ...rest] of outputs.toNested() as number[][][]) {
      for (const row of rest) expect(row).toEqual(first);
      expect(first).toContain(0);
    }
  });

  // With an identity for a kernel and no recurrence the outputs are the inputs times the mask.
  const bare = {
    activation: 'linear',
    kernelInitializer: 'identity',
    recurrentInitializer: 'zeros',
    useBias: false,
    returnSequences: true,
  } as const;
  it('of inputs in a loop is one draw for all steps', async () => {
    const model = sequential([
      layers.input({ shape: [6, 40] }),
      layers.simpleRNN({ units: 40, ...bare, dropout: 0.5 }),
    ]);
    const { outputs } = await model.vjp(ones(3, 6, 40), ones(3, 6, 40), { training: true });
    const rows = outputs.toNested() as number[][][];
    for (const [first, ...rest] of rows) {
      for (const row of rest) expect(row).toEqual(first);
      expect(new Set(first)).toEqual(new Set([0, 2]));
    }
    expect(rows[0][0]).not.toEqual(rows[1][0]);
  });
  it('of the state is another draw, with the same mask at every step', async () => {
    const carry = { ...bare, recurrentInitializer: 'identity' } as const;
    const model = sequential([
      layers.input({ shape: [3, 40] }),
      layers.simpleRNN({ units: 40, ...carry, recurrentDropout: 0.5 }),
    ]);
    const { outputs } = await model.vjp(ones(1, 3, 40), ones(1, 3, 40), { training: true });
    const [steps] = outputs.toNested() as number[][][];
    // h1 = 1; h2 = 1 + m; h3 = 1 + m (1 + m), with m 0 or 2.
    steps[0].forEach((h1, u) =>
      expect([
        [1, 1, 1],
        [1, 3, 7],
      ]).toContainEqual([h1, steps[1][u], steps[2][u]]),
    );
    expect(new Set(steps[2])).toEqual(new Set([1, 7]));
  });
  it.each([
    ['lstm', 4],
    ['gru', 3],
  ] as const)('with recurrent dropout, %s draws a mask for each of its %d gates', async (name, gates) => {
    const model = sequential(
      [layers.input({ shape: [4, 3] }), layers[name]({ units: 5, dropout: 0.3, recurrentDropout: 0.3 })],
      {
        machine: await openMachine({ host: 'oracle' }), // which prints the graph as it was traced
      },
    );
    const x = ones(2, 4, 3);
    const [a, b] = [
      await model.vjp(x, ones(2, 5), { training: true }),
      await model.vjp(x, ones(2, 5), { training: true }),
    ];
    expect(a.outputs.equals(b.outputs)).toBe(true); // the same step, the same draws
    expect(a.outputs.equals(await model.predict(x))).toBe(false);
    const [traced] = model.explain().split('== predict');
    expect(traced.split(' = uniform(').length - 1).toBe(2 * gates);
  });
});

describe('states', () => {
  const random = {
    uniform: () => {
      throw new Error('no draws here');
    },
  };

  async function run(layer: Layer, inFirst: number) {
    const space = new StateSpace(await openMachine({ host: 'oracle' }));
    const [batch, length, features] = [2, 5, 3];
    const specs = layer.definition.weights(layer.config, [[batch, length, features]], 'layer');
    for (const { name, shape } of specs) {
      space.declare(name, shape);
      space.set(
        name,
        Float64Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i + shape.length)),
      );
    }
    const step = compileStep(space, 'states', (b) => {
      const weights = Object.fromEntries(specs.map(({ name }) => [name, b.state(name)]));
      const [x, mask] = [b.input('x', [batch, length, features]), b.input('mask', [batch, length])];
      const part = (from: number, size: number, states: readonly Parameters<typeof slice>[0][]) =>
        layer.definition.call(layer.config, {
          inputs: [slice(x, [0, from, 0], [batch, size, features]), ...states],
          masks: [slice(mask, [0, from], [batch, size]), ...states.map(() => null)],
          weights,
          training: false,
          random,
          path: 'layer',
        }).outputs;
      const [, ...middle] = inFirst ? part(0, inFirst, []) : [];
      const [y, ...last] = part(inFirst, length - inFirst, middle);
      return { outputs: Object.fromEntries([y, ...last].map((t, i) => [`y${i}`, t])) };
    });
    const feed = {
      x: Float64Array.from({ length: batch * length * features }, (_, i) => Math.cos(i)),
      mask: [1, 0, 1, 1, 0, 0, 0, 1, 0, 1],
    };
    return (await step.run([feed]))[0];
  }

  it.each([
    ['simpleRNN', {}],
    ['lstm', {}],
    ['gru', {}],
    ['gru', { resetAfter: false }],
  ] as const)('of %s %o handed over in the middle give what one walk gives, with a mask', async (name, options) => {
    const layer = layers[name]({ units: 4, returnState: true, ...options });
    const [whole, parts] = [await run(layer, 0), await run(layer, 2)];
    expect(Object.keys(whole)).toEqual(Object.keys(parts));
    for (const [key, values] of Object.entries(whole)) expect(Array.from(parts[key])).toEqual(Array.from(values));
  });
  it('of the wrong shape or number are refused by the path', () => {
    const { definition, config } = layers.lstm({ units: 4 });
    expect(() =>
      definition.outputs(
        config,
        [
          [2, 5, 3],
          [2, 4],
        ],
        'decoder',
      ),
    ).toThrow(/decoder: expected the sequence alone, or with 2 initial states, h .* and c .*, received 2 inputs/);
  });
});
