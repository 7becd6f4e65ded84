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

/** The search over prefixes as the paper writes it, with a table of all prefixes at every step. */
function searched(x: number[][], width: number, blank: number, gain: (prefix: readonly number[], c: number) => number) {
  const plus = (a: number, b: number) => {
    const top = Math.max(a, b);
    return top === -Infinity ? top : top + Math.log(Math.exp(a - top) + Math.exp(b - top));
  };
  interface Entry {
    labels: number[];
    ends: number;
    goesOn: number;
    extra: number;
  }
  const score = ({ ends, goesOn, extra }: Entry) => plus(ends, goesOn) + extra;
  let beam: Entry[] = [{ labels: [], ends: 0, goesOn: -Infinity, extra: 0 }];
  for (const row of x) {
    const total = row.reduce(plus, -Infinity);
    const p = row.map((v) => v - total);
    const reached = new Map<string, Entry>();
    const at = (labels: number[], extra: number) => {
      const known = reached.get(labels.join()) ?? { labels, ends: -Infinity, goesOn: -Infinity, extra };
      reached.set(labels.join(), known);
      return known;
    };
    for (const { labels, ends, goesOn, extra } of beam) {
      const [last] = labels.slice(-1);
      const same = at(labels, extra);
      same.ends = plus(same.ends, plus(ends, goesOn) + p[blank]);
      if (labels.length) same.goesOn = plus(same.goesOn, goesOn + p[last]);
      for (let c = 0; c < p.length; c++) {
        if (c === blank) continue;
        const longer = at([...labels, c], extra + gain(labels, c));
        longer.goesOn = plus(longer.goesOn, (c === last ? ends : plus(ends, goesOn)) + p[c]);
      }
    }
    beam = [...reached.values()].filter((own) => score(own) > -Infinity).sort((a, b) => score(b) - score(a));
    beam = beam.slice(0, width);
  }
  return beam.map((own) => ({ labels: own.labels, score: score(own) }));
}

describe('ctcDecode', () => {
  it('keeps the prefixes that the search of the paper keeps, whatever the width', () => {
    let paths = 0;
    for (let seed = 0; seed < 60; seed++) {
      const own = key.split('narrow').split(seed);
      const [steps, classes, width] = [1 + (seed % 13), 2 + (seed % 5), 1 + (seed % 9)];
      const values = own.normal(steps * classes);
      const x = Array.from({ length: steps }, (_, t) =>
        Array.from({ length: classes }, (_, c) => Math.fround((1 + (seed % 3)) * values[t * classes + c])),
      );
      const chances = own.split('language').uniform(classes * (classes + 1));
      const bigrams = (prefix: readonly number[], c: number) =>
        c === 3 && seed % 2 ? -Infinity : Math.log(chances[(prefix[prefix.length - 1] ?? classes) * classes + c]);
      const bonus = seed % 4 ? 0 : 0.6;
      const modelled = seed % 3 === 0;
      const [found] = ctcDecode([x], {
        beamWidth: width,
        topPaths: width,
        blank: seed % classes,
        lengthBonus: bonus,
        ...(modelled && { languageModel: bigrams, languageWeight: 0.5 }),
      });
      const gain = (prefix: readonly number[], c: number) => bonus + (modelled ? 0.5 * bigrams(prefix, c) : 0);
      const expected = searched(x, width, seed % classes, gain);
      expect(found.map(({ labels }) => labels)).toEqual(expected.map(({ labels }) => labels));
      found.forEach(({ score }, i) => expect(score).toBeCloseTo(expected[i].score, 5));
      paths += found.length;
    }
    expect(paths).toBeGreaterThan(200);
  });

  it('asks the language model once of what it keeps', () => {
    const asked: string[] = [];
    ctcDecode(rows.slice(0, 1), { beamWidth: 500, languageModel: (p, c) => asked.push(`${p} ${c}`) * 0 });
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked.length).toBeGreaterThan(T);
  });

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
    const without = ctcDecode(rows, { beamWidth: 500, languageModel, languageWeight: 0 });
    without.forEach(([path]) => expect(path.labels).not.toContain(2));
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
    expect(() => ctcDecode(rows, { beamwidth: 5 } as never)).toThrow(/options among inputLengths.*'beamwidth'/);
    expect(() => ctcDecode(rows, { beamWidth: 5, lengthBonus: Number.NaN })).toThrow(/lengthBonus: expected a finite/);
    expect(() => ctcDecode(rows, { beamWidth: 5, languageWeight: 2 })).toThrow(/a languageModel beside it/);
    expect(() => ctcDecode([[[0, 1]], [[0, Number.NaN]]])).toThrow(/row 1, step 0: expected logits/);
    expect(() => ctcDecode([[[0.5, -0.5]]], { fromLogits: false })).toThrow(/row 0, step 0: expected probabilities/);
    expect(() => ctcDecode([[[0, 0]]], { fromLogits: false, beamWidth: 2 })).toThrow(/a class that is possible/);
  });
});
