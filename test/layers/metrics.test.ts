/** Metrics against Keras 3 (test/golden/metrics.py) over several batches with weights and masks, and what must hold for any data. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnrolledError } from '../../src/core/errors.ts';
import { type MetricLike, metricName, metricOf, metrics } from '../../src/layers/metrics/all.ts';
import { mul } from '../../src/ops/pointwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { runningMetric } from '../../src/train/running-metric.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { goldenMachines, readGolden, restore, type Stored } from '../golden/golden.ts';

interface GoldenCase {
  title: string;
  metric: { class_name: string; config: Record<string, unknown> };
  batches: { y: Stored; p: Stored; weight: Stored | null; mask: Stored | null }[];
  result: number | number[];
}

const { unit, cases } = readGolden<{ unit: number; cases: GoldenCase[] }>('metrics.json');
const machines = await goldenMachines();

const listOf = (x: number | readonly number[]) => (typeof x === 'number' ? [x] : x);

/** The metric of batches [target, prediction, weight]. */
async function measured(
  metric: MetricLike,
  batches: readonly (readonly [number[] | number[][], number[] | number[][], number[]?])[],
  machine: Machine = machines[0],
) {
  const running = runningMetric(metric, { machine });
  for (const [y, p, sampleWeight] of batches) await running.update(y, p, { sampleWeight });
  return running.result();
}

describe.each(machines.map((machine) => [machine.traits.host, machine] as const))('metrics on %s', (_host, machine) => {
  it.each(cases)('$title', async ({ metric, batches, result }) => {
    const running = runningMetric(metric, { machine });
    for (const { y, p, weight, mask } of batches)
      await running.update(restore(y, unit), restore(p, unit), {
        sampleWeight: weight && restore(weight, unit),
        mask: mask && restore(mask, unit),
      });
    const actual = listOf(running.result());
    const expected = listOf(result);
    expect(actual.length).toBe(expected.length);
    expected.forEach((value, i) => {
      expect(Math.abs(actual[i] - value)).toBeLessThan(2e-5 * Math.max(1, Math.abs(value)));
    });
  });
});

const samples = (count: number) =>
  fc.array(fc.record({ y: fc.constantFrom(0, 1), p: fc.integer({ min: 0, max: 64 }) }), {
    minLength: count,
    maxLength: 24,
  });

const columns = (list: { y: number; p: number }[]) =>
  [list.map(({ y }) => [y]), list.map(({ p }) => [p / 64])] as [number[][], number[][]];

describe('for any data', () => {
  it('batches may be cut anywhere', async () => {
    const kinds = [
      metrics.auc(),
      metrics.precision({ thresholds: [0.2, 0.5] }),
      metrics.f1Score({ average: 'micro', threshold: 0.5 }),
      metrics.binaryAccuracy(),
      metrics.rootMeanSquaredError(),
    ];
    await fc.assert(
      fc.asyncProperty(samples(2), fc.nat(), async (list, at) => {
        const cut = 1 + (at % (list.length - 1));
        for (const metric of kinds) {
          const whole = listOf(await measured(metric, [columns(list)]));
          const parts = listOf(await measured(metric, [columns(list.slice(0, cut)), columns(list.slice(cut))]));
          whole.forEach((value, i) => {
            expect(parts[i]).toBeCloseTo(value, 5);
          });
        }
      }),
      { numRuns: 20 },
    );
  });

  it('a weight of n counts like n copies', async () => {
    await fc.assert(
      fc.asyncProperty(samples(1), async (list) => {
        const weight = list.map((_, i) => i % 3);
        if (!weight.some((n) => n > 0)) return;
        const copies = list.flatMap((entry, i) => new Array<typeof entry>(weight[i]).fill(entry));
        for (const metric of [metrics.auc({ curve: 'PR' }), metrics.recall(), metrics.meanAbsoluteError()]) {
          const weighted = await measured(metric, [[...columns(list), weight]]);
          expect(weighted).toBeCloseTo((await measured(metric, [columns(copies)])) as number, 5);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('the area under the receiver’s curve is the share of pairs in the right order', async () => {
    await fc.assert(
      fc.asyncProperty(samples(2), async (list) => {
        const [found, others] = [1, 0].map((side) => list.filter(({ y }) => y === side).map(({ p }) => p));
        if (!found.length || !others.length) return;
        const right = found.flatMap((a) => others.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
        const share = right.reduce((a: number, b) => a + b, 0) / right.length;
        // Between two of the values 0, 1/64, ... 1 lies a threshold, so the curve has all its points.
        const area = await measured(metrics.auc({ numThresholds: 258 }), [columns(list)]);
        expect(area).toBeCloseTo(share, 5);
      }),
      { numRuns: 20 },
    );
  });

  it('predictions that are no numbers are found by no threshold', async () => {
    const batch = [
      [[1], [0], [1]],
      [[Number.NaN], [Number.NaN], [0.9]],
    ] as [number[][], number[][]];
    expect(await measured(metrics.recall(), [batch])).toBe(0.5);
    expect(await measured(metrics.auc(), [batch])).toBeTypeOf('number');
    expect(await measured(metrics.recall({ thresholds: [0, 0.25, 0.5, 0.75, 1] }), [batch])).toEqual([
      0.5, 0.5, 0.5, 0.5, 0,
    ]);
  });
});

describe('running metrics', () => {
  it('take names, Keras’s objects and functions, and start anew', async () => {
    const running = runningMetric('accuracy', { machine: machines[0] });
    expect(() => running.result()).toThrow(/accuracy: expected at least one batch/);
    await running.update(
      [0, 1],
      [
        [0.9, 0.1],
        [0.8, 0.2],
      ],
    );
    expect(running.result()).toBe(0.5);
    running.reset();
    await running.update([[1], [0]], [[0.9], [0.2]]);
    expect(running.result()).toBe(1);
    expect(await measured((y, p) => sum(mul(y, p), { axes: [-1] }), [[[[1, 2]], [[3, 4]]]])).toBe(11);
    expect(
      await measured({ class_name: 'MeanMetricWrapper', config: { name: 'a', fn: 'mse' } }, [[[[1]], [[3]]]]),
    ).toBe(4);
  });
  it('take weights of one number, and with axes of 1', async () => {
    const running = runningMetric(metrics.truePositives(), { machine: machines[0] });
    await running.update([[1, 1]], [[0.9, 0.8]], { sampleWeight: 37 });
    await running.update([[1, 1]], [[0.9, 0.8]], { sampleWeight: [[2]] });
    await running.update([[1, 1]], [[0.9, 0.8]], { sampleWeight: [[3, 5]] });
    await running.update(
      [
        [1, 1],
        [1, 0],
      ],
      [
        [0.9, 0.8],
        [0.7, 0.6],
      ],
      { sampleWeight: [[1, 10]] },
    );
    expect(running.result()).toBe(98);
    const sparse = runningMetric('sparseCategoricalAccuracy', { machine: machines[0] });
    await sparse.update(
      [[0], [1]],
      [
        [0.9, 0.1],
        [0.8, 0.2],
      ],
      { sampleWeight: [[0.5], [0.2]] },
    );
    expect(sparse.result()).toBeCloseTo(0.5 / 0.7, 6);
  });
  it('of predictions alone', async () => {
    const [machine] = machines;
    const values = runningMetric(metrics.mean(), { machine });
    await values.update(null, [1, 3, 5, 7], { sampleWeight: [1, 1, 0, 0] });
    expect(values.result()).toBe(2);
    const total = runningMetric('sum', { machine });
    await total.update(
      null,
      [
        [1, 3],
        [5, 7],
      ],
      { sampleWeight: [1, 2] },
    );
    expect(total.result()).toBe(28);
  });
  it('refuse arrays that do not fit', async () => {
    const [machine] = machines;
    const update = (y: number[] | number[][] | null, p: number[] | number[][], options = {}) =>
      runningMetric(metrics.auc(), { machine }).update(y, p, options);
    await expect(update([[1]], [[1], [2]])).rejects.toThrow(/auc: target: expected 2 samples/);
    await expect(update(null, [[1]])).rejects.toThrow(/auc: target: expected an array/);
    await expect(update([[1]], [[1]], { sampleWeight: [1, 2] })).rejects.toThrow(
      /sampleWeight: expected the first axes of \(1, 1\)/,
    );
    await expect(update([], [])).rejects.toThrow(/at least one sample/);
    await expect(update([[1, 0]], [[0.1, 0.2, 0.7]])).rejects.toThrow(/auc: expected targets \(1, 3\)/);
    await expect(runningMetric(metrics.f1Score(), { machine }).update([1], [1])).rejects.toThrow(
      /F1Score: expected predictions \(B, C\)/,
    );
    await expect(runningMetric(metrics.precision({ classId: 3 }), { machine }).update([[1]], [[1]])).rejects.toThrow(
      /more than 3 classes/,
    );
    const scores = runningMetric(metrics.f1Score(), { machine });
    await scores.update([[1, 0]], [[1, 0]]);
    await expect(scores.update([[1, 0, 0]], [[1, 0, 0]])).rejects.toThrow(/as many classes as in the batches before/);
  });
});

describe('perplexity', () => {
  it('is the number of classes for one that guesses, in any form of targets', async () => {
    const p = [
      [0.25, 0.25, 0.25, 0.25],
      [0.25, 0.25, 0.25, 0.25],
    ];
    expect(await measured('perplexity', [[[1, 3], p]])).toBeCloseTo(4, 5);
    expect(
      await measured('perplexity', [
        [
          [
            [0, 1, 0, 0],
            [0, 0, 0, 1],
          ],
          p,
        ],
      ]),
    ).toBeCloseTo(4, 5);
    expect(await measured(metrics.perplexity({ fromLogits: true }), [[[1, 3], p]])).toBeCloseTo(4, 5);
  });
  it('counts tokens, not samples, and leaves out the ignored class', async () => {
    const running = runningMetric(metrics.perplexity({ ignoreClass: 0 }), { machine: machines[0] });
    await running.update(
      [[1, 0, 0]],
      [
        [
          [0.5, 0.5],
          [0.1, 0.9],
          [0.1, 0.9],
        ],
      ],
    );
    await running.update(
      [[1, 1]],
      [
        [
          [0.75, 0.25],
          [0.5, 0.5],
        ],
      ],
      { mask: [[1, 0]] },
    );
    expect(running.result()).toBeCloseTo(Math.exp((Math.log(2) + Math.log(4)) / 2), 5);
  });
});

describe('names', () => {
  it('are found in every spelling', () => {
    for (const [name, className] of [
      ['AUC', 'AUC'],
      ['auc', 'AUC'],
      ['f1_score', 'F1Score'],
      ['FBetaScore', 'FBetaScore'],
      ['fbeta_score', 'FBetaScore'],
      ['f_beta_score', 'FBetaScore'],
      ['r2Score', 'R2Score'],
      ['MSLE', 'MeanSquaredLogarithmicError'],
      ['kl_divergence', 'KLDivergence'],
      ['top_k_categorical_accuracy', 'TopKCategoricalAccuracy'],
      ['cosine_proximity', 'CosineSimilarity'],
      ['logcosh', 'LogCoshError'],
    ])
      expect(metricOf(name, [1], [null, 1]).className).toBe(className);
  });
  it('in logs are those that were given, or the metric’s own', () => {
    expect(metricName('AUC')).toBe('AUC');
    expect(metricName(metrics.auc())).toBe('auc');
    expect(metricName(metrics.f1Score({ name: 'f1' }))).toBe('f1');
    expect(metricName(metrics.fbetaScore())).toBe('fbetaScore');
    expect(metricName({ class_name: 'R2Score', config: { name: 'r2_score' } })).toBe('r2_score');
    expect(metricName({ class_name: 'function', config: 'mean_squared_error' })).toBe('mean_squared_error');
  });
  it('of options that are wrong are answered', () => {
    expect(() => metrics.auc({ numThresholds: 1 })).toThrow(/numThresholds: expected an integer above 1/);
    expect(() => metrics.auc({ numLabels: 2 })).toThrow(/Set multiLabel: true/);
    expect(() => metrics.auc({ curve: 'X' as 'PR' })).toThrow(/curve: expected one of 'ROC', 'PR', 'PRGAIN'/);
    expect(metrics.auc({ curve: 'pr' }).config.curve).toBe('PR');
    expect(() => metrics.precision({ thresholds: [0.5, 2] })).toThrow(/thresholds: expected a number from 0 to 1/);
    expect(() => metrics.recall({ thresholds: [] })).toThrow(/thresholds/);
    expect(() => metrics.precisionAtRecall({ recall: 2 })).toThrow(/recall: expected a number from 0 to 1/);
    expect(() => metrics.fbetaScore({ beta: 0 })).toThrow(/beta/);
    expect(() => metrics.f1Score({ threshold: 0 })).toThrow(/threshold/);
    expect(() => metrics.topKCategoricalAccuracy({ k: 0 })).toThrow(/k: expected a positive integer/);
    expect(() => metrics.r2Score({ numRegressors: -1 })).toThrow(UnrolledError);
  });
});
