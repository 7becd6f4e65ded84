/**
 * BLEU: the geometric mean of n-gram precisions, times a penalty for texts that are too short.
 * Papineni, Roukos, Ward and Zhu, "BLEU: a method for automatic evaluation of machine translation" (2002); smoothing: Chen and Cherry, "A
 * systematic comparison of smoothing techniques for sentence-level BLEU" (2014); words and defaults: Post, "A call for clarity in reporting
 * BLEU scores" (2018).
 */
import { fail } from '../../core/errors.ts';
import { pairsOf, type References } from './corpus.ts';
import { countAll, matches, ngramCounts, wordsOf } from './ngrams.ts';

/** How a text becomes words. */
export type BleuTokenizer = '13a' | 'intl' | 'char' | 'none' | ((text: string) => readonly string[]);

export interface BleuOptions {
  /** The longest n-grams. Default 4. */
  readonly maxOrder?: number;
  /**
   * What stands for an order without a match: 'exp' halves the precision of each such order (Chen and Cherry's method 3), 'floor' counts
   * `smoothingValue` matches (method 1), 'addK' adds it to matches and n-grams of all orders above 1 (method 2), 'none' makes the score 0.
   * Default 'exp'.
   */
  readonly smoothing?: 'exp' | 'floor' | 'addK' | 'none';
  /** Default 0.1 for 'floor' and 1 for 'addK'. */
  readonly smoothingValue?: number;
  /** Default '13a', the rules of mteval-v13a; 'intl' are those of mteval-v14 for all scripts, 'none' splits at white space. */
  readonly tokenizer?: BleuTokenizer;
  /** Default false. */
  readonly lowercase?: boolean;
  /** Leave out orders for which the hypotheses are too short. Default false; true for `sentenceBleu`. */
  readonly effectiveOrder?: boolean;
}

export interface BleuScore {
  /** From 0 to 100. */
  readonly score: number;
  /** Of every order, smoothed, from 0 to 100. */
  readonly precisions: readonly number[];
  /** n-grams of the hypotheses that are in a reference, of every order. */
  readonly matches: readonly number[];
  /** n-grams of the hypotheses. */
  readonly totals: readonly number[];
  readonly brevityPenalty: number;
  /** Words of all hypotheses. */
  readonly hypothesisLength: number;
  /** Words of the references that are nearest in length. */
  readonly referenceLength: number;
}

const entities: readonly (readonly [string, string])[] = [
  ['&quot;', '"'],
  ['&amp;', '&'],
  ['&lt;', '<'],
  ['&gt;', '>'],
];

/** The rules of mteval-v13a: punctuation stands alone, but for points and commas within numbers, and for hyphens and apostrophes. */
function words13a(text: string): string[] {
  let line = text.replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ');
  for (const [entity, character] of entities) line = line.replaceAll(entity, character);
  const split = ` ${line} `
    .replace(/[!-&(-+/:-@[-`{-~]/g, ' $& ')
    .replace(/([^0-9])([.,])/gu, '$1 $2 ')
    .replace(/([.,])([^0-9])/gu, ' $1 $2')
    .replace(/([0-9])(-)/g, '$1 $2 ');
  return wordsOf(split);
}

/** The rules of mteval-v14: punctuation of any script stands alone unless it is within a number; symbols always do. */
function wordsInternational(text: string): string[] {
  return wordsOf(
    text
      .replace(/(\P{N})(\p{P})/gu, '$1 $2 ')
      .replace(/(\p{P})(\P{N})/gu, ' $1 $2')
      .replace(/\p{S}/gu, ' $& '),
  );
}

const tokenizers: Readonly<Record<string, (text: string) => readonly string[]>> = {
  '13a': words13a,
  intl: wordsInternational,
  char: (text) => wordsOf([...text].join(' ')),
  none: wordsOf,
};

interface Settings {
  readonly maxOrder: number;
  readonly smoothing: NonNullable<BleuOptions['smoothing']>;
  readonly value: number;
  readonly words: (text: string) => readonly string[];
  readonly effectiveOrder: boolean;
}

function settingsOf(options: BleuOptions, where: string): Settings {
  const { maxOrder = 4, smoothing = 'exp', tokenizer = '13a', lowercase = false, effectiveOrder = false } = options;
  if (!Number.isInteger(maxOrder) || maxOrder < 1)
    fail('ARGUMENT', `${where}: maxOrder`, 'a positive integer', String(maxOrder));
  if (!['exp', 'floor', 'addK', 'none'].includes(smoothing))
    fail('ARGUMENT', `${where}: smoothing`, "'exp', 'floor', 'addK' or 'none'", `'${smoothing}'`);
  const value = options.smoothingValue ?? (smoothing === 'floor' ? 0.1 : 1);
  if (!(value >= 0) || !Number.isFinite(value))
    fail('ARGUMENT', `${where}: smoothingValue`, 'a number from 0 on', String(value));
  const split = typeof tokenizer === 'function' ? tokenizer : tokenizers[tokenizer];
  if (!split)
    fail('ARGUMENT', `${where}: tokenizer`, "'13a', 'intl', 'char', 'none' or a function", `'${String(tokenizer)}'`);
  const words = (text: string) => split((lowercase ? text.toLowerCase() : text).trimEnd());
  return { maxOrder, smoothing, value, words, effectiveOrder };
}

/** The length that is nearest to that of the hypothesis, the shorter of two. */
function nearest(length: number, lengths: readonly number[]): number {
  return lengths.reduce((best, own) => {
    const difference = Math.abs(own - length) - Math.abs(best - length);
    return difference < 0 || (difference === 0 && own < best) ? own : best;
  });
}

/** Counts of all references, each n-gram as often as in the one that has most of it. */
function mostOften(references: readonly (readonly string[])[], order: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const words of references)
    for (const [key, count] of ngramCounts(words, order)) counts.set(key, Math.max(count, counts.get(key) ?? 0));
  return counts;
}

function scored(
  found: readonly number[],
  totals: readonly number[],
  hypothesisLength: number,
  referenceLength: number,
  { maxOrder, smoothing, value, effectiveOrder }: Settings,
): BleuScore {
  const shorter = hypothesisLength < referenceLength;
  const brevityPenalty = !shorter ? 1 : hypothesisLength ? Math.exp(1 - referenceLength / hypothesisLength) : 0;
  const precisions = new Array<number>(maxOrder).fill(0);
  const counts = { matches: found, totals, brevityPenalty, hypothesisLength, referenceLength };
  if (found.every((n) => n === 0)) return { score: 0, precisions, ...counts };
  let halved = 1;
  let orders = maxOrder;
  for (let n = 0; n < maxOrder; n++) {
    const added = smoothing === 'addK' && n > 0 ? value : 0;
    const total = totals[n] + added;
    if (total === 0) break;
    if (effectiveOrder) orders = n + 1;
    const hits = found[n] + added;
    if (hits > 0) precisions[n] = (100 * hits) / total;
    else if (smoothing === 'exp') {
      halved *= 2;
      precisions[n] = 100 / (halved * total);
    } else if (smoothing === 'floor') precisions[n] = (100 * value) / total;
  }
  const logs = precisions.slice(0, orders).map(Math.log);
  return { score: brevityPenalty * Math.exp(logs.reduce((a, b) => a + b, 0) / orders), precisions, ...counts };
}

/**
 * BLEU of a corpus: matches and lengths of all texts are added up before anything is divided.
 *
 *     BLEU = 100 * min(1, exp(1 - r / c)) * exp(mean over n of log p_n)
 *
 * for c words of the hypotheses, r words of the references nearest in length, and p_n the share of the hypotheses' n-grams that are in a
 * reference. Equal to sacreBLEU's `corpus_bleu` for the same options.
 *
 * @param references for every hypothesis one text or a list of texts
 * @throws DATA for an empty corpus or lists of unequal length
 * @example text.bleu(['the cat sat'], [['the cat sat down', 'a cat was sitting']]).score
 */
export function bleu(
  hypotheses: readonly string[],
  references: readonly References[],
  options: BleuOptions = {},
): BleuScore {
  const settings = settingsOf(options, 'bleu');
  const found = new Array<number>(settings.maxOrder).fill(0);
  const totals = new Array<number>(settings.maxOrder).fill(0);
  let hypothesisLength = 0;
  let referenceLength = 0;
  for (const pair of pairsOf(hypotheses, references, 'bleu')) {
    const words = settings.words(pair.hypothesis);
    const others = pair.references.map(settings.words);
    hypothesisLength += words.length;
    referenceLength += nearest(
      words.length,
      others.map((other) => other.length),
    );
    for (let n = 0; n < settings.maxOrder; n++) {
      const counts = ngramCounts(words, n + 1);
      totals[n] += countAll(counts);
      found[n] += matches(counts, mostOften(others, n + 1));
    }
  }
  return scored(found, totals, hypothesisLength, referenceLength, settings);
}

/** BLEU of one text; orders for which it is too short are left out unless `effectiveOrder` is false. sacreBLEU's `sentence_bleu`. */
export function sentenceBleu(hypothesis: string, references: References, options: BleuOptions = {}): BleuScore {
  return bleu([hypothesis], [references], { effectiveOrder: true, ...options });
}
