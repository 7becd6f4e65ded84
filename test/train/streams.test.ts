/** Training on streams of batches: every form gives the bits that arrays give, and Keras's rules for steps, validation and data that ends. */
import { describe, expect, it, vi } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { dataset } from '../../src/data/all.ts';
import { layers } from '../../src/layers/all.ts';
import { model as functional, input } from '../../src/train/functional.ts';
import type { BatchStream } from '../../src/train/given.ts';
import type { Model } from '../../src/train/model.ts';
import { sequential } from '../../src/train/sequential.ts';

const x = Array.from({ length: 20 }, (_, i) =>
  Array.from({ length: 5 }, (_, t) => (t < i % 3 ? 0 : ((i * 5 + t * 3) % 9) + 1)),
);
const y = x.map((row) => (row.reduce((a, b) => a + b) % 2 ? 1 : 0));
const silent = { verbose: 0 } as const;

function classifier(): Model {
  const model = sequential(
    [
      layers.embedding({ inputDim: 10, outputDim: 3, maskZero: true }),
      layers.gru({ units: 4, dropout: 0.2 }),
      layers.dense({ units: 1, activation: 'sigmoid' }),
    ],
    { seed: 3 },
  );
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  return model;
}

const bits = (model: Model) => model.getWeights().map((w) => Array.from(w.data));
const batch = (k: number) => [x.slice(4 * k, 4 * k + 4), y.slice(4 * k, 4 * k + 4)] as const;

function* generator() {
  for (let k = 0; k < 5; k++) yield batch(k);
}

async function* slowly() {
  for (const own of generator()) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    yield { x: own[0], y: own[1] };
  }
}

describe('every form of a stream', () => {
  const forms: [string, () => BatchStream][] = [
    ['a generator function', () => generator],
    ['an async generator function', () => slowly],
    ['an iterable', () => ({ [Symbol.iterator]: generator })],
    ['an async iterable', () => ({ [Symbol.asyncIterator]: slowly })],
    ['a function that gives an iterable', () => () => new Set(generator())],
    ['a data set', () => dataset.fromArrays(x, y).batch(4)],
    ['a data set that reads ahead', () => dataset.fromArrays(x, y).batch(4).prefetch(2)],
  ];
  it.each(forms)('%s ends in the bits of arrays', async (_name, make) => {
    const [whole, streamed] = [classifier(), classifier()];
    const options = { ...silent, epochs: 3 };
    const expected = await whole.fit(x, y, { ...options, batchSize: 4, shuffle: false, validationData: [x, y] });
    const given = await streamed.fit(make(), { ...options, validationData: make() });
    expect(bits(streamed)).toEqual(bits(whole));
    expect(given.epoch).toEqual(expected.epoch);
    for (const [name, values] of Object.entries(expected.history))
      given.history[name].forEach((value, i) => {
        expect(value, name).toBeCloseTo(values[i], 6);
      });
    expect(given.history.loss).toEqual(expected.history.loss);
    expect(await streamed.evaluate(make())).toEqual(await whole.evaluate(x, y, { batchSize: 4 }));
    const predicted = (await streamed.predict(make())) as NdArray;
    expect(predicted.toNested()).toEqual(((await whole.predict(x, { batchSize: 4 })) as NdArray).toNested());
  });
  it('batches of changing size and length, weights and masks', async () => {
    const model = sequential([layers.lstm({ units: 3 }), layers.dense({ units: 2 })], { seed: 1 });
    model.compile({ optimizer: 'sgd', loss: 'mse' });
    const sizes = [
      [3, 4],
      [1, 7],
      [2, 2],
    ];
    const random = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 7.1 + seed));
    const make = ([rows, steps]: number[], k: number) => ({
      x: NdArray.from(random(rows * steps * 2, k), [rows, steps, 2]),
      y: NdArray.from(random(rows * 2, k + 9), [rows, 2]),
      sampleWeight: Array.from({ length: rows }, (_, r) => 1 + r),
      mask: Array.from({ length: rows }, (_, r) => Array.from({ length: steps }, (_, t) => (t <= r ? 1 : 0))),
    });
    const { history } = await model.fit(() => sizes.map(make)[Symbol.iterator](), { ...silent, epochs: 2 });
    const byHand = sequential([layers.lstm({ units: 3 }), layers.dense({ units: 2 })], { seed: 1 });
    byHand.compile({ optimizer: 'sgd', loss: 'mse' });
    const losses: number[] = [];
    for (let epoch = 0; epoch < 2; epoch++) {
      let total = 0;
      for (const [k, size] of sizes.entries()) {
        const { x, y, ...options } = make(size, k);
        total += (await byHand.trainOnBatch(x, y, options)).loss * size[0];
      }
      losses.push(total / 6);
    }
    expect(bits(model)).toEqual(bits(byHand));
    history.loss.forEach((loss, i) => {
      expect(loss).toBeCloseTo(losses[i], 6);
    });
  });
  it('class weights count in every batch', async () => {
    const [whole, streamed] = [classifier(), classifier()];
    const options = { ...silent, classWeight: { 0: 0.25, 1: 3 } };
    await whole.fit(x, y, { ...options, batchSize: 4, shuffle: false });
    await streamed.fit(generator, options);
    expect(bits(streamed)).toEqual(bits(whole));
  });
  it('inputs and outputs by name, as objects and as lists', async () => {
    const build = () => {
      const a = input({ shape: [2], name: 'a' });
      const b = input({ shape: [3], name: 'b' });
      const joined = layers.concatenate().apply([a, b]);
      const outputs = [
        layers.dense({ units: 1, name: 'u' }).apply(joined),
        layers.dense({ units: 2, name: 'v' }).apply(joined),
      ];
      const model = functional<NdArray[]>({ inputs: [a, b], outputs, seed: 2 });
      model.compile({ optimizer: 'sgd', loss: { u: 'mse', v: 'mae' } });
      return model;
    };
    const a = [
      [1, 2],
      [3, 4],
      [5, 6],
    ];
    const b = [
      [1, 0, 1],
      [0, 1, 0],
      [2, 2, 2],
    ];
    const u = [[1], [2], [3]];
    const v = [
      [1, 2],
      [0, 0],
      [3, 1],
    ];
    const w = [1, 0.5, 2];
    const [byName, byList, byStream] = [build(), build(), build()];
    await byName.fit({ b, a }, { v, u }, { ...silent, shuffle: false, sampleWeight: { u: w } });
    await byList.fit([a, b], [u, v], { ...silent, shuffle: false, sampleWeight: [w, null] });
    await byStream.fit(() => [{ x: { a, b }, y: { u, v }, sampleWeight: { u: w } }][Symbol.iterator](), silent);
    const values = (model: Model<NdArray[]>) => model.getWeights().map((own) => Array.from(own.data));
    expect(values(byList)).toEqual(values(byName));
    expect(values(byStream)).toEqual(values(byName));
    const named = await byName.predict({ b, a });
    expect(named.map(({ shape }) => shape)).toEqual([
      [3, 1],
      [3, 2],
    ]);
    await expect(byName.fit({ a, c: b }, { u, v })).rejects.toThrow(/an array for each input: a, b, received a, c/);
    await expect(byName.fit([a], { u, v })).rejects.toThrow(
      /a list of 2 arrays, one per input, or an object by their names \(a, b\)/,
    );
  });
});

describe('steps', () => {
  it('stepsPerEpoch goes on where the last epoch stopped, over passes', async () => {
    const seen: number[] = [];
    const watched = () =>
      (function* () {
        for (let k = 0; k < 5; k++) {
          seen.push(k);
          yield batch(k);
        }
      })();
    const model = classifier();
    const { epoch } = await model.fit(dataset.fromGenerator(watched).repeat(), {
      ...silent,
      epochs: 4,
      stepsPerEpoch: 3,
    });
    expect(epoch).toEqual([0, 1, 2, 3]);
    expect(seen.slice(0, 12)).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]);
    expect(model.iterations).toBe(12);
  });
  it('arrays with stepsPerEpoch are shuffled for a pass, not for an epoch', async () => {
    const [a, b] = [classifier(), classifier()];
    await a.fit(x, y, { ...silent, batchSize: 4, epochs: 1 });
    await b.fit(x, y, { ...silent, batchSize: 4, epochs: 5, stepsPerEpoch: 1 });
    expect(bits(b)).toEqual(bits(a));
  });
  it('data that ends within an epoch ends the epoch, with a warning', async () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const model = classifier();
    const { epoch } = await model.fit(x, y, { ...silent, batchSize: 4, epochs: 4, stepsPerEpoch: 3 });
    // Keras: 3, then 2 and the warning, then 3, then 2.
    expect(epoch).toHaveLength(4);
    expect(model.iterations).toBe(10);
    expect(warned).toHaveBeenCalledTimes(2);
    expect(warned.mock.calls[0][0]).toContain('ran out of data');
    const once = classifier();
    const history = await once.fit(generator(), { ...silent, epochs: 3, stepsPerEpoch: 3 });
    expect(once.iterations).toBe(5);
    expect(history.epoch).toEqual([0, 1]);
    warned.mockRestore();
  });
  it('validation every so often, on some batches, of a size of its own', async () => {
    const calls: string[] = [];
    const model = classifier();
    const { history } = await model.fit(x, y, {
      ...silent,
      epochs: 5,
      validationData: [x, y],
      validationFreq: [2, 5],
      validationBatchSize: 4,
      validationSteps: 2,
      callbacks: [
        { onTestBegin: () => void calls.push('begin'), onTestEnd: (logs) => void calls.push(Object.keys(logs).join()) },
      ],
    });
    expect(history.loss).toHaveLength(5);
    expect(history.val_loss).toHaveLength(2);
    expect(calls).toEqual(['begin', 'loss,accuracy', 'begin', 'loss,accuracy']);
    expect(history.val_loss[1]).toBeCloseTo((await model.evaluate(x.slice(0, 8), y.slice(0, 8))).loss, 6);
    expect((await model.evaluate(generator, { steps: 2 })).loss).toBeCloseTo(history.val_loss[1], 6);
    const other = classifier();
    const every = await other.fit(x, y, { ...silent, epochs: 5, validationSplit: 0.2, validationFreq: 2 });
    expect(every.history.val_loss).toHaveLength(2);
  });
});

describe('buckets', () => {
  const texts = Array.from({ length: 60 }, (_, i) =>
    Array.from({ length: 1 + ((i * 7) % 23) }, (_, t) => ((i + t) % 9) + 1),
  );
  const labels = texts.map((text) => (text.length > 11 ? 1 : 0));
  const data = () => dataset.fromArrays(texts, labels).shuffle(100, 5).bucketByLength({ tokensPerBatch: 64 });

  it('give the same run each time, another order each epoch, and learn', async () => {
    const [a, b] = [classifier(), classifier()];
    const orders: number[][] = [];
    const { history } = await a.fit(
      data().map((own) => {
        orders.push(Array.from((own as [NdArray, NdArray])[0].shape));
        return own;
      }),
      { ...silent, epochs: 8 },
    );
    await b.fit(data().prefetch(3), { ...silent, epochs: 8 });
    expect(bits(a)).toEqual(bits(b));
    expect(history.loss[7]).toBeLessThan(history.loss[0]);
    const perEpoch = orders.length / 8;
    expect(String(orders.slice(0, Math.floor(perEpoch)))).not.toBe(
      String(orders.slice(Math.ceil(perEpoch), 2 * Math.floor(perEpoch))),
    );
  });
});

describe('refusals', () => {
  it('of options that a stream cannot have, and of batches that are none', async () => {
    const model = classifier();
    const refused = (stream: BatchStream, options: object, message: RegExp) =>
      expect(model.fit(stream, { ...silent, ...options })).rejects.toThrow(message);
    await refused(
      generator,
      { batchSize: 4 },
      /fit: batchSize: expected none where the data is a stream.*size with which they come/,
    );
    await refused(generator, { validationSplit: 0.5 }, /validationSplit/);
    await refused(generator, { shuffle: true }, /Use shuffle\(buffer, seed\)/);
    await refused(generator(), { epochs: 2 }, /stepsPerEpoch for an iterator.*generator function itself/);
    await refused(
      dataset.fromArrays(x, y).batch(4).repeat(),
      {},
      /stepsPerEpoch: expected a number, because the data has no end/,
    );
    await refused(() => [][Symbol.iterator](), {}, /fit: expected at least one batch, received none/);
    await refused(() => [[1, 2, 3]][Symbol.iterator](), {}, /fit: batch 1: expected a list \[x, y\] of arrays/);
    await refused(
      () => [{ x: x.slice(0, 2), labels: [0, 1] }][Symbol.iterator](),
      {},
      /an object of x, y, sampleWeight, mask, received 'labels'/,
    );
    await refused((() => 5) as unknown as BatchStream, {}, /a function that gives batches.*Write/);
    await expect(model.fit(generator as never, y, silent)).rejects.toThrow(/fit: y: expected none/);
    await expect(model.fit(x, y, { ...silent, validationSteps: 2 })).rejects.toThrow(/validationSteps/);
    expect(model.iterations).toBe(0);
  });
  it('a batch that does not fit names its number, and what was trained before it is kept', async () => {
    const model = classifier();
    const torn = function* () {
      yield batch(0);
      yield batch(1);
      yield [x.slice(0, 2), [0, 1, 1]];
    };
    const failed = model.fit(torn, silent);
    await expect(failed).rejects.toMatchObject({ name: 'TrainingFailed', code: 'SHAPE', epoch: 0, batch: 2 });
    await expect(failed).rejects.toThrow(
      /fit: batch 3: y: expected 2 samples.*holds the weights after batch 2 of epoch 1; no epoch was finished/,
    );
    expect(model.iterations).toBe(2);
  });
});
