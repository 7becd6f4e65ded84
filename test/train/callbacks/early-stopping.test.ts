import { afterEach, describe, expect, it, vi } from 'vitest';
import { earlyStopping } from '../../../src/train/callbacks/early-stopping.ts';
import { golden } from './golden.ts';
import { camelKeys, logsOf, number, RecordedModel, recordRun } from './recorder.ts';

afterEach(() => vi.restoreAllMocks());

describe('earlyStopping', () => {
  it.each(golden.early_stopping.map((one, i) => [i, one] as const))('decides as Keras: case %i', async (_i, one) => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const run = recordRun();
    let callback = earlyStopping(camelKeys(one.options));
    await callback.onTrainBegin?.(run);
    const steps: unknown[] = [];
    for (const [epoch, logs] of one.logs.entries()) {
      run.model.epoch = epoch;
      await callback.onEpochEnd?.(epoch, logsOf(logs), run);
      steps.push([callback.best, callback.wait, callback.bestEpoch, run.stopped]);
      // Every other epoch as if the process had ended here and another one went on.
      if (epoch % 2) {
        const state = JSON.parse(JSON.stringify(callback.state?.()));
        callback = earlyStopping(camelKeys(one.options));
        callback.restore?.(state);
        await callback.onTrainBegin?.(run);
      }
      if (run.stopped) break;
    }
    await callback.onTrainEnd?.({}, run);
    expect(steps).toEqual(one.steps.map(([best, ...rest]) => [number(best), ...rest]));
    expect(callback.stoppedEpoch).toBe(one.stopped);
    expect(run.model.setTo).toBe(one.set_to);
    expect(run.said).toBe(one.said);
    expect(warn.mock.calls.length > 0).toBe(one.options.monitor === 'absent');
  });

  it('warns once, and names what there is', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const run = recordRun();
    const callback = earlyStopping({ monitor: 'val_lss', mode: 'min' });
    await callback.onTrainBegin?.(run);
    for (const epoch of [0, 1, 2]) await callback.onEpochEnd?.(epoch, { loss: 1, val_loss: 2 }, run);
    expect(warn.mock.calls).toEqual([
      ['Early stopping conditioned on metric `val_lss` which is not available. Available metrics are: loss,val_loss.'],
    ]);
    expect(run.stopped).toBe(false);
  });

  it('takes the direction from the metric, and refuses one that it cannot know', async () => {
    const rising = earlyStopping({ monitor: 'val_accuracy' });
    const run = recordRun(new RecordedModel({ accuracy: 'max' }));
    await rising.onTrainBegin?.(run);
    await rising.onEpochEnd?.(0, { val_accuracy: 0.5 }, run);
    await rising.onEpochEnd?.(1, { val_accuracy: 0.6 }, run);
    expect([rising.best, run.stopped]).toEqual([0.6, false]);
    const unknown = earlyStopping({ monitor: 'own' });
    expect(() => unknown.onTrainBegin?.(run)).toThrow(
      /monitor: expected one of loss, accuracy, or these with val_ in front.*received 'own'.*mode: 'max'/,
    );
  });

  it('begins anew with every fit', async () => {
    const callback = earlyStopping({ monitor: 'loss', restoreBestWeights: true });
    for (const loss of [1, 5]) {
      const run = recordRun();
      await callback.onTrainBegin?.(run);
      expect(callback.best).toBe(null);
      await callback.onEpochEnd?.(0, { loss }, run);
      expect(callback.best).toBe(loss);
    }
  });

  it.each([
    [{ patience: -1 }, /patience: expected a whole number from 0 on/],
    [{ patience: 1.5 }, /patience/],
    [{ mode: 'sideways' }, /mode: expected one of 'auto', 'min', 'max'/],
    [{ restore_best_weights: true }, /Did you mean `restoreBestWeights: true`/],
    [{ minDelta: Number.NaN }, /minDelta/],
    [{ baseline: Number.NaN }, /baseline: expected a number, or null, received NaN/],
  ])('refuses %o', (options, message) => {
    expect(() => earlyStopping(options as object)).toThrow(message);
  });
});
