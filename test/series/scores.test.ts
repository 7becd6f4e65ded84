/** Scores of forecasts against their definitions: by hand, and as integrals (test/golden/scores.py). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { series } from '../../src/index.ts';
import { readGolden } from '../golden/golden.ts';

const golden = readGolden<{
  ensembles: { y: number; members: number[]; crps: number; fair: number }[];
  gaussians: { y: number; mean: number; deviation: number; crps: number }[];
}>('scores.json');

const numbers = fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 2, maxLength: 8 });

describe('points', () => {
  it('MASE scales by the naive forecast', () => {
    expect(series.mase([5, 6], [5.5, 6], [1, 2, 3, 4])).toBe(0.25);
    // naive of two steps before on 1 4 2 8: errors 1 and 4
    expect(series.mase([10], [5], [1, 4, 2, 8], { seasonality: 2 })).toBe(2);
  });
  it('sMAPE is symmetric, and 0 where both are 0', () => {
    expect(series.smape([100], [110])).toBeCloseTo((200 * 10) / 210, 12);
    expect(series.smape([0, 0, 1], [0, 3, -1])).toBeCloseTo(400 / 3, 12);
    fc.assert(
      fc.property(numbers, (a) => {
        const b = a.map((x) => x / 2 + 1);
        expect(series.smape(a, b)).toBeCloseTo(series.smape(b, a), 9);
      }),
    );
  });
  it('do not depend on the unit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), (k) => {
        const times = (values: number[]) => values.map((v) => v * k);
        const [y, f, x] = [
          [3, 5, 4],
          [2, 6, 4],
          [1, 3, 2, 5],
        ];
        expect(series.mase(times(y), times(f), times(x))).toBeCloseTo(series.mase(y, f, x), 9);
      }),
    );
  });
});

describe('distributions', () => {
  it.each(golden.ensembles)('CRPS of the ensemble $members is the integral', ({ y, members, crps, fair }) => {
    expect(series.crpsEnsemble([y], [members])).toBeCloseTo(crps, 7);
    if (members.length > 1) expect(series.crpsEnsemble([y], [members], { fair: true })).toBeCloseTo(fair, 9);
  });
  it.each(golden.gaussians)('CRPS of N($mean, $deviation) is the integral', ({ y, mean, deviation, crps }) => {
    expect(series.crpsGaussian([y], [mean], [deviation])).toBeCloseTo(crps, 7);
  });
  it('CRPS of a certain forecast is the absolute error', () => {
    expect(series.crpsEnsemble([1, 2], [[4], [2, 2]])).toBe(1.5);
    expect(series.crpsGaussian([1], [3], [0])).toBe(2);
    expect(series.crpsQuantiles([1], [[3, 3, 3]], [0.25, 0.5, 0.75])).toBeCloseTo(2, 12);
  });
  it('CRPS of many quantiles approaches that of the ensemble', () => {
    fc.assert(
      fc.property(numbers, fc.double({ min: -100, max: 100, noNaN: true }), (members, y) => {
        const sorted = [...members].sort((a, b) => a - b);
        const levels = sorted.map((_, i) => (i + 0.5) / sorted.length);
        // Quantiles in the middle of the steps of the ensemble's distribution give its score exactly.
        expect(series.crpsQuantiles([y], [sorted], levels)).toBeCloseTo(series.crpsEnsemble([y], [members]), 9);
      }),
    );
  });
  it('coverage counts bounds', () => {
    expect(series.coverage([1, 5, 2, 4], [1, 0, 3, 3], [2, 4, 4, 4])).toBe(0.5);
  });
});

describe('refusals', () => {
  it('of empty lists, unequal lengths and values that are not finite', () => {
    expect(() => series.mase([], [], [1, 2])).toThrow(/mase: targets: expected at least one number/);
    expect(() => series.smape([1], [1, 2])).toThrow(
      /smape: forecasts: expected 1 numbers, one for each target, received 2/,
    );
    expect(() => series.smape([Number.NaN], [1])).toThrow(
      /smape: targets\[0\]: expected a finite number, received NaN/,
    );
    expect(() => series.mase([1], [1], [2, 2, 2])).toThrow(/a series that changes/);
    expect(() => series.mase([1], [1], [2], { seasonality: 1 })).toThrow(/more than 1 numbers/);
    expect(() => series.mase([1], [1], [1, 2], { seasonality: 0 })).toThrow(/seasonality: expected a positive integer/);
    expect(() => series.crpsEnsemble([1], [[]])).toThrow(/members\[0\]/);
    expect(() => series.crpsEnsemble([1], [[1]], { fair: true })).toThrow(/at least two members/);
    expect(() => series.crpsGaussian([1], [1], [-1])).toThrow(/deviations\[0\]/);
    expect(() => series.crpsQuantiles([1], [[1]], [1])).toThrow(/levels\[0\]: expected a number between 0 and 1/);
    expect(() => series.crpsQuantiles([1], [[1, 2]], [0.5])).toThrow(/quantiles\[0\]: expected 1 numbers/);
    expect(() => series.coverage([1], [3], [2])).toThrow(/coverage: lower\[0\]: expected at most 2/);
  });
});
