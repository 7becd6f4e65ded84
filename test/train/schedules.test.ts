/** Learning-rate schedules against Keras and PyTorch (test/golden/schedules.py), their files, and what an optimizer does with them. */
import { describe, expect, it } from 'vitest';
import { optimizerOf, optimizers } from '../../src/train/optimizers/all.ts';
import { schedules } from '../../src/train/schedules/all.ts';
import {
  defineSchedule,
  type LearningRateSchedule,
  learningRateOf,
  rateToKeras,
  registerSchedule,
} from '../../src/train/schedules/schedule.ts';
import { readGolden } from '../golden/golden.ts';

interface Serialised {
  module: string;
  class_name: string;
  config: Record<string, unknown>;
  registered_name: string | null;
}
interface Golden {
  cases: { serialised: Serialised; values: [number, number][] }[];
  one_cycle: {
    config: {
      total_steps: number;
      pct_start?: number;
      anneal_strategy?: 'linear';
      div_factor?: number;
      final_div_factor?: number;
      three_phase?: boolean;
    };
    values: number[];
  }[];
}
const golden = readGolden<Golden>('schedules.json');
const read = (json: unknown) => learningRateOf(json, 'test') as LearningRateSchedule;

describe('as in Keras', () => {
  it.each(golden.cases.map((c) => [c.serialised.class_name, JSON.stringify(c.serialised.config), c] as const))(
    '%s %s',
    (_, __, { serialised, values }) => {
      const schedule = read(serialised);
      for (const [step, rate] of values)
        expect(Math.abs(schedule.value(step) - rate), `step ${step}`).toBeLessThan(1e-11);
      const { config, ...written } = rateToKeras(schedule, 'test') as Serialised;
      expect({ ...written, config: null }).toEqual({ ...serialised, config: null });
      expect(Object.keys(config)).toEqual(Object.keys(serialised.config));
      // Whole numbers are a rounding larger, so that Keras reads floats.
      const near = (value: unknown): unknown =>
        Array.isArray(value) ? value.map(near) : typeof value === 'number' ? Number(value.toFixed(12)) : value;
      for (const [key, value] of Object.entries(serialised.config)) expect(near(config[key]), key).toEqual(near(value));
      expect(read(JSON.parse(JSON.stringify({ ...written, config }))).config).toEqual(schedule.config);
    },
  );
  it('restarts come on the step, also where logarithms would miss it', () => {
    const schedule = schedules.cosineDecayRestarts({ initialLearningRate: 0.1, firstDecaySteps: 10, tMul: 3 });
    // Periods of 10, 30, 90, 270, 810 and 2430 steps.
    for (const step of [0, 10, 40, 130, 400, 1210, 3640]) {
      expect(schedule.value(step), `step ${step}`).toBe(0.1);
      if (step) expect(schedule.value(step - 1)).toBeLessThan(0.003);
    }
  });
  it('reads what Keras 2 wrote', () => {
    const config = { initial_learning_rate: 0.1, decay_steps: 10, decay_rate: 0.9, staircase: false, name: null };
    expect(read({ class_name: 'ExponentialDecay', config }).value(10)).toBeCloseTo(0.09, 12);
  });
});

describe('one cycle', () => {
  it.each(golden.one_cycle)('as in PyTorch: $config', ({ config, values }) => {
    const schedule = schedules.oneCycle({
      maxLearningRate: 0.3,
      totalSteps: config.total_steps,
      pctStart: config.pct_start,
      annealStrategy: config.anneal_strategy,
      divFactor: config.div_factor,
      finalDivFactor: config.final_div_factor,
      threePhase: config.three_phase,
    });
    values.forEach((rate, k) => expect(Math.abs(schedule.value(k) - rate), `step ${k}`).toBeLessThan(1e-11));
    expect(schedule.value(10_000)).toBeCloseTo(values[values.length - 1], 12);
  });
  it('of one step, or without a rise, is finite', () => {
    for (const pctStart of [0, 0.5, 1])
      for (const totalSteps of [1, 2])
        for (const k of [0, 1, 2])
          expect(schedules.oneCycle({ maxLearningRate: 1, totalSteps, pctStart }).value(k)).toBeGreaterThan(0);
  });
});

describe('warm-up', () => {
  const after = schedules.exponentialDecay({ initialLearningRate: 0.4, decaySteps: 1, decayRate: 0.5 });
  it('goes to the first rate of what follows, and then follows it', () => {
    const linear = schedules.warmup({ steps: 4, learningRate: after });
    expect([0, 1, 2, 3, 4, 5].map((k) => linear.value(k))).toEqual([0, 0.1, 0.2, 0.4 * 0.75, 0.4, 0.2]);
    const cosine = schedules.warmup({ steps: 4, learningRate: 0.4, curve: 'cosine' });
    expect(cosine.value(1)).toBeCloseTo(0.2 * (1 - Math.SQRT1_2), 12);
    expect([cosine.value(2), cosine.value(9)]).toEqual([expect.closeTo(0.2, 12), 0.4]);
    const factors = schedules.warmup({ steps: 2, learningRate: 0.4, from: 0.1, curve: 'exponential' });
    expect([0, 1, 2].map((k) => factors.value(k))).toEqual([0.1, expect.closeTo(0.2, 12), 0.4]);
    expect(schedules.warmup({ steps: 2, learningRate: 0.4, from: 0.1, curve: 'constant' }).value(1)).toBe(0.1);
    expect(schedules.warmup({ steps: 2, learningRate: (k) => 1 / (k + 1) }).value(3)).toBe(0.5);
  });
  it('is written and read with what is in it', () => {
    const schedule = schedules.warmup({ steps: 4, learningRate: after, curve: 'cosine' });
    const json = JSON.parse(JSON.stringify(rateToKeras(schedule, 'test')));
    expect(json).toMatchObject({ class_name: 'Warmup', registered_name: 'unrolled>Warmup' });
    const again = read(json);
    for (const k of [0, 1, 3, 4, 7]) expect(again.value(k)).toBe(schedule.value(k));
  });
  it('cannot rise by factors from zero', () => {
    expect(() => schedules.warmup({ steps: 4, learningRate: 1, curve: 'exponential' })).toThrow(/Write `from: 1e-7`/);
  });
});

describe('inverse square root', () => {
  it('is the formula of the Transformer', () => {
    const noam = schedules.noam({ modelSize: 512, warmupSteps: 100 });
    for (const k of [0, 50, 98, 99, 100, 5000])
      expect(noam.value(k)).toBeCloseTo(Math.min((k + 1) ** -0.5, (k + 1) * 100 ** -1.5) / Math.sqrt(512), 12);
    const plain = schedules.inverseSquareRoot({ learningRate: 0.2, warmupSteps: 100 });
    expect(plain.value(50)).toBeCloseTo(0.1, 12);
    expect(plain.value(100)).toBe(0.2);
    expect(plain.value(400)).toBeCloseTo(0.1, 12);
    expect(schedules.inverseSquareRoot({ learningRate: 0.2, timescale: 5 }).value(15)).toBeCloseTo(0.1, 12);
  });
});

describe("schedules of one's own", () => {
  const halving = defineSchedule({
    className: 'Halving',
    options: { first: { required: false, fallback: 0.1 as number, expected: 'a number', parse: Number } },
    value: ({ first }, iteration) => first * 0.5 ** Math.floor(iteration / 100),
  });
  it('are found again once they are registered', () => {
    const written = rateToKeras(halving({ first: 0.2 }), 'test');
    expect(() => read(written)).toThrow(/'Halving'.*registerSchedule/);
    registerSchedule(halving);
    expect(read(written).value(250)).toBe(0.05);
    expect(() => registerSchedule(schedules.noam)).toThrow(/'Noam', which is a built-in schedule/);
  });
  it('that give no number are refused with the iteration', () => {
    const broken = defineSchedule({ className: 'Broken', options: {}, value: (_, k) => 1 / (k - 3) });
    expect(() => broken({}).value(3)).toThrow(
      /schedules.Broken: iteration 3: expected a finite learning rate, received Infinity/,
    );
  });
});

describe('wrong options', () => {
  it.each([
    [
      () => schedules.exponentialDecay({ initialLearningRate: 0.1, decaySteps: 0, decayRate: 1 }),
      /decaySteps: expected a number of steps above 0/,
    ],
    [() => schedules.cosineDecay({ initialLearningRate: 0.1 } as never), /expected `decaySteps`/],
    [
      () => schedules.piecewiseConstantDecay({ boundaries: [1], values: [1] }),
      /expected 2 numbers, one more than boundaries, received 1/,
    ],
    [
      () => schedules.piecewiseConstantDecay({ boundaries: [2, 1], values: [1, 2, 3] }),
      /expected rising iterations, received 2, 1/,
    ],
    [
      () => schedules.cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 1, tMul: 0.5 }),
      /tMul: expected a number from 1 on/,
    ],
    [() => optimizers.adam({ learningRate: schedules.cosineDecay as never }), /the factory of one.*CosineDecay/],
    [
      () => optimizerOf({ class_name: 'Adam', config: { learning_rate: { class_name: 'CosineDecoy', config: {} } } }),
      /nearest is CosineDecay/,
    ],
  ])('%s', (make, message) => {
    expect(make).toThrow(message);
  });
});
