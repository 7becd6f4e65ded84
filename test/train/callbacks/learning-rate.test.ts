import { afterEach, describe, expect, it, vi } from 'vitest';
import { learningRateScheduler } from '../../../src/train/callbacks/learning-rate-scheduler.ts';
import { reduceLrOnPlateau } from '../../../src/train/callbacks/reduce-lr-on-plateau.ts';
import { golden } from './golden.ts';
import { camelKeys, logsOf, number, recordRun } from './recorder.ts';

afterEach(() => vi.restoreAllMocks());

describe('reduceLrOnPlateau', () => {
  it.each(golden.reduce_lr.map((one, i) => [i, one] as const))('decides as Keras: case %i', async (_i, one) => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const run = recordRun();
    let callback = reduceLrOnPlateau(camelKeys(one.options));
    await callback.onTrainBegin?.(run);
    for (const [epoch, stored] of one.logs.entries()) {
      const logs = logsOf(stored);
      await callback.onEpochEnd?.(epoch, logs, run);
      const [best, wait, before, after] = one.steps[epoch];
      expect([callback.best, callback.wait]).toEqual([number(best), wait]);
      // Keras holds the rate in float32.
      expect(logs.learning_rate / before).toBeCloseTo(1, 5);
      expect(run.model.learningRate / after).toBeCloseTo(1, 5);
      if (epoch % 2) {
        const state = JSON.parse(JSON.stringify(callback.state?.()));
        callback = reduceLrOnPlateau(camelKeys(one.options));
        callback.restore?.(state);
        await callback.onTrainBegin?.(run);
      }
    }
  });

  it('says what it does', async () => {
    const run = recordRun();
    const callback = reduceLrOnPlateau({ monitor: 'loss', patience: 1, factor: 0.5, verbose: 1 });
    await callback.onTrainBegin?.(run);
    await callback.onEpochEnd?.(0, { loss: 1 }, run);
    await callback.onEpochEnd?.(1, { loss: 1 }, run);
    expect(run.said).toBe('\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.005.\n');
  });

  it('may watch the learning rate, and refuses factors that do not lower', async () => {
    const run = recordRun();
    const callback = reduceLrOnPlateau({ monitor: 'learning_rate', mode: 'min', patience: 1 });
    await callback.onTrainBegin?.(run);
    await callback.onEpochEnd?.(0, { loss: 1 }, run);
    await callback.onEpochEnd?.(1, { loss: 1 }, run);
    expect(run.model.learningRate).toBeCloseTo(0.001, 12);
    expect(() => reduceLrOnPlateau({ factor: 1 })).toThrow(/factor: expected a number above 0 and below 1, received 1/);
  });
});

describe('learningRateScheduler', () => {
  it('sets the rate before each epoch, and adds it to the logs', async () => {
    const run = recordRun();
    const callback = learningRateScheduler({ schedule: (epoch, rate) => (epoch < 2 ? rate : rate / 2), verbose: 1 });
    const seen: number[] = [];
    for (const epoch of [0, 1, 2, 3]) {
      const logs: Record<string, number> = { loss: 1 };
      await callback.onEpochBegin?.(epoch, run);
      await callback.onEpochEnd?.(epoch, logs, run);
      seen.push(logs.learning_rate);
    }
    expect(seen).toEqual([0.01, 0.01, 0.005, 0.0025]);
    expect(run.said.split('\n').filter(Boolean)[2]).toBe(
      'Epoch 3: LearningRateScheduler setting learning rate to 0.005.',
    );
  });

  it.each([undefined, '0.1', Number.NaN, -1])('refuses a schedule that gives %s', (rate) => {
    const callback = learningRateScheduler({ schedule: () => rate as number });
    expect(() => callback.onEpochBegin?.(3, recordRun())).toThrow(/schedule\(3, ...\): expected a number from 0 on/);
  });
});
