import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fileName, formatNumber } from '../../../src/train/callbacks/file-name.ts';
import { modelCheckpoint } from '../../../src/train/callbacks/model-checkpoint.ts';
import { golden } from './golden.ts';
import { camelKeys, logsOf, number, RecordedModel, recordRun } from './recorder.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'checkpoints-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
  vi.restoreAllMocks();
});

/** Keras demands an ending of its own for weights. */
const ours = (text: string) => text.replaceAll('.weights.h5', '.safetensors');

describe('modelCheckpoint', () => {
  it.each(golden.checkpoint.map((one, i) => [i, one] as const))('saves when Keras does: case %i', async (_i, one) => {
    vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const options = camelKeys({ ...one.options, filepath: ours(one.options.filepath) }) as { filepath: string };
    // Handed over a step at a time, and as many as the callback allows.
    for (const together of [false, true]) {
      const run = recordRun();
      let callback = modelCheckpoint(options);
      await callback.onTrainBegin?.(run);
      for (const [epoch, stored] of one.logs.entries()) {
        await callback.onEpochBegin?.(epoch, run);
        const batches = one.batch_logs[epoch];
        for (let done = 0; done < batches.length; ) {
          done += together ? Math.min(callback.batchFrequency ?? batches.length, batches.length - done) : 1;
          await callback.onBatchEnd?.(done - 1, logsOf(batches[done - 1]), run);
          if (done % 3) continue;
          // As if the process had ended within the epoch.
          const state = JSON.parse(JSON.stringify(callback.state?.()));
          callback = modelCheckpoint(options);
          callback.restore?.(state);
          await callback.onTrainBegin?.(run);
        }
        await callback.onEpochEnd?.(epoch, logsOf(stored), run);
      }
      expect(run.model.saved).toEqual(one.saved.map(ours));
      expect(callback.best).toBe(number(one.best));
      expect(run.said).toBe(ours(one.said));
    }
  });

  it('keeps the last files, and removes older ones of its own', async () => {
    const model = new RecordedModel();
    model.save = async (path) => writeFileSync(path, '');
    const run = recordRun(model);
    writeFileSync(join(folder, '0.other'), '');
    const options = { filepath: join(folder, 'deep', 'er', '{epoch}.unrolled'), keepLast: 2 };
    let callback = modelCheckpoint(options);
    for (const epoch of [0, 1, 2]) await callback.onEpochEnd?.(epoch, { loss: 1 }, run);
    const state = JSON.parse(JSON.stringify(callback.state?.()));
    callback = modelCheckpoint(options);
    callback.restore?.(state);
    await callback.onEpochEnd?.(3, { loss: 1 }, run);
    expect(readdirSync(join(folder, 'deep', 'er'))).toEqual(['3.unrolled', '4.unrolled']);
    expect(callback.files.map((file) => file.slice(-10))).toEqual(['3.unrolled', '4.unrolled']);
    expect(existsSync(join(folder, '0.other'))).toBe(true);
  });

  it('removes nothing where a save fails', async () => {
    const model = new RecordedModel();
    model.save = async (path) => writeFileSync(path, '');
    const run = recordRun(model);
    const callback = modelCheckpoint({ filepath: join(folder, '{epoch}'), keepLast: 1 });
    await callback.onEpochEnd?.(0, { loss: 1 }, run);
    model.save = async () => {
      throw new Error('the disk is full');
    };
    await expect(callback.onEpochEnd?.(1, { loss: 1 }, run)).rejects.toThrow('the disk is full');
    expect(readdirSync(folder)).toEqual(['1']);
  });

  it('names the places that there are', async () => {
    const callback = modelCheckpoint({ filepath: join(folder, '{epoch}-{val_los:.2f}') });
    await expect(callback.onEpochEnd?.(0, { loss: 1, val_loss: 2 }, recordRun())).rejects.toThrow(
      /places among epoch, loss, val_loss, received '\{val_los\}'/,
    );
  });

  it.each([
    [{}, /`filepath`, a path/],
    [{ filepath: 'a', saveFreq: 0 }, /'epoch' or a positive number of steps/],
    [{ filepath: 'a', saveFreq: 'batch' }, /saveFreq/],
    [{ filepath: 'a.keras', saveWeightsOnly: true }, /ending .safetensors/],
    [{ filepath: 'a', keepLast: 0 }, /keepLast/],
    [{ filepath: 'a', initialValueThreshold: Number.NaN }, /initialValueThreshold: expected a number, or null/],
  ])('refuses %o', (options, message) => {
    expect(() => modelCheckpoint(options as { filepath: string })).toThrow(message);
  });
});

describe('numbers in file names', () => {
  it('are written as Python writes them', () => {
    const wrong = golden.formats.filter(
      ([value, whole, specification, text]) => formatNumber(value, specification, whole, 'here') !== text,
    );
    expect(wrong.map(([value, whole, s, text]) => [value, s, text, formatNumber(value, s, whole, 'here')])).toEqual([]);
  });
  it('may stand beside braces', () => {
    expect(fileName('{{{epoch:03d}}}-{val_loss:.2f}', { epoch: 7, val_loss: 0.125 }, ['epoch'], 'here')).toBe(
      '{007}-0.12',
    );
  });
  it.each(['{epoch', 'epoch}', '{}', '{epoch!r}', '{epoch:x}', '{epoch:.2f', '{loss:d}', '{epoch:.2d}'])(
    'refuses %s',
    (template) => {
      expect(() => fileName(template, { epoch: 1, loss: 0.5 }, ['epoch'], 'here')).toThrow(/^here/);
    },
  );
});
