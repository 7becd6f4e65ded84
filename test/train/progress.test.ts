/** The progress line, character by character as Keras 3 writes it (keras/src/utils/progbar.py). */
import { describe, expect, it } from 'vitest';
import { formatMetric, formatStepTime, ProgressBar } from '../../src/train/progress.ts';

function record(verbose: 1 | 2, target: number) {
  let text = '';
  let time = 100;
  const bar = new ProgressBar({ target, verbose, dynamic: true, write: (t) => void (text += t), now: () => time });
  return {
    at(seconds: number, step: number, logs: Record<string, number>, finalize?: boolean) {
      time = 100 + seconds;
      text = '';
      bar.update(step, logs, finalize);
      return text;
    },
  };
}
const bold = (s: string) => `\x1b[1m${s}\x1b[0m`;
const green = (n: number) => `\x1b[32m${'━'.repeat(n)}\x1b[0m`;
const grey = (n: number) => `\x1b[37m${'━'.repeat(n)}\x1b[0m`;

describe('the bar', () => {
  it('shows count, bar, time left and time per step, then the time taken', () => {
    const bar = record(1, 10);
    expect(bar.at(2, 1, { loss: 0.73 })).toBe(
      `\r${bold(' 1/10')} ${green(2)}${grey(18)} ${bold('18s')} 2s/step - loss: 0.7300`,
    );
    const width = ' 1/10 '.length + 20 + ' 18s 2s/step - loss: 0.7300'.length;
    expect(bar.at(2.01, 2, { loss: 1 })).toBe(''); // sooner than it may redraw
    // The first step, which holds the compilation, does not count.
    expect(bar.at(3, 5, { loss: 0.0005 })).toBe(
      `${'\b'.repeat(width)}\r${bold(' 5/10')} ${green(10)}${grey(10)} ${bold('1s')} 250ms/step - loss: 5.0000e-04`,
    );
    const last = bar.at(3.5, 10, { loss: 0.25, val_loss: 0.5 });
    expect(last).toContain(`${green(20)}${grey(0)} ${bold('4s')} 167ms/step - loss: 0.2500 - val_loss: 0.5000`);
    expect(last.endsWith('\n')).toBe(true);
  });
  it('is one line an epoch with verbose 2', () => {
    const bar = record(2, 3);
    expect(bar.at(1, 1, { loss: 1 })).toBe('');
    expect(bar.at(2, 3, { accuracy: 0, loss: 2.2767 })).toBe(
      '3/3 - 2s - 500ms/step - accuracy: 0.0000e+00 - loss: 2.2767\n',
    );
  });
});

describe('numbers', () => {
  it.each([
    [0.5, '0.5000'],
    [0, '0.0000e+00'],
    [0.001, '1.0000e-03'],
    [1.23456e-12, '1.2346e-12'],
    [-0.25, '-0.2500'],
    [12345.6, '12345.6000'],
  ])('%f is %s', (value, text) => expect(formatMetric(value)).toBe(text));
  it.each([
    [0, ' 0s/step'],
    [1.4, ' 1s/step'],
    [0.0123, ' 12ms/step'],
    [0.0000456, ' 46us/step'],
  ])('%f seconds are%s', (value, text) => expect(formatStepTime(value)).toBe(text));
});
