/** Loops of one's own, and single batches. */
import { describe, expect, it } from 'vitest';
import type { NdArray } from '../../src/core/array.ts';
import { dataset } from '../../src/data/all.ts';
import { layers } from '../../src/layers/all.ts';
import type { Model } from '../../src/train/model.ts';
import { optimizers } from '../../src/train/optimizers/all.ts';
import { schedules } from '../../src/train/schedules/all.ts';
import { sequential } from '../../src/train/sequential.ts';

const x = Array.from({ length: 20 }, (_, i) =>
  Array.from({ length: 5 }, (_, t) => (t < i % 3 ? 0 : ((i * 5 + t * 3) % 9) + 1)),
);
const y = x.map((row) => (row.reduce((a, b) => a + b) % 2 ? 1 : 0));

function classifier(optimizer: unknown = 'adam', dropout = 0.2): Model {
  const model = sequential(
    [
      layers.embedding({ inputDim: 10, outputDim: 3, maskZero: true }),
      layers.gru({ units: 4, dropout }),
      layers.dense({ units: 1, activation: 'sigmoid' }),
    ],
    { seed: 3 },
  );
  model.compile({ optimizer: optimizer as 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  return model;
}

const bits = (model: Model) => model.getWeights().map((w) => Array.from(w.data));

describe('train', () => {
  it('does what fit does, a step at a time, and tells of each', async () => {
    const [own, whole] = [classifier(), classifier()];
    const options = { epochs: 3, batchSize: 8, validationSplit: 0.2 };
    const places: string[] = [];
    let total = 0;
    const steps = own.train(x, y, options);
    expect(steps.history).toBe(null);
    for await (const step of steps) {
      places.push(`${step.epoch}.${step.batch}`);
      expect(step.iteration).toBe(places.length);
      expect(step.learningRate).toBe(0.001);
      expect(Object.keys(step.metrics)).toEqual(['accuracy']);
      if (step.epoch === 0) {
        total += step.loss * 8;
        expect(step.logs.loss).toBeCloseTo(total / (8 * (step.batch + 1)), 6);
      }
      expect(step.history.epoch).toHaveLength(step.epoch);
    }
    expect(places).toEqual(['0.0', '0.1', '1.0', '1.1', '2.0', '2.1']);
    const { history } = await whole.fit(x, y, { ...options, verbose: 0 });
    expect(bits(own)).toEqual(bits(whole));
    expect(steps.history?.history).toEqual(history);
  });
  it('the rate of a schedule is that of the step', async () => {
    const learningRate = schedules.exponentialDecay({ initialLearningRate: 0.1, decaySteps: 1, decayRate: 0.5 });
    const rates: number[] = [];
    for await (const step of classifier(optimizers.sgd({ learningRate })).train(x, y, { batchSize: 8 }))
      rates.push(step.learningRate);
    rates.forEach((rate, i) => {
      expect(rate).toBeCloseTo(0.1 * 0.5 ** i, 12);
    });
  });
  it('weights and rate that the loop changes hold from the next step on', async () => {
    const model = classifier(optimizers.sgd({ learningRate: 0.5 }));
    const after: number[][][] = [];
    for await (const step of model.train(x, y, { batchSize: 8 })) {
      after.push(bits(model));
      if (step.batch === 0) model.learningRate = 0;
    }
    expect(after[1]).toEqual(after[0]);
  });
  it('break leaves a good model that is free again; return and errors of the loop too', async () => {
    const [broken, short] = [classifier(), classifier()];
    const ends: string[] = [];
    const callbacks = [{ onTrainEnd: () => void ends.push('end') }];
    for await (const step of broken.train(x, y, { epochs: 9, batchSize: 4, callbacks }))
      if (step.iteration === 3) break;
    expect(broken.iterations).toBe(3);
    expect(ends).toEqual(['end']);
    let left = 3;
    for await (const step of short.train(x, y, { epochs: 9, batchSize: 4 })) if (--left === 0) step.stop('enough');
    expect(bits(broken)).toEqual(bits(short));
    await expect(
      (async () => {
        for await (const _step of broken.train(x, y)) throw new Error('mine');
      })(),
    ).rejects.toThrow('mine');
    expect((await broken.fit(x, y, { verbose: 0 })).epoch).toEqual([0]);
  });
  it('asks for a batch only when the step before it has been looked at', async () => {
    const model = classifier();
    const asked: number[] = [];
    let seen = 0;
    const made = function* () {
      for (let k = 0; k < 4; k++) {
        asked.push(seen);
        yield [x.slice(k, k + 2), y.slice(k, k + 2)];
      }
    };
    for await (const _step of model.train(made)) seen++;
    // The first is looked at before the run begins, to build the model.
    expect(asked).toEqual([0, 1, 2, 3]);
  });
  it('goes on from a snapshot of a step', async () => {
    const [through, first, second] = [classifier(), classifier(), classifier()];
    const data = () => dataset.fromArrays(x, y).shuffle().batch(6);
    await through.fit(data(), { epochs: 3, verbose: 0 });
    let resumeFrom: Uint8Array | undefined;
    for await (const step of first.train(data(), { epochs: 3 })) {
      if (step.iteration < 6) continue;
      resumeFrom = step.snapshot();
      break;
    }
    let steps = 0;
    for await (const _step of second.train(data(), { epochs: 3, resumeFrom })) steps++;
    expect(steps).toBe(6);
    expect(bits(second)).toEqual(bits(through));
  });
});

describe('single batches', () => {
  it('trainOnBatch is a step of fit; its numbers are of this batch alone', async () => {
    const [single, whole] = [classifier(), classifier()];
    const first = await single.trainOnBatch(x, y);
    const second = await single.trainOnBatch(x, y);
    const { history } = await whole.fit(x, y, { epochs: 2, batchSize: 20, shuffle: false, verbose: 0 });
    expect(bits(single)).toEqual(bits(whole));
    expect([first.loss, second.loss]).toEqual(history.loss);
    expect([first.accuracy, second.accuracy]).toEqual(history.accuracy);
  });
  it('testOnBatch and predictOnBatch are evaluate and predict of one batch', async () => {
    const model = classifier();
    expect(await model.testOnBatch(x, y)).toEqual(await model.evaluate(x, y, { batchSize: 20 }));
    const [one, two] = [
      (await model.predictOnBatch(x)) as NdArray,
      (await model.predict(x, { batchSize: 20 })) as NdArray,
    ];
    expect(one.equals(two)).toBe(true);
    expect(model.iterations).toBe(0);
  });
  it('lossAndGradients orders rows as a step does: its gradients are those of plain SGD to the bit', async () => {
    const model = classifier(optimizers.sgd({ learningRate: 1 }), 0);
    model.build([null, null]);
    const before = model.getWeights();
    const { loss, weightGradients } = await model.lossAndGradients(x, y);
    const step = await model.trainOnBatch(x, y);
    expect(step.loss).toBe(loss);
    model.getWeights().forEach((after, i) => {
      const moved = before[i].data.map((w: number, k: number) => Math.fround(w - weightGradients[i].data[k]));
      // On the oracle the difference is not rounded to float32.
      after.data.forEach((w: number, k: number) => {
        expect(Math.abs(w - moved[k])).toBeLessThan(after.data instanceof Float64Array ? 1e-7 : 1e-12);
      });
    });
  });
  it('gradients of inputs come in the order of the rows that were given', async () => {
    const model = sequential([layers.lstm({ units: 3 }), layers.dense({ units: 1 })], { seed: 1 });
    model.compile({ optimizer: 'sgd', loss: 'mse' });
    const rows = Array.from({ length: 4 }, (_, r) => Array.from({ length: 3 }, (_, t) => [Math.sin(r * 3 + t)]));
    const mask = [
      [1, 0, 0],
      [1, 1, 1],
      [1, 1, 0],
      [1, 1, 1],
    ];
    const targets = [[1], [2], [3], [4]];
    const { inputGradients } = await model.lossAndGradients(rows, targets, { mask });
    const all = (inputGradients as NdArray).toNested() as number[][][];
    for (let r = 0; r < 4; r++) {
      const alone = await model.lossAndGradients([rows[r]], [targets[r]], { mask: [mask[r]] });
      const own = (alone.inputGradients as NdArray).toNested() as number[][][];
      own[0].forEach((value, t) => {
        expect(all[r][t][0] * 4).toBeCloseTo(value[0], 5);
        if (!mask[r][t]) expect(all[r][t][0]).toBe(0);
      });
    }
  });
});
