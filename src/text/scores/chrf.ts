/**
 * chrF: the F score of character n-grams, and chrF++ with those of words. Popović, "chrF: character n-gram F-score for automatic MT
 * evaluation" (2015) and "chrF++: words helping character n-grams" (2017). Numbers as of sacreBLEU's `CHRF`.
 */
import { fail } from '../../core/errors.ts';
import { pairsOf, type References } from './corpus.ts';
import { countAll, matches, ngramCounts, wordsOf } from './ngrams.ts';

export interface ChrfOptions {
  /** The longest n-grams of characters. Default 6. */
  readonly charOrder?: number;
  /** The longest n-grams of words: 0 for chrF (default), 2 for chrF++. */
  readonly wordOrder?: number;
  /** How many times as much recall counts as precision. Default 2. */
  readonly beta?: number;
  /** Default false. */
  readonly lowercase?: boolean;
  /** Count white space among the characters. Default false. */
  readonly whitespace?: boolean;
}

/** n-grams of hypothesis and reference, and those that match, of one order. */
interface Matched {
  readonly hypothesis: number;
  readonly reference: number;
  readonly matches: number;
}

const punctuation = new Set('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~');

/** Words with one mark taken off the end, or else off the beginning. */
function wordsAndMarks(text: string): string[] {
  return wordsOf(text).flatMap((word) => {
    const letters = [...word];
    if (letters.length === 1) return [word];
    const last = letters[letters.length - 1];
    if (punctuation.has(last)) return [letters.slice(0, -1).join(''), last];
    return punctuation.has(letters[0]) ? [letters[0], letters.slice(1).join('')] : [word];
  });
}

type Settings = Required<ChrfOptions>;

function settingsOf(options: ChrfOptions): Settings {
  const { charOrder = 6, wordOrder = 0, beta = 2, lowercase = false, whitespace = false } = options;
  const whole = (value: number, least: number, name: string) => {
    if (!Number.isInteger(value) || value < least)
      fail('ARGUMENT', `chrf: ${name}`, `a whole number from ${least} on`, String(value));
  };
  whole(charOrder, 1, 'charOrder');
  whole(wordOrder, 0, 'wordOrder');
  if (!(beta > 0) || !Number.isFinite(beta)) fail('ARGUMENT', 'chrf: beta', 'a number above 0', String(beta));
  return { charOrder, wordOrder, beta, lowercase, whitespace };
}

/** Counts of all orders: characters, then words. */
function countsOf(given: string, { charOrder, wordOrder, lowercase, whitespace }: Settings): Map<string, number>[] {
  const text = lowercase ? given.toLowerCase() : given;
  const letters = [...(whitespace ? text : wordsOf(text).join(''))];
  const words = wordOrder ? wordsAndMarks(text) : [];
  return [
    ...Array.from({ length: charOrder }, (_, n) => ngramCounts(letters, n + 1)),
    ...Array.from({ length: wordOrder }, (_, n) => ngramCounts(words, n + 1)),
  ];
}

function fScore(orders: readonly Matched[], beta: number): number {
  // Orders for which a text is too short say nothing.
  const known = orders.filter(({ hypothesis, reference }) => hypothesis > 0 && reference > 0);
  if (!known.length) return 0;
  const mean = (share: (m: Matched) => number) => known.reduce((sum, m) => sum + share(m), 0) / known.length;
  const precision = mean((m) => m.matches / m.hypothesis);
  const recall = mean((m) => m.matches / m.reference);
  if (precision + recall === 0) return 0;
  return (100 * (1 + beta ** 2) * precision * recall) / (beta ** 2 * precision + recall);
}

/**
 * chrF of a corpus, from 0 to 100: F = (1 + b^2) P R / (b^2 P + R), where P and R are the means over the orders of the shares of n-grams
 * that match. Counts of all texts are added up first; of several references the one with the best score counts.
 *
 * @param references for every hypothesis one text or a list of texts
 * @throws DATA for an empty corpus or lists of unequal length
 * @example text.chrf(['the cat sat'], ['the cat sat down'], { wordOrder: 2 }) // chrF++
 */
export function chrf(
  hypotheses: readonly string[],
  references: readonly References[],
  options: ChrfOptions = {},
): number {
  const settings = settingsOf(options);
  const { beta } = settings;
  const none = { hypothesis: 0, reference: 0, matches: 0 };
  let all: Matched[] = new Array<Matched>(settings.charOrder + settings.wordOrder).fill(none);
  for (const pair of pairsOf(hypotheses, references, 'chrf')) {
    const counts = countsOf(pair.hypothesis, settings);
    const candidates = pair.references.map((reference) =>
      countsOf(reference, settings).map((others, i): Matched => {
        const inReference = countAll(others);
        return {
          // Without n-grams in the reference there is nothing that the hypothesis could have met.
          hypothesis: inReference ? countAll(counts[i]) : 0,
          reference: inReference,
          matches: matches(counts[i], others),
        };
      }),
    );
    const best = candidates.reduce((a, b) => (fScore(b, beta) > fScore(a, beta) ? b : a));
    all = all.map((sum, i) => ({
      hypothesis: sum.hypothesis + best[i].hypothesis,
      reference: sum.reference + best[i].reference,
      matches: sum.matches + best[i].matches,
    }));
  }
  return fScore(all, beta);
}

/** chrF of one text. sacreBLEU's `sentence_chrf`. */
export function sentenceChrf(hypothesis: string, references: References, options: ChrfOptions = {}): number {
  return chrf([hypothesis], [references], options);
}
