/** Losses and gradients that stop being finite: planted at a place, and found there. Float64 holds more, so that some are skipped for it. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers } from '../../src/layers/all.ts';
import { defineCell } from '../../src/layers/cell.ts';
import { exp, mul, sqrt } from '../../src/ops/pointwise.ts';
import { type AnomalyReport, NumericError } from '../../src/train/anomaly.ts';
import { statisticsOf } from '../../src/train/anomaly-statistics.ts';
import { TrainingFailed } from '../../src/train/failed.ts';
import type { Model } from '../../src/train/model.ts';
import { sequential } from '../../src/train/sequential.ts';

const oracle = process.env.UNROLLED_HOST === 'oracle';
const silent = { verbose: 0 } as const;
const bits = (model: Model) => model.getWeights().map((w) => [...w.data]);

async function failure(work: Promise<unknown>): Promise<NumericError | TrainingFailed> {
  const error = await work.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toMatchObject({ code: 'NUMERIC' });
  return error as NumericError | TrainingFailed;
}

/** exp(800) is too large for float64 too. */
const explosive = defineCell({
  name: 'Explosive',
  state: ({ units }) => ({ h: [units] }),
  weights: ({ units }) => ({ scale: { shape: [units], initializer: 'ones' } }),
  step({ x, weights: { scale } }) {
    const grown = exp(mul(x, scale));
    return { output: grown, state: { h: grown }, gates: { grown } };
  },
});

const zeros = (count: number, length: number) => NdArray.zeros([count, length, 1]);

function withExplosive(): Model {
  const model = sequential([
    layers.input({ shape: [6, 1] }),
    layers.dense({ units: 1, useBias: false, kernelInitializer: 'ones' }),
    layers.rnn({ cell: explosive({ units: 1 }), name: 'explosive' }),
    layers.dense({ units: 1, name: 'head' }),
  ]);
  model.compile({ optimizer: 'sgd', loss: 'mse' });
  return model;
}

describe('a value that overflows on the way forward', () => {
  it('is named by layer, step and sample, in trainOnBatch', async () => {
    const model = withExplosive();
    const before = bits(model);
    const x = zeros(4, 6);
    x.data[2 * 6 + 3] = 800;
    const error = await failure(model.trainOnBatch(x, NdArray.zeros([4, 1])));
    expect(error).toBeInstanceOf(NumericError);
    const { first } = (error as NumericError).report as AnomalyReport;
    expect(first).toEqual({
      layer: 'explosive',
      kind: 'gate',
      name: 'grown',
      is: 'infinite',
      step: 3,
      samples: [2],
    });
    expect(error.message).toContain('trainOnBatch: expected a finite loss and gradients');
    expect(error.message).toContain('explosive: gate grown is infinite from step 3 on (sample 2)');
    expect(error.message).toContain('The weights are those of the last good step.');
    expect(bits(model)).toEqual(before);
    // And it can go on.
    expect((await model.trainOnBatch(zeros(4, 6), NdArray.zeros([4, 1]))).loss).toBeGreaterThanOrEqual(0);
  });

  it('is named by the sample of the data in fit, whatever the order; the weights are those of the step before', async () => {
    const x = zeros(20, 6);
    x.data[13 * 6 + 5] = 800;
    const y = NdArray.zeros([20, 1]);
    const model = withExplosive();
    const error = await failure(model.fit(x, y, { ...silent, batchSize: 4, shuffle: true }));
    expect(error).toBeInstanceOf(TrainingFailed);
    expect((error as TrainingFailed).report?.first).toMatchObject({ layer: 'explosive', step: 5, samples: [13] });
    const { batch } = error as TrainingFailed;
    const until = withExplosive();
    let steps = 0;
    if (batch)
      for await (const _step of until.train(x, y, { ...silent, batchSize: 4, shuffle: true }))
        if (++steps === batch) break;
    expect(bits(model)).toEqual(bits(until));
  });

  it('in a loop of its own too, and in the table', async () => {
    const x = zeros(2, 6);
    x.data[1] = 800;
    const model = withExplosive();
    const run = async () => {
      for await (const _step of model.train(x, NdArray.zeros([2, 1]), silent));
    };
    const error = (await failure(run())) as TrainingFailed;
    const text = String(error.report);
    expect(text).toMatch(/^explosive: gate grown is infinite from step 1 on \(sample 0\)/);
    expect(text).toMatch(/layer +value +steps +largest +at step +NaN +infinite +not finite from/);
    expect(text).toMatch(/^input_layer +input output +6 +800 +1 +0 +0$/m);
    expect(text).toMatch(/^explosive +state h +6 +\S+ +\d 0 +1 +step 1|^explosive +state h .*step 1$/m);
  });

  it.skipIf(oracle)(
    'of an exploding SimpleRNN is found at the step at which it passes the range of float32',
    async () => {
      const model = sequential([
        layers.input({ shape: [8, 1] }),
        layers.simpleRNN({ units: 1, activation: 'linear', useBias: false }),
      ]);
      model.setWeights([NdArray.from([[1]]), NdArray.from([[1e10]])]);
      model.compile({ optimizer: 'sgd', loss: 'mse' });
      const x = zeros(3, 8);
      // 1e10 ** 4 is too large: the step at 2 grows until the one at 6.
      x.data[1 * 8 + 2] = 1;
      const { report } = (await failure(model.trainOnBatch(x, NdArray.zeros([3, 1])))) as NumericError;
      expect(report?.first).toEqual({
        layer: 'simple_rnn',
        kind: 'state',
        name: 'h',
        is: 'infinite',
        step: 6,
        samples: [1],
      });
      const state = report?.rows.find(({ kind }) => kind === 'state');
      expect(state?.largest).toBeGreaterThan(9e29);
      expect(state?.largestStep).toBe(5);
    },
  );

  it('is looked for at valid steps alone, in batches that are put in order', async () => {
    const model = sequential([
      layers.embedding({ inputDim: 9, outputDim: 1, maskZero: true }),
      layers.rnn({ cell: explosive({ units: 1 }) }),
      layers.dense({ units: 1 }),
    ]);
    model.compile({ optimizer: 'sgd', loss: 'mse' });
    const ids = [[1, 2, 0, 0, 0], [1, 2, 3, 4, 5], [3, 2, 1, 7, 0], [2, 0, 0, 0, 0]]; // biome-ignore format: rows
    await model.predict(ids);
    // Index 0 is padding: what stands there is never used.
    model.setWeight('embedding/embeddings', [[900], [0], [0], [0], [0], [0], [0], [800], [0]]);
    const error = (await failure(model.trainOnBatch(ids, [[0], [0], [0], [0]]))) as NumericError;
    expect(error.report?.first).toMatchObject({ layer: 'rnn', step: 3, samples: [2] });
  });
});

describe('a gradient that is not finite while the loss is', () => {
  it('is named by the layer that it comes from', async () => {
    const model = sequential([
      layers.input({ shape: [2] }),
      layers.dense({ units: 2, name: 'first' }),
      layers.custom(([x]) => sqrt(x), { name: 'root' }),
      layers.dense({ units: 1, name: 'head' }),
    ]);
    model.compile({ optimizer: 'sgd', loss: 'mse' });
    const before = bits(model);
    // The slope of the root is infinite at zero.
    const { report, message } = (await failure(model.trainOnBatch([[0, 0]], [[1]]))) as NumericError;
    expect(message).toContain('received a gradient that is not');
    expect(report?.first).toMatchObject({ layer: 'first', kind: 'gradient', name: 'output', step: null, samples: [0] });
    expect(bits(model)).toEqual(before);
  });

  it.skipIf(oracle)('on its way through time is named by the step, counted from the end', async () => {
    const model = sequential([
      layers.input({ shape: [8, 1] }),
      layers.simpleRNN({ units: 1, activation: 'linear', useBias: false }),
      layers.dense({ units: 1, useBias: false, kernelInitializer: 'ones' }),
    ]);
    model.setWeights([NdArray.from([[1]]), NdArray.from([[1e10]]), NdArray.from([[1]])]);
    model.compile({ optimizer: 'sgd', loss: 'mse' });
    // All states are zero; the gradient grows by 1e10 a step: 1e40 four steps before the last.
    const { report } = (await failure(model.trainOnBatch(zeros(1, 8), [[1]]))) as NumericError;
    expect(report?.first).toMatchObject({ layer: 'simple_rnn', kind: 'gradient', name: 'h', is: 'infinite', step: 3 });
  });
});

it.skipIf(oracle)('is found in windows of longer sequences, and where training keeps few steps', async () => {
  const make = (memory: 'full' | 'sqrt') => {
    const own = sequential([
      layers.input({ shape: [null, 1] }),
      layers.simpleRNN({ units: 1, activation: 'linear', useBias: false, returnSequences: true }),
    ]);
    own.setWeights([NdArray.from([[1]]), NdArray.from([[1e10]])]);
    own.compile({ optimizer: 'sgd', loss: 'mse', memory });
    return own;
  };
  const x = zeros(4, 12);
  x.data[2 * 12 + 4] = 1;
  const y = NdArray.zeros([4, 12, 1]);
  const options = { ...silent, shuffle: false };
  const whole = (await failure(make('sqrt').fit(x, y, options))) as TrainingFailed;
  expect(whole.report?.first).toMatchObject({ layer: 'simple_rnn', kind: 'state', step: 8, samples: [2] });
  // The first window ends before the state is too large; the gradient passes 1e40 three steps from its end.
  const cut = (await failure(make('full').fit(x, y, { ...options, tbptt: { window: 6 } }))) as TrainingFailed;
  expect(cut.report?.first).toMatchObject({ layer: 'simple_rnn', kind: 'gradient', name: 'h', samples: [2] });
});

describe('what stands before the model', () => {
  it('a number that is not finite in the data is refused by its place, and nothing runs', async () => {
    const x = zeros(3, 6);
    x.data[1 * 6 + 4] = Number.POSITIVE_INFINITY;
    await expect(withExplosive().trainOnBatch(x, NdArray.zeros([3, 1]))).rejects.toThrow(
      /sample 1, position \[4, 0\]: expected a finite number, received Infinity/,
    );
  });
});

it('counts NaN, infinities and the largest value, in the order of the walk', () => {
  const [nan, inf] = [Number.NaN, Number.POSITIVE_INFINITY];
  const values = NdArray.from([
    [[1], [nan], [3], [nan]],
    [[-7], [2], [-inf], [4]],
  ]);
  const forward = statisticsOf(values, true, null, false);
  expect(forward).toEqual({
    largest: 7,
    largestStep: 0,
    nans: 2,
    infinities: 1,
    first: { step: 1, kind: 'NaN', rows: [0] },
  });
  expect(statisticsOf(values, true, null, true).first).toEqual({ step: 3, kind: 'NaN', rows: [0] });
  const mask = NdArray.from([
    [1, 0, 1, 0],
    [1, 1, 1, 1],
  ]);
  expect(statisticsOf(values, true, mask, false).first).toEqual({ step: 2, kind: 'infinite', rows: [1] });
});
