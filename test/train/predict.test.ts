/** What predict gives for many batches stands in one array of the user's own, one that is new or one that was given. */
import { expect, test } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers } from '../../src/layers/all.ts';
import { model as functional, input } from '../../src/train/functional.ts';
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

const numbers = (...shape: number[]) =>
  NdArray.from(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i)),
    shape,
  );

const recurrent = () => sequential([layers.input({ shape: [4, 3] }), layers.gru({ units: 5, returnSequences: true })]);

test.each([4, 10, 32])('results are written over the arrays that were given, in batches of %i', async (batchSize) => {
  const model = recurrent();
  const [first, second] = [numbers(10, 4, 3), NdArray.from(numbers(13, 4, 3).data.slice(36), [10, 4, 3])];
  const [expected, next] = [await model.predict(first), await model.predict(second)];
  const out = NdArray.from(new Float32Array(10 * 4 * 5).fill(Number.NaN), [10, 4, 5]);
  expect(await model.predict(first, { out, batchSize })).toBe(out);
  expected.data.forEach((v, i) => expect(out.data[i], `${i}`).toBeCloseTo(v, 6));
  await model.predict(second, { out, batchSize });
  next.data.forEach((v, i) => expect(out.data[i], `${i}`).toBeCloseTo(v, 6));
  const double = NdArray.zeros([10, 4, 5], 'float64');
  await model.predict(first, { out: double, batchSize });
  expected.data.forEach((v, i) => expect(double.data[i], `${i}`).toBeCloseTo(v, 6));
});

test('data of unknown length fill the array that was given, to its last row', async () => {
  const model = recurrent();
  const x = numbers(9, 4, 3);
  const expected = await model.predict(x);
  const batches = () =>
    [0, 3, 6].map((at) => NdArray.from(x.data.slice(at * 12, (at + 3) * 12), [3, 4, 3]))[Symbol.iterator]();
  const stream = { [Symbol.iterator]: batches };
  const out = NdArray.zeros([9, 4, 5]);
  await model.predict(stream, { out });
  expected.data.forEach((v, i) => expect(out.data[i], `${i}`).toBeCloseTo(v, 6));
  await model.predict(stream, { out: NdArray.from(out.data.slice(0, 120), [6, 4, 5]), steps: 2 });
  await expect(model.predict(stream, { out: NdArray.zeros([10, 4, 5]) })).rejects.toThrow(
    /out: expected 9 samples, received 10/,
  );
  await expect(model.predict(stream, { out: NdArray.zeros([8, 4, 5]) })).rejects.toThrow(/float32\(9, 4, 5\)/);
});

test('every output has its array', async () => {
  const x = input({ shape: [3] });
  const [a, b] = [layers.dense({ units: 2 }).apply(x), layers.dense({ units: 4 }).apply(x)];
  const model = functional<NdArray[]>({ inputs: x, outputs: [a, b] });
  const data = numbers(7, 3);
  const expected = await model.predict(data);
  const out = [NdArray.zeros([7, 2]), NdArray.zeros([7, 4])];
  const found = await model.predict(data, { out });
  found.forEach((own, i) => {
    expect(own).toBe(out[i]);
    expected[i].data.forEach((v, k) => expect(own.data[k], `${i}: ${k}`).toBeCloseTo(v, 6));
  });
  await expect(model.predict(data, { out: [out[0]] })).rejects.toThrow(
    /out: expected 2 arrays, one per output, received 1/,
  );
  await expect(model.predict(data, { out: [out[0], out[0]] })).rejects.toThrow(/memory of its own/);
  await expect(model.predict(data, { out: [out[1], out[0]] })).rejects.toThrow(/out\[0\]: expected float32\(7, 2\)/);
});

test('arrays that do not fit are refused before anything is written', async () => {
  const model = recurrent();
  const x = numbers(6, 4, 3);
  const out = NdArray.from(new Float32Array(6 * 4 * 5).fill(7), [6, 4, 5]);
  const refused = (given: unknown) => expect(model.predict(x, { out: given as NdArray })).rejects;
  await refused(NdArray.from(out.data, [6, 20])).toThrow(/out: expected float32\(6, 4, 5\), received float32\(6, 20\)/);
  await refused(NdArray.zeros([6, 4, 5], 'int32')).toThrow(/received int32\(6, 4, 5\)/);
  await refused(out.data).toThrow(/out: expected an NdArray/);
  expect(out.data.every((v) => v === 7)).toBe(true);
  structuredClone(out.data, { transfer: [out.data.buffer as ArrayBuffer] });
  await refused(out).toThrow(/handed to another thread/);
});
