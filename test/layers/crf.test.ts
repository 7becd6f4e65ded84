/** The CRF layer in a model: its loss and gradients against all sequences of tags written out, what it gives, saving, learning. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { RandomKey } from '../../src/core/random.ts';
import { layers } from '../../src/layers/all.ts';
import { losses } from '../../src/layers/losses/all.ts';
import { modelFromBytes } from '../../src/train/load.ts';
import { sequential } from '../../src/train/sequential.ts';
import { relativeDistance } from '../golden/golden.ts';

const [B, T, F, K] = [3, 4, 2, 3];
const numbers = (label: string, count: number) => Array.from(RandomKey.from(8).split(label).normal(count));
const x = NdArray.from(Float32Array.from(numbers('x', B * T * F)), [B, T, F]);
const mask = [
  [1, 1, 1, 1],
  [0, 1, 1, 0],
  [1, 0, 0, 1],
];
const y = [
  [0, 2, 1, 1],
  [0, 1, 2, 0],
  [2, 0, 0, 0],
];

function tagger(output: 'tags' | 'marginals' | 'potentials' = 'tags') {
  const model = sequential([layers.input({ shape: [null, F] }), layers.crf({ units: K, output })]);
  const shapes = [[F, K], [K], [K, K], [K], [K]];
  model.setWeights(
    shapes.map((shape, i) =>
      NdArray.from(
        Float32Array.from(
          numbers(
            `w${i}`,
            shape.reduce((a, b) => a * b),
          ),
        ),
        shape,
      ),
    ),
  );
  return model;
}

/** Scores of all sequences of tags of a row, and of the one that is true. */
async function enumerated(b: number) {
  const model = tagger('potentials');
  const potentials = (await model.predict(x, { mask })) as NdArray;
  const [, , transitions, start, end] = model.getWeights().map((w) => Array.from(w.data));
  const steps = mask[b].flatMap((m, t) => (m ? [t] : []));
  const score = (tags: number[]) =>
    start[tags[0]] +
    end[tags[tags.length - 1]] +
    tags.reduce((sum, tag, i) => sum + potentials.data[(b * T + steps[i]) * K + tag], 0) +
    tags.slice(1).reduce((sum, tag, i) => sum + transitions[tags[i] * K + tag], 0);
  const all = Array.from({ length: K ** steps.length }, (_, code) => {
    const tags = steps.map((_, i) => Math.floor(code / K ** i) % K);
    return { tags, score: score(tags) };
  });
  const partition = Math.log(all.reduce((sum, one) => sum + Math.exp(one.score), 0));
  return { steps, all, partition, loss: partition - score(steps.map((t) => y[b][t])) };
}

describe('layers.crf', () => {
  it('has the loss -log p of the tags, also as measured', async () => {
    const model = tagger();
    model.compile({ optimizer: 'sgd', loss: 'crf' });
    const expected = (await Promise.all([0, 1, 2].map(enumerated))).map(({ loss }) => loss);
    const { loss } = await model.lossAndGradients(x, y, { mask });
    expect(loss).toBeCloseTo(expected.reduce((a, b) => a + b) / B, 4);
    const weighted = await model.lossAndGradients(x, y, { mask, sampleWeight: [1, 0, 3] });
    expect(weighted.loss).toBeCloseTo((expected[0] + 3 * expected[2]) / B, 4);
  });

  it('has gradients that agree with differences', async () => {
    const model = tagger();
    model.compile({ optimizer: 'sgd', loss: losses.crf({ reduction: 'sum' }) });
    const { weightGradients } = await model.lossAndGradients(x, y, { mask });
    const weights = model.getWeights();
    const step = 1e-2;
    for (const [w, i] of [
      [0, 1],
      [1, 2],
      [2, 5],
      [3, 0],
      [4, 1],
    ]) {
      const at = async (move: number) => {
        const moved = weights.map((own) => NdArray.from(own.data.slice() as Float32Array, own.shape));
        (moved[w].data as Float32Array)[i] += move;
        model.setWeights(moved);
        return (await model.lossAndGradients(x, y, { mask })).loss;
      };
      const slope = ((await at(step)) - (await at(-step))) / (2 * step);
      expect(Math.abs(slope - weightGradients[w].data[i])).toBeLessThan(2e-3 * Math.max(1, Math.abs(slope)));
    }
  });

  it('gives the best tags, or the probabilities of all', async () => {
    const tags = (await tagger().predict(x, { mask })) as NdArray;
    const marginals = (await tagger('marginals').predict(x, { mask })) as NdArray;
    for (let b = 0; b < B; b++) {
      const { steps, all, partition } = await enumerated(b);
      const best = all.reduce((a, one) => (one.score > a.score ? one : a));
      for (let t = 0; t < T; t++)
        for (let k = 0; k < K; k++) {
          const i = steps.indexOf(t);
          const at = (b * T + t) * K + k;
          expect(tags.data[at]).toBe(i >= 0 && best.tags[i] === k ? 1 : 0);
          const p =
            i < 0 ? 0 : all.reduce((s, one) => s + (one.tags[i] === k ? Math.exp(one.score - partition) : 0), 0);
          expect(marginals.data[at]).toBeCloseTo(p, 4);
        }
    }
  });

  it('leaves out tags of ignoreClass as masked steps', async () => {
    const model = tagger();
    model.compile({ optimizer: 'sgd', loss: 'crf' });
    const masked = await model.lossAndGradients(x, y, { mask });
    model.compile({ optimizer: 'sgd', loss: losses.crf({ ignoreClass: -100 }) });
    const ignored = y.map((row, b) => row.map((tag, t) => (mask[b][t] ? tag : -100)));
    expect((await model.lossAndGradients(x, ignored)).loss).toBeCloseTo(masked.loss, 5);
    await expect(async () => model.lossAndGradients(x, [[3, 0, 0, 0], ...y.slice(1)])).rejects.toThrow(
      /sample 0, position \[0\]/,
    );
  });

  it('is saved and read', async () => {
    const model = tagger('marginals');
    model.compile({ optimizer: 'adam', loss: losses.crf({ ignoreClass: -1 }) });
    const { model: read } = await modelFromBytes(model.toBytes());
    const before = (await model.predict(x)) as NdArray;
    expect(((await read.predict(x)) as NdArray).data).toEqual(before.data);
    const { loss } = await model.lossAndGradients(x, y);
    expect((await read.lossAndGradients(x, y)).loss).toBe(loss);
  });

  it('stands at the end of a model within a model', async () => {
    const inner = tagger();
    const outer = sequential([layers.input({ shape: [null, F] }), inner.asLayer()]);
    for (const model of [inner, outer]) model.compile({ optimizer: 'sgd', loss: 'crf' });
    const { loss } = await inner.lossAndGradients(x, y, { mask });
    expect((await outer.lossAndGradients(x, y, { mask })).loss).toBe(loss);
  });

  it('has the same gradients where the steps are computed again', async () => {
    const model = tagger();
    model.compile({ optimizer: 'sgd', loss: 'crf' });
    const full = await model.lossAndGradients(x, y, { mask });
    model.compile({ optimizer: 'sgd', loss: 'crf', memory: 'sqrt' });
    const again = await model.lossAndGradients(x, y, { mask });
    full.weightGradients.forEach((g, i) =>
      expect(relativeDistance(again.weightGradients[i].data, g.data)).toBeLessThan(1e-6),
    );
  });

  it('refuses another last layer, another rank, and classWeight', async () => {
    const dense = sequential([layers.input({ shape: [null, F] }), layers.dense({ units: K })]);
    dense.compile({ optimizer: 'sgd', loss: 'crf' });
    await expect(async () => dense.lossAndGradients(x, y)).rejects.toThrow(/End the model with layers.crf/);
    expect(() => sequential([layers.input({ shape: [F] }), layers.crf({ units: K })])).toThrow(
      /crf.*\(batch, time, features\)/,
    );
    expect(() => sequential([layers.input({ shape: [null, F] }), layers.crf({ units: K, useKernel: false })])).toThrow(
      /3 features/,
    );
    const model = tagger();
    model.compile({ optimizer: 'sgd', loss: 'crf' });
    await expect(async () => model.lossAndGradients(x, y, { classWeight: { 0: 2 } })).rejects.toThrow(
      /one value per label/,
    );
  });

  it('learns tags that depend on their neighbours', async () => {
    // The tag is 1 where the input or the one before it is above zero, 2 two steps after such a start, else 0.
    const key = RandomKey.from(4);
    const rows = 96;
    const steps = 7;
    const input = Float32Array.from(key.uniform(rows * steps), (v) => (v < 0.3 ? 1 : 0));
    const tags = Array.from({ length: rows }, (_, b) =>
      Array.from({ length: steps }, (_, t) => {
        const at = (s: number) => (s < 0 ? 0 : input[b * steps + s]);
        return at(t) ? 1 : at(t - 1) ? 2 : 0;
      }),
    );
    const model = sequential([layers.input({ shape: [null, 1] }), layers.crf({ units: 3 })], { seed: 1 });
    model.compile({
      optimizer: { class_name: 'Adam', config: { learning_rate: 0.1 } },
      loss: 'crf',
      metrics: ['accuracy'],
    });
    const data = NdArray.from(input, [rows, steps, 1]);
    const history = await model.fit(data, tags, { epochs: 30, batchSize: 32, verbose: 0 });
    const { loss, accuracy } = history.history;
    expect(loss[29]).toBeLessThan(0.2 * loss[0]);
    expect(accuracy[29]).toBe(1);
    // No other tag than the neighbours tells 2 from 0: without transitions this cannot be learnt.
    expect((await model.evaluate(data, tags)).accuracy).toBe(1);
  });
});
