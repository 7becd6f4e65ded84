/** Decoding of CTC against all alignments written out. */
import { describe, expect, it } from 'vitest';
import { RandomKey } from '../../src/core/random.ts';
import { ctcDecode } from '../../src/generate/ctc-decode.ts';

const key = RandomKey.from(3);
const [T, C] = [5, 3];
const rows = Array.from({ length: 6 }, (_, b) => {
  const values = Array.from(key.split(b).normal(T * C));
  return Array.from({ length: T }, (_, t) => values.slice(t * C, (t + 1) * C).map((v) => 2 * v));
});

/** Probabilities of all sequences of labels, summed over all sequences of classes. */
function enumerated(x: number[][], blank: number) {
  const p = x.map((row) => {
    const e = row.map(Math.exp);
    return e.map((v) => v / e.reduce((a, b) => a + b));
  });
  const sums = new Map<string, { labels: number[]; p: number }>();
  let best = { labels: [] as number[], p: 0 };
  for (let code = 0; code < C ** x.length; code++) {
    const path = x.map((_, t) => Math.floor(code / C ** t) % C);
    const labels = path.filter((v, t) => v !== blank && v !== path[t - 1]);
    const own = path.reduce((product, v, t) => product * p[t][v], 1);
    if (own > best.p) best = { labels, p: own };
    const known = sums.get(labels.join()) ?? { labels, p: 0 };
    known.p += own;
    sums.set(labels.join(), known);
  }
  return { best, all: [...sums.values()].sort((a, b) => b.p - a.p) };
}

describe('ctcDecode', () => {
  it.each([0, 1, 2])('finds the best path; blank %i', (blank) => {
    ctcDecode(rows, { blank }).forEach(([path], b) => {
      const { best } = enumerated(rows[b], blank);
      expect(path.labels).toEqual(best.labels);
      expect(path.logProbability).toBeCloseTo(Math.log(best.p), 5);
    });
  });

  it.each([0, -1])('finds all sequences with a beam that holds them; blank %i', (blank) => {
    ctcDecode(rows, { blank, beamWidth: 500, topPaths: 10 }).forEach((paths, b) => {
      const { all } = enumerated(rows[b], blank < 0 ? C - 1 : blank);
      paths.forEach((path, k) => {
        expect(path.labels).toEqual(all[k].labels);
        expect(path.logProbability).toBeCloseTo(Math.log(all[k].p), 5);
        expect(path.score).toBe(path.logProbability);
      });
    });
  });

  it('follows the language model and the bonus', () => {
    const languageModel = (prefix: readonly number[], next: number) =>
      Math.log(prefix[prefix.length - 1] === next ? 0.9 : 0.1);
    const [weight, bonus] = [0.7, 0.4];
    const found = ctcDecode(rows, {
      beamWidth: 500,
      topPaths: 5,
      languageModel,
      languageWeight: weight,
      lengthBonus: bonus,
    });
    let changed = 0;
    found.forEach((paths, b) => {
      const { all } = enumerated(rows[b], 0);
      const scored = all
        .map(({ labels, p }) => {
          const model = labels.reduce((sum, v, i) => sum + languageModel(labels.slice(0, i), v), 0);
          return { labels, score: Math.log(p) + weight * model + bonus * labels.length };
        })
        .sort((x, y) => y.score - x.score);
      paths.forEach((path, k) => {
        expect(path.labels).toEqual(scored[k].labels);
        expect(path.score).toBeCloseTo(scored[k].score, 5);
      });
      if (scored[0].labels.join() !== all[0].labels.join()) changed++;
    });
    expect(changed).toBeGreaterThan(0);
  });

  it('leaves out what the language model rules out', () => {
    const languageModel = (_prefix: readonly number[], next: number) => (next === 2 ? Number.NEGATIVE_INFINITY : 0);
    ctcDecode(rows, { beamWidth: 500, topPaths: 4, languageModel }).forEach((paths, b) => {
      const { all } = enumerated(rows[b], 0);
      const allowed = all.filter(({ labels }) => !labels.includes(2));
      expect(paths.map(({ labels }) => labels)).toEqual(allowed.slice(0, 4).map(({ labels }) => labels));
    });
    expect(() => ctcDecode(rows, { beamWidth: 5, languageModel: () => Number.NaN })).toThrow(/languageModel/);
    // Certain steps leave one sequence alone.
    const certain = [[0, 1].map((c) => (c ? 1 : 0))];
    expect(ctcDecode([certain], { fromLogits: false, beamWidth: 5, topPaths: 5 })[0]).toHaveLength(1);
  });

  it('with a narrow beam finds what the best path misses', () => {
    // Each step prefers the blank, but the label is more probable over all alignments.
    const p = [
      [0.6, 0.4],
      [0.6, 0.4],
    ];
    expect(ctcDecode([p], { fromLogits: false })[0][0].labels).toEqual([]);
    const [[best]] = ctcDecode([p], { fromLogits: false, beamWidth: 2 });
    expect(best.labels).toEqual([1]);
    expect(best.logProbability).toBeCloseTo(Math.log(0.64), 6);
  });

  it('leaves out steps beyond the lengths', () => {
    const lengths = [5, 4, 3, 2, 1, 0];
    ctcDecode(rows, { inputLengths: lengths, beamWidth: 500 }).forEach(([path], b) => {
      expect(path.labels).toEqual(enumerated(rows[b].slice(0, lengths[b]), 0).all[0].labels);
    });
    expect(ctcDecode(rows, { inputLengths: lengths })[5]).toEqual([{ labels: [], logProbability: 0, score: 0 }]);
  });

  it('refuses what cannot be', () => {
    expect(() => ctcDecode([[1, 2]])).toThrow(/\(batch, time, classes\)/);
    expect(() => ctcDecode(rows, { blank: 3 })).toThrow(/0 to 2/);
    expect(() => ctcDecode(rows, { topPaths: 2 })).toThrow(/beamWidth/);
    expect(() => ctcDecode(rows, { languageModel: () => 0 })).toThrow(/beamWidth: 20/);
    expect(() => ctcDecode(rows, { inputLengths: [6, 1, 1, 1, 1, 1] })).toThrow(/0 to 5/);
  });
});
