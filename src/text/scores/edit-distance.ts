/**
 * Edit distance, and the error rates of words and characters that speech recognition is measured by. Levenshtein, "Binary codes capable of
 * correcting deletions, insertions and reversals" (1966); definitions of the rates as of the Python package jiwer.
 */
import { fail } from '../../core/errors.ts';
import { wordsOf } from './ngrams.ts';

/** How a reference becomes a hypothesis with the fewest edits; of such ways the one with the most hits. */
export interface EditCounts {
  readonly hits: number;
  /** Other items in the place of the reference's. */
  readonly substitutions: number;
  /** Items of the reference that are missing. */
  readonly deletions: number;
  /** Items that the reference does not have. */
  readonly insertions: number;
}

/** Items of a text are its characters (code points). */
const itemsOf = (sequence: string | readonly unknown[]): readonly unknown[] =>
  typeof sequence === 'string' ? [...sequence] : sequence;

/**
 * The edits from one sequence to another. Time is the product of the lengths, memory the length of the hypothesis.
 *
 * @param reference a text (its characters), or a list of items compared by ===
 */
export function editCounts(
  reference: string | readonly unknown[],
  hypothesis: string | readonly unknown[],
): EditCounts {
  const a = itemsOf(reference);
  const b = itemsOf(hypothesis);
  // Of every prefix of b: edits, and substitutions among them. Fewer of these means more hits, as the lengths are fixed.
  let edits = Int32Array.from({ length: b.length + 1 }, (_, j) => j);
  let substitutions = new Int32Array(b.length + 1);
  for (let i = 1; i <= a.length; i++) {
    const nextEdits = new Int32Array(b.length + 1);
    const nextSubstitutions = new Int32Array(b.length + 1);
    nextEdits[0] = i;
    for (let j = 1; j <= b.length; j++) {
      const replaced = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = edits[j - 1] + replaced;
      let own = substitutions[j - 1] + replaced;
      const better = (cost: number, count: number) => {
        if (cost > best || (cost === best && count >= own)) return;
        best = cost;
        own = count;
      };
      better(edits[j] + 1, substitutions[j]);
      better(nextEdits[j - 1] + 1, nextSubstitutions[j - 1]);
      nextEdits[j] = best;
      nextSubstitutions[j] = own;
    }
    edits = nextEdits;
    substitutions = nextSubstitutions;
  }
  const replaced = substitutions[b.length];
  const others = edits[b.length] - replaced;
  const deletions = (others + a.length - b.length) / 2;
  return {
    hits: a.length - replaced - deletions,
    substitutions: replaced,
    deletions,
    insertions: others - deletions,
  };
}

/**
 * The fewest substitutions, deletions and insertions that make one sequence of the other.
 *
 * @example text.editDistance('kitten', 'sitting') // 3
 */
export function editDistance(a: string | readonly unknown[], b: string | readonly unknown[]): number {
  const { substitutions, deletions, insertions } = editCounts(a, b);
  return substitutions + deletions + insertions;
}

function totalErrors(
  references: string | readonly string[],
  hypotheses: string | readonly string[],
  split: (text: string) => readonly string[],
  where: string,
): EditCounts {
  const left = typeof references === 'string' ? [references] : references;
  const right = typeof hypotheses === 'string' ? [hypotheses] : hypotheses;
  if (left.length !== right.length)
    fail('DATA', where, `${left.length} hypotheses, one for each reference`, String(right.length));
  const all = { hits: 0, substitutions: 0, deletions: 0, insertions: 0 };
  left.forEach((reference, i) => {
    const own = editCounts(split(reference), split(right[i]));
    for (const key of ['hits', 'substitutions', 'deletions', 'insertions'] as const) all[key] += own[key];
  });
  if (all.hits + all.substitutions + all.deletions === 0)
    fail(
      'DATA',
      where,
      'references that are not all empty',
      'none',
      'The rate is errors by the length of the references.',
    );
  return all;
}

const rate = ({ hits, substitutions, deletions, insertions }: EditCounts): number =>
  (substitutions + deletions + insertions) / (hits + substitutions + deletions);

const trimmed = (text: string): string[] => [...text.trim()];

/** Edits of words of one text or of all texts of a list, which stand between white space. Errors as of `wordErrorRate`. */
export function wordErrors(references: string | readonly string[], hypotheses: string | readonly string[]): EditCounts {
  return totalErrors(references, hypotheses, wordsOf, 'wordErrors');
}

/**
 * Word error rate: (S + D + I) / (H + S + D), added up over all texts first. 0 for equal texts; above 1 where many words are inserted.
 * Case and punctuation count: bring both sides into one form first.
 *
 * @throws DATA for lists of unequal length, and where all references are empty
 * @example text.wordErrorRate('the cat sat', 'the cat sat down') // 1/3
 */
export function wordErrorRate(references: string | readonly string[], hypotheses: string | readonly string[]): number {
  return rate(totalErrors(references, hypotheses, wordsOf, 'wordErrorRate'));
}

/** Edits of characters (code points), without white space at both ends. Errors as of `wordErrorRate`. */
export function characterErrors(
  references: string | readonly string[],
  hypotheses: string | readonly string[],
): EditCounts {
  return totalErrors(references, hypotheses, trimmed, 'characterErrors');
}

/** Character error rate: the same over characters, spaces within the text among them. */
export function characterErrorRate(
  references: string | readonly string[],
  hypotheses: string | readonly string[],
): number {
  return rate(totalErrors(references, hypotheses, trimmed, 'characterErrorRate'));
}
