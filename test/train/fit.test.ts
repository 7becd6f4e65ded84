/** What fit does beside the numbers: history, order, validation, callbacks, interruption, bad steps, exact resume. */
import { describe, expect, it } from 'vitest';
import type { NdArray } from '../../src/core/array.ts';
import { UnrolledError } from '../../src/core/errors.ts';
import { layers } from '../../src/layers/all.ts';
import { TrainingInterrupted } from '../../src/train/interrupted.ts';
import { modelFromBytes } from '../../src/train/load.ts';
import type { Model } from '../../src/train/model.ts';
import { optimizers } from '../../src/train/optimizers/all.ts';
import { sequential } from '../../src/train/sequential.ts';

const x = Array.from({ length: 50 }, (_, i) =>
  Array.from({ length: 6 }, (_, t) => (t < i % 4 ? 0 : ((i * 5 + t * 3) % 19) + 1)),
);
const y = x.map((row) => (row.reduce((a, b) => a + b) % 3 === 0 ? 1 : 0));

function classifier(seed = 1): Model {
  const model = sequential(
    [
      layers.embedding({ inputDim: 20, outputDim: 4, maskZero: true }),
      layers.gru({ units: 5, dropout: 0.1 }),
      layers.dense({ units: 1, activation: 'sigmoid' }),
    ],
    { seed },
  );
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy', 'mae'] });
  return model;
}

const same = (a: readonly NdArray[], b: readonly NdArray[]) => a.every((w, i) => w.equals(b[i]));
const silent = { verbose: 0 } as const;

describe('history', () => {
  it('weights classes in training, and not in the share that is held out, as in Keras', async () => {
    const classWeight = { 0: 0.5, 1: 4 };
    const options = { ...silent, epochs: 2, batchSize: 10, shuffle: false, classWeight };
    const sampleWeight = x.map((_, i) => 1 + (i % 3));
    const [split, given, plain] = [classifier(), classifier(), classifier()];
    const a = await split.fit(x, y, { ...options, sampleWeight, validationSplit: 0.2 });
    const b = await given.fit(x.slice(0, 40), y.slice(0, 40), {
      ...options,
      sampleWeight: sampleWeight.slice(0, 40),
      validationData: [x.slice(40), y.slice(40), sampleWeight.slice(40)],
    });
    expect(a.history).toEqual(b.history);
    const c = await plain.fit(x, y, { ...options, classWeight: undefined, sampleWeight, validationSplit: 0.2 });
    expect(c.history.loss[0]).not.toBeCloseTo(a.history.loss[0], 3);
  });
  it('has loss, metrics and their validation counterparts, in this order, per epoch', async () => {
    const { epoch, history } = await classifier().fit(x, y, {
      ...silent,
      epochs: 5,
      initialEpoch: 2,
      validationSplit: 0.2,
    });
    expect(epoch).toEqual([2, 3, 4]);
    expect(Object.keys(history)).toEqual(['loss', 'accuracy', 'mae', 'val_loss', 'val_accuracy', 'val_mae']);
    for (const values of Object.values(history)) expect(values).toHaveLength(3);
    expect(history.loss[2]).toBeLessThan(history.loss[0]);
  });
  it('the loss of an epoch is the mean over its samples, the smaller last batch included', async () => {
    const model = classifier();
    model.learningRate = 0;
    const { history } = await model.fit(x, y, { ...silent, batchSize: 16, shuffle: false, epochs: 1 });
    const still = classifier();
    still.learningRate = 0;
    // Without dropout the same weights give the same loss in evaluate.
    const parts = await Promise.all(
      [
        [0, 16],
        [16, 32],
        [32, 48],
        [48, 50],
      ].map(([a, b]) => still.evaluate(x.slice(a, b), y.slice(a, b))),
    );
    const whole = await still.evaluate(x, y, { batchSize: 16 });
    const mean = parts.reduce((s, p, i) => s + p.loss * [16, 16, 16, 2][i], 0) / 50;
    expect(whole.loss).toBeCloseTo(mean, 6);
    expect(Math.abs(history.loss[0] - mean)).toBeLessThan(0.1);
  });
});

describe('order and seed', () => {
  it('the same seed gives the same weights, another one others', async () => {
    const [a, b, c] = [classifier(1), classifier(1), classifier(2)];
    for (const model of [a, b, c]) await model.fit(x, y, { ...silent, epochs: 2 });
    expect(same(a.getWeights(), b.getWeights())).toBe(true);
    expect(same(a.getWeights(), c.getWeights())).toBe(false);
  });
  it('the validation split is the last part, whatever the shuffling', async () => {
    const model = classifier();
    const { history } = await model.fit(x, y, { ...silent, validationSplit: 0.2 });
    const held = await model.evaluate(x.slice(40), y.slice(40));
    expect(history.val_loss[0]).toBeCloseTo(held.loss, 6);
    expect(history.val_accuracy[0]).toBeCloseTo(held.accuracy, 6);
  });
  it('batches and hand-overs do not change the result: one step at a time, by callbacks, is the same', async () => {
    const [a, b] = [classifier(), classifier()];
    await a.fit(x, y, { ...silent, epochs: 3, batchSize: 8 });
    const seen: number[] = [];
    await b.fit(x, y, {
      ...silent,
      epochs: 3,
      batchSize: 8,
      callbacks: [{ onBatchEnd: (batch) => void seen.push(batch) }],
    });
    const epoch = [0, 1, 2, 3, 4, 5, 6];
    expect(seen).toEqual([...epoch, ...epoch, ...epoch]);
    expect(same(a.getWeights(), b.getWeights())).toBe(true);
  });
});

describe('weights of samples and classes', () => {
  it('a weight of zero takes a sample out; class weights are sample weights by label', async () => {
    const model = classifier();
    const some = y.map((label) => (label ? 2 : 0.5));
    const bySample = await model.lossAndGradients(x, y, { sampleWeight: some });
    const byClass = await model.lossAndGradients(x, y, { classWeight: { 0: 0.5, 1: 2 } });
    expect(byClass.loss).toBe(bySample.loss);
    const first = await model.lossAndGradients(x.slice(0, 25), y.slice(0, 25));
    const half = await model.lossAndGradients(x, y, { sampleWeight: y.map((_, i) => (i < 25 ? 1 : 0)) });
    expect(half.loss * 2).toBeCloseTo(first.loss, 6);
  });
});

describe('callbacks', () => {
  it('are called in order, may change the learning rate, read weights, and stop', async () => {
    const calls: string[] = [];
    const model = classifier();
    const { epoch } = await model.fit(x, y, {
      ...silent,
      epochs: 9,
      callbacks: [
        {
          onTrainBegin: ({ steps }) => void calls.push(`begin ${steps}`),
          onEpochBegin: (k) => void calls.push(`epoch ${k}`),
          async onEpochEnd(k, logs, run) {
            calls.push(`end ${k} ${Object.keys(logs).join()}`);
            run.model.learningRate /= 2;
            expect(run.model.getWeights()).toHaveLength(6);
            if (k === 1) run.stop();
          },
          onTrainEnd: () => void calls.push('done'),
        },
      ],
    });
    expect(epoch).toEqual([0, 1]);
    expect(calls).toEqual([
      'begin 2',
      'epoch 0',
      'end 0 loss,accuracy,mae',
      'epoch 1',
      'end 1 loss,accuracy,mae',
      'done',
    ]);
    expect(model.learningRate).toBe(0.001 / 4);
    expect(model.iterations).toBe(4);
  });
  it('that throw end the fit with their error', async () => {
    const broken = () => {
      throw new Error('mine');
    };
    const model = classifier();
    await expect(model.fit(x, y, { ...silent, callbacks: [{ onEpochEnd: broken }] })).rejects.toThrow('mine');
    expect((await model.fit(x, y, silent)).epoch).toEqual([0]); // the model goes on
  });
});

describe('stopping', () => {
  it('by signal names the last finished epoch and keeps its history', async () => {
    const stop = new AbortController();
    const model = classifier();
    const fit = model.fit(x, y, {
      ...silent,
      epochs: 100,
      signal: stop.signal,
      callbacks: [{ onEpochEnd: (k) => void (k === 2 && stop.abort()) }],
    });
    const error = await fit.then(
      () => null,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(TrainingInterrupted);
    expect(error).toMatchObject({ code: 'INTERRUPTED', lastFinishedEpoch: 2 });
    expect((error as TrainingInterrupted).message).toContain('the last finished epoch is 3');
    expect((error as TrainingInterrupted).history.history.loss).toHaveLength(3);
  });
  // Float64 holds the numbers of this test.
  it.skipIf(process.env.UNROLLED_HOST === 'oracle')(
    'at a loss that is not finite: the batch is named, the weights are those before it',
    async () => {
      const make = () => {
        const model = sequential([
          layers.input({ shape: [3, 1] }),
          layers.simpleRNN({ units: 2, activation: 'linear' }),
          layers.dense({ units: 1 }),
        ]);
        model.compile({ optimizer: optimizers.sgd({ learningRate: 1e-3 }), loss: 'mse' });
        return model;
      };
      const data = Array.from({ length: 12 }, (_, i) => [[i / 12], [1], [0]]);
      data[9] = [[1e30], [1e30], [1e30]];
      const targets = data.map(() => [1]);
      const model = make();
      const failed = model.fit(data, targets, { ...silent, batchSize: 2, shuffle: false, epochs: 3 });
      await expect(failed).rejects.toThrow(/epoch 1, batch 5: expected a finite loss and gradients/);
      await expect(failed).rejects.toMatchObject({ code: 'NUMERIC' });
      const until = make();
      await until.fit(data.slice(0, 8), targets.slice(0, 8), { ...silent, batchSize: 2, shuffle: false });
      expect(same(model.getWeights(), until.getWeights())).toBe(true);
      expect(model.iterations).toBe(4);
      await model.fit(data.slice(0, 8), targets.slice(0, 8), silent); // and it can go on
      expect(model.getWeights().every((w) => w.firstNonFinite() === null)).toBe(true);
    },
  );
});

describe('going on', () => {
  it('from a bundle ends in the same bits as without a break', async () => {
    const through = classifier();
    await through.fit(x, y, { ...silent, epochs: 4, batchSize: 16 });
    const first = classifier();
    await first.fit(x, y, { ...silent, epochs: 2, batchSize: 16 });
    const { model } = modelFromBytes(first.toBytes());
    expect(model.iterations).toBe(8);
    await model.fit(x, y, { ...silent, epochs: 4, initialEpoch: 2, batchSize: 16 });
    expect(same(model.getWeights(), through.getWeights())).toBe(true);
  });
  it('two models at once do not disturb each other', async () => {
    const alone = classifier(5);
    await alone.fit(x, y, { ...silent, epochs: 3 });
    const [a, b] = [classifier(5), classifier(6)];
    await Promise.all([a.fit(x, y, { ...silent, epochs: 3 }), b.fit(x, y, { ...silent, epochs: 3 })]);
    expect(same(a.getWeights(), alone.getWeights())).toBe(true);
  });
  it('compile anew starts the optimizer anew', async () => {
    const [a, b] = [classifier(), classifier()];
    await a.fit(x, y, silent);
    const trained = a.getWeights();
    a.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
    await b.fit(x.slice(0, 2), y.slice(0, 2), silent);
    b.setWeights(trained);
    b.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
    await a.fit(x, y, silent);
    await b.fit(x, y, silent);
    expect(same(a.getWeights(), b.getWeights())).toBe(true);
  });
});

describe('frozen layers', () => {
  it('keep their weights, and have no slots', async () => {
    const model = sequential([
      layers.input({ shape: [3, 2] }),
      layers.lstm({ units: 2, trainable: false }),
      layers.dense({ units: 1 }),
    ]);
    model.compile({ optimizer: 'adam', loss: 'mse' });
    const before = model.getWeights();
    await model.fit(
      [
        [
          [1, 2],
          [3, 4],
          [5, 6],
        ],
      ],
      [[1]],
      silent,
    );
    const after = model.getWeights();
    expect(before.map((w, i) => String(w.toNested()) === String(after[i].toNested()))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(model.summary({ print: null })).toContain('Non-trainable params: 40 (160.00 B)');
  });
});

describe('calls at the wrong time', () => {
  it('are refused with what to do', async () => {
    const model = sequential([layers.simpleRNN({ units: 1 })]);
    await expect(model.fit([[[1]]], [[1]])).rejects.toThrow(/fit: expected a compiled model.*model.compile/);
    await expect(model.evaluate([[[1]]], [[1]])).rejects.toMatchObject({ code: 'STATE' });
    expect(() => model.getWeights()).toThrow(UnrolledError);
    expect(() => model.explain()).toThrow(/Call predict or fit first/);
    const busy = classifier();
    const fit = busy.fit(x, y, { ...silent, epochs: 2 });
    let refused: unknown = null;
    for (let k = 0; k < 200 && !refused; k++) {
      await new Promise((resolve) => setImmediate(resolve));
      try {
        busy.getWeights();
      } catch (error) {
        refused = error;
      }
    }
    await fit;
    if (refused) expect(refused).toMatchObject({ code: 'STATE' });
    expect(busy.getWeights()).toHaveLength(6);
  });
});
