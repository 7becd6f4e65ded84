/** The sweep of learning rates: what it finds, that nothing of the model is changed, and its picture. */
import { describe, expect, it } from 'vitest';
import { readBundle } from '../../src/formats/bundle.ts';
import { plotLearningRates } from '../../src/inspect/plot-learning-rates.ts';
import { layers } from '../../src/layers/all.ts';
import { findLearningRate, suggestRates } from '../../src/train/find-learning-rate.ts';
import type { Model } from '../../src/train/model.ts';
import { optimizers } from '../../src/train/optimizers/all.ts';
import { schedules } from '../../src/train/schedules/all.ts';
import { sequential } from '../../src/train/sequential.ts';

const x = Array.from({ length: 24 }, (_, i) => [0, 1, 2].map((t) => [Math.sin(i + t), Math.cos(i * t)]));
const y = x.map((row) => [row[0][0] + row[2][1]]);

function build(optimizer: ReturnType<typeof optimizers.adam> = optimizers.sgd(), stateful = false): Model {
  const model = sequential(
    [
      layers.input({ shape: [3, 2], batchSize: stateful ? 8 : null }),
      layers.gru({ units: 4, stateful, dropout: 0.1 }),
      layers.batchNormalization(),
      layers.dense({ units: 1 }),
    ],
    { seed: 2 },
  );
  model.compile({ optimizer, loss: 'mse' });
  return model;
}

const kept = (model: Model) => {
  const { weights, slots, states, metadata } = readBundle(model.toBytes(), 'test');
  const plain = (tensors: typeof weights) => [...tensors].map(([name, { data }]) => [name, Array.from(data)]);
  return { weights: plain(weights), slots: plain(slots), states: plain(states), counters: metadata.counters };
};

describe('findLearningRate', () => {
  it('raises the rate by equal factors, and ends where the loss rises', async () => {
    const found = await findLearningRate(build(), x, y, { from: 1e-4, to: 1e4, steps: 41, batchSize: 8 });
    expect(found.diverged).toBe(true);
    expect(found.rates.length).toBeLessThan(41);
    found.rates.forEach((rate, k) => expect(Math.log10(rate)).toBeCloseTo(-4 + k * 0.2, 9));
    expect(found.losses).toHaveLength(found.rates.length);
    expect(found.smoothed[0]).toBeCloseTo(found.losses[0], 6);
    expect(found.smoothed[1]).toBeCloseTo((0.9 * found.losses[0] + found.losses[1]) / 1.9, 6);
    for (const rate of [found.valley, found.steepest]) {
      expect(rate).toBeGreaterThan(1e-4);
      expect(rate).toBeLessThan(10);
    }
    expect(found.suggestion).toBe(found.valley);
  });
  it('makes all steps where the loss does not rise, and its losses are those of a training', async () => {
    const model = build();
    const found = await findLearningRate(model, x, y, {
      from: 0.01,
      to: 0.0100001,
      steps: 6,
      batchSize: 8,
      smoothing: 0,
    });
    expect(found.diverged).toBe(false);
    expect(found.smoothed).toEqual(found.losses);
    const losses: number[] = [];
    // The order of the first epoch is that of the first three steps.
    for await (const step of model.train(x, y, { epochs: 1, batchSize: 8, verbose: 0 })) losses.push(step.loss);
    found.losses.slice(0, 3).forEach((loss, k) => expect(loss).toBeCloseTo(losses[k], 6));
  });
  it.each([
    ['before training', optimizers.adam({ useEma: true }), false, 0],
    ['after training', optimizers.adam({ amsgrad: true }), false, 2],
    ['with a schedule', optimizers.nadam({ learningRate: schedules.noam({ modelSize: 4 }) }), false, 1],
    ['of a stateful layer', optimizers.scheduleFreeAdamW(), true, 1],
    ['of a stateful layer before training', optimizers.adafactor(), true, 0],
  ] as const)('leaves the model as it was: %s', async (_, optimizer, stateful, epochs) => {
    const options = { batchSize: 8, verbose: 0, shuffle: !stateful } as const;
    const [swept, plain] = [build(optimizer, stateful), build(optimizer, stateful)];
    for (const model of [swept, plain]) if (epochs) await model.fit(x, y, { ...options, epochs });
    const before = kept(swept);
    await findLearningRate(swept, x, y, { steps: 12, batchSize: 8 });
    expect(kept(swept)).toEqual(before);
    for (const model of [swept, plain]) await model.fit(x, y, { ...options, epochs: 2 });
    expect(kept(swept)).toEqual(kept(plain));
  });
  it('refuses options that make no sense, and what is no model', async () => {
    const model = build();
    const wrong = (options: object) => findLearningRate(model, x, y, options);
    await expect(wrong({ from: 0 })).rejects.toThrow(/from: expected a number above 0, received 0/);
    await expect(wrong({ from: 1, to: 0.5 })).rejects.toThrow(/to: expected a number above 1, received 0.5/);
    await expect(wrong({ steps: 1 })).rejects.toThrow(/steps: expected a whole number from 2 on/);
    await expect(wrong({ smoothing: 1 })).rejects.toThrow(/smoothing: expected a number from 0 to below 1/);
    await expect(wrong({ divergence: 1 })).rejects.toThrow(/divergence: expected a number above 1/);
    await expect(wrong({ epochs: 1 })).rejects.toThrow(/epochs/);
    await expect(findLearningRate(x as never, x, y)).rejects.toThrow(/findLearningRate\(model, x, y\)/);
  });
});

describe('suggestRates', () => {
  const rates = [1, 10, 100, 1000, 10_000, 100_000, 1e6];
  it('takes the middle of the longest fall, and the steepest place', () => {
    expect(suggestRates(rates, [5, 4.9, 4, 2, 1.5, 1.4, 9])).toEqual({ valley: 1000, steepest: 100 });
  });
  it('has nothing to say where the loss only rises', () => {
    expect(suggestRates(rates, [1, 2, 3, 4, 5, 6, 7])).toEqual({ valley: null, steepest: null });
    expect(suggestRates([], [])).toEqual({ valley: null, steepest: null });
  });
});

describe('plotLearningRates', () => {
  const found = {
    rates: [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1],
    losses: [1, 0.9, 0.7, 0.4, 0.5, 2],
    smoothed: [1, 0.95, 0.8, 0.6, 0.55, 1.2],
    diverged: true,
    valley: 1e-3,
    steepest: 1e-2,
    suggestion: 1e-3,
  };
  it('draws both curves over powers of ten, with the rates marked', async () => {
    const svg = await plotLearningRates(found, { title: 'Reviews', subtitle: 'GRU' });
    expect(svg).toMatch(/^<svg width="640" height="420"/);
    for (const word of ['Reviews', 'GRU', 'loss', 'smoothed', 'learning rate', '1e-5', '1e-3', '0.01', '0.1', '1'])
      expect(svg, word).toContain(`>${word}<`);
    expect(svg).toContain('>valley 1.0e-3<');
    expect(svg).toContain('>steepest 1.0e-2<');
    // Equal factors stand equally far from each other.
    const path = /<path d="M([^"]*)"[^>]*stroke="#1f6fb2"[^>]*stroke-width="2"/g;
    const curve = [...svg.matchAll(path)].map((m) => m[1]).find((d) => d.split('L').length === 6) ?? '';
    const places = curve.split('L').map((point) => Number(point.trim().split(' ')[0]));
    const steps = places.slice(1).map((place, k) => place - places[k]);
    for (const step of steps) expect(step).toBeCloseTo(steps[0], 0);
    expect(steps[0]).toBeGreaterThan(50);
  });
  it('draws them for a terminal too, at the places of a logarithmic axis', async () => {
    const text = await plotLearningRates(found, { subtitle: 'GRU', format: 'terminal', color: false });
    const lines = text.split('\n');
    expect(lines.slice(0, 3)).toEqual(['Learning rates', 'GRU', '● loss   ○ smoothed']);
    expect(lines.at(-1)).toBe('suggested: 1.0e-3');
    expect(lines.at(-2)).toMatch(/^ +1.0e-5 +learning rate +1.0e\+0$/);
    // The largest loss stands above the last rate; the least, at 0.01, three fifths along the axis.
    expect(lines[3]).toMatch(/^ +2 ┤ {59}●$/);
    expect(text).toMatch(/┤.{35}●/);
    await expect(plotLearningRates(found, { format: 'png' as never })).rejects.toThrow(/'svg' or 'terminal'/);
  });
  it('refuses a sweep without steps', async () => {
    await expect(plotLearningRates({ ...found, rates: [] })).rejects.toThrow(
      /expected at least one step, received none/,
    );
  });
});
