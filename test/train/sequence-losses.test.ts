/** Losses in training: CTC on a small task, likelihoods and quantiles of known distributions, weights of every shape, reductions, several outputs. */
import { describe, expect, it } from 'vitest';
import type { NdArray } from '../../src/core/array.ts';
import { RandomKey } from '../../src/core/random.ts';
import { ctcDecode } from '../../src/generate/ctc-decode.ts';
import { layers } from '../../src/layers/all.ts';
import { losses } from '../../src/layers/losses/all.ts';
import { model as functional, input } from '../../src/train/functional.ts';
import { modelFromBytes } from '../../src/train/load.ts';
import { sequential } from '../../src/train/sequential.ts';
import { relativeDistance } from '../golden/golden.ts';

const adam = (rate: number) => ({ class_name: 'Adam', config: { learning_rate: rate } });
const silent = { verbose: 0 } as const;

describe('CTC', () => {
  // Each label is a run of one to three steps of its sign; rows are padded by 0, which is masked.
  const key = RandomKey.from(12);
  const rows = Array.from({ length: 128 }, (_, i) => {
    const own = key.split(i);
    const labels = Array.from(own.split('labels').integers(1 + (i % 3), 1, 4));
    const runs = own.split('runs').integers(labels.length, 1, 4);
    const signs = labels.flatMap((label, k) => [...new Array<number>(runs[k]).fill(label), 4]);
    return { labels, signs };
  });
  const longest = Math.max(...rows.map(({ signs }) => signs.length));
  const x = rows.map(({ signs }) => [...signs, ...new Array<number>(longest - signs.length).fill(0)]);
  const y = rows.map(({ labels }) => [...labels, -1, -1].slice(0, 3));

  it('learns labels without an alignment, on masked rows', async () => {
    const model = sequential(
      [
        layers.embedding({ inputDim: 5, outputDim: 8, maskZero: true }),
        layers.gru({ units: 16, returnSequences: true }),
        layers.dense({ units: 4 }),
      ],
      { seed: 1 },
    );
    model.compile({ optimizer: adam(0.02), loss: 'ctc' });
    const { history } = await model.fit(x, y, { ...silent, epochs: 15, batchSize: 16 });
    expect(history.loss[0]).toBeGreaterThan(3);
    expect(history.loss[14]).toBeLessThan(0.1);
    const scores = (await model.predict(x)) as NdArray;
    const decoded = ctcDecode(scores, { inputLengths: rows.map(({ signs }) => signs.length) });
    const right = decoded.filter(([{ labels }], i) => labels.join() === rows[i].labels.join()).length;
    expect(right).toBeGreaterThan(120);
  });

  it('is the same with the lengths given in three ways', async () => {
    const build = (maskZero: boolean) => {
      const model = sequential(
        [layers.embedding({ inputDim: 5, outputDim: 4, maskZero }), layers.dense({ units: 4 })],
        { seed: 2 },
      );
      return model;
    };
    const byLayer = build(true);
    byLayer.compile({ optimizer: 'sgd', loss: 'ctc' });
    const expected = (await byLayer.lossAndGradients(x, y)).loss;
    const byTargets = build(false);
    byTargets.compile({ optimizer: 'sgd', loss: losses.ctc({ lengthsInTargets: true }) });
    const told = rows.map(({ labels, signs }, i) => [signs.length, labels.length, ...y[i].map((v) => Math.max(v, 0))]);
    expect((await byTargets.lossAndGradients(x, told)).loss).toBeCloseTo(expected, 4);
    expect((await byLayer.evaluate(x, y, { batchSize: 128 })).loss).toBeCloseTo(expected, 4);
  });

  it('goes on with zeroInfinity where rows have too many labels, and stops without', async () => {
    const few = [[[0.1, 0.2, 0.3]], [[0.3, -0.1, 0.4]]];
    const labels = [
      [1, 2],
      [1, -1],
    ];
    const build = (zeroInfinity: boolean) => {
      const model = sequential([layers.input({ shape: [null, 3] }), layers.dense({ units: 3 })], { seed: 2 });
      model.compile({ optimizer: 'sgd', loss: losses.ctc({ zeroInfinity }) });
      return model;
    };
    const { loss } = await build(true).trainOnBatch(few, labels);
    expect(Number.isFinite(loss)).toBe(true);
    const stopped = build(false);
    const before = stopped.getWeights();
    await expect(stopped.fit(few, labels, { ...silent, epochs: 1 })).rejects.toThrow(/finite/);
    stopped.getWeights().forEach((w, i) => expect(relativeDistance(w.data, before[i].data)).toBeLessThan(1e-7));
  });

  it('refuses labels that are none, naming the place', async () => {
    const model = sequential([layers.embedding({ inputDim: 5, outputDim: 4 }), layers.dense({ units: 4 })]);
    model.compile({ optimizer: 'sgd', loss: 'ctc' });
    await expect(async () => model.lossAndGradients(x.slice(0, 1), [[1, 4, -1]])).rejects.toThrow(
      /sample 0, position \[1\].*4/,
    );
    await expect(async () =>
      model.lossAndGradients(x.slice(0, 1), [[1, 2]], { classWeight: { 1: 2 } }),
    ).rejects.toThrow(/one value per label/);
  });
});

describe('distributions', () => {
  const noise = RandomKey.from(9).normal(2000);
  const y = Array.from(noise, (z) => [3 + 2 * z]);
  const x = y.map(() => [1]);
  const fitted = async (units: number, loss: object) => {
    const model = sequential([layers.input({ shape: [1] }), layers.dense({ units, useBias: false })], { seed: 1 });
    model.compile({ optimizer: adam(0.05), loss: loss as never });
    await model.fit(x, y, { ...silent, epochs: 16, batchSize: 100 });
    model.learningRate = 0.005;
    await model.fit(x, y, { ...silent, epochs: 4, batchSize: 100 });
    return Array.from(((await model.predict([[1]])) as NdArray).data);
  };
  const softplus = (v: number) => Math.log1p(Math.exp(v));

  it('are found by their likelihood', async () => {
    const [center, raw] = await fitted(2, losses.gaussianLikelihood());
    expect(center).toBeCloseTo(3, 0);
    expect(softplus(raw)).toBeGreaterThan(1.85);
    expect(softplus(raw)).toBeLessThan(2.15);
    const [location, scale] = await fitted(2, losses.studentTLikelihood({ degreesOfFreedom: 200 }));
    expect(location).toBeCloseTo(3, 0);
    expect(softplus(scale)).toBeCloseTo(2, 0);
  });
  it('are found by their quantiles', async () => {
    const [low, middle, high] = await fitted(3, losses.quantile({ quantiles: [0.1, 0.5, 0.9] }));
    expect(Math.abs(low - (3 - 2 * 1.2816))).toBeLessThan(0.25);
    expect(Math.abs(middle - 3)).toBeLessThan(0.25);
    expect(Math.abs(high - (3 + 2 * 1.2816))).toBeLessThan(0.25);
  });
});

describe('weights and reductions', () => {
  const x = Array.from({ length: 4 }, (_, b) =>
    Array.from({ length: 3 }, (_u, t) => [Math.sin(b + 2 * t), Math.cos(b * t)]),
  );
  const y = Array.from({ length: 4 }, (_, b) => Array.from({ length: 3 }, (_u, t) => (b + t) % 3));
  const tagger = (loss: unknown, settings: object = {}) => {
    const model = sequential([layers.input({ shape: [null, 2] }), layers.dense({ units: 3, activation: 'softmax' })], {
      seed: 5,
    });
    model.compile({ optimizer: 'sgd', loss: loss as never, ...settings });
    return model;
  };
  const lossOf = async (loss: unknown, options: object = {}, targets: unknown = y) =>
    (await tagger(loss).lossAndGradients(x, targets as never, options)).loss;
  const perStep = async () => {
    const p = ((await tagger('mse').predict(x)) as NdArray).data;
    return y.map((row, b) => row.map((label, t) => -Math.log(p[(b * 3 + t) * 3 + label])));
  };
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

  it('of samples and of steps, also with needless axes', async () => {
    const values = await perStep();
    const rows = [1, 0, 2, 0.5];
    const steps = y.map((row, b) => row.map((_, t) => (b * t) % 2));
    const byRow = mean(values.flatMap((row, b) => row.map((v) => v * rows[b])));
    const byStep = mean(values.flatMap((row, b) => row.map((v, t) => v * steps[b][t])));
    for (const [sampleWeight, expected] of [
      [rows, byRow],
      [rows.map((w) => [w]), byRow],
      [steps, byStep],
      [steps.map((row) => row.map((w) => [w])), byStep],
    ])
      expect(await lossOf('sparse_categorical_crossentropy', { sampleWeight })).toBeCloseTo(expected as number, 5);
    await expect(
      lossOf('scce', {
        sampleWeight: [
          [1, 2],
          [1, 2],
          [1, 2],
          [1, 2],
        ],
      }),
    ).rejects.toThrow(/\(4,\) or \(4, 3\)/);
  });

  it('of classes at every step, with weights of samples', async () => {
    const values = await perStep();
    const classWeight = { 0: 0.5, 2: 3 };
    const of = (label: number) => (classWeight as Record<number, number>)[label] ?? 1;
    const expected = mean(values.flatMap((row, b) => row.map((v, t) => v * of(y[b][t]) * (b + 1))));
    expect(await lossOf('scce', { classWeight, sampleWeight: [1, 2, 3, 4] })).toBeCloseTo(expected, 5);
    const oneHot = y.map((row) => row.map((label) => [0, 1, 2].map((c) => (c === label ? 1 : 0))));
    expect(await lossOf('cce', { classWeight, sampleWeight: [1, 2, 3, 4] }, oneHot)).toBeCloseTo(expected, 5);
  });

  it('reduce as they say, with masks', async () => {
    const values = await perStep();
    const mask = [
      [1, 1, 0],
      [0, 1, 1],
      [0, 0, 0],
      [1, 1, 1],
    ];
    const sampleWeight = [1, 2, 3, 4];
    const total = values
      .flatMap((row, b) => row.map((v, t) => v * mask[b][t] * sampleWeight[b]))
      .reduce((a, v) => a + v);
    const counted = mask.flatMap((row, b) => row.map((m) => m * sampleWeight[b])).reduce((a, v) => a + v);
    for (const [reduction, expected] of [
      ['sum_over_batch_size', total / 7],
      ['mean', total / 7],
      ['mean_with_sample_weight', total / counted],
      ['sum', total],
    ] as const) {
      const loss = losses.sparseCategoricalCrossentropy({ reduction });
      expect(await lossOf(loss, { mask, sampleWeight })).toBeCloseTo(expected, 4);
    }
    expect(() => tagger(losses.meanSquaredError({ reduction: 'none' }))).toThrow(/the reduction 'none'/);
    expect(() => tagger({ class_name: 'MeanSquaredError', config: { reduction: null } })).toThrow(
      /the reduction 'none'/,
    );
  });

  it('leave out an ignored class', async () => {
    const values = await perStep();
    const targets = y.map((row, b) => row.map((label, t) => (b === t ? -1 : label)));
    const kept = values.flatMap((row, b) => row.filter((_, t) => b !== t));
    const loss = losses.sparseCategoricalCrossentropy({ ignoreClass: -1 });
    expect(await lossOf(loss, {}, targets)).toBeCloseTo(mean(kept), 5);
    await expect(lossOf('scce', {}, targets)).rejects.toThrow(/from 0 to 2/);
    await expect(lossOf(losses.sparseCategoricalCrossentropy({ ignoreClass: 9 }), {}, targets)).rejects.toThrow(/-1/);
  });

  it('of outputs, each with its own loss and weights', async () => {
    const start = input({ shape: [3, 2] });
    const tags = layers.dense({ units: 3, activation: 'softmax', name: 'tags' }).apply(start);
    const chain = layers.crf({ units: 3, name: 'chain' }).apply(start);
    const number = layers
      .dense({ units: 1, name: 'number' })
      .apply(layers.flatten().apply(layers.dense({ units: 1 }).apply(start)));
    const build = (loss: object, lossWeights: object | null = null) => {
      const three = functional({ inputs: start, outputs: [tags, chain, number], seed: 7 });
      three.compile({ optimizer: 'sgd', loss: loss as never, lossWeights: lossWeights as never });
      return three;
    };
    const numbers = [[1], [2], [-1], [0]];
    const targets = [y, y, numbers];
    const weights = [[1, 2, 3, 4], null, [0, 0, 1, 1]];
    const loss = { tags: 'scce', chain: 'crf', number: losses.huber({ reduction: 'sum' }) };
    const all = await build(loss, { tags: 2, chain: 0.5, number: 3 }).evaluate(x, targets as never, {
      sampleWeight: weights as never,
      verbose: 0,
    });
    const alone = async (only: object, sampleWeight: unknown) => {
      const own = { tags: null, chain: null, number: null, ...only };
      return (await build(own).lossAndGradients(x, targets as never, { sampleWeight: sampleWeight as never })).loss;
    };
    const parts = [
      await alone({ tags: loss.tags }, [weights[0], null, null]),
      await alone({ chain: loss.chain }, null),
      await alone({ number: loss.number }, [null, null, weights[2]]),
    ];
    expect(all.tags_loss).toBeCloseTo(parts[0], 5);
    expect(all.chain_loss).toBeCloseTo(parts[1], 5);
    expect(all.number_loss).toBeCloseTo(parts[2], 5);
    expect(all.loss).toBeCloseTo(2 * parts[0] + 0.5 * parts[1] + 3 * parts[2], 4);
  });

  it('of one output may be a number', async () => {
    const plain = (await tagger('scce').lossAndGradients(x, y)).loss;
    expect((await tagger('scce', { lossWeights: 0.25 }).lossAndGradients(x, y)).loss).toBeCloseTo(plain / 4, 6);
    expect((await tagger('scce', { lossWeights: [0.25] }).lossAndGradients(x, y)).loss).toBeCloseTo(plain / 4, 6);
    expect(() => tagger('scce', { lossWeights: 'much' })).toThrow(/lossWeights/);
  });

  it('are saved with the loss and its options', async () => {
    const model = tagger(losses.sparseCategoricalCrossentropy({ ignoreClass: 2, reduction: 'sum' }));
    const { model: read } = modelFromBytes(model.toBytes());
    expect((await read.lossAndGradients(x, y)).loss).toBe((await model.lossAndGradients(x, y)).loss);
  });
});
