/** The bar, character by character as Keras's `Progbar` writes it, and the callback around it. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { progressBar } from '../../../src/train/callbacks/progress-bar.ts';
import { ProgressBar } from '../../../src/train/progress.ts';
import { golden } from './golden.ts';
import { recordRun } from './recorder.ts';

afterEach(() => vi.restoreAllMocks());

describe('ProgressBar', () => {
  it.each(golden.progress.map((one, i) => [i, one] as const))('writes what Keras writes: case %i', (_i, one) => {
    let time = 0;
    let said = '';
    const { target, verbose } = one;
    const write = (text: string) => {
      said += text;
    };
    const bar = new ProgressBar({ target, verbose, dynamic: true, write, now: () => 1000 + time });
    for (const step of one.steps) {
      time = step.time;
      said = '';
      bar.update(step.current, step.logs, step.finalize);
      expect(said).toBe(step.said);
    }
  });

  it('does not flood a log that cannot be redrawn', () => {
    let time = 0;
    const lines: string[] = [];
    const bar = new ProgressBar({
      target: 1000,
      verbose: 1,
      dynamic: false,
      write: (text) => void lines.push(text),
      now: () => time,
    });
    for (let step = 1; step <= 1000; step++) {
      time = step / 40;
      bar.update(step, { loss: 0.5 });
    }
    expect(lines).toEqual([
      ' 400/1000 ━━━━━━━━──────────── 14s 25ms/step - loss: 0.5000\n',
      ' 800/1000 ━━━━━━━━━━━━━━━━──── 5s 25ms/step - loss: 0.5000\n',
      '1000/1000 ━━━━━━━━━━━━━━━━━━━━ 25s 25ms/step - loss: 0.5000\n',
    ]);
  });

  it('cuts a line that is longer than the terminal, and shows it whole at the end', () => {
    let time = 0;
    let said = '';
    const write = (text: string) => {
      said += text;
    };
    const bar = new ProgressBar({ target: 2, verbose: 1, dynamic: true, columns: 40, write, now: () => time });
    time = 1;
    bar.update(1, { accuracy: 0.5, loss: 0.25 });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of a terminal
    const plain = said.replace(/\x1b\[\d+m/g, '');
    expect(plain).toBe('\r1/2 ━━━━━━━━━━━━━━━━━━━━ 1s 1s/step - a');
    said = '';
    time = 2;
    bar.update(2, { accuracy: 0.5, loss: 0.25 });
    expect(said.startsWith(`${'\b'.repeat(39)}\r`)).toBe(true);
    expect(said).toContain('- loss: 0.2500\n');
  });
});

describe('progressBar', () => {
  it('shows steps, validation, and what callbacks added, in this order', async () => {
    vi.spyOn(performance, 'now').mockReturnValue(0);
    let said = '';
    const callback = progressBar({ verbose: 2, write: (text) => void (said += text) });
    const run = recordRun(undefined, 2, 3);
    await callback.onTrainBegin?.(run);
    await callback.onEpochBegin?.(1, run);
    await callback.onBatchEnd?.(0, { loss: 1, accuracy: 0.5 }, run);
    await callback.onBatchEnd?.(1, { loss: 1, accuracy: 0.5 }, run);
    await callback.onEpochEnd?.(
      1,
      { loss: 1, val_loss: 2, accuracy: 0.5, learning_rate: 0.1, val_accuracy: 0.25 },
      run,
    );
    expect(said).toBe(
      'Epoch 2/3\n2/2 - 0s - 0s/step - accuracy: 0.5000 - loss: 1.0000 - val_accuracy: 0.2500 - val_loss: 2.0000 - learning_rate: 0.1000\n',
    );
  });

  it('learns the number of steps where the data does not tell', async () => {
    let said = '';
    const callback = progressBar({ verbose: 1, write: (text) => void (said += text) });
    const run = recordRun(undefined, null, 2);
    await callback.onTrainBegin?.(run);
    for (const epoch of [0, 1]) {
      said = '';
      await callback.onEpochBegin?.(epoch, run);
      for (let batch = 0; batch < 3; batch++) await callback.onBatchEnd?.(batch, { loss: 1 }, run);
      if (epoch === 0) expect(said).toContain('      1/Unknown');
      await callback.onEpochEnd?.(epoch, { loss: 1 }, run);
      expect(said).toContain('3/3');
    }
    expect(said).not.toContain('Unknown');
  });

  it('asks to be called about ten times a second', async () => {
    let time = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => time);
    const callback = progressBar({ verbose: 0 });
    const run = recordRun(undefined, 1000, 1);
    await callback.onTrainBegin?.(run);
    await callback.onEpochBegin?.(0, run);
    expect(callback.batchFrequency).toBe(1);
    let batch = -1;
    for (let call = 0; call < 5; call++) {
      const steps = callback.batchFrequency as number;
      time += steps * 2;
      batch += steps;
      await callback.onBatchEnd?.(batch, { loss: 1 }, run);
    }
    expect(callback.batchFrequency).toBe(50);
  });
});
