/**
 * What optimizers do in a model: averages, accumulation, clipping, decay and schedules against Keras (test/golden/optimizer-options.py); saving
 * and going on; compiling anew; steps that are not finite; schedule-free weights.
 */
import { describe, expect, it } from 'vitest';
import type { NdArray } from '../../src/core/array.ts';
import { readBundle } from '../../src/formats/bundle.ts';
import { layers } from '../../src/layers/all.ts';
import { modelFromBytes } from '../../src/train/load.ts';
import type { Model } from '../../src/train/model.ts';
import { type OptimizerLike, optimizerOf, optimizers } from '../../src/train/optimizers/all.ts';
import { schedules } from '../../src/train/schedules/all.ts';
import { sequential } from '../../src/train/sequential.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { goldenMachines, readGolden } from '../golden/golden.ts';

interface Case {
  class_name: string;
  config: Record<string, unknown>;
  excluded: string[] | null;
  loss: number[];
  fit: number[][];
  averages: number[][];
  batch: number[][];
  iterations: number;
  parameters: number;
}
interface Golden {
  x: number[][];
  y: number[][];
  weights: number[][];
  cases: Case[];
}
const golden = readGolden<Golden>('optimizer-options.json');
const { x, y } = golden;
const machines = await goldenMachines();
const options = { verbose: 0, batchSize: 2, shuffle: false } as const;

function build(optimizer: OptimizerLike, machine?: Machine): Model {
  const model = sequential(
    [
      layers.input({ shape: [3], dtype: 'int32' }),
      layers.embedding({ inputDim: 7, outputDim: 2 }),
      layers.lstm({ units: 2 }),
      layers.dense({ units: 2 }),
    ],
    { seed: 3, machine },
  );
  model.compile({ optimizer, loss: 'mse' });
  model.setWeights(golden.weights);
  return model;
}

const values = (weights: readonly NdArray[]) => weights.map((w) => Array.from(w.data));

function expectNear(got: readonly NdArray[], wanted: readonly number[][], tolerance: number, what: string): void {
  wanted.forEach((values, i) =>
    values.forEach((w, j) => {
      const distance = Math.abs(got[i].data[j] - w);
      if (!(distance <= tolerance)) expect.fail(`${what}: weight ${i}[${j}]: ${got[i].data[j]}, wanted ${w}`);
    }),
  );
}

describe.each(machines.map((machine) => [machine.traits.host, machine] as const))(
  'as in Keras, on %s',
  (host, machine) => {
    // Weights and targets come in as float32.
    const tolerance = host === 'oracle' ? 2e-7 : 1e-5;
    it.each(golden.cases.map((c) => [c.class_name, JSON.stringify(c.config), c] as const))(
      '%s %s',
      async (_, __, c) => {
        const config = { ...c.config, ...(c.excluded && { exclude_from_weight_decay: c.excluded }) };
        const model = build({ class_name: c.class_name, config }, machine);
        let averages: NdArray[] = [];
        const { history } = await model.fit(x, y, {
          ...options,
          epochs: 2,
          callbacks: [{ onEpochEnd: () => void (averages = c.averages.length ? model.averagedWeights() : []) }],
        });
        c.loss.forEach((loss, k) => expect(Math.abs(history.loss[k] - loss)).toBeLessThan(tolerance * 10));
        expectNear(averages, c.averages, tolerance, 'averages');
        expectNear(model.getWeights(), c.fit, tolerance, 'after fit');
        await model.trainOnBatch(x.slice(0, 2), y.slice(0, 2));
        expectNear(model.getWeights(), c.batch, tolerance, 'after a batch');
        expect(model.iterations).toBe(c.iterations);
        const optimizer = /Optimizer params: ([\d,]+)/.exec(model.summary({ print: null }));
        expect(optimizer?.[1]).toBe(String(c.parameters));
      },
    );
  },
);

const schedule = schedules.warmup({
  steps: 3,
  from: 0.01,
  learningRate: schedules.cosineDecay({ initialLearningRate: 0.1, decaySteps: 20 }),
});
const common = {
  plain: { learningRate: 0.05 },
  averaged: { learningRate: schedule, useEma: true, emaMomentum: 0.7, emaOverwriteFrequency: 3, globalClipnorm: 0.5 },
  gathered: {
    learningRate: schedule,
    gradientAccumulationSteps: 3,
    weightDecay: 0.1,
    excludeFromWeightDecay: ['bias', /^lstm/],
  },
};
const every = Object.entries(optimizers).flatMap(([name, make]) =>
  Object.entries(common).map(([kind, given]) => [kind, name, make(given)] as const),
);

describe('saved and loaded', () => {
  it.each(every)('%s %s goes on to the same bits', async (_, __, optimizer) => {
    const model = build(optimizer);
    await model.fit(x, y, options);
    const { model: loaded } = modelFromBytes(model.toBytes());
    expect(loaded.learningRate).toBe(model.learningRate);
    for (const one of [model, loaded]) await one.fit(x, y, { ...options, epochs: 2, shuffle: true });
    expect(values(loaded.getWeights())).toEqual(values(model.getWeights()));
    const slots = [model, loaded].map((one) => [...readBundle(one.toBytes(), 'test').slots]);
    expect(slots[1]).toEqual(slots[0]);
    expect(loaded.toKerasConfig()).toEqual(model.toKerasConfig());
  });
  it('a function as learning rate stays behind', async () => {
    const model = build(optimizers.sgd({ learningRate: (iteration) => 0.1 / (iteration + 1) }));
    await model.fit(x, y, options);
    expect(model.learningRate).toBe(0.1 / 5);
    expect(model.toKerasConfig()).not.toHaveProperty('compile_config.optimizer');
    const { model: loaded } = modelFromBytes(model.toBytes());
    expect(values(loaded.getWeights())).toEqual(values(model.getWeights()));
  });
});

describe('resumed in the middle of an epoch', () => {
  it.each([
    ['averaged', 'nadam'],
    ['gathered', 'scheduleFreeAdamW'],
    ['gathered', 'adafactor'],
  ] as const)('%s %s ends in the same bits', async (kind, name) => {
    const run = { ...options, epochs: 3 };
    const whole = build(optimizers[name](common[kind]));
    let snapshot: Uint8Array | undefined;
    await whole.fit(x, y, {
      ...run,
      callbacks: [
        {
          onBatchEnd: (batch, _logs, run) => {
            if (run.epoch === 1 && batch === 1) snapshot = run.snapshot();
          },
        },
      ],
    });
    const resumed = build(optimizers[name](common[kind]));
    await resumed.fit(x, y, { ...run, resumeFrom: snapshot });
    expect(values(resumed.getWeights())).toEqual(values(whole.getWeights()));
  });
});

describe('compile', () => {
  it('starts anew with another optimizer, whatever was there', async () => {
    for (const second of ['adagrad', 'adafactor', 'nadam', 'scheduleFreeAdamW', 'adam'] as const) {
      const model = build(optimizers.adam({ useEma: true }));
      await model.fit(x, y, options);
      for (const other of [optimizers.adafactor(), optimizers.ftrl()]) {
        model.compile({ optimizer: other, loss: 'mse' });
        await model.fit(x, y, options);
      }
      model.setWeights(golden.weights);
      model.compile({ optimizer: second, loss: 'mse' });
      await model.fit(x, y, options);
      const fresh = build(second);
      await fresh.fit(x, y, options);
      expect(values(model.getWeights()), second).toEqual(values(fresh.getWeights()));
      expect([...readBundle(model.toBytes(), 'test').slots.keys()].sort()).toEqual(
        [...readBundle(fresh.toBytes(), 'test').slots.keys()].sort(),
      );
    }
  });
});

describe('learningRate', () => {
  it('is what the schedule gives for the next step, and cannot be set then', async () => {
    const model = build(optimizers.adam({ learningRate: schedule, gradientAccumulationSteps: 2 }));
    expect(model.learningRate).toBe(schedule.value(0));
    await model.fit(x, y, options);
    expect(model.learningRate).toBe(schedule.value(4));
    expect(model.iterations).toBe(2);
    expect(() => {
      model.learningRate = 0.1;
    }).toThrow(/expected an optimizer with a number.*or with a function of the iteration/);
  });
  it('of zero changes nothing but slots', async () => {
    const model = build(optimizers.adam({ learningRate: 0 }));
    await model.fit(x, y, options);
    expect(values(model.getWeights())).toEqual(values(build('adam').getWeights()));
  });
});

describe('a step that is not finite', () => {
  it.each(every.filter(([kind]) => kind !== 'plain'))('%s %s leaves everything as it was', async (_, __, optimizer) => {
    const model = build(optimizer);
    await model.fit(x, y, options);
    const kept = () => {
      const { weights, slots, metadata } = readBundle(model.toBytes(), 'test');
      return { weights: [...weights], slots: [...slots], counters: metadata.counters };
    };
    const before = kept();
    const far = y.slice(0, 2).map((row) => row.map(() => 3e38));
    if (machines.length === 1 && machines[0].traits.host === 'oracle') return; // in float64 it is finite
    await expect(model.trainOnBatch(x.slice(0, 2), far)).rejects.toMatchObject({ code: 'NUMERIC' });
    expect(kept()).toEqual(before);
    await expect(model.trainOnBatch(x.slice(0, 2), y.slice(0, 2))).resolves.toBeTruthy();
  });
});

describe('moving averages', () => {
  it('are read, used for a while, and take the place of the weights when fit ends', async () => {
    const model = build(optimizers.sgd({ learningRate: 0.3, useEma: true, emaMomentum: 0.9 }));
    expect(() => model.averagedWeights()).toThrow(/useEma: true/);
    await model.trainOnBatch(x, y);
    await model.trainOnBatch(x, y);
    const own = values(model.getWeights());
    expect(values(model.averagedWeights())).not.toEqual(own);
    const plain = await model.evaluate(x, y);
    const averaged = await model.withAveragedWeights(() => model.evaluate(x, y));
    expect(averaged.loss).not.toBe(plain.loss);
    expect(values(model.getWeights())).toEqual(own);
    await expect(
      model.withAveragedWeights(() => {
        throw new Error('mine');
      }),
    ).rejects.toThrow('mine');
    expect(values(model.getWeights())).toEqual(own);
    model.setWeights(model.averagedWeights());
    expect((await model.evaluate(x, y)).loss).toBe(averaged.loss);
    await model.fit(x, y, options);
    expect(values(model.getWeights())).toEqual(values(model.averagedWeights()));
  });
  it('are not there for other optimizers', async () => {
    const model = build('adam');
    await model.trainOnBatch(x, y);
    await expect(model.withAveragedWeights(() => 1)).rejects.toMatchObject({ code: 'STATE' });
  });
});

describe('schedule-free weights', () => {
  it('are the averages in everything but the steps of training', async () => {
    const model = build(optimizers.scheduleFreeAdamW({ learningRate: 0.1 }));
    const { history } = await model.fit(x, y, { ...options, epochs: 5, validationData: [x, y] });
    const { loss } = await model.evaluate(x, y, { batchSize: 2 });
    expect(loss).toBe(history.val_loss[4]);
    const plain = build('sgd');
    plain.setWeights(model.getWeights());
    expect((await plain.predict(x)).equals(await model.predict(x))).toBe(true);
    // The gradient of the next step is taken elsewhere.
    const step = await model.trainOnBatch(x, y);
    expect(Math.abs(step.loss - loss)).toBeGreaterThan(1e-6);
  });
  it('start anew where they are set', async () => {
    const model = build(optimizers.scheduleFreeAdamW({ learningRate: 0.1 }));
    await model.fit(x, y, options);
    model.setWeights(golden.weights);
    const { loss } = await model.trainOnBatch(x, y);
    const fresh = build('sgd');
    expect(Math.abs(loss - (await fresh.evaluate(x, y, { batchSize: 8 })).loss)).toBeLessThan(1e-6);
    const before = values(model.getWeights());
    model.setWeights(model.getWeights());
    const again = build(optimizers.scheduleFreeAdamW({ learningRate: 0.1 }));
    await again.fit(x, y, options);
    again.setWeights(golden.weights);
    await again.trainOnBatch(x, y);
    expect(values(again.getWeights())).toEqual(before);
    for (const one of [model, again]) await one.trainOnBatch(x, y);
    expect(values(again.getWeights())).toEqual(values(model.getWeights()));
  });
});

it('Keras names an optimizer by its class', () => {
  const model = build({ class_name: 'Adam', config: { learning_rate: 0.5, name: 'mine' } });
  const config = model.toKerasConfig() as { compile_config: { optimizer: { config: Record<string, unknown> } } };
  expect(config.compile_config.optimizer.config).toMatchObject({ name: 'mine', learning_rate: 0.5 });
  model.learningRate = 0;
  const zero = model.toKerasConfig() as typeof config;
  expect(optimizerOf(zero.compile_config.optimizer).config.learningRate).toBe(0);
});
