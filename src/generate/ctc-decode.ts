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
import { refuseUnknown } from '../train/model-options.ts';
import { labelsOf, type Prefix, searchPrefixes } from './prefix-search.ts';

/**
 * log of the probability of `next` after the labels of `prefix`; -Infinity rules it out. Asked of every label after every prefix that the search
 * keeps, and remembered while it keeps it.
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

const optionNames: readonly (keyof CtcDecodeOptions)[] = [
  'inputLengths',
  'blank',
  'beamWidth',
  'topPaths',
  'languageModel',
  'languageWeight',
  'lengthBonus',
  'fromLogits',
];

export interface CtcPath {
  readonly labels: readonly number[];
  /** Of the sequence, over the alignments that the search kept; of the one alignment without a `beamWidth`. */
  readonly logProbability: number;
  /** logProbability + languageWeight * that of the language model + lengthBonus * labels: what the order follows. */
  readonly score: number;
}

const none = Number.NEGATIVE_INFINITY;

type FailAt = (expected: string, received: string) => never;

/** Of the classes of a step, which need not add up to one. */
function logProbabilities(
  row: ArrayLike<number>,
  at: number,
  classes: number,
  fromLogits: boolean,
  failAt: FailAt,
): Float64Array {
  const values = new Float64Array(classes);
  let top = none;
  for (let c = 0; c < classes; c++) {
    const value = row[at + c];
    const own = fromLogits ? value : Math.log(value);
    if (Number.isNaN(own) || own === Number.POSITIVE_INFINITY)
      failAt(fromLogits ? 'logits below infinity' : 'probabilities from 0 on', String(value));
    values[c] = own;
    if (own > top) top = own;
  }
  if (top === none) failAt('a class that is possible', 'none');
  let sum = 0;
  for (let c = 0; c < classes; c++) sum += Math.exp(values[c] - top);
  const total = top + Math.log(sum);
  for (let c = 0; c < classes; c++) values[c] -= total;
  return values;
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
 * Errors: SHAPE, ARGUMENT, and DATA for scores or a language model that give no probabilities, by row and step.
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
  refuseUnknown(options, optionNames, 'ctcDecode');
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
  for (const [name, value] of Object.entries({ languageWeight, lengthBonus }))
    if (!Number.isFinite(value)) fail('ARGUMENT', `ctcDecode: ${name}`, 'a finite number', String(value));
  if (options.languageWeight !== undefined && !languageModel)
    fail('ARGUMENT', 'ctcDecode: languageWeight', 'a languageModel beside it', 'none');
  const asked = (prefix: Prefix, next: number): number => {
    prefix.gains ??= new Float64Array(classes).fill(Number.NaN);
    if (Number.isNaN(prefix.gains[next])) {
      const own = (languageModel as LabelModel)(labelsOf(prefix), next);
      if (Number.isNaN(own) || own === Number.POSITIVE_INFINITY)
        fail('DATA', 'ctcDecode: languageModel', 'a logarithm of a probability', `${own} for ${next}`);
      prefix.gains[next] = own === none ? none : lengthBonus + languageWeight * own;
    }
    return prefix.gains[next];
  };
  return lengthsFor(inputLengths, rows, length).map((count, b) => {
    const steps = Array.from({ length: count }, (_, t) => {
      const failAt: FailAt = (expected, received) => fail('DATA', `ctcDecode: row ${b}, step ${t}`, expected, received);
      return logProbabilities(array.data, (b * length + t) * classes, classes, fromLogits, failAt);
    });
    if (beamWidth === null) return [bestPath(steps, at)];
    const beam = searchPrefixes(steps, { blank: at, beamWidth, gain: languageModel ? asked : lengthBonus });
    return beam.slice(0, topPaths).map((prefix) => ({
      labels: labelsOf(prefix),
      logProbability: prefix.total,
      score: prefix.total + prefix.extra,
    }));
  });
}
