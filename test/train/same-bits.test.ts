/** The same seed gives the same bits: on every run, at any thread count, however steps are handed over. Native and WebAssembly stay close. */
import { afterEach, describe, expect, it } from 'vitest';
import { dataset } from '../../src/data/all.ts';
import { layers } from '../../src/layers/all.ts';
import type { Model } from '../../src/train/model.ts';
import { sequential } from '../../src/train/sequential.ts';
import { openMachine } from '../../src/vm/open.ts';
import { setThreads } from '../../src/vm/threads.ts';
import type { Machine } from '../../src/vm/vm.ts';

const x = Array.from({ length: 64 }, (_, i) =>
  Array.from({ length: 12 }, (_, t) => (t < i % 6 ? 0 : ((i * 5 + t * 3) % 19) + 1)),
);
const y = x.map((row) => (row.reduce((a, b) => a + b) % 2 ? 1 : 0));

function classifier(machine?: Machine): Model {
  const model = sequential(
    [
      layers.embedding({ inputDim: 20, outputDim: 8, maskZero: true }),
      layers.lstm({ units: 16, returnSequences: true, dropout: 0.1 }),
      layers.gru({ units: 16 }),
      layers.dense({ units: 1, activation: 'sigmoid' }),
    ],
    { seed: 8, machine },
  );
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  return model;
}

const bits = (model: Model) => model.getWeights().map((w) => Array.from(w.data));
const options = { epochs: 2, batchSize: 16, verbose: 0 } as const;

afterEach(() => setThreads(1));

describe('the same bits', () => {
  it('for every number of threads, with read-ahead and without', async () => {
    const reference = classifier();
    const expected = await reference.fit(x, y, options);
    for (const threads of [1, 2, 3]) {
      setThreads(threads, { smallestShare: 0 });
      for (const callbacks of [
        [],
        [{ onBatchEnd: () => undefined }],
        [{ onBatchEnd: () => undefined, batchFrequency: 3 }],
      ]) {
        const model = classifier();
        const { history } = await model.fit(x, y, { ...options, callbacks });
        expect(bits(model)).toEqual(bits(reference));
        expect(history).toEqual(expected.history);
      }
    }
  });
  it('for a data set, whatever is read ahead', async () => {
    const ends = await Promise.all(
      [1, 5].map(async (ahead) => {
        const model = classifier();
        await model.fit(dataset.fromArrays(x, y).shuffle(20, 1).batch(16).prefetch(ahead), { epochs: 2, verbose: 0 });
        return bits(model);
      }),
    );
    expect(ends[1]).toEqual(ends[0]);
  });
});

describe('native and WebAssembly', () => {
  it.skipIf((process.env.UNROLLED_HOST ?? 'native') !== 'native')(
    'differ by rounding alone: 1e-5 in the weights after 20 steps of Adam',
    async () => {
      const native = await openMachine({ host: 'native' }).catch(() => null);
      if (!native) return; // there is no compiler here
      const models = [classifier(native), classifier(await openMachine({ host: 'wasm', isa: 'simd128' }))];
      const losses: number[][] = [];
      for (const model of models) losses.push((await model.fit(x, y, { ...options, epochs: 5 })).history.loss);
      const [a, b] = models.map((model) => bits(model).flat());
      let largest = 0;
      a.forEach((w, i) => {
        largest = Math.max(largest, Math.abs(w - b[i]));
      });
      expect(largest).toBeLessThan(1e-5);
      losses[0].forEach((loss, i) => {
        expect(Math.abs(loss - losses[1][i])).toBeLessThan(1e-6);
      });
    },
  );
});
