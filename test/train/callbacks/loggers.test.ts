import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Callback } from '../../../src/train/callbacks/callback.ts';
import { csvLogger } from '../../../src/train/callbacks/csv-logger.ts';
import { jsonLinesLogger } from '../../../src/train/callbacks/json-lines-logger.ts';
import { golden } from './golden.ts';
import { logsOf, recordRun } from './recorder.ts';

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logs-'));
  path = join(folder, 'run', 'log');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const text = () => readFileSync(path, 'utf8');

/** Epochs of three steps each. */
async function epochs(callback: Callback, from: number, to: number): Promise<void> {
  const run = recordRun();
  for (let epoch = from; epoch < to; epoch++) {
    await callback.onEpochBegin?.(epoch, run);
    for (let batch = 0; batch < 3; batch++) await callback.onBatchEnd?.(batch, { loss: epoch + batch / 8 }, run);
    await callback.onEpochEnd?.(epoch, { loss: 1 / (epoch + 1), val_loss: epoch }, run);
  }
}

/** Four epochs, interrupted after the second; the first process writes on before it ends, and leaves half a line. */
async function interrupted(make: () => Callback): Promise<void> {
  const first = make();
  await first.onTrainBegin?.(recordRun());
  await epochs(first, 0, 2);
  const state = JSON.parse(JSON.stringify(first.state?.()));
  await epochs(first, 2, 3);
  writeFileSync(path, '3,0.2', { flag: 'a' });
  const second = make();
  second.restore?.(state);
  await second.onTrainBegin?.(recordRun());
  await epochs(second, 2, 4);
  await second.onTrainEnd?.({}, recordRun());
}

async function whole(make: () => Callback): Promise<string> {
  const callback = make();
  await callback.onTrainBegin?.(recordRun());
  await epochs(callback, 0, 4);
  await callback.onTrainEnd?.({}, recordRun());
  return text();
}

describe('csvLogger', () => {
  it.each(golden.csv.map((one, i) => [i, one] as const))('writes what Keras writes: case %i', async (_i, one) => {
    for (const logs of one.runs) {
      const callback = csvLogger({ filename: path, separator: one.separator, append: one.append });
      await callback.onTrainBegin?.(recordRun());
      for (const [epoch, own] of logs.entries()) await callback.onEpochEnd?.(epoch, logsOf(own), recordRun());
      await callback.onTrainEnd?.({}, recordRun());
    }
    expect(text()).toBe(one.text);
  });

  it('has neither gaps nor lines twice after an interruption', async () => {
    const make = () => csvLogger({ filename: path });
    const expected = await whole(make);
    expect(expected.split('\r\n').slice(0, 3)).toEqual(['epoch,loss,val_loss', '0,1.0,0.0', '1,0.5,1.0']);
    await interrupted(make);
    expect(text()).toBe(expected);
  });

  it.each([
    [{}, /`filename`, a path/],
    [{ filename: 'a', separator: ', ' }, /one character/],
    [{ filename: 'a', separator: '"' }, /one character/],
  ])('refuses %o', (options, message) => {
    expect(() => csvLogger(options as { filename: string })).toThrow(message);
  });

  it('says where the disk refuses', async () => {
    writeFileSync(join(folder, 'run'), '');
    await expect(csvLogger({ filename: path }).onTrainBegin?.(recordRun())).rejects.toThrow(
      /cannot make the folder of/,
    );
  });
});

describe('jsonLinesLogger', () => {
  it('writes a line for every epoch', async () => {
    expect(await whole(() => jsonLinesLogger({ filename: path }))).toBe(
      '{"epoch":0,"loss":1,"val_loss":0}\n{"epoch":1,"loss":0.5,"val_loss":1}\n' +
        '{"epoch":2,"loss":0.3333333333333333,"val_loss":2}\n{"epoch":3,"loss":0.25,"val_loss":3}\n',
    );
  });

  it('writes every so many steps too, counted over the epochs', async () => {
    const lines = (await whole(() => jsonLinesLogger({ filename: path, updateFreq: 4 }))).trim().split('\n');
    const steps = lines.map((line) => JSON.parse(line)).filter(({ batch }) => batch !== undefined);
    expect(steps).toEqual([
      { epoch: 1, batch: 0, loss: 1 },
      { epoch: 2, batch: 1, loss: 2.125 },
      { epoch: 3, batch: 2, loss: 3.25 },
    ]);
  });

  it.each([['epoch' as const], [1], [2], [4], [5]])(
    'goes on after an interruption, updateFreq %s',
    async (updateFreq) => {
      const make = () => jsonLinesLogger({ filename: path, updateFreq });
      const expected = await whole(make);
      await interrupted(make);
      expect(text()).toBe(expected);
    },
  );

  it('appends, and writes null for what is no number', async () => {
    for (const loss of [Number.NaN, 1]) {
      const callback = jsonLinesLogger({ filename: path, append: true });
      await callback.onTrainBegin?.(recordRun());
      await callback.onEpochEnd?.(0, { loss }, recordRun());
      await callback.onTrainEnd?.({}, recordRun());
    }
    expect(text()).toBe('{"epoch":0,"loss":null}\n{"epoch":0,"loss":1}\n');
  });
});
