/** Sampled softmax: the loss written out by hand, the draws against their distribution, exactness over all classes, learning. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { RandomKey } from '../../src/core/random.ts';
import { layers } from '../../src/layers/all.ts';
import { losses } from '../../src/layers/losses/all.ts';
import { drawnClasses, logExpectedCount } from '../../src/layers/sampled-softmax.ts';
import { toFloat } from '../../src/ops/pointwise.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { modelFromBytes } from '../../src/train/load.ts';
import { sequential } from '../../src/train/sequential.ts';
import { goldenMachines, relativeDistance } from '../golden/golden.ts';
import { runGraph } from './loss-run.ts';

const machines = await goldenMachines();
const [V, F, B] = [11, 3, 4];
const numbers = (label: string, count: number) => Array.from(RandomKey.from(6).split(label).normal(count));
const rows = (label: string, n: number, width: number) =>
  Array.from({ length: n }, (_, i) => numbers(`${label}${i}`, width));
const features = rows('x', B, F);
const kernel = rows('k', V, F);
const bias = numbers('b', V);
const labels = [0, 3, 10, 3];

const dot = (a: number[], b: number[]) => a.reduce((sum, v, i) => sum + v * b[i], 0);
const logit = (b: number, c: number) => dot(features[b], kernel[c]) + bias[c];
const share = (c: number) => Math.log((c + 2) / (c + 1)) / Math.log(V + 1);

describe.each(machines.map((machine) => [machine.traits.host, machine] as const))(
  'sampled softmax on %s',
  (host, machine) => {
    const tolerance = host === 'oracle' ? 1e-6 : 1e-5;

    it('is the crossentropy of corrected logits, without draws that hit the target', async () => {
      const candidates = [3, 0, 5, 0, 7];
      const { results, gradients } = await runGraph(
        machine,
        { features, kernel, bias },
        { labels, candidates },
        (t) => {
          const logCounts = logExpectedCount(toFloat(t.candidates), candidates.length, V);
          const beside = { ...t, logits: t.features, logCounts };
          const call = { mask: null, beside, training: true };
          return { values: losses.sampledSoftmax().values(t.labels, t.features, call) };
        },
      );
      const corrected = (b: number, c: number) => logit(b, c) - Math.log(candidates.length * share(c));
      const parts = labels.map((label, b) => [
        Math.exp(corrected(b, label)),
        ...candidates.map((c) => (c === label ? 0 : Math.exp(corrected(b, c)))),
      ]);
      const expected = parts.map((p) => -Math.log(p[0] / p.reduce((a, v) => a + v)));
      expect(relativeDistance(results.values, expected)).toBeLessThan(tolerance);
      const slope = Array.from({ length: V }, () => 0);
      parts.forEach((p, b) => {
        const total = p.reduce((a, v) => a + v);
        slope[labels[b]] += p[0] / total - 1;
        candidates.forEach((c, s) => {
          slope[c] += p[s + 1] / total;
        });
      });
      expect(relativeDistance(gradients.bias, slope)).toBeLessThan(tolerance);
    });

    it('draws each class as often as is expected, so that the sum over all classes is estimated without bias', async () => {
      const [draws, times] = [5, 4000];
      const chance = Array.from({ length: times }, (_, i) => Array.from(RandomKey.from(i).uniform(draws)));
      // All draws at once: a table of times x draws has the places of one draw on its last axis.
      const { results } = await runGraph(machine, { chance }, {}, (t) => {
        const classes = drawnClasses(t.chance, draws, V);
        return { counts: logExpectedCount(toFloat(classes), draws, V), classes };
      });
      const seen = new Array<number>(V).fill(0);
      for (const c of results.classes) seen[c]++;
      for (let c = 0; c < V; c++) {
        const mean = draws * share(c);
        expect(Math.abs(seen[c] / times - mean)).toBeLessThan(5 * Math.sqrt(mean / times));
      }
      const whole = Array.from({ length: V }, (_, c) => Math.exp(logit(0, c))).reduce((a, v) => a + v);
      const estimates = chance.map((_, i) =>
        Array.from({ length: draws }, (_u, s) => {
          const at = i * draws + s;
          return Math.exp(logit(0, results.classes[at]) - results.counts[at]);
        }).reduce((a, v) => a + v),
      );
      const mean = estimates.reduce((a, v) => a + v) / times;
      const spread = Math.sqrt(estimates.reduce((a, v) => a + (v - mean) ** 2, 0) / times / times);
      expect(Math.abs(mean - whole)).toBeLessThan(4 * spread);
    });

    it('over all classes is the crossentropy', async () => {
      const { results } = await runGraph(machine, { features, kernel, bias }, { labels }, (t) => ({
        p: softmax(t.features),
        counts: logExpectedCount(toFloat(t.labels), V, V),
      }));
      expect(results.counts).toEqual(labels.map(() => 0));
    });
  },
);

describe('layers.sampledSoftmax', () => {
  const x = NdArray.from(Float32Array.from(features.flat()), [B, F]);
  const weights = [NdArray.from(Float32Array.from(kernel.flat()), [V, F]), NdArray.from(Float32Array.from(bias), [V])];
  const make = (numSampled: number) => {
    const model = sequential([layers.input({ shape: [F] }), layers.sampledSoftmax({ units: V, numSampled })]);
    model.setWeights(weights);
    model.compile({ optimizer: 'sgd', loss: 'sampledSoftmax' });
    return model;
  };

  it('measures over all classes, and trains exactly where all are drawn', async () => {
    const dense = sequential([layers.input({ shape: [F] }), layers.dense({ units: V, activation: 'softmax' })]);
    const turned = Float32Array.from({ length: F * V }, (_, i) => kernel[i % V][Math.floor(i / V)]);
    dense.setWeights([NdArray.from(turned, [F, V]), weights[1]]);
    dense.compile({ optimizer: 'sgd', loss: 'sparseCategoricalCrossentropy' });
    const exact = await dense.lossAndGradients(x, labels);
    for (const [numSampled, training] of [
      [V, true],
      [V + 5, true],
      [3, false],
    ] as const) {
      const own = await make(numSampled).lossAndGradients(x, labels, { training });
      expect(own.loss).toBeCloseTo(exact.loss, 5);
      expect(relativeDistance(own.weightGradients[1].data, exact.weightGradients[1].data)).toBeLessThan(1e-5);
      expect(
        relativeDistance((own.inputGradients as NdArray).data, (exact.inputGradients as NdArray).data),
      ).toBeLessThan(1e-5);
    }
    const sampled = await make(3).lossAndGradients(x, labels, { training: true });
    expect(Math.abs(sampled.loss - exact.loss)).toBeGreaterThan(1e-3);
  });

  it('gives the probabilities of all classes, and is saved and read', async () => {
    const model = make(3);
    const p = (await model.predict(x)) as NdArray;
    const row = Array.from({ length: V }, (_, c) => Math.exp(logit(1, c)));
    const total = row.reduce((a, v) => a + v);
    row.forEach((v, c) => expect(p.data[V + c]).toBeCloseTo(v / total, 5));
    const { model: read } = modelFromBytes(model.toBytes());
    expect(((await read.predict(x)) as NdArray).data).toEqual(p.data);
  });

  it('works on masked sequences, whole and in windows', async () => {
    const [steps, words] = [6, 9];
    const ids = Array.from({ length: B }, (_, b) =>
      Array.from({ length: steps }, (_u, t) => (t < steps - b ? 1 + ((b + t) % 8) : 0)),
    );
    const next = ids.map((row) => row.map((w) => (w + 3) % words));
    const build = (last: 'sampled' | 'dense', maskZero = true) => {
      const top =
        last === 'dense'
          ? layers.dense({ units: words, activation: 'softmax', useBias: false })
          : layers.sampledSoftmax({ units: words, numSampled: words, useBias: false });
      const model = sequential(
        [
          layers.input({ shape: [null] }),
          layers.embedding({ inputDim: words, outputDim: 4, maskZero }),
          layers.lstm({ units: 5, returnSequences: true }),
          top,
        ],
        { seed: 3 },
      );
      model.compile({ optimizer: 'sgd', loss: last === 'dense' ? 'scce' : 'sampledSoftmax' });
      const rows = RandomKey.from(1).normal(5 * words);
      const turned = Float32Array.from(rows, (_, i) => rows[(i % words) * 5 + Math.floor(i / words)]);
      const own = last === 'dense' ? NdArray.from(turned, [5, words]) : NdArray.from(rows, [words, 5]);
      model.setWeights([...model.getWeights().slice(0, -1), own]);
      return model;
    };
    const sampleWeight = [1, 2, 0.5, 3];
    const sampled = await build('sampled').lossAndGradients(ids, next, { sampleWeight, training: true });
    const exact = await build('dense').lossAndGradients(ids, next, { sampleWeight, training: true });
    expect(sampled.loss).toBeCloseTo(exact.loss, 5);
    expect(relativeDistance(sampled.weightGradients[1].data, exact.weightGradients[1].data)).toBeLessThan(1e-4);
    const tbptt = { window: 4, stride: 2 };
    const windows = await build('sampled', false).fit(ids, next, { epochs: 2, batchSize: B, verbose: 0, tbptt });
    const plain = await build('dense', false).fit(ids, next, { epochs: 2, batchSize: B, verbose: 0, tbptt });
    expect(relativeDistance(windows.history.loss, plain.history.loss)).toBeLessThan(1e-5);
  });

  it('learns which word follows', async () => {
    const words = 60;
    const next = RandomKey.from(2).permutation(words);
    const from = Array.from({ length: 480 }, (_, i) => [i % words]);
    const to = from.map(([w]) => next[w]);
    const model = sequential(
      [
        layers.embedding({ inputDim: words, outputDim: 16 }),
        layers.flatten(),
        layers.sampledSoftmax({ units: words, numSampled: 20 }),
      ],
      { seed: 3 },
    );
    model.compile({ optimizer: { class_name: 'Adam', config: { learning_rate: 0.05 } }, loss: 'sampledSoftmax' });
    const before = await model.evaluate(from, to);
    await model.fit(from, to, { epochs: 12, batchSize: 48, verbose: 0 });
    const after = await model.evaluate(from, to);
    expect(before.loss).toBeCloseTo(Math.log(words), 1);
    expect(after.loss).toBeLessThan(0.3);
  });

  it('refuses another last layer', async () => {
    const dense = sequential([layers.input({ shape: [F] }), layers.dense({ units: V })]);
    dense.compile({ optimizer: 'sgd', loss: 'sampledSoftmax' });
    await expect(async () => dense.lossAndGradients(x, labels)).rejects.toThrow(/layers.sampledSoftmax/);
  });
});
