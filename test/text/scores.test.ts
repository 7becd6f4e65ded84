/** Scores of texts against sacreBLEU, NLTK, rapidfuzz and definitions written out (test/golden/scores.py), and what must hold for any text. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { text } from '../../src/index.ts';
import { readGolden } from '../golden/golden.ts';

interface Golden {
  corpora: { references: string[][]; hypotheses: string[] }[];
  bleu: {
    corpus: number;
    options: text.BleuOptions;
    score: number;
    precisions: number[];
    brevityPenalty: number;
    lengths: [number, number];
  }[];
  nltk: { corpus: number; order: number; score: number }[];
  chrf: { corpus: number; options: text.ChrfOptions; score: number; sentences: number[] }[];
  edits: { a: string; b: string; edits: number; hits: number }[];
  rates: { references: string[]; hypotheses: string[]; words: number; characters: number }[];
  entities: {
    scheme: text.TagScheme;
    references: string[][];
    predictions: string[][];
    report: Record<string, [precision: number, recall: number, f1: number, support: number]>;
  }[];
}

const golden = readGolden<Golden>('scores.json');
const tags = ['O', 'B-X', 'I-X', 'E-X', 'S-X', 'B-Y', 'I-Y', 'E-Y', 'S-Y'];

describe('BLEU', () => {
  it.each(golden.bleu.map((c) => [`${c.corpus} ${JSON.stringify(c.options)}`, c] as const))(
    'of corpus %s',
    (_title, c) => {
      const { references, hypotheses } = golden.corpora[c.corpus];
      const actual = text.bleu(hypotheses, references, c.options);
      expect(actual.score).toBeCloseTo(c.score, 9);
      expect([actual.hypothesisLength, actual.referenceLength]).toEqual(c.lengths);
      expect(actual.brevityPenalty).toBeCloseTo(c.brevityPenalty, 12);
      for (const [n, precision] of c.precisions.entries()) expect(actual.precisions[n]).toBeCloseTo(precision, 9);
    },
  );
  it.each(golden.nltk)('of corpus $corpus up to $order words, as NLTK has it', ({ corpus, order, score }) => {
    const { references, hypotheses } = golden.corpora[corpus];
    const options = { tokenizer: 'none', smoothing: 'none', maxOrder: order } as const;
    expect(text.bleu(hypotheses, references, options).score).toBeCloseTo(score, 9);
  });
  it('of one sentence leaves out orders that it is too short for', () => {
    expect(text.sentenceBleu('the cat', 'the cat').score).toBeCloseTo(100, 9);
    expect(text.sentenceBleu('the cat', 'the cat', { effectiveOrder: false }).score).toBe(0);
  });
  it('takes words of a function of one’s own', () => {
    const tokenizer = (line: string) => line.split('|');
    expect(text.sentenceBleu('a b|c', ['a b|c|d'], { tokenizer, maxOrder: 1 }).matches).toEqual([2]);
  });
  it('is 100 for a text that is its own reference', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'b,', 'c.', '1.5'), { minLength: 1, maxLength: 12 }), (words) => {
        const line = words.join(' ');
        expect(text.sentenceBleu(line, line).score).toBeCloseTo(100, 9);
        expect(text.sentenceChrf(line, line, { wordOrder: 2 })).toBeCloseTo(100, 9);
      }),
    );
  });
  it('refuses what it cannot score', () => {
    expect(() => text.bleu([], [])).toThrow(/bleu: expected at least one hypothesis, received an empty list/);
    expect(() => text.bleu(['a'], ['a', 'b'])).toThrow(/expected 1 references, one for each hypothesis, received 2/);
    expect(() => text.bleu(['a'], [[]])).toThrow(/references\[0\]: expected a text, or a list of texts/);
    expect(() => text.bleu(['a'], ['a'], { smoothing: 'add-k' as 'addK' })).toThrow(/'exp', 'floor', 'addK' or 'none'/);
    expect(() => text.bleu(['a'], ['a'], { maxOrder: 0 })).toThrow(/maxOrder: expected a positive integer/);
    expect(() => text.bleu(['a'], ['a'], { tokenizer: 'moses' as 'none' })).toThrow(/tokenizer/);
  });
});

describe('chrF', () => {
  it.each(golden.chrf.map((c) => [`${c.corpus} ${JSON.stringify(c.options)}`, c] as const))(
    'of corpus %s',
    (_title, c) => {
      const { references, hypotheses } = golden.corpora[c.corpus];
      expect(text.chrf(hypotheses, references, c.options)).toBeCloseTo(c.score, 9);
      for (const [i, score] of c.sentences.entries())
        expect(text.sentenceChrf(hypotheses[i], references[i], c.options)).toBeCloseTo(score, 9);
    },
  );
  it('refuses what it cannot score', () => {
    expect(() => text.chrf([], [])).toThrow(/at least one hypothesis/);
    expect(() => text.chrf(['a'], ['a'], { beta: 0 })).toThrow(/beta: expected a number above 0/);
    expect(() => text.chrf(['a'], ['a'], { charOrder: 0 })).toThrow(/charOrder/);
  });
});

describe('edits', () => {
  it.each(golden.edits)('from "$a" to "$b"', ({ a, b, edits, hits }) => {
    const counts = text.editCounts(a, b);
    expect(text.editDistance(a, b)).toBe(edits);
    expect(counts.hits).toBe(hits);
    expect(counts.hits + counts.substitutions + counts.deletions).toBe(a.length);
    expect(counts.hits + counts.substitutions + counts.insertions).toBe(b.length);
  });
  it.each(golden.rates)('rates of $references', ({ references, hypotheses, words, characters }) => {
    expect(text.wordErrorRate(references, hypotheses)).toBeCloseTo(words, 12);
    expect(text.characterErrorRate(references, hypotheses)).toBeCloseTo(characters, 12);
  });
  it('is a distance', () => {
    const word = fc.string({ maxLength: 8, unit: fc.constantFrom('a', 'b', '😀') });
    fc.assert(
      fc.property(word, word, word, (a, b, c) => {
        expect(text.editDistance(a, a)).toBe(0);
        expect(text.editDistance(a, b)).toBe(text.editDistance(b, a));
        expect(text.editDistance(a, c)).toBeLessThanOrEqual(text.editDistance(a, b) + text.editDistance(b, c));
      }),
    );
  });
  it('are told apart by kind', () => {
    expect(text.wordErrors('the cat sat', 'the dog sat down')).toEqual({
      hits: 2,
      substitutions: 1,
      deletions: 0,
      insertions: 1,
    });
    expect(text.characterErrors([' ab '], ['b'])).toEqual({ hits: 1, substitutions: 0, deletions: 1, insertions: 0 });
    expect(text.editDistance([1, 2, 3], [1, 3])).toBe(1);
  });
  it('refuses empty references and lists of unequal length', () => {
    expect(() => text.wordErrorRate('', 'a')).toThrow(/expected references that are not all empty/);
    expect(() => text.characterErrorRate([], [])).toThrow(/not all empty/);
    expect(() => text.wordErrorRate(['a'], ['a', 'b'])).toThrow(/expected 1 hypotheses/);
    expect(text.wordErrorRate(['', 'a b'], ['x', 'a b'])).toBe(0.5);
  });
});

describe('entities', () => {
  it.each(golden.entities)('as $scheme of $references', ({ scheme, references, predictions, report }) => {
    const actual = text.entityF1(references, predictions, { scheme });
    const { all, ...types } = report;
    const numbers = (score: text.EntityScore) => [score.precision, score.recall, score.f1, score.support];
    expect(Object.keys(actual.types)).toEqual(Object.keys(types));
    numbers(actual).forEach((n, i) => {
      expect(n).toBeCloseTo(all[i], 12);
    });
    for (const [type, expected] of Object.entries(types))
      numbers(actual.types[type]).forEach((n, i) => {
        expect(n).toBeCloseTo(expected[i], 12);
      });
    const mean = Object.values(types).reduce((sum, [, , f1]) => sum + f1, 0) / Math.max(1, Object.keys(types).length);
    expect(actual.macro.f1).toBeCloseTo(mean, 12);
  });
  it('forgives where it is lenient and only there', () => {
    const [reference, prediction] = [[['B-NP', 'I-NP', 'O']], [['I-NP', 'I-NP', 'O']]];
    expect(text.entityF1(reference, prediction).f1).toBe(1);
    expect(text.entityF1(reference, prediction, { scheme: 'BIO' }).f1).toBe(0);
    expect(text.entitiesOf(['B-X', 'I-X', 'O', 'E-X'], 'BIOES')).toEqual([]);
    expect(text.entitiesOf(['I-X', 'I-X', 'B-X', 'I-Y'], 'IOB1')).toEqual([
      { type: 'X', start: 0, end: 2 },
      { type: 'X', start: 2, end: 3 },
      { type: 'Y', start: 3, end: 4 },
    ]);
  });
  it('never overlap, and lie within the text', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...tags), { maxLength: 12 }), (own) => {
        for (const scheme of ['lenient', 'BIOES'] as const) {
          let last = 0;
          for (const { start, end } of text.entitiesOf(own, scheme)) {
            expect(start).toBeGreaterThanOrEqual(last);
            expect(end).toBeGreaterThan(start);
            last = end;
          }
          expect(last).toBeLessThanOrEqual(own.length);
        }
      }),
    );
  });
  it('refuses tags that a scheme does not have, and texts of unequal length', () => {
    expect(() => text.entitiesOf(['S-X'], 'BIO')).toThrow(
      /tags\[0\]: expected a prefix of BIO, one of O B I, received 'S-X'/,
    );
    expect(() => text.entitiesOf([''])).toThrow(/a tag such as 'B-PER'/);
    expect(() => text.entitiesOf(['O'], 'BIOSE' as 'BIO')).toThrow(/scheme: expected one of lenient, BIO/);
    expect(() => text.entityF1([], [])).toThrow(/at least one text/);
    expect(() => text.entityF1([['O']], [['O', 'O']])).toThrow(/predictions\[0\]: expected 1 tags/);
  });
});

describe('perplexity', () => {
  it('is the inverse geometric mean of the probabilities', () => {
    expect(text.perplexity([Math.log(0.5), Math.log(0.125)])).toBeCloseTo(4, 12);
    expect(text.perplexity([-1, -3], { base: 2 })).toBeCloseTo(4, 12);
    expect(text.perplexity([Number.NEGATIVE_INFINITY, 0])).toBe(Number.POSITIVE_INFINITY);
  });
  it('refuses what is no log-probability', () => {
    expect(() => text.perplexity([])).toThrow(/at least one/);
    expect(() => text.perplexity([0.5])).toThrow(/logProbabilities\[0\]: expected a logarithm/);
    expect(() => text.perplexity([Number.NaN])).toThrow(/received NaN/);
  });
});
