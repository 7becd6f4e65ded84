/** Models whose products round their operands to bfloat16. */
import { expect, test } from 'vitest';
import { layers, NdArray, type Precision, sequential } from '../../src/index.ts';
import { openMachine } from '../../src/vm/open.ts';
import { setThreads } from '../../src/vm/threads.ts';
import type { Machine } from '../../src/vm/vm.ts';

const [rows, steps, features] = [24, 7, 12];
const x = NdArray.from(
  Float32Array.from({ length: rows * steps * features }, (_, i) => Math.sin(i * 1.7)),
  [rows, steps, features],
);
// Of every sequence: whether its first features sum to more than zero.
const y = NdArray.from(
  Float32Array.from({ length: rows }, (_, r) => {
    let sum = 0;
    for (let t = 0; t < steps; t++) sum += x.data[(r * steps + t) * features];
    return sum > 0 ? 1 : 0;
  }),
  [rows, 1],
);

const make = (options: { precision?: Precision; machine?: Machine } = {}) =>
  sequential(
    [layers.lstm({ units: 20 }), layers.dense({ units: 16, activation: 'relu' }), layers.dense({ units: 1 })],
    options,
  );

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let largest = 0;
  let scale = 0;
  for (let i = 0; i < a.length; i++) {
    largest = Math.max(largest, Math.abs(a[i] - b[i]));
    scale = Math.max(scale, Math.abs(b[i]));
  }
  return largest / scale;
};

test('outputs, loss and gradients differ from float32 by what bfloat16 holds, and no more', async () => {
  const models = [make(), make({ precision: 'bfloat16' })];
  const [full, half] = await Promise.all(models.map((m) => m.predict(x)));
  expect(furthest(half.data, full.data)).toBeGreaterThan(1e-5);
  expect(furthest(half.data, full.data)).toBeLessThan(2e-2);
  for (const m of models) m.compile({ optimizer: 'adam', loss: 'mse' });
  const [a, b] = await Promise.all(models.map((m) => m.lossAndGradients(x, y)));
  expect(Math.abs(a.loss - b.loss) / a.loss).toBeLessThan(1e-2);
  a.weightGradients.forEach((g, i) => {
    expect(furthest(b.weightGradients[i].data, g.data)).toBeLessThan(3e-2);
  });
});

test('compile chooses for what comes after it, and goes back to what the model has', async () => {
  const model = make();
  const full = await model.predict(x);
  model.compile({ optimizer: 'adam', loss: 'mse', precision: 'bfloat16' });
  const half = await model.predict(x);
  expect(half.data).not.toEqual(full.data);
  expect(half.data).toEqual((await make({ precision: 'bfloat16' }).predict(x)).data);
  model.compile({ optimizer: 'adam', loss: 'mse' });
  expect((await model.predict(x)).data).toEqual(full.data);
});

test('a prediction does not depend on how many rows stand beside it by more than the rounding of a state', async () => {
  const model = make({ precision: 'bfloat16' });
  const all = await model.predict(x);
  const one = await model.predict(x, { batchSize: 1 });
  expect(furthest(one.data, all.data)).toBeLessThan(1e-2);
});

test('training reaches the loss that float32 reaches', async () => {
  const losses = [];
  for (const precision of ['float32', 'bfloat16'] as const) {
    const model = make({ precision });
    model.compile({ optimizer: 'adam', loss: 'mse' });
    const { history } = await model.fit(x, y, { epochs: 12, batchSize: 8, verbose: 0 });
    losses.push(history.loss as number[]);
  }
  const [full, half] = losses.map((l) => l[l.length - 1]);
  expect(full).toBeLessThan(losses[0][0] * 0.9);
  expect(Math.abs(half - full) / full).toBeLessThan(0.05);
});

test.each(['native', 'wasm'] as const)('the same bits for every number of threads on %s', async (host) => {
  const machine = await openMachine({ host }).catch(() => null);
  if (!machine) return; // not here
  const ends: number[][][] = [];
  const losses: unknown[] = [];
  try {
    for (const threads of [1, 2, 3]) {
      setThreads(threads, { smallestShare: 0 });
      const model = make({ precision: 'bfloat16', machine });
      model.compile({ optimizer: 'adam', loss: 'mse' });
      losses.push((await model.fit(x, y, { epochs: 3, batchSize: 24, verbose: 0 })).history);
      ends.push(model.getWeights().map((w) => Array.from(w.data)));
    }
  } finally {
    setThreads(1);
  }
  for (const k of [1, 2]) {
    expect(ends[k]).toEqual(ends[0]);
    expect(losses[k]).toEqual(losses[0]);
  }
});

test('another word is refused, by the model and by compile', () => {
  expect(() => make({ precision: 'float16' as Precision })).toThrow(
    "model: precision: expected 'float32' or 'bfloat16'",
  );
  const wrong = { optimizer: 'adam', loss: 'mse', precision: 'mixed_bfloat16' as Precision } as const;
  expect(() => make().compile(wrong)).toThrow("compile: precision: expected 'float32' or 'bfloat16'");
});
