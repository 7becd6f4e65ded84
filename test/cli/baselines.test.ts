import { describe, expect, it } from 'vitest';
import { bagOfWordsAccuracy, majorityAccuracy } from '../../src/cli/baselines.ts';

describe('majorityAccuracy', () => {
  it('judges the most frequent training class on other labels', () => {
    expect(majorityAccuracy([1, 1, 0], [1, 0, 0, 0])).toBe(0.25);
  });
});

describe('bagOfWordsAccuracy', () => {
  // word 2 means class 0, word 3 class 1, word 4 class 2; word 1 means nothing
  const sample = (n: number) => ({
    sequences: Array.from({ length: n }, (_, i) => [1, 2 + (i % 3), 1]),
    labels: Array.from({ length: n }, (_, i) => i % 3),
  });

  it('learns which words speak for which class', () => {
    expect(bagOfWordsAccuracy(sample(60), sample(30), 5, 3)).toBe(1);
  });

  it('cannot know an order of words', () => {
    const ordered = (n: number) => ({
      sequences: Array.from({ length: n }, (_, i) => (i % 2 ? [1, 2] : [2, 1])),
      labels: Array.from({ length: n }, (_, i) => i % 2),
    });
    expect(bagOfWordsAccuracy(ordered(60), ordered(30), 3, 2)).toBe(0.5);
  });

  it('does not depend on the order of the rows', () => {
    // sorted by label; words 2 and 3 lean to one class each, and stand in both
    const rows = Array.from({ length: 400 }, (_, i) => ({
      label: i < 200 ? 0 : 1,
      word: i % 10 < 8 === i < 200 ? 2 : 3,
    }));
    const train = { sequences: rows.map(({ word }) => [word, 1]), labels: rows.map(({ label }) => label) };
    expect(
      bagOfWordsAccuracy(
        train,
        {
          sequences: [
            [2, 1],
            [3, 1],
          ],
          labels: [0, 1],
        },
        4,
        2,
      ),
    ).toBe(1);
    expect(bagOfWordsAccuracy(train, train, 4, 2)).toBeCloseTo(0.8, 6);
  });

  it('judges texts without a known word by the bias', () => {
    const train = { sequences: [[1], [1], [1], [2]], labels: [1, 1, 1, 0] };
    expect(bagOfWordsAccuracy(train, { sequences: [[]], labels: [1] }, 3, 2)).toBe(1);
  });
});
