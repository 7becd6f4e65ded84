/** Cells of one's own: the same numbers as the built-in cell, and every wrong step is named. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers } from '../../src/layers/all.ts';
import { defineCell } from '../../src/layers/cell.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { add, mul, sigmoid, tanh } from '../../src/ops/pointwise.ts';
import { split } from '../../src/ops/shape.ts';
import { sequential } from '../../src/train/sequential.ts';
import { openMachine } from '../../src/vm/open.ts';

const ownLstm = defineCell({
  name: 'OwnLSTM',
  state: ({ units }) => ({ h: [units], c: [units] }),
  weights: ({ units, features }) => ({
    kernel: [features, 4 * units],
    recurrentKernel: [units, 4 * units],
    bias: [4 * units],
  }),
  step({ x, state: { h, c }, weights: w }) {
    const [i, f, g, o] = split(add(add(matmul(x, w.kernel), matmul(h, w.recurrentKernel)), w.bias), 4);
    const nextC = add(mul(sigmoid(f), c), mul(sigmoid(i), tanh(g)));
    const nextH = mul(sigmoid(o), tanh(nextC));
    return { output: nextH, state: { h: nextH, c: nextC } };
  },
});

/** Its output is not its state, so that a masked step must repeat an output of its own. */
const gatedOutput = defineCell({
  name: 'GatedOutput',
  state: ({ units }) => ({ h: [units] }),
  output: ({ units }) => [2 * units],
  weights: ({ units, features }) => ({ kernel: [features, units], out: [units, 2 * units] }),
  step({ x, state: { h }, weights: w }) {
    const next = tanh(add(matmul(x, w.kernel), h));
    return { output: matmul(next, w.out), state: { h: next } };
  },
});

const x = NdArray.from(
  Array.from({ length: 24 }, (_, i) => Math.sin(i)),
  [2, 4, 3],
);
const mask = [
  [1, 1, 0, 0],
  [0, 1, 0, 1],
];

describe("a cell of one's own", async () => {
  it('equals the built-in one: outputs, gradients, masks', async () => {
    const machine = await openMachine();
    const own = sequential([layers.rnn({ cell: ownLstm({ units: 5 }), returnSequences: true })], { machine });
    const built = sequential([layers.lstm({ units: 5, returnSequences: true })], { machine });
    own.build([null, null, 3]);
    built.build([null, null, 3]);
    own.setWeights(built.getWeights());
    const cotangent = NdArray.from(
      Array.from({ length: 40 }, (_, i) => Math.cos(i)),
      [2, 4, 5],
    );
    const [a, b] = [await own.vjp(x, cotangent, { mask }), await built.vjp(x, cotangent, { mask })];
    expect(a.outputs.equals(b.outputs)).toBe(true);
    a.weightGradients.forEach((g, i) => expect(g.equals(b.weightGradients[i])).toBe(true));
  });

  it('whose output is not a state repeats that output where a step is masked', async () => {
    const make = (returnSequences: boolean) =>
      sequential([layers.rnn({ cell: gatedOutput({ units: 2 }), returnSequences })]);
    const [all, last] = [make(true), make(false)];
    expect((await all.predict(x)).shape).toEqual([2, 4, 4]);
    last.build([null, null, 3]);
    last.setWeights(all.getWeights());
    const y = (await all.predict(x, { mask })).toNested() as number[][][];
    expect(y[0][2]).toEqual(y[0][1]);
    expect(y[0][3]).toEqual(y[0][1]);
    expect(y[1][0]).toEqual([0, 0, 0, 0]); // nothing was put out yet
    expect(y[1][2]).toEqual(y[1][1]);
    expect((await last.predict(x, { mask })).toNested()).toEqual([y[0][3], y[1][3]]);
  });

  const { traits } = await openMachine();
  const instructionsOf = (text: string) =>
    text.slice(text.indexOf('program: '), text.indexOf('arena map')).replace(/^program.*$/m, '');
  it.runIf(traits.host !== 'oracle').each([1, 8, 32])(
    'compiles to the instructions of the built-in cell, rows: %i',
    async (rows) => {
      const [own, builtIn] = await Promise.all(
        [
          layers.rnn({ cell: ownLstm({ units: 32 }), returnSequences: true }),
          layers.lstm({ units: 32, returnSequences: true }),
        ].map(async (layer) => {
          const model = sequential([layers.input({ shape: [5, 3] }), layer]);
          model.compile({ optimizer: 'adam', loss: 'mse' });
          await model.trainOnBatch(NdArray.zeros([rows, 5, 3]), NdArray.zeros([rows, 5, 32]));
          return instructionsOf(model.explain());
        }),
      );
      expect(own.length).toBeGreaterThan(1000);
      expect(own).toBe(builtIn);
    },
  );

  it('trains', async () => {
    const model = sequential([layers.rnn({ cell: ownLstm({ units: 4 }) }), layers.dense({ units: 1 })]);
    model.compile({ optimizer: 'adam', loss: 'mse' });
    model.learningRate = 0.05;
    const { history } = await model.fit(x, [[1], [-1]], { epochs: 40, verbose: 0 });
    expect(history.loss[39]).toBeLessThan(0.1 * history.loss[0]);
  });

  const build = (cell: ReturnType<typeof ownLstm>) => sequential([layers.rnn({ cell, name: 'mine' })]).predict(x);
  it('with a step that returns the wrong tree is answered by its path', async () => {
    const wrong = defineCell({
      ...ownLstm.definition,
      step: ({ state: { h } }) => ({ output: h, state: { h } as never }),
    });
    await expect(build(wrong({ units: 2 }))).rejects.toThrow(
      /mine: step of OwnLSTM: expected \{ output, state: \{ h, c \} \}, received state \{ h \}/,
    );
  });
  it('with a step that changes a shape is answered with both', async () => {
    const wrong = defineCell({
      ...ownLstm.definition,
      step: ({ state: { h, c }, weights: w }) => ({ output: h, state: { h: matmul(h, w.recurrentKernel), c } }),
    });
    await expect(build(wrong({ units: 2 }))).rejects.toThrow(
      /mine: step of OwnLSTM: expected state h \(2, 2\), received \(2, 8\)/,
    );
  });
});
