/** What cells can do beyond Keras's: gradients, the same by hand and by `defineCell`, and every host. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { checkGradients, defineCell, layers, modelFromBytes, ops, sequential } from '../../src/index.ts';
import type { Cell } from '../../src/layers/cell.ts';
import { openMachine } from '../../src/vm/open.ts';
import { loopsOf } from '../engine/printed-loops.ts';
import { goldenMachines } from '../golden/golden.ts';

const units = 3;
const extras = [
  {},
  { layerNormalization: true },
  { projection: 2 },
  { outputProjection: 4 },
  { zoneout: 0.3 },
  { layerNormalization: true, projection: 2, outputProjection: 5, zoneout: 0.2, useBias: false },
] as const;

const cells: [string, Cell][] = [
  ...extras.flatMap((own): [string, Cell][] => [
    [`lstm ${JSON.stringify(own)}`, layers.lstmCell({ units, ...own })],
    [`gru ${JSON.stringify(own)}`, layers.gruCell({ units, ...own })],
    [`gru before ${JSON.stringify(own)}`, layers.gruCell({ units, ...own, resetAfter: false })],
    [`minimal gated unit ${JSON.stringify(own)}`, layers.minimalGatedUnitCell({ units, ...own })],
    [
      `minimal gated unit before ${JSON.stringify(own)}`,
      layers.minimalGatedUnitCell({ units, ...own, resetAfter: false }),
    ],
  ]),
  ['lstm peepholes', layers.lstmCell({ units, peepholes: true })],
  [
    'lstm with everything',
    layers.lstmCell({
      units,
      peepholes: true,
      layerNormalization: true,
      projection: 2,
      zoneout: 0.1,
      zoneoutMemory: 0.4,
    }),
  ],
  ['indRNN', layers.indRNNCell({ units, activation: 'tanh', zoneout: 0.25 })],
  [
    'stack',
    layers.stackedRNNCells({
      cells: [
        layers.lstmCell({ units, projection: 2 }),
        layers.gruCell({ units: 4, outputProjection: 2 }),
        layers.simpleRNNCell({ units: 2 }),
      ],
    }),
  ],
];

const ramp = (...shape: number[]) =>
  NdArray.from(
    Float64Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(1 + i * 1.7)),
    shape,
  );

describe('gradients equal central differences', () => {
  it.each(cells)('%s', async (_name, cell) => {
    const checked = await checkGradients(cell);
    expect(checked.length).toBeGreaterThan(3);
    for (const { gradient } of checked) expect(Math.abs(gradient)).toBeGreaterThan(0);
  });
  it('and where they do not, the weight is named', async () => {
    const cut = defineCell({
      name: 'Cut',
      state: ({ units: u }) => ({ h: [u] }),
      weights: ({ units: u, features }) => ({ kernel: [features, u], bias: [u] }),
      step({ x, state: { h }, weights: w }) {
        const next = ops.tanh(ops.add(ops.add(ops.matmul(x, ops.stopGradient(w.kernel)), h), w.bias));
        return { output: next, state: { h: next } };
      },
    });
    await expect(checkGradients(cut({ units: 2 }))).rejects.toThrow(/checkGradients: Cut: kernel: expected the slope/);
  });
});

const mask = [
  [1, 1, 0, 1, 0],
  [0, 1, 1, 1, 1],
];
const build = (cell: Cell, machine: Awaited<ReturnType<typeof openMachine>>) => {
  const model = sequential([layers.rnn({ cell, returnSequences: true })], { machine });
  model.build([null, null, 3]);
  model.setWeights(
    model
      .getWeights()
      .map((w, i) => ramp(...w.shape).data.map((v: number) => v * (0.5 + i / 7)))
      .map((d, i) => NdArray.from(d, model.weights[i].shape)),
  );
  return model;
};

describe('the machine agrees with the oracle', async () => {
  const machines = await goldenMachines();
  const oracle = await openMachine({ host: 'oracle' });
  it.each(cells)('%s', async (_name, cell) => {
    const x = ramp(2, 5, 3);
    const exact = build(cell, oracle);
    const size = exact.outputShapes[0][2] as number;
    const want = await exact.vjp(x, ramp(2, 5, size), { mask });
    for (const machine of machines) {
      const got = await build(cell, machine).vjp(x, ramp(2, 5, size), { mask });
      got.outputs.data.forEach((v, i) => expect(v).toBeCloseTo(want.outputs.data[i], 4));
      got.weightGradients.forEach((g, k) =>
        g.data.forEach((v, i) => expect(v, `weight ${k}`).toBeCloseTo(want.weightGradients[k].data[i], 3)),
      );
    }
  });
});

describe('independent routes', () => {
  const ownLstm = defineCell({
    name: 'OwnLstm',
    state: ({ units: u }) => ({ h: [2], c: [u] }),
    weights: ({ units: u, features }) => ({
      kernel: [features, 4 * u],
      recurrentKernel: [2, 4 * u],
      bias: [4 * u],
      peepholes: [3 * u],
      projectionKernel: [u, 2],
    }),
    step({ x, state: { h, c }, weights: w }) {
      const product = ops.add(ops.add(ops.matmul(x, w.kernel), ops.matmul(h, w.recurrentKernel)), w.bias);
      const [i, f, g, o] = ops.split(product, 4);
      const [pi, pf, po] = ops.split(w.peepholes, 3);
      const kept = ops.mul(ops.sigmoid(ops.add(f, ops.mul(pf, c))), c);
      const next = ops.add(kept, ops.mul(ops.sigmoid(ops.add(i, ops.mul(pi, c))), ops.tanh(g)));
      const memory = ops.mul(ops.sigmoid(ops.add(o, ops.mul(po, next))), ops.tanh(next));
      const projected = ops.matmul(memory, w.projectionKernel);
      return { output: projected, state: { h: projected, c: next } };
    },
  });
  it('the built-in cell equals the same cell by defineCell', async () => {
    const x = ramp(2, 5, 3);
    for (const machine of await goldenMachines()) {
      const own = await build(ownLstm({ units }), machine).vjp(x, ramp(2, 5, 2), { mask });
      const cell = layers.lstmCell({ units, peepholes: true, projection: 2 });
      const built = await build(cell, machine).vjp(x, ramp(2, 5, 2), { mask });
      built.outputs.data.forEach((v, i) => expect(v).toBeCloseTo(own.outputs.data[i], 6));
      built.weightGradients.forEach((g, k) =>
        g.data.forEach((v, i) => expect(v).toBeCloseTo(own.weightGradients[k].data[i], 5)),
      );
    }
  });
  it('peepholes and projection equal the formulas in plain numbers', async () => {
    const oracle = await openMachine({ host: 'oracle' });
    const model = build(layers.lstmCell({ units, peepholes: true, projection: 2 }), oracle);
    const [kernel, recurrent, bias, peep, project] = model.getWeights().map((w) => w.toNested()) as [
      number[][],
      number[][],
      number[],
      number[],
      number[][],
    ];
    const x = ramp(1, 5, 3);
    const y = (await model.predict(x)).toNested() as number[][][];
    const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
    let h = [0, 0];
    let c = [0, 0, 0];
    (x.toNested() as number[][][])[0].forEach((now, t) => {
      const gate = (g: number, u: number) => {
        const j = g * units + u;
        return (
          bias[j] + now.reduce((s, v, k) => s + v * kernel[k][j], 0) + h.reduce((s, v, k) => s + v * recurrent[k][j], 0)
        );
      };
      const next = c.map((old, u) => {
        const [i, f] = [sigmoid(gate(0, u) + peep[u] * old), sigmoid(gate(1, u) + peep[units + u] * old)];
        return f * old + i * Math.tanh(gate(2, u));
      });
      const m = next.map((v, u) => sigmoid(gate(3, u) + peep[2 * units + u] * v) * Math.tanh(v));
      c = next;
      h = [0, 1].map((p) => m.reduce((s, v, u) => s + v * project[u][p], 0));
      h.forEach((v, p) => expect(y[0][t][p]).toBeCloseTo(v, 10));
    });
  });
  it('layer normalisation equals the formulas in plain numbers', async () => {
    const oracle = await openMachine({ host: 'oracle' });
    const model = build(layers.gruCell({ units, layerNormalization: true }), oracle);
    const [kernel, recurrent, bias, inputGain, recurrentGain] = model.getWeights().map((w) => w.toNested()) as [
      number[][],
      number[][],
      number[][],
      number[],
      number[],
    ];
    const normal = (v: number[], gain: number[]) => {
      const mean = v.reduce((a, b) => a + b) / v.length;
      const variance = v.reduce((a, b) => a + (b - mean) ** 2, 0) / v.length;
      return v.map((e, i) => ((e - mean) / Math.sqrt(variance + 1e-5)) * gain[i]);
    };
    const times = (v: number[], w: number[][]) => w[0].map((_, j) => v.reduce((s, e, k) => s + e * w[k][j], 0));
    const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
    const x = ramp(1, 5, 3);
    const y = (await model.predict(x)).toNested() as number[][][];
    let h = [0, 0, 0];
    (x.toNested() as number[][][])[0].forEach((now, t) => {
      const a = normal(times(now, kernel), inputGain).map((v, j) => v + bias[0][j]);
      const b = normal(times(h, recurrent), recurrentGain).map((v, j) => v + bias[1][j]);
      h = h.map((old, u) => {
        const [z, r] = [sigmoid(a[u] + b[u]), sigmoid(a[units + u] + b[units + u])];
        return z * old + (1 - z) * Math.tanh(a[2 * units + u] + r * b[2 * units + u]);
      });
      h.forEach((v, u) => expect(y[0][t][u]).toBeCloseTo(v, 8));
    });
  });
  it('a stack in one loop equals layers over each other', async () => {
    const machine = await openMachine();
    const x = ramp(2, 5, 3);
    const stack = build(
      layers.stackedRNNCells({ cells: [layers.lstmCell({ units: 4 }), layers.gruCell({ units: 2 })] }),
      machine,
    );
    const apart = sequential(
      [layers.lstm({ units: 4, returnSequences: true }), layers.gru({ units: 2, returnSequences: true })],
      { machine },
    );
    apart.build([null, null, 3]);
    apart.setWeights(stack.getWeights());
    const [a, b] = [await stack.vjp(x, ramp(2, 5, 2), { mask }), await apart.vjp(x, ramp(2, 5, 2), { mask })];
    a.outputs.data.forEach((v, i) => expect(v).toBeCloseTo(b.outputs.data[i], 5));
    a.weightGradients.forEach((g, k) =>
      g.data.forEach((v, i) => expect(v).toBeCloseTo(b.weightGradients[k].data[i], 4)),
    );
  });
  it('zoneout keeps values in training and is their expectation when predicting', async () => {
    const cell = layers.indRNNCell({
      units: 200,
      activation: 'linear',
      kernelInitializer: 'ones',
      recurrentInitializer: 'ones',
      zoneout: 0.5,
    });
    const model = sequential([layers.input({ shape: [3, 1] }), layers.rnn({ cell, returnSequences: true })]);
    const x = NdArray.from(new Float32Array(3).fill(1), [1, 3, 1]);
    expect(((await model.predict(x)).toNested() as number[][][])[0].map(([v]) => v)).toEqual([0.5, 1, 1.5]);
    const { outputs } = await model.vjp(x, ramp(1, 3, 200), { training: true });
    const [steps] = outputs.toNested() as number[][][];
    for (let u = 0; u < 200; u++) {
      let before = 0;
      for (const step of steps) {
        expect([before, before + 1]).toContain(step[u]);
        before = step[u];
      }
    }
    expect(steps[2].reduce((a, b) => a + b) / 200).toBeCloseTo(1.5, 0);
    expect(new Set(steps[2])).toEqual(new Set([0, 1, 2, 3]));
  });
});

// The oracle walks graphs: it has no loops of instructions.
describe.skipIf(process.env.UNROLLED_HOST === 'oracle')('padding', () => {
  it.each([
    ['lstm', { peepholes: true }],
    ['lstm', { zoneout: 0.2 }],
    ['minimalGatedUnit', {}],
  ] as const)('is left out of the loops of %s %o', async (name, options) => {
    const model = sequential([
      layers.embedding({ inputDim: 9, outputDim: 16, maskZero: true }),
      layers[name]({ units: 16, ...options }),
      layers.dense({ units: 1 }),
    ]);
    model.compile({ optimizer: 'sgd', loss: 'mse' });
    const ids = new Int32Array(8 * 6);
    for (let b = 0; b < 8; b++) for (let t = 0; t < 6; t++) ids[b * 6 + t] = t <= b % 6 ? 1 + ((b + t) % 8) : 0;
    await model.fit(NdArray.from(ids, [8, 6]), ramp(8, 1), { verbose: 0 });
    expect(model.explain()).toContain('activeRows');
  });
});

describe('loops hold one product and one chain', async () => {
  const machine = await openMachine();
  const many = { units: 16, returnSequences: true } as const;
  it.skipIf(machine.traits.host === 'oracle').each([
    ['simpleRNN', layers.simpleRNN(many)],
    ['lstm', layers.lstm(many)],
    ['gru', layers.gru(many)],
    ['a stateful lstm', layers.lstm({ ...many, stateful: true })],
    ['minimal gated unit', layers.minimalGatedUnit(many)],
    ['lstm with peepholes', layers.lstm({ ...many, peepholes: true })],
  ] as const)('%s', async (_name, layer) => {
    const model = sequential([layers.input({ shape: [5, 16] }), layer, layers.dense({ units: 1 })], { machine });
    model.compile({ optimizer: 'sgd', loss: 'mse' });
    await model.fit(ramp(32, 5, 16), ramp(32, 5, 1), { verbose: 0 });
    const loops = loopsOf(model.explain());
    expect(loops).toHaveLength(2);
    for (const loop of loops) expect(loop).toEqual(['CHAIN', 'PRODUCT']);
  });
});

describe("a cell of one's own", () => {
  /** A tree as its state, a second sequence, and a constant. */
  const twoInputs = defineCell({
    name: 'TwoInputs',
    sequences: ['speed'],
    constants: ['place'],
    state: ({ units: u }) => ({ pair: [[u], [u]], rest: { mean: [u] } }),
    weights: ({ units: u, features, inputShapes }) => ({
      kernel: [features, u],
      ofSpeed: [inputShapes.speed[0], u],
      ofPlace: [inputShapes.place[0], u],
    }),
    step({
      x,
      inputs: { speed, place },
      state: {
        pair: [a, b],
        rest,
      },
      weights: w,
    }) {
      const moved = ops.add(ops.matmul(x, w.kernel), ops.matmul(speed, w.ofSpeed));
      const next = ops.tanh(ops.add(ops.add(moved, ops.matmul(place, w.ofPlace)), b));
      const mean = ops.mul(ops.add(rest.mean, a), 0.5);
      return { output: ops.add(next, mean), state: { pair: [next, a], rest: { mean } } };
    },
  });
  it('takes several inputs and constants, and a tree as its state', async () => {
    const checked = await checkGradients(twoInputs({ units: 2 }), { inputShapes: { speed: [2], place: [4] } });
    expect(checked.map(({ name }) => name)).toEqual([
      'kernel',
      'ofSpeed',
      'ofPlace',
      'x',
      'speed',
      'place',
      'state pair[0]',
      'state pair[1]',
      'state rest.mean',
    ]);
  });
  it('without one of its inputs is answered with all of them', () => {
    const { definition, config } = layers.rnn({ cell: twoInputs({ units: 2 }), name: 'mine' });
    expect(() => definition.outputs(config, [[null, 5, 3]], 'mine')).toThrow(
      /mine: expected the inputs \(x, speed, place\), received 1 inputs/,
    );
  });
  it('and the options beyond Keras come back from a bundle', async () => {
    const model = sequential([
      layers.input({ shape: [4, 2] }),
      layers.lstm({
        units: 3,
        peepholes: true,
        layerNormalization: true,
        projection: 2,
        zoneout: 0.1,
        returnSequences: true,
      }),
      layers.minimalGatedUnit({ units: 2, outputProjection: 3, returnSequences: true }),
      layers.rnn({
        cell: layers.stackedRNNCells({ cells: [layers.indRNNCell({ units: 2 }), layers.gruCell({ units: 2 })] }),
      }),
    ]);
    const x = ramp(2, 4, 2);
    const { model: again } = modelFromBytes(model.toBytes());
    expect((await again.predict(x)).equals(await model.predict(x))).toBe(true);
  });
});
