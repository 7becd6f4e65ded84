/** Layers of several kinds over one value, in batches of many rows: the gradients that they give for it meet in one sum. */
import { expect, test } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { input, layers, model, optimizers, type SymbolicTensor } from '../../src/index.ts';
import { openMachine } from '../../src/vm/open.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { wave } from './stepping.ts';

const machines = [await openMachine(), await openMachine({ host: 'oracle' })];
const [rows, time, features] = [20, 5, 7];

/** All have 96 columns of weights, in gates of another number. */
const kinds = {
  dense: () => layers.dense({ units: 96 }),
  gru: () => layers.gru({ units: 32, returnSequences: true }),
  'gru without bias': () => layers.gru({ units: 32, returnSequences: true, useBias: false }),
  'gru backwards': () => layers.gru({ units: 32, returnSequences: true, goBackwards: true }),
  'minimal gated unit': () => layers.minimalGatedUnit({ units: 48, returnSequences: true }),
  lstm: () => layers.lstm({ units: 24, returnSequences: true }),
  bidirectional: () => layers.bidirectional({ layer: layers.gru({ units: 32, returnSequences: true }) }),
  'gru of the last step': () => layers.repeatVector({ n: time }),
};

type Kind = keyof typeof kinds;

function build(names: readonly Kind[], machine: Machine) {
  const x = input({ shape: [time, features] });
  const shared = layers.dense({ units: 10, activation: 'tanh' }).apply<SymbolicTensor>(x);
  const branches = names.map((name) => {
    const last = name === 'gru of the last step';
    const before = last ? layers.gru({ units: 32 }).apply<SymbolicTensor>(shared) : shared;
    return kinds[name]().apply<SymbolicTensor>(before);
  });
  const joined = layers.concatenate().apply<SymbolicTensor>(branches);
  const behind = layers.gru({ units: 16, returnSequences: true }).apply<SymbolicTensor>(joined);
  const net = model<NdArray>({
    inputs: x,
    outputs: layers.dense({ units: 2 }).apply<SymbolicTensor>(behind),
    seed: 3,
    machine,
  });
  net.compile({ optimizer: optimizers.sgd({ learningRate: 0.1 }), loss: 'mse' });
  return net;
}

const together: (readonly Kind[])[] = [
  ['gru', 'dense'],
  ['dense', 'gru'],
  ['gru', 'minimal gated unit'],
  ['minimal gated unit', 'gru', 'lstm'],
  ['gru', 'gru'],
  ['gru', 'gru without bias', 'gru backwards'],
  ['bidirectional', 'dense'],
  ['gru of the last step', 'gru'],
];

test.each(together.map((names) => [names.join(', '), names] as const))('%s', async (_, names) => {
  const x = NdArray.from(wave(rows * time * features), [rows, time, features]);
  const y = NdArray.from(wave(rows * time * 2, 5), [rows, time, 2]);
  const [got, want] = await Promise.all(
    machines.map(async (machine) => {
      const net = build(names, machine);
      await net.fit(x, y, { epochs: 3, batchSize: rows, shuffle: false, verbose: 0 });
      return [...net.getWeights(), await net.predict(x)];
    }),
  );
  want.forEach(({ data }, i) => {
    data.forEach((value, j) => {
      if (!(Math.abs(got[i].data[j] - value) <= 3e-6)) expect.fail(`${i}[${j}]: ${got[i].data[j]} instead of ${value}`);
    });
  });
});

test('gates of many wide layers are read in more pieces than one product may have', async () => {
  const x = input({ shape: [2, 3] });
  // Something before them, so that the gradients of all meet in one sum.
  const shared = layers.dense({ units: 3 }).apply<SymbolicTensor>(x);
  const branches = Array.from({ length: 9 }, () =>
    layers.gru({ units: 500, returnSequences: true }).apply<SymbolicTensor>(shared),
  );
  const net = model<NdArray>({
    inputs: x,
    outputs: layers.dense({ units: 1 }).apply<SymbolicTensor>(layers.add().apply<SymbolicTensor>(branches)),
    machine: machines[0],
  });
  net.compile({ optimizer: 'sgd', loss: 'mse' });
  const { history } = await net.fit(NdArray.from(wave(16 * 2 * 3), [16, 2, 3]), NdArray.zeros([16, 2, 1]), {
    epochs: 2,
    batchSize: 16,
    verbose: 0,
  });
  expect(history.loss[1]).toBeLessThan(history.loss[0]);
});
