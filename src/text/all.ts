/** The public names of `text`. */
export { type PadOptions, padSequences, type Step } from './pad-sequences.ts';
export { type BleuOptions, type BleuScore, type BleuTokenizer, bleu, sentenceBleu } from './scores/bleu.ts';
export { type ChrfOptions, chrf, sentenceChrf } from './scores/chrf.ts';
export type { References } from './scores/corpus.ts';
export {
  characterErrorRate,
  characterErrors,
  type EditCounts,
  editCounts,
  editDistance,
  wordErrorRate,
  wordErrors,
} from './scores/edit-distance.ts';
export { type Entity, entitiesOf, type TagScheme } from './scores/entities.ts';
export { type EntityReport, type EntityScore, entityF1 } from './scores/entity-f1.ts';
export { perplexity } from './scores/perplexity.ts';
export { toCategorical } from './to-categorical.ts';
export {
  defaultFilters,
  type MatrixMode,
  type Text,
  Tokenizer,
  type TokenizerJSON,
  type TokenizerOptions,
  textToWordSequence,
  type WordOptions,
} from './tokenizer.ts';
