/** What predict gives for many batches stands in one array of the user's own. */
import { expect, test } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers } from '../../src/layers/all.ts';
import { sequential } from '../../src/train/sequential.ts';

const [rows, time, units] = [70, 16, 1024];

test('many batches stand in the order of their samples, and a large result can be handed to another thread', async () => {
  const model = sequential([layers.input({ shape: [time, 1] }), layers.dense({ units, kernelInitializer: 'ones' })]);
  const x = NdArray.from(
    Float32Array.from({ length: rows * time }, (_, i) => i),
    [rows, time, 1],
  );
  const y = await model.predict(x, { batchSize: 16 });
  expect(y.shape).toEqual([rows, time, units]);
  const wrong = y.data.findIndex((v, i) => v !== Math.floor(i / units));
  expect(wrong).toBe(-1);
  const moved = structuredClone(y.data, { transfer: [y.data.buffer as ArrayBuffer] });
  expect(moved[moved.length - 1]).toBe(rows * time - 1);
});

test('the steps of samples whose rows were ordered by length stand in their order', async () => {
  const ids = Array.from({ length: 40 }, (_, r) =>
    Array.from({ length: 6 }, (_, t) => (t < 1 + ((r * 7) % 6) ? 1 + (r % 9) : 0)),
  );
  const model = sequential(
    [
      layers.embedding({ inputDim: 10, outputDim: 3, maskZero: true }),
      layers.lstm({ units: 5, returnSequences: true }),
    ],
    { seed: 2 },
  );
  const all = (await model.predict(ids, { batchSize: 8 })).toNested() as number[][][];
  for (const [r, row] of ids.entries()) {
    const [alone] = (await model.predictOnBatch([row])).toNested() as number[][][];
    alone.flat().forEach((v, i) => expect(all[r].flat()[i], `${r}: ${i}`).toBeCloseTo(v, 5));
  }
});
