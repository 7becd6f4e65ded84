/** Metrics of whole models against Keras 3 (test/golden/metrics-models.py), compile_config included; settings, names, saving. */
import { describe, expect, it } from 'vitest';
import {
  defineMetric,
  input,
  layers,
  losses,
  metrics,
  model,
  modelFromBytes,
  modelFromKerasConfig,
  ops,
  sequential,
} from '../../src/index.ts';
import { metricOf } from '../../src/layers/metrics/all.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { Averages } from '../../src/train/averages.ts';
import { goldenMachines, readGolden, restore, type Stored } from '../golden/golden.ts';

interface ModelCase {
  name: string;
  config: Record<string, unknown>;
  weights: Stored[];
  x: Stored;
  y: Stored[];
  weight: Stored[];
  evaluated: Record<string, number>;
  fit: Record<string, number>[];
}

const { cases } = readGolden<{ cases: ModelCase[] }>('metrics-models.json');
const machines = await goldenMachines();

const oneOrList = (stored: Stored[]) => {
  const arrays = stored.map((s) => restore(s, 1));
  return arrays.length === 1 ? arrays[0] : arrays;
};

function expectLogs(actual: Readonly<Record<string, number>>, expected: Record<string, number>, what: string) {
  expect(Object.keys(actual).sort(), what).toEqual(Object.keys(expected).sort());
  for (const [name, value] of Object.entries(expected))
    expect(Math.abs(actual[name] - value), `${what}: ${name} ${actual[name]} for ${value}`).toBeLessThan(
      3e-5 * Math.max(1, Math.abs(value)),
    );
}

describe.each(machines.map((machine) => [machine.traits.host, machine] as const))(
  'as in Keras, on %s',
  (_host, machine) => {
    it.each(cases)('$name', async ({ config, weights, x, y, weight, evaluated, fit }) => {
      const built = modelFromKerasConfig(config, { machine });
      built.setWeights(weights.map((w) => restore(w, 1)));
      const data = [restore(x, 1), oneOrList(y)] as const;
      const sampleWeight = oneOrList(weight);
      expectLogs(await built.evaluate(...data, { sampleWeight, batchSize: 4, verbose: 0 }), evaluated, 'evaluate');
      const history = await built.fit(...data, {
        sampleWeight,
        batchSize: 4,
        epochs: 2,
        shuffle: false,
        verbose: 0,
        validationData: [...data, sampleWeight],
      });
      fit.forEach((expected, epoch) => {
        const logs = Object.fromEntries(Object.entries(history.history).map(([name, values]) => [name, values[epoch]]));
        expectLogs(logs, expected, `epoch ${epoch}`);
      });
    });
  },
);

const [machine] = machines;
const x = Array.from({ length: 10 }, (_, i) => [Math.sin(i), Math.cos(3 * i)]);
const y = x.map(([a]) => [a > 0 ? 1 : 0]);

const classifier = () => sequential([layers.dense({ units: 1, activation: 'sigmoid' })], { machine, seed: 4 });

describe('in compile', () => {
  it('functions of one’s own are called by their names', async () => {
    const built = classifier();
    const meanPrediction = (_target: Tensor, prediction: Tensor) => prediction;
    built.compile({
      loss: 'binaryCrossentropy',
      metrics: [
        meanPrediction,
        metrics.mean({ name: 'again' }),
        (target, prediction) => ops.sum(ops.mul(target, prediction)),
      ],
    });
    const logs = await built.evaluate(x, y, { verbose: 0, batchSize: 5 });
    const p = Array.from((await built.predict(x)).data);
    const mean = p.reduce((a, b) => a + b, 0) / 10;
    expect(logs.meanPrediction).toBeCloseTo(mean, 6);
    expect(logs.again).toBeCloseTo(mean, 6);
    // One value for each batch counts once.
    const hits = p.reduce((sum, value, i) => sum + value * y[i][0], 0);
    expect(logs.metric).toBeCloseTo(hits / 2, 5);
    expect(built.toKerasConfig()).not.toHaveProperty('compile_config');
  });

  it('metrics of one’s own add up totals', async () => {
    const built = classifier();
    const bias = defineMetric({
      name: 'bias',
      accumulate: (target, p) => ({ over: ops.sum(ops.greater(p, target)), under: ops.sum(ops.less(p, target)) }),
      result: ({ over, under }) => [over[0], under[0]],
    });
    built.compile({ loss: 'binaryCrossentropy', metrics: [bias] });
    const logs = await built.evaluate(x, y, { verbose: 0, batchSize: 3 });
    const negatives = y.filter(([label]) => label === 0).length;
    expect(logs).toMatchObject({ bias_0: negatives, bias_1: 10 - negatives });
    expect(built.toKerasConfig()).not.toHaveProperty('compile_config');
    const accumulate = () => ({ 'a/b': 0 as never });
    built.compile({ loss: 'mse', metrics: [defineMetric({ name: 'wrong', accumulate, result: () => 0 })] });
    await expect(built.evaluate(x, y, { verbose: 0 })).rejects.toThrow(/wrong: accumulate: expected names of totals/);
    expect(() => defineMetric({ name: '', accumulate, result: () => 0 })).toThrow(/defineMetric: name/);
    expect(() => defineMetric({ name: 'a', accumulate, result: 3 as never })).toThrow(
      /defineMetric: result: expected a function/,
    );
  });

  it('class weights count in weighted metrics only', async () => {
    const built = classifier();
    built.compile({
      loss: 'binaryCrossentropy',
      metrics: ['accuracy'],
      weightedMetrics: ['accuracy', metrics.precision()],
    });
    const p = Array.from((await built.predict(x)).data);
    const right = Array.from(p, (value, i) => (value > 0.5 ? 1 : 0) === y[i][0]);
    const weight = y.map(([label]) => (label ? 3 : 0.5));
    const logs = await built.evaluate(x, y, { verbose: 0, classWeight: { 0: 0.5, 1: 3 } });
    const total = weight.reduce((a, b) => a + b, 0);
    expect(Object.keys(logs)).toEqual(['loss', 'accuracy', 'weighted_accuracy', 'precision']);
    expect(logs.accuracy).toBeCloseTo(right.filter(Boolean).length / 10, 6);
    expect(logs.weighted_accuracy).toBeCloseTo(right.reduce((sum, ok, i) => sum + (ok ? weight[i] : 0), 0) / total, 6);
  });

  it('lists of values are logged one by one', async () => {
    const built = classifier();
    built.compile({ loss: 'binaryCrossentropy', metrics: [metrics.recall({ thresholds: [0, 1] }), metrics.f1Score()] });
    const logs = await built.evaluate(x, y, { verbose: 0 });
    expect(logs).toMatchObject({ recall_0: 1, recall_1: 0 });
    expect(logs.f1Score).toBeTypeOf('number');
  });

  it('padding does not count', async () => {
    const tokens = [
      [1, 2, 0, 0],
      [3, 1, 2, 0],
      [2, 0, 0, 0],
    ];
    const built = sequential(
      [
        layers.embedding({ inputDim: 4, outputDim: 3, maskZero: true }),
        layers.lstm({ units: 3, returnSequences: true }),
        layers.dense({ units: 4, activation: 'softmax' }),
      ],
      { machine, seed: 1 },
    );
    built.compile({ loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy', metrics.perplexity()] });
    const logs = await built.evaluate(tokens, tokens, { verbose: 0, batchSize: 2 });
    const p = await built.predict(tokens);
    const valid = tokens.flatMap((row, b) =>
      row.flatMap((token, t) => (token ? [{ token, at: (b * 4 + t) * 4 }] : [])),
    );
    const hits = valid.filter(({ token, at }) => {
      const row = p.data.slice(at, at + 4);
      return row.indexOf(Math.max(...row)) === token;
    });
    const entropy = valid.reduce((sum, { token, at }) => sum - Math.log(p.data[at + token]), 0) / valid.length;
    expect(logs.accuracy).toBeCloseTo(hits.length / valid.length, 6);
    expect(logs.perplexity).toBeCloseTo(Math.exp(entropy), 4);
  });

  it('several outputs have their own', async () => {
    const start = input({ shape: [2] });
    const first = layers.dense({ units: 1, activation: 'sigmoid', name: 'first' }).apply(start);
    const second = layers.dense({ units: 3, name: 'second' }).apply(start);
    const built = model({ inputs: start, outputs: [first, second], machine });
    built.compile({
      loss: { first: 'binaryCrossentropy', second: 'mse' },
      metrics: { first: ['accuracy', metrics.auc()] },
      weightedMetrics: { second: metrics.r2Score(), first: 'accuracy' },
    });
    const z = x.map(([a, b]) => [a, b, a * b]);
    const logs = await built.evaluate(x, [y, z], { verbose: 0, sampleWeight: x.map((_, i) => i + 1) });
    expect(Object.keys(logs)).toEqual([
      'loss',
      'first_loss',
      'second_loss',
      'first_accuracy',
      'first_auc',
      'first_weighted_accuracy',
      'second_r2Score',
    ]);
  });

  it('are saved with the model, under the names of the logs', async () => {
    const built = classifier();
    const settings = {
      loss: losses.binaryCrossentropy(),
      metrics: [
        'accuracy',
        'binaryAccuracy',
        'AUC',
        'mse',
        metrics.precisionAtRecall({ recall: 0.5, name: 'best' }),
        metrics.perplexity(),
      ],
      weightedMetrics: ['accuracy', metrics.fbetaScore({ beta: 2, average: 'micro' })],
    };
    built.compile(settings);
    const before = await built.evaluate(x, y, { verbose: 0, classWeight: { 1: 2 } });
    const { model: again } = modelFromBytes(built.toBytes(), { machine });
    expect(await again.evaluate(x, y, { verbose: 0, classWeight: { 1: 2 } })).toEqual(before);
    const { metrics: written, weighted_metrics: weighted } = built.toKerasConfig().compile_config as Record<
      string,
      unknown[]
    >;
    expect(written[0]).toBe('accuracy');
    expect(written[1]).toMatchObject({
      class_name: 'BinaryAccuracy',
      config: { name: 'binaryAccuracy', threshold: 0.5 },
    });
    expect(written.slice(2, 4)).toEqual(['AUC', 'mse']);
    expect(written[4]).toMatchObject({
      module: 'keras.metrics',
      class_name: 'PrecisionAtRecall',
      config: { name: 'best', recall: 0.5 },
    });
    expect(weighted[1]).toMatchObject({
      class_name: 'FBetaScore',
      config: { name: 'fbetaScore', beta: expect.closeTo(2, 12), average: 'micro' },
    });
    expect(metricOf(weighted[1] as never, [1], [null, 1]).config.beta).toBe(2);
  });

  it('refuse two of one name, and what is no metric', () => {
    const compile = (settings: object) => () => classifier().compile({ loss: 'mse', ...settings });
    expect(compile({ metrics: ['auc', metrics.auc()] })).toThrow(
      /metrics: expected metrics of different names, received 'auc' twice/,
    );
    expect(compile({ weightedMetrics: ['mae', 'mae'] })).toThrow(
      /weightedMetrics: expected metrics of different names/,
    );
    expect(compile({ weightedMetrics: 'mae' })).toThrow(/weightedMetrics: expected a list/);
    expect(compile({ metrics: ['presicion'] })).toThrow(/Did you mean 'precision'/);
    expect(compile({ metrics: ['PrecisionAtRecall'] })).toThrow(/`recall`, a number from 0 to 1/);
  });

  it('refuse targets that they cannot be compared with', async () => {
    const built = sequential([layers.dense({ units: 3, activation: 'softmax' })], { machine });
    built.compile({ loss: 'sparseCategoricalCrossentropy', metrics: ['auc'] });
    await expect(
      built.evaluate(
        x,
        x.map((_, i) => i % 3),
        { verbose: 0 },
      ),
    ).rejects.toThrow(/metrics: auc: expected targets \(10, 3\) for predictions \(10, 3\), received \(10,\)/);
  });
});

describe('averages', () => {
  const reported = [
    { name: 'a', result: ({ total, count }: Record<string, Float64Array>) => total[0] / count[0] },
    { name: 'a/b', result: ({ total }: Record<string, Float64Array>) => Array.from(total) },
  ] as never;
  const step = (k: number) => ({
    loss: Float32Array.of(k),
    'total/a/total': Float32Array.of(2 * k),
    'total/a/count': Float32Array.of(2),
    'total/a/b/total': Float32Array.of(k, k + 1),
  });
  it('go on after state and restore', () => {
    const whole = new Averages(reported);
    whole.add(step(1), 3);
    const half = new Averages(reported);
    half.restore(JSON.parse(JSON.stringify(whole.state())));
    for (const averages of [whole, half]) averages.add(step(4), 1);
    expect(half.logs()).toEqual({ loss: 1.75, a: 2.5, 'a/b_0': 5, 'a/b_1': 7 });
    expect(half.logs()).toEqual(whole.logs());
  });
  it('refuse the state of other metrics', () => {
    expect(() => new Averages([]).restore({ loss: 0, samples: 0, totals: { a: {} } })).toThrow(
      /totals of no metric, received a/,
    );
  });
});
