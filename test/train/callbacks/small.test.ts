import { describe, expect, it } from 'vitest';
import { backupAndRestore } from '../../../src/train/callbacks/backup-and-restore.ts';
import { lambda } from '../../../src/train/callbacks/lambda.ts';
import { terminateOnNan } from '../../../src/train/callbacks/terminate-on-nan.ts';
import { recordRun } from './recorder.ts';

describe('terminateOnNan', () => {
  it('stops, and says at which batch', async () => {
    const run = recordRun();
    await terminateOnNan().onNonFinite?.(3, Number.NaN, run);
    expect([run.stopped, run.said]).toEqual([
      true,
      'Batch 3: Invalid loss, terminating training\ndense: the output is NaN.\n',
    ]);
  });
  it('may throw instead', async () => {
    const run = recordRun();
    const callback = terminateOnNan({ raiseError: true });
    await expect(callback.onNonFinite?.(3, Number.POSITIVE_INFINITY, run)).rejects.toThrow(
      'NaN or Inf loss encountered at batch 3. Loss value: Infinity. Terminating training immediately.',
    );
    expect(run.stopped).toBe(false);
  });
});

describe('backupAndRestore', () => {
  it('says what stands for the options of Keras that it does not have', () => {
    const make = (more: object) => () => backupAndRestore({ path: 'backup', ...more });
    expect(make({ backupDir: 'folder' })).toThrow(/backupDir: expected null, received 'folder'. Write `path`/);
    expect(make({ doubleCheckpoint: true })).toThrow(/always whole/);
    expect(make({ saveFreq: 3, saveFrequency: 4 })).toThrow(/saveFreq or saveFrequency, received both/);
    for (const more of [{ saveFreq: 3 }, { saveFrequency: 3 }]) expect(make(more)().batchFrequency).toBe(3);
  });
});

describe('lambda', () => {
  it('calls what it was given', async () => {
    const seen: unknown[] = [];
    const callback = lambda({ onEpochEnd: (epoch, logs) => void seen.push([epoch, logs.loss]), batchFrequency: 5 });
    await callback.onEpochEnd?.(2, { loss: 1 }, recordRun());
    expect(seen).toEqual([[2, 1]]);
    expect([callback.name, callback.batchFrequency, callback.onBatchEnd]).toEqual(['lambda', 5, undefined]);
    expect('batchFrequency' in lambda({})).toBe(false);
  });
  it('refuses what is no hook', () => {
    expect(() => lambda({ onEpochFinished: () => undefined } as object)).toThrow(/options among onTrainBegin/);
    expect(() => lambda({ onEpochEnd: 3 } as object)).toThrow(/onEpochEnd: expected a function, received 3/);
  });
});
