/** A model one step at a time gives what `predict` gives for the sequences so far: every cell, option and layer that can stream. */
import { describe, expect, it } from 'vitest';
import { NdArray as Arrays, type NdArray } from '../../src/core/array.ts';
import { defineCell, input, layers, model, ops, sequential } from '../../src/index.ts';
import type { Layer } from '../../src/layers/layer.ts';
import {
  expectClose,
  expectStreams,
  features,
  rows,
  type Streamed,
  sequence,
  stepOf,
  steps,
  stirred,
  wave,
} from './stepping.ts';

const both = { returnSequences: true, returnState: true };
const recurrent: Record<string, (flags: object) => Layer> = {
  simpleRNN: (flags) => layers.simpleRNN({ units: 4, ...flags }),
  'simpleRNN of 20 units, relu': (flags) => layers.simpleRNN({ units: 20, activation: 'relu', ...flags }),
  lstm: (flags) => layers.lstm({ units: 4, ...flags }),
  'lstm of 16 units without bias': (flags) => layers.lstm({ units: 16, useBias: false, ...flags }),
  'lstm with peepholes': (flags) => layers.lstm({ units: 4, peepholes: true, ...flags }),
  'lstm with projections': (flags) => layers.lstm({ units: 6, projection: 3, outputProjection: 2, ...flags }),
  'lstm with layer normalisation': (flags) => layers.lstm({ units: 4, layerNormalization: true, ...flags }),
  'lstm with zoneout and dropout': (flags) =>
    layers.lstm({ units: 4, zoneout: 0.2, zoneoutMemory: 0.1, dropout: 0.3, recurrentDropout: 0.2, ...flags }),
  gru: (flags) => layers.gru({ units: 4, ...flags }),
  'gru, reset before': (flags) => layers.gru({ units: 20, resetAfter: false, ...flags }),
  minimalGatedUnit: (flags) => layers.minimalGatedUnit({ units: 4, ...flags }),
  indRNN: (flags) => layers.indRNN({ units: 4, ...flags }),
  'a stateful lstm': (flags) => layers.lstm({ units: 4, stateful: true, ...flags }),
  'stacked cells': (flags) =>
    layers.rnn({
      cell: layers.stackedRNNCells({ cells: [layers.lstmCell({ units: 4 }), layers.gruCell({ units: 3 })] }),
      ...flags,
    }),
  "a cell of one's own whose output is no state": (flags) => layers.rnn({ cell: leaky({ units: 4 }), ...flags }),
};

const leaky = defineCell({
  name: 'Leaky',
  state: ({ units }) => ({ memory: [units] }),
  weights: ({ units, features }) => ({ kernel: [features, units], bias: [units] }),
  step({ x, state: { memory }, weights: w }) {
    const next = ops.add(ops.mul(memory, 0.9), ops.add(ops.matmul(x, w.kernel), w.bias));
    return { output: ops.tanh(next), state: { memory: next } };
  },
});

describe('streams what predict computes', () => {
  for (const [name, make] of Object.entries(recurrent)) {
    it(`${name}: every output and state`, async () => {
      const made = stirred(sequential([layers.input({ shape: [null, features] }), make(both)]));
      const x = sequence();
      if (name.startsWith('a stateful')) {
        const stepper = await made.stream({ rows });
        const plain = stirred(
          sequential([layers.input({ shape: [null, features] }), layers.lstm({ units: 4, ...both })]),
        );
        const [y] = (await plain.predict(x)) as unknown as NdArray[];
        for (let t = 0; t < steps; t++)
          expectClose((stepper.step(stepOf(x, t)) as unknown as NdArray[])[0], stepOf(y, t), `step ${t}`);
      } else await expectStreams(made as unknown as Streamed, x, [0]);
    });
    it(`${name}: the last output`, async () => {
      if (name.startsWith('a stateful')) return;
      const made = stirred(
        sequential([layers.input({ shape: [null, features] }), make({}), layers.dense({ units: 2 })]),
      );
      await expectStreams(made as unknown as Streamed, sequence());
    });
    it(`${name}: masked steps keep the states and repeat the output, or give zeros`, async () => {
      if (name.startsWith('a stateful')) return;
      for (const zeroOutputForMask of [false, true]) {
        const made = stirred(
          sequential([
            layers.input({ shape: [null, features] }),
            layers.masking({ maskValue: 0 }),
            make({ ...both, zeroOutputForMask }),
          ]),
        );
        const x = sequence();
        // The first row starts with a masked step, the second has one in the middle, the third ends with two.
        for (const [row, t] of [
          [0, 0],
          [1, 3],
          [2, 4],
          [2, 5],
        ])
          x.data.fill(0, (row * steps + t) * features, (row * steps + t + 1) * features);
        await expectStreams(made as unknown as Streamed, x, [0]);
      }
    });
  }

  it('stacked layers, normalisation, activations and dropout between them', async () => {
    const made = sequential([
      layers.input({ shape: [null, features] }),
      layers.dense({ units: 18, activation: 'tanh' }),
      layers.layerNormalization(),
      layers.lstm({ units: 8, returnSequences: true }),
      layers.dropout({ rate: 0.5 }),
      layers.batchNormalization(),
      layers.gru({ units: 8, returnSequences: true }),
      layers.spatialDropout1d({ rate: 0.5 }),
      layers.rmsNormalization(),
      layers.timeDistributed({ layer: layers.dense({ units: 3, activation: 'softmax' }) }),
    ]);
    await expectStreams(stirred(made) as unknown as Streamed, sequence(), [0]);
  });

  it('an embedding whose index 0 is padding', async () => {
    const made = sequential([
      layers.embedding({ inputDim: 9, outputDim: 4, maskZero: true }),
      layers.lstm({ units: 5, returnSequences: true }),
      layers.gru({ units: 4 }),
      layers.dense({ units: 2, activation: 'softmax' }),
    ]);
    made.build([null, null]);
    const ids = Arrays.from(Int32Array.from([0, 0, 3, 4, 0, 1, 5, 0, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6]), [rows, steps]);
    await expectStreams(stirred(made) as unknown as Streamed, ids);
  });

  it('a causal convolution with dilation, by the window that it sees', async () => {
    const made = sequential([
      layers.input({ shape: [null, features] }),
      layers.conv1d({ filters: 6, kernelSize: 3, padding: 'causal', dilationRate: 2, activation: 'relu' }),
      layers.conv1d({ filters: 4, kernelSize: 2, padding: 'causal' }),
      layers.lstm({ units: 4, returnSequences: true }),
      layers.conv1d({ filters: 3, kernelSize: 1 }),
    ]);
    await expectStreams(stirred(made) as unknown as Streamed, sequence(9), [0]);
  });

  it('pooling over all steps so far, with masks', async () => {
    const x = input({ shape: [null, features] });
    const masked = layers.masking().apply(x);
    const y = layers.lstm({ units: 4, returnSequences: true }).apply(masked);
    const outputs = [
      layers.globalAveragePooling1d().apply(y),
      layers.globalMaxPooling1d({ useMask: true }).apply(y),
      layers.globalMaxPooling1d().apply(y),
    ];
    const made = stirred(model({ inputs: x, outputs }));
    const data = sequence();
    data.data.fill(0, 0, features);
    data.data.fill(0, (steps + 2) * features, (steps + 4) * features);
    await expectStreams(made as unknown as Streamed, data);
  });

  it('positions, sine and learnt', async () => {
    const made = sequential([
      layers.input({ shape: [null, features] }),
      layers.positionEmbedding({ sequenceLength: 8 }),
      layers.simpleRNN({ units: 3 }),
    ]);
    await expectStreams(stirred(made) as unknown as Streamed, sequence());
    const long = 131;
    const sines = sequential([layers.input({ shape: [null, features] }), layers.sinePositionEncoding()]);
    await expectStreams(sines as unknown as Streamed, sequence(long), [0]);
    const stepper = await made.stream({ rows: 1 });
    for (let t = 0; t < 8; t++) stepper.step(wave(features));
    expect(() => stepper.step(wave(features))).toThrow(/position_embedding: expected at most 8 steps, received step 9/);
    stepper.reset();
    stepper.step(wave(features));
  });

  it('functional models: initial states, a shared layer, a residual, an operation, several outputs', async () => {
    const x = input({ shape: [null, features] });
    const h = input({ shape: [4], name: 'h' });
    const c = input({ shape: [4], name: 'c' });
    const shared = layers.dense({ units: 4 });
    const wide = shared.apply(x);
    const first = layers.lstm({ units: 4, returnSequences: true }).apply(wide, { initialState: [h, c] });
    const residual = layers.add().apply([first, wide]);
    const scaled = ops.mul(residual as never, 0.5) as unknown as typeof first;
    const beside = layers.concatenate().apply([scaled, layers.repeatVector({ n: steps }).apply(h)]);
    const last = layers.gru({ units: 3 }).apply(layers.custom(([v]) => ops.mul(v, ops.sigmoid(v))).apply(beside));
    const made = stirred(model({ inputs: [x, h, c], outputs: [residual, last] }));
    const states = [Arrays.from(wave(rows * 4, 3), [rows, 4]), Arrays.from(wave(rows * 4, 5), [rows, 4])];
    const data = sequence();
    const [y, z] = (await made.predict([data, ...states])) as unknown as NdArray[];
    const stepper = await made.stream({ rows });
    for (let t = 0; t < steps; t++) {
      // After the first step the states are there.
      const found = stepper.step(
        t ? [stepOf(data, t), null, null] : [stepOf(data, t), ...states],
      ) as unknown as NdArray[];
      expectClose(found[0], stepOf(y, t), `step ${t}`);
      if (t === steps - 1) expectClose(found[1], z, 'the last step');
    }
  });

  it('a model within a model, called twice', async () => {
    const inner = sequential([
      layers.input({ shape: [null, features] }),
      layers.lstm({ units: features, returnSequences: true }),
    ]);
    const x = input({ shape: [null, features] });
    const y = inner.apply(inner.apply(x));
    const made = stirred(model({ inputs: x, outputs: layers.gru({ units: 2 }).apply(y) }));
    await expectStreams(made as unknown as Streamed, sequence());
  });

  it('a decoder of the last output, which is walked anew at every step', async () => {
    const made = sequential([
      layers.input({ shape: [null, features] }),
      layers.lstm({ units: 4 }),
      layers.repeatVector({ n: 3 }),
      layers.bidirectional({ layer: layers.gru({ units: 3, returnSequences: true }) }),
      layers.flatten(),
      layers.dense({ units: 2 }),
    ]);
    await expectStreams(stirred(made) as unknown as Streamed, sequence());
  });

  it('a mask given by hand, and layers whose steps are sequences or matrices themselves', async () => {
    const x = input({ shape: [null, features] });
    const m = input({ shape: [null], name: 'valid' });
    const made = stirred(
      model({ inputs: [x, m], outputs: layers.lstm({ units: 3, returnSequences: true }).apply(x, { mask: m }) }),
    );
    const data = sequence();
    const mask = Arrays.from(Float32Array.from([1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]), [rows, steps]);
    const wanted = await made.predict([data, mask]);
    const stepper = await made.stream({ rows });
    for (let t = 0; t < steps; t++)
      expectClose(stepper.step([stepOf(data, t), stepOf(mask, t)]), stepOf(wanted as NdArray, t), `step ${t}`);

    const pictures = sequential([
      layers.input({ shape: [null, 4, 3] }),
      layers.timeDistributed({ layer: layers.bidirectional({ layer: layers.gru({ units: 2 }) }) }),
      layers.einsumDense({ equation: 'btf,fe->bte', outputShape: [null, 6], biasAxes: 'e' }),
      layers.unitNormalization(),
      layers.custom(([v]) => ops.softmax(v as never) as never),
      layers.lstm({ units: 3 }),
    ]);
    await expectStreams(
      stirred(pictures) as unknown as Streamed,
      Arrays.from(wave(rows * steps * 12), [rows, steps, 4, 3]),
    );
  });

  it('convLstm1d', async () => {
    const made = sequential([
      layers.input({ shape: [null, 6, 2] }),
      layers.convLstm1d({ filters: 3, kernelSize: 3, padding: 'same', returnSequences: true }),
    ]);
    await expectStreams(
      stirred(made) as unknown as Streamed,
      Arrays.from(wave(rows * steps * 12), [rows, steps, 6, 2]),
      [0],
    );
  });
});
