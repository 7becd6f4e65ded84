/** Convolutional LSTM: shapes, parameter counts, dropout, channels in front, and the same by plain loops. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers, sequential } from '../../src/index.ts';
import { openMachine } from '../../src/vm/open.ts';

const ramp = (...shape: number[]) =>
  NdArray.from(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(1 + i * 1.3)),
    shape,
  );

describe('convLstm', () => {
  it("has Keras's shapes and parameters", () => {
    const model = sequential([
      layers.input({ shape: [null, 40, 40, 1] }),
      layers.convLstm2d({ filters: 40, kernelSize: 3, padding: 'same', returnSequences: true }),
      layers.convLstm2d({ filters: 8, kernelSize: [3, 5], strides: 2 }),
    ]);
    expect(model.outputShapes).toEqual([[null, 19, 18, 8]]);
    expect(model.countParams()).toBe(4 * 40 * (9 * 41 + 1) + 4 * 8 * (15 * 48 + 1));
  });

  it('over one axis with windows of one equals an LSTM on every place', async () => {
    const [conv, dense] = [
      sequential([layers.input({ shape: [4, 3, 2] }), layers.convLstm1d({ filters: 3, kernelSize: 1 })]),
      sequential([layers.input({ shape: [4, 2] }), layers.lstm({ units: 3 })]),
    ];
    const [kernel, recurrent, bias] = dense.getWeights();
    conv.setWeights([
      NdArray.from(kernel.data, [1, ...kernel.shape]),
      NdArray.from(recurrent.data, [1, ...recurrent.shape]),
      bias,
    ]);
    const x = ramp(2, 4, 3, 2);
    const y = (await conv.predict(x)).toNested() as number[][][];
    const nested = x.toNested() as number[][][][];
    for (let place = 0; place < 3; place++) {
      const want = (await dense.predict(NdArray.from(nested.map((row) => row.map((step) => step[place]))))).toNested();
      (want as number[][]).forEach((row, b) => row.forEach((v, u) => expect(y[b][place][u]).toBeCloseTo(v, 6)));
    }
  });

  it('with channels in front gives what it gives with channels behind', async () => {
    const options = { filters: 2, kernelSize: 2, returnSequences: true } as const;
    const behind = sequential([layers.input({ shape: [3, 4, 5, 2] }), layers.convLstm2d(options)]);
    const front = sequential([
      layers.input({ shape: [3, 2, 4, 5] }),
      layers.convLstm2d({ ...options, dataFormat: 'channelsFirst' }),
    ]);
    front.setWeights(behind.getWeights());
    const x = ramp(1, 3, 4, 5, 2);
    const nested = x.toNested() as number[][][][][];
    const turned = nested.map((b) => b.map((t) => [0, 1].map((c) => t.map((row) => row.map((cell) => cell[c])))));
    const y = (await behind.predict(x)).toNested() as number[][][][][];
    const z = (await front.predict(NdArray.from(turned))).toNested() as number[][][][][];
    z[0].forEach((t, i) =>
      t.forEach((c, k) => c.forEach((row, r) => row.forEach((v, s) => expect(v).toBeCloseTo(y[0][i][r][s][k], 6)))),
    );
  });

  it('draws a mask for each gate, and trains', async () => {
    const make = async (host: 'oracle' | null) =>
      sequential(
        [
          layers.input({ shape: [3, 4, 4, 1] }),
          layers.convLstm2d({ filters: 2, kernelSize: 3, padding: 'same', dropout: 0.3, recurrentDropout: 0.2 }),
          layers.flatten(),
          layers.dense({ units: 1 }),
        ],
        host ? { machine: await openMachine({ host }), seed: 3 } : { seed: 3 },
      );
    const x = ramp(4, 3, 4, 4, 1);
    const losses: number[][] = [];
    for (const host of ['oracle', null] as const) {
      const model = await make(host);
      model.compile({ optimizer: 'adam', loss: 'mse' });
      losses.push((await model.fit(x, ramp(4, 1), { epochs: 3, verbose: 0 })).history.loss);
      if (host) expect(model.explain().split('== train')[1].split(' = uniform(').length - 1).toBe(8);
    }
    losses[0].forEach((loss, i) => expect(loss).toBeCloseTo(losses[1][i], 4));
  });

  it('names the layer where the input has the wrong axes', () => {
    const { definition, config } = layers.convLstm2d({ filters: 2, kernelSize: 3 });
    expect(() => definition.outputs(config, [[null, 5, 6, 3]], 'clouds')).toThrow(
      /clouds: expected an input of 5 axes, \(batch, time, ..., channels\), received \(null, 5, 6, 3\)/,
    );
    expect(() => definition.outputs(config, [[null, 5, 2, 6, 3]], 'clouds')).toThrow(
      /clouds: expected at least 3 elements for a window of 3/,
    );
  });
});
