/** The public names of `text`. */
export { type PadOptions, padSequences, type Step } from './pad-sequences.ts';
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
