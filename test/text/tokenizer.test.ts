/** Everything that Keras's Tokenizer answered on texts of strange input (test/golden/text.py). */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MatrixMode, Tokenizer, type TokenizerOptions, textToWordSequence } from '../../src/text/tokenizer.ts';

interface Case {
  options: {
    num_words?: number;
    filters?: string;
    lower?: boolean;
    split?: string;
    char_level?: boolean;
    oov_token?: string;
  };
  json: string;
  document_count: number;
  word_index: [string, number][];
  sequences: number[][];
  lists: number[][] | null;
  texts: string[];
  probe: number[][];
  matrix: Record<MatrixMode, number[][]>;
  again: [string, number][];
  after_sequences: { document_count: number; index_docs: [number, number][]; tfidf: number[][] };
}
const golden = JSON.parse(readFileSync(new URL('../golden/text.json', import.meta.url), 'utf8'));

function optionsOf(o: Case['options']): TokenizerOptions {
  const { num_words: numWords, char_level: charLevel, oov_token: oovToken, ...same } = o;
  return { numWords, charLevel, oovToken, ...same };
}

function fitted(c: Case): Tokenizer {
  const tokenizer = new Tokenizer(optionsOf(c.options));
  tokenizer.fitOnTexts(golden.texts.slice(0, 12));
  tokenizer.fitOnTexts(golden.texts.slice(12));
  if (!c.options.char_level) tokenizer.fitOnTexts(golden.lists);
  return tokenizer;
}

function expectMatrix(actual: { shape: readonly number[]; toNested(): unknown }, expected: number[][]): void {
  expect(actual.shape).toEqual([expected.length, expected[0].length]);
  const rows = actual.toNested() as number[][];
  rows.forEach((row, r) =>
    row.forEach((x, c) => expect(Math.abs(x - expected[r][c]), `element ${r}, ${c}`).toBeLessThan(1e-6)),
  );
}

describe.each(golden.tokenizers as Case[])('Tokenizer $options', (c) => {
  it('numbers words as Keras does', () => {
    const tokenizer = fitted(c);
    expect(tokenizer.documentCount).toBe(c.document_count);
    expect([...tokenizer.wordIndex]).toEqual(c.word_index);
  });

  it('turns texts into sequences and back', () => {
    const tokenizer = fitted(c);
    expect(tokenizer.textsToSequences(golden.unseen)).toEqual(c.sequences);
    if (c.lists) expect(tokenizer.textsToSequences(golden.lists)).toEqual(c.lists);
    expect(tokenizer.sequencesToTexts(c.probe)).toEqual(c.texts);
  });

  it.each(['binary', 'count', 'freq', 'tfidf'] as const)('fills the matrix of mode %s', (mode) => {
    const tokenizer = fitted(c);
    expectMatrix(tokenizer.sequencesToMatrix(c.probe, mode), c.matrix[mode]);
  });

  it('writes the JSON of Keras, in its order', () => {
    const ours = JSON.parse(JSON.stringify(fitted(c)));
    const theirs = JSON.parse(c.json);
    // Python walks a set here, so its order means nothing
    const unordered = new Set(['word_docs', 'index_docs']);
    expect(ours.class_name).toBe(theirs.class_name);
    expect(Object.keys(ours.config).sort()).toEqual(Object.keys(theirs.config).sort());
    for (const [key, value] of Object.entries(theirs.config)) {
      if (unordered.has(key)) expect(JSON.parse(ours.config[key]), key).toEqual(JSON.parse(value as string));
      else expect(ours.config[key], key).toBe(value);
    }
  });

  it('reads the JSON of Keras and learns on as Keras does', () => {
    const tokenizer = Tokenizer.fromJSON(c.json);
    expect([...tokenizer.wordIndex]).toEqual(c.word_index);
    expect(tokenizer.textsToSequences(golden.unseen)).toEqual(c.sequences);
    expectMatrix(tokenizer.sequencesToMatrix(c.probe, 'tfidf'), c.matrix.tfidf);
    tokenizer.fitOnTexts(['zebra 7 film 7']);
    expect([...tokenizer.wordIndex]).toEqual(c.again);
  });

  it('counts documents from sequences', () => {
    const tokenizer = fitted(c);
    tokenizer.fitOnSequences([[1, 1, 2], [3], []]);
    expect(tokenizer.documentCount).toBe(c.after_sequences.document_count);
    expect([...tokenizer.indexDocs].sort((a, b) => a[0] - b[0])).toEqual(c.after_sequences.index_docs);
    expectMatrix(tokenizer.sequencesToMatrix([[1, 1, 2]], 'tfidf'), c.after_sequences.tfidf);
  });
});

describe('Tokenizer', () => {
  it('splits words as text_to_word_sequence does', () => {
    for (const { text, words } of golden.words) expect(textToWordSequence(text)).toEqual(words);
  });

  it('gives the words back for any text, and survives its JSON', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.lorem()), { maxLength: 8 }), (texts) => {
        const tokenizer = new Tokenizer();
        tokenizer.fitOnTexts(texts);
        const words = texts.map((text) => textToWordSequence(text).join(' '));
        const sequences = tokenizer.textsToSequences(texts);
        expect(tokenizer.sequencesToTexts(sequences)).toEqual(words);
        const again = Tokenizer.fromJSON(JSON.stringify(tokenizer));
        expect([...again.wordCounts]).toEqual([...tokenizer.wordCounts]);
        expect(again.textsToSequences(texts)).toEqual(sequences);
      }),
      { numRuns: 300, seed: 5 },
    );
  });

  it('gives the same through texts and through sequences', () => {
    const tokenizer = new Tokenizer({ numWords: 4 });
    tokenizer.fitOnTexts(['a b c', 'a b', 'a']);
    expect(tokenizer.textsToMatrix(['a c z', ''], 'count').toNested()).toEqual([
      [0, 1, 0, 1],
      [0, 0, 0, 0],
    ]);
  });

  it.each([
    [
      'a number as text',
      () => new Tokenizer().fitOnTexts([3 as never]),
      'text 0: expected a string or an array of strings, received number 3',
    ],
    ['a missing text', () => new Tokenizer().textsToSequences(['a', null as never]), 'text 1: expected a string'],
    [
      'a list with a number',
      () => new Tokenizer().fitOnTexts([['a', 3 as never]]),
      'text 0, token 1: expected a string',
    ],
    ['an empty split', () => new Tokenizer({ split: '' }), 'Tokenizer.split'],
    ['no words at all', () => new Tokenizer({ numWords: 0 }), 'Tokenizer.numWords: expected a positive integer'],
    [
      'an unknown mode',
      () => new Tokenizer({ numWords: 3 }).sequencesToMatrix([[1]], 'tf' as never),
      "'binary', 'count', 'freq' or 'tfidf'",
    ],
    [
      'tfidf of an unfitted one',
      () => new Tokenizer({ numWords: 3 }).sequencesToMatrix([[1]], 'tfidf'),
      'expected a tokenizer that was fitted',
    ],
    ['no size of the matrix', () => new Tokenizer().sequencesToMatrix([[1]]), 'Call fitOnTexts first.'],
    [
      'an id that is not whole',
      () => new Tokenizer({ numWords: 3 }).sequencesToMatrix([[1, 0.5]]),
      'sequence 0, position 1: expected an id from 0 on',
    ],
    [
      'an unfitted one with a token for the unknown',
      () => new Tokenizer({ oovToken: '?' }).textsToSequences(['a']),
      'expected a fitted tokenizer',
    ],
    ['a text that is not JSON', () => Tokenizer.fromJSON('{'), 'Tokenizer.fromJSON: expected JSON'],
    ['another class', () => Tokenizer.fromJSON('{"class_name": "Model", "config": {}}'), 'class_name "Model"'],
    [
      'a broken dictionary',
      () => Tokenizer.fromJSON('{"class_name":"Tokenizer","config":{"word_counts":"{\\"a\\": }"}}'),
      'Tokenizer.fromJSON.word_counts',
    ],
  ])('refuses %s', (_name, action, message) => {
    expect(action).toThrow(message);
  });
});
