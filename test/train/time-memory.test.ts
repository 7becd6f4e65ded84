/** `memory` reaches everything that trains, and changes no result. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers, modelFromBytes, sequential } from '../../src/index.ts';
import { defineCell } from '../../src/layers/cell.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { add, mul, sigmoid, tanh } from '../../src/ops/pointwise.ts';
import { reshape } from '../../src/ops/shape.ts';
import { model as functional, input } from '../../src/train/functional.ts';
import type { Model } from '../../src/train/model.ts';
import type { ModelOptions } from '../../src/train/model-options.ts';
import { expectClose, goldenMachines } from '../golden/golden.ts';

const machines = await goldenMachines();
const [batch, time, features, units] = [5, 13, 3, 4];
const wave = (k: number, ...shape: number[]) =>
  NdArray.from(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(k + i * 1.3)),
    shape,
  );

/** Its state is a tree, and its output none of its states. */
const fastAndSlow = defineCell({
  name: 'FastAndSlow',
  state: ({ units: size }) => ({ fast: { h: [size] }, slow: [2, size] }),
  weights: ({ units: size, features: inputs }) => ({ kernel: [inputs, size], recurrent: [size, size] }),
  step({ x, state: { fast, slow }, weights: w }) {
    const h = tanh(add(matmul(x, w.kernel), matmul(fast.h, w.recurrent)));
    const [rows, size] = h.shape;
    const wide = reshape(h, [rows, 1, size]);
    const next = add(mul(slow, 0.9), mul(wide, 0.1));
    return { output: mul(sigmoid(h), 2), state: { fast: { h }, slow: next } };
  },
});

const over = (layer: (returnSequences: boolean) => Layer, sequences: boolean): Layer[] => [layer(sequences)];
const stacks: Record<string, (sequences: boolean) => Layer[]> = {
  lstm: (s) => over((r) => layers.lstm({ units, returnSequences: r }), s),
  'lstm backwards': (s) => over((r) => layers.lstm({ units, returnSequences: r, goBackwards: true }), s),
  'gru, reset after': (s) => over((r) => layers.gru({ units, returnSequences: r }), s),
  'gru, reset before': (s) => over((r) => layers.gru({ units, returnSequences: r, resetAfter: false }), s),
  'simple rnn, zero outputs': (s) =>
    over((r) => layers.simpleRNN({ units, returnSequences: r, zeroOutputForMask: true }), s),
  'own cell': (s) => over((r) => layers.rnn({ cell: fastAndSlow({ units }), returnSequences: r }), s),
  'stacked cells': (s) =>
    over(
      (r) =>
        layers.rnn({
          cell: layers.stackedRNNCells({ cells: [layers.gruCell({ units: 2 }), layers.lstmCell({ units })] }),
          returnSequences: r,
        }),
      s,
    ),
  bidirectional: (s) => over((r) => layers.bidirectional({ layer: layers.gru({ units, returnSequences: r }) }), s),
  'two layers': (s) => [
    layers.lstm({ units: 3, returnSequences: true }),
    layers.bidirectional({ layer: layers.lstm({ units: 2, returnSequences: true }) }),
    layers.simpleRNN({ units, returnSequences: s }),
  ],
  dropout: (s) => over((r) => layers.lstm({ units, returnSequences: r, dropout: 0.3, recurrentDropout: 0.2 }), s),
  zoneout: (s) => over((r) => layers.gru({ units, returnSequences: r, zoneout: 0.3 }), s),
  'layer normalisation': (s) => over((r) => layers.lstm({ units, returnSequences: r, layerNormalization: true }), s),
};

const masks: Record<string, (row: number, t: number) => boolean> = {
  left: (row, t) => t >= row * 2,
  holes: (row, t) => (row * 5 + t * 3) % 4 > 0,
};

function made(name: string, sequences: boolean, options: ModelOptions): Model {
  const model = sequential(
    [layers.input({ shape: [null, features] }), ...stacks[name](sequences), layers.dense({ units: 2 })],
    { seed: 3, ...options },
  );
  model.compile({ optimizer: 'adam', loss: 'mse' });
  return model;
}

describe.each(machines.map((m) => [m.traits.host, m] as const))('memory, on %s', (_host, machine) => {
  for (const name of Object.keys(stacks))
    it.each([false, true])(`${name}: gradients and steps as with everything kept, sequences %s`, async (sequences) => {
      const near = machine.traits.host === 'oracle' ? 1e-9 : 2e-5;
      for (const [kind, valid] of [['none', null], ...Object.entries(masks)] as const) {
        const mask = valid
          ? NdArray.from(
              Float32Array.from({ length: batch * time }, (_, i) => Number(valid(Math.floor(i / time), i % time))),
              [batch, time],
            )
          : undefined;
        const x = wave(1, batch, time, features);
        const y = sequences ? wave(2, batch, time, 2) : wave(2, batch, 2);
        const results = [];
        for (const memory of kind === 'none' ? (['full', 'sqrt', 5] as const) : (['full', 'sqrt'] as const)) {
          const model = made(name, sequences, { memory, machine });
          const { loss, weightGradients, inputGradients } = await model.lossAndGradients(x, y, {
            mask,
            training: true,
          });
          const vjp = await model.vjp(x, y, { mask });
          await model.trainOnBatch(x, y, { mask });
          results.push([
            NdArray.from([loss]),
            ...weightGradients,
            inputGradients as NdArray,
            vjp.outputs,
            ...vjp.weightGradients,
            vjp.inputGradients as NdArray,
            ...model.getWeights(),
          ]);
        }
        const [want, ...others] = results;
        for (const got of others)
          got.forEach((array, i) =>
            expectClose(
              array,
              { shape: [...want[i].shape], data: Array.from(want[i].data) },
              near,
              `${kind}, result ${i}`,
            ),
          );
      }
    });

  it('reaches the gradients of initial states', async () => {
    const build = (memory: 'full' | 'sqrt') => {
      const x = input({ shape: [time, features] });
      const h = input({ shape: [units] });
      const c = input({ shape: [units] });
      const y = layers.lstm({ units }).apply(x, { initialState: [h, c] });
      return functional({ inputs: [x, h, c], outputs: y, seed: 2, memory, machine });
    };
    const data = [wave(1, batch, time, features), wave(2, batch, units), wave(3, batch, units)];
    const given = wave(4, batch, units);
    const [want, got] = [await build('full').vjp(data, given), await build('sqrt').vjp(data, given)];
    (got.inputGradients as NdArray[]).forEach((gradient, i) => {
      const whole = (want.inputGradients as NdArray[])[i];
      expect(Math.max(...Array.from(whole.data, Math.abs))).toBeGreaterThan(1e-6);
      expectClose(gradient, { shape: [...whole.shape], data: Array.from(whole.data) }, 1e-5, `input ${i}`);
    });
  });
});

describe.skipIf(machines.length === 1 && machines[0].traits.host === 'oracle')('the option', () => {
  const machine = machines[machines.length - 1];
  const x = wave(1, 2, 64, features);
  const y = wave(2, 2, 2);
  const loops = (model: Model, of: string) => {
    const [text] = model
      .explain()
      .split('== ')
      .filter((part) => part.startsWith(of));
    return text.match(/segments=true/g)?.length ?? 0;
  };

  it('is chosen for a model, or in compile, and reaches fit, trainOnBatch, lossAndGradients and vjp', async () => {
    const model = made('lstm', false, { memory: 'sqrt', machine });
    await model.vjp(x, y);
    await model.lossAndGradients(x, y);
    await model.trainOnBatch(x, y);
    await model.fit(x, y, { verbose: 0, batchSize: 1 });
    await model.evaluate(x, y);
    await model.predict(x);
    for (const name of ['vjp', 'lossAndGradients', 'train 1x', 'train 2x']) expect(loops(model, name), name).toBe(2);
    for (const name of ['evaluate', 'predict']) expect(loops(model, name), name).toBe(0);

    const compiled = made('lstm', false, { machine });
    compiled.compile({ optimizer: 'adam', loss: 'mse', memory: 8 });
    await compiled.trainOnBatch(x, y);
    expect(loops(compiled, 'train')).toBe(2);
    compiled.compile({ optimizer: 'adam', loss: 'mse' });
    await compiled.trainOnBatch(x, y);
    expect(loops(compiled, 'train')).toBe(0);

    const { model: loaded } = modelFromBytes(compiled.toBytes(), { memory: 'sqrt', machine });
    await loaded.trainOnBatch(x, y);
    expect(loops(loaded, 'train')).toBe(2);
  });

  it('is refused where it is none', () => {
    expect(() => made('lstm', false, { memory: 0 })).toThrow(/model: memory: expected 'full', 'sqrt'.*received 0/);
    expect(() => made('lstm', false, {}).compile({ loss: 'mse', memory: 'half' as never })).toThrow(
      /compile: memory: expected 'full', 'sqrt' .*received "half"/,
    );
  });
});
