/**
 * Every loss of Keras with all of its options against Keras, and the likelihoods against PyTorch and SciPy (test/golden/losses.py): values, and
 * gradients of the prediction, with masks, weights and reductions.
 */
import { describe, expect, it } from 'vitest';
import { describedToKeras } from '../../src/layers/described.ts';
import { losses, lossOf } from '../../src/layers/losses/all.ts';
import { entriesOf, type Loss, targetShape } from '../../src/layers/losses/loss.ts';
import { metrics } from '../../src/layers/metrics/all.ts';
import { goldenMachines, readGolden, relativeDistance } from '../golden/golden.ts';
import { flat, type LossFeed, type Nested, runLoss } from './loss-run.ts';

interface KerasCase extends LossFeed {
  title: string;
  loss: { class_name: string; config: Record<string, unknown> };
  value: number;
  gradient: Nested;
}
interface Likelihood extends LossFeed {
  factory: 'gaussianLikelihood' | 'studentTLikelihood';
  options: Record<string, unknown>;
  value: number;
  gradient: Nested;
}
const golden = readGolden<{ cases: KerasCase[]; likelihoods: Likelihood[] }>('losses.json');
const machines = await goldenMachines();

describe.each(machines.map((machine) => [machine.traits.host, machine] as const))('on %s', (host, machine) => {
  const tolerance = host === 'oracle' ? 1e-8 : 1e-5;

  async function check(loss: Loss, feed: LossFeed & { value: number; gradient: Nested }, loose = 1) {
    const { total, gradient } = await runLoss(machine, loss, feed);
    expect(Math.abs(total - feed.value)).toBeLessThan(loose * tolerance * Math.max(1, Math.abs(feed.value)));
    expect(relativeDistance(gradient, flat(feed.gradient))).toBeLessThan(loose * tolerance);
  }

  it.each(golden.cases)('$title', async (c) => {
    // A scale of 80 takes the exponent's rounding with it.
    await check(lossOf(c.loss, null, [null, 1]), c, c.loss.class_name === 'Circle' ? 10 : 1);
  });

  it.each(golden.likelihoods)('$factory $options', async (c) => {
    await check((losses[c.factory] as (options: object) => Loss)(c.options), c, 2);
  });

  it('quantile is the mean of the pinball losses', async () => {
    const y = [[1], [2], [-1]];
    const one = await runLoss(machine, losses.quantile({ quantiles: 0.9 }), { y, p: [[0], [4], [-1.5]] });
    expect(one.total).toBeCloseTo((0.9 + 0.2 + 0.45) / 3, 6);
    expect(one.gradient.map((g) => Math.round(g * 3000) / 1000)).toEqual([-0.9, 0.1, -0.9]);
    const several = await runLoss(machine, losses.quantile({ quantiles: [0.1, 0.5] }), {
      y: [1, 2, -1],
      p: [
        [0, 3],
        [4, 2.5],
        [-3, -2],
      ],
    });
    const terms = [0.1, 1, 1.8, 0.25, 0.2, 0.5];
    expect(several.total).toBeCloseTo(terms.reduce((a, b) => a + b) / 6, 6);
  });
});

describe('names and configurations', () => {
  it('of every loss are found in the three spellings and go through a configuration', () => {
    for (const [key, factory] of Object.entries(losses)) {
      const loss = (factory as () => Loss)();
      const snake = loss.className.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase();
      for (const name of [key, snake, loss.className])
        expect(lossOf(name, null, [null, 1]).className).toBe(loss.className);
      const written = JSON.parse(JSON.stringify(describedToKeras(loss, 'keras.losses'))) as Record<string, unknown>;
      expect(lossOf(written, null, [null, 1]).config).toEqual(loss.config);
    }
  });
  it('of options go through a configuration', () => {
    const loss = losses.ctc({ blank: 3, padding: -7, zeroInfinity: true, reduction: 'sum' });
    const written = JSON.parse(JSON.stringify(describedToKeras(loss, 'keras.losses'))) as { config: object };
    expect(written.config).toMatchObject({ blank: 3, padding: -7, zero_infinity: true, reduction: 'sum' });
    expect(lossOf(written as never, null, [null, 1]).config).toEqual(loss.config);
    // What Keras does not know is written only where it is used.
    expect(describedToKeras(losses.ctc(), 'keras.losses').config).toEqual({
      reduction: 'sum_over_batch_size',
      name: null,
      dtype: 'float32',
    });
  });
  it('are those of Keras, short ones too', () => {
    const short = {
      mape: 'MeanAbsolutePercentageError',
      MSLE: 'MeanSquaredLogarithmicError',
      KLD: 'KLDivergence',
      logcosh: 'LogCosh',
    };
    for (const [name, className] of Object.entries(short))
      expect(lossOf(name, null, [null, 1]).className).toBe(className);
  });
  it('refuse what does not hold', () => {
    expect(() => losses.huber({ delta: 0 })).toThrow(/delta: expected a number above 0/);
    expect(() => losses.quantile({ quantiles: [0.5, 1] })).toThrow(/between 0 and 1/);
    expect(() => losses.dice({ reduction: 'average' as never })).toThrow(/sum_over_batch_size/);
    expect(() => losses.categoricalGeneralizedCrossEntropy({ q: 1 })).toThrow(/between 0 and 1/);
    expect(() => losses.dice({ dtype: 'float64' as never })).toThrow(/losses.Dice.dtype: expected 'float32'/);
    expect(() => metrics.auc({ dtype: 'bfloat16' } as never)).toThrow(/metrics.AUC.dtype: expected 'float32'/);
    expect(losses.dice({ reduction: null }).reduction).toBe('none');
  });
});

describe('shapes', () => {
  it('of targets follow from the loss', () => {
    const shapes = (loss: Loss, target: number[], prediction: number[]) => {
      const wanted = targetShape(loss, target, prediction, 'y');
      return [wanted, entriesOf(loss, wanted, prediction)];
    };
    expect(shapes(losses.sparseCategoricalCrossentropy({ axis: 1 }), [7], [4, 7])).toEqual([[7], [7]]);
    expect(shapes(losses.categoricalCrossentropy({ axis: 1 }), [4, 7], [4, 7])).toEqual([[4, 7], [7]]);
    expect(shapes(losses.quantile({ quantiles: [0.1, 0.9] }), [5, 1], [5, 2])).toEqual([[5], [5]]);
    expect(shapes(losses.gaussianLikelihood(), [5], [5, 2])).toEqual([[5, 1], [5]]);
    expect(shapes(losses.ctc(), [4], [9, 6])).toEqual([[4], []]);
    expect(shapes(losses.dice({ axis: [1, 2] }), [4, 7, 2], [4, 7, 2])).toEqual([[4, 7, 2], [2]]);
    expect(shapes(losses.dice(), [4, 7], [4, 7])).toEqual([[4, 7], []]);
  });
  it('that do not fit are refused with the way out', () => {
    expect(() => targetShape(losses.quantile({ quantiles: [0.1, 0.9] }), [1], [3], 'y')).toThrow(/units: 2/);
    expect(() => targetShape(losses.gaussianLikelihood(), [1], [3], 'y')).toThrow(/units: 2.*for one target/);
    expect(() => targetShape(losses.ctc(), [4], [6], 'y')).toThrow(/\(batch, time, classes\)/);
  });
});
