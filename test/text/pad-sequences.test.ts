/** Keras's pad_sequences and to_categorical, recorded by test/golden/text.py. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type PadOptions, padSequences } from '../../src/text/pad-sequences.ts';
import { toCategorical } from '../../src/text/to-categorical.ts';

const golden = JSON.parse(readFileSync(new URL('../golden/text.json', import.meta.url), 'utf8'));

describe('padSequences', () => {
  it('gives what Keras gives', () => {
    expect(golden.pads.length).toBeGreaterThan(60);
    for (const c of golden.pads) {
      const options: PadOptions = c.options;
      const padded = padSequences(c.sequences, options);
      expect(padded.shape, JSON.stringify(c.options)).toEqual(c.shape);
      expect(Array.from(padded.data), JSON.stringify(c.options)).toEqual(c.data);
    }
  });

  it('takes typed arrays and keeps integers', () => {
    const padded = padSequences([Int32Array.of(1, 2), []]);
    expect(padded.dtype).toBe('int32');
    expect(padded.toNested()).toEqual([
      [1, 2],
      [0, 0],
    ]);
  });

  it.each([
    ['no sequences and no length', () => padSequences([]), 'at least one sequence, or maxlen'],
    [
      'a number among the sequences',
      () => padSequences([[1], 2 as never]),
      'sequence 1: expected an array of steps, received number',
    ],
    ['a length of zero', () => padSequences([[1]], { maxlen: 0 }), 'padSequences.maxlen: expected a positive integer'],
    ['an unknown end', () => padSequences([[1]], { padding: 'left' as never }), "'pre' or 'post', received \"left\""],
    ['steps of unequal shape', () => padSequences([[[1, 2]], [[1]]]), 'sequence 1: expected steps of shape (2,)'],
    ['text among numbers', () => padSequences([[1, 'x' as never]]), 'string where a number should stand'],
    ['NaN among integers', () => padSequences([[Number.NaN]]), '32-bit integers, received NaN'],
    ['numbers that do not fit', () => padSequences([[2 ** 31]]), "Use dtype: 'float32'"],
  ])('refuses %s', (_name, action, message) => {
    expect(action).toThrow(message);
  });
});

describe('toCategorical', () => {
  it('gives what Keras gives', () => {
    for (const c of golden.categorical) {
      const y = toCategorical(c.labels, c.classes);
      expect(y.shape, JSON.stringify(c.labels)).toEqual(c.shape);
      expect(Array.from(y.data), JSON.stringify(c.labels)).toEqual(c.data);
    }
  });

  it('refuses labels without a class', () => {
    expect(() => toCategorical([0, 3], 3)).toThrow('toCategorical: label 1: expected a class in 0..2, received 3');
    expect(() => toCategorical([0, -1])).toThrow('label 1: expected a class in 0..0, received -1');
    expect(() => toCategorical([])).toThrow('at least one label, or numClasses');
    expect(() => toCategorical([0], 0)).toThrow('toCategorical.numClasses');
  });
});
