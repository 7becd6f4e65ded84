/**
 * From the scores of a model trained with CTC to labels: the best path, or a search over prefixes that adds up the alignments of a sequence and can
 * ask a language model.
 *
 * Graves et al., "Connectionist temporal classification" (2006), section 3.2 (best path); Hannun, Maas, Jurafsky and Ng, "First-pass large
 * vocabulary continuous speech recognition using bi-directional recurrent DNNs" (2014), section 2.2 (prefixes with a language model).
 */
import { type ArrayInput, NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';

/**
 * log of the probability of `next` after the labels of `prefix`; -Infinity rules it out. Called once for each prefix and label that the search
 * looks at.
 */
export type LabelModel = (prefix: readonly number[], next: number) => number;

export interface CtcDecodeOptions {
  /** How many steps each row has. Default: all. */
  readonly inputLengths?: ArrayLike<number> | null;
  /** Which class is the blank; negative ones count from the end. Default 0. */
  readonly blank?: number;
  /** How many prefixes the search keeps at each step; null: the best path alone, the most probable class of each step. Default null. */
  readonly beamWidth?: number | null;
  /** How many sequences each row gets, the best first; more than one need a `beamWidth`. Default 1. */
  readonly topPaths?: number;
  /** Needs a `beamWidth`. Default none. */
  readonly languageModel?: LabelModel | null;
  /** The factor of the language model's logarithm. Default 1. */
  readonly languageWeight?: number;
  /** Added for every label, against the preference of language models for short sequences. Default 0. */
  readonly lengthBonus?: number;
  /** The scores are logits; false: probabilities. Default true. */
  readonly fromLogits?: boolean;
}

export interface CtcPath {
  readonly labels: readonly number[];
  /** Of the sequence, over the alignments that the search kept; of the one alignment without a `beamWidth`. */
  readonly logProbability: number;
  /** logProbability + languageWeight * that of the language model + lengthBonus * labels: what the order follows. */
  readonly score: number;
}

/** A node of the tree of prefixes. */
interface Prefix {
  readonly parent: Prefix | null;
  /** The last label; -1 at the root. */
  readonly last: number;
  /** Of the language model, weighted, and the bonus. */
  readonly extra: number;
  /** By the label that follows; null: the language model rules it out. */
  next: Map<number, Prefix | null> | null;
  /** log of the probability of the alignments that end in the blank, and of those that end in the last label. */
  blank: number;
  label: number;
  /** The same for the step that is being made. */
  nextBlank: number;
  nextLabel: number;
  /** What the order follows. */
  score: number;
}

const none = Number.NEGATIVE_INFINITY;

function logAdd(a: number, b: number): number {
  if (a === none) return b;
  if (b === none) return a;
  return a > b ? a + Math.log1p(Math.exp(b - a)) : b + Math.log1p(Math.exp(a - b));
}

function logProbabilities(row: ArrayLike<number>, at: number, classes: number, fromLogits: boolean): Float64Array {
  const values = Float64Array.from({ length: classes }, (_, c) => (fromLogits ? row[at + c] : Math.log(row[at + c])));
  const top = values.reduce((a, b) => Math.max(a, b), none);
  const total = top + Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
  return values.map((v) => v - total);
}

function bestPath(steps: readonly Float64Array[], blank: number): CtcPath {
  const labels: number[] = [];
  let logProbability = 0;
  let before = blank;
  for (const step of steps) {
    let best = 0;
    for (let c = 1; c < step.length; c++) if (step[c] > step[best]) best = c;
    logProbability += step[best];
    if (best !== blank && best !== before) labels.push(best);
    before = best;
  }
  return { labels, logProbability, score: logProbability };
}

interface Search {
  readonly blank: number;
  readonly beamWidth: number;
  readonly topPaths: number;
  /** What a label adds to the score of a prefix. */
  readonly gain: (prefix: Prefix, next: number) => number;
}

const prefixOf = (parent: Prefix | null, last: number, extra: number): Prefix => ({
  parent,
  last,
  extra,
  next: null,
  blank: none,
  label: none,
  nextBlank: none,
  nextLabel: none,
  score: none,
});

function labelsOf(prefix: Prefix): number[] {
  const labels: number[] = [];
  for (let at = prefix; at.parent; at = at.parent) labels.push(at.last);
  return labels.reverse();
}

/** Makes the step's probabilities those of the prefix. */
function settle(prefix: Prefix): void {
  prefix.blank = prefix.nextBlank;
  prefix.label = prefix.nextLabel;
  prefix.nextBlank = none;
  prefix.nextLabel = none;
  prefix.score = logAdd(prefix.blank, prefix.label) + prefix.extra;
}

function searchPrefixes(steps: readonly Float64Array[], { blank, beamWidth, topPaths, gain }: Search): CtcPath[] {
  const root = prefixOf(null, -1, 0);
  root.nextBlank = 0;
  settle(root);
  let beam: Prefix[] = [root];
  for (const step of steps) {
    const reached = new Set<Prefix>(beam);
    for (const prefix of beam) {
      const { last } = prefix;
      const total = logAdd(prefix.blank, prefix.label);
      prefix.nextBlank = logAdd(prefix.nextBlank, total + step[blank]);
      if (last >= 0) prefix.nextLabel = logAdd(prefix.nextLabel, prefix.label + step[last]);
      prefix.next ??= new Map();
      for (let c = 0; c < step.length; c++) {
        // A label twice in a row needs a blank between.
        const from = c === last ? prefix.blank : total;
        if (c === blank || from === none || step[c] === none) continue;
        let longer = prefix.next.get(c);
        if (longer === undefined) {
          const more = gain(prefix, c);
          longer = more === none ? null : prefixOf(prefix, c, prefix.extra + more);
          prefix.next.set(c, longer);
        }
        if (!longer) continue;
        longer.nextLabel = logAdd(longer.nextLabel, from + step[c]);
        reached.add(longer);
      }
    }
    for (const prefix of reached) settle(prefix);
    const ordered = [...reached].filter(({ score }) => score > none).sort((a, b) => b.score - a.score);
    beam = ordered.slice(0, beamWidth);
    // A prefix that was given up starts anew if it is reached again.
    for (const prefix of ordered.slice(beamWidth)) {
      prefix.blank = none;
      prefix.label = none;
    }
  }
  return beam.slice(0, topPaths).map((prefix) => ({
    labels: labelsOf(prefix),
    logProbability: logAdd(prefix.blank, prefix.label),
    score: prefix.score,
  }));
}

function lengthsFor(given: ArrayLike<number> | null, rows: number, steps: number): number[] {
  if (given === null) return new Array<number>(rows).fill(steps);
  const lengths = Array.from(given);
  const wrong = lengths.find((n) => !Number.isInteger(n) || n < 0 || n > steps);
  if (lengths.length !== rows || wrong !== undefined)
    fail(
      'ARGUMENT',
      'ctcDecode: inputLengths',
      `${rows} whole numbers from 0 to ${steps}`,
      String(wrong ?? lengths.length),
    );
  return lengths;
}

/**
 * The labels of every row: a list per row, the best sequence first; fewer than `topPaths` where there are no more.
 *
 * Without a `beamWidth` it is the best path: the most probable class of each step, repeated ones merged, blanks left out. With one it is a
 * search over prefixes, which adds up the alignments of each; it is exact where `beamWidth` holds all prefixes. With a language model, the
 * order follows log p(labels | scores) + languageWeight log p(labels) + lengthBonus labels.
 *
 * @param scores (B, T, C): logits of a model that was trained with the loss `ctc`
 * @example
 * const scores = await model.predict(x);
 * const [[best]] = ctcDecode(scores, { beamWidth: 20, languageModel: (prefix, next) => Math.log(bigrams[prefix.at(-1) ?? 0][next]) });
 * best.labels; // [3, 1, 4]
 */
export function ctcDecode(scores: ArrayInput, options: CtcDecodeOptions = {}): CtcPath[][] {
  const { blank = 0, beamWidth = null, topPaths = 1, fromLogits = true } = options;
  const { languageModel = null, languageWeight = 1, lengthBonus = 0, inputLengths = null } = options;
  const array = NdArray.from(scores);
  if (array.rank !== 3) fail('SHAPE', 'ctcDecode', 'scores (batch, time, classes)', formatShape(array.shape));
  const [rows, length, classes] = array.shape;
  const at = blank < 0 ? blank + classes : blank;
  if (!Number.isInteger(at) || at < 0 || at >= classes)
    fail('ARGUMENT', 'ctcDecode: blank', `a class from 0 to ${classes - 1}`, String(blank));
  if (beamWidth !== null && (!Number.isInteger(beamWidth) || beamWidth < 1))
    fail('ARGUMENT', 'ctcDecode: beamWidth', 'a positive integer, or null', String(beamWidth));
  if (!Number.isInteger(topPaths) || topPaths < 1 || topPaths > (beamWidth ?? 1))
    fail(
      'ARGUMENT',
      'ctcDecode: topPaths',
      `1 to the beamWidth, ${beamWidth ?? 1}`,
      String(topPaths),
      'Set a beamWidth.',
    );
  if (beamWidth === null && (languageModel || lengthBonus))
    fail('ARGUMENT', 'ctcDecode', 'a beamWidth, for a language model or a bonus', 'null', 'Write `beamWidth: 20`.');
  const gain = (prefix: Prefix, next: number): number => {
    if (!languageModel) return lengthBonus;
    const own = languageModel(labelsOf(prefix), next);
    if (Number.isNaN(own)) fail('DATA', 'ctcDecode: languageModel', 'a logarithm of a probability', `NaN for ${next}`);
    return lengthBonus + languageWeight * own;
  };
  const nonFinite = array.data.findIndex((v: number) => Number.isNaN(v));
  if (nonFinite >= 0) fail('DATA', 'ctcDecode', 'numbers', `NaN in row ${Math.floor(nonFinite / (length * classes))}`);
  return lengthsFor(inputLengths, rows, length).map((count, b) => {
    const steps = Array.from({ length: count }, (_, t) =>
      logProbabilities(array.data, (b * length + t) * classes, classes, fromLogits),
    );
    return beamWidth === null ? [bestPath(steps, at)] : searchPrefixes(steps, { blank: at, beamWidth, topPaths, gain });
  });
}
