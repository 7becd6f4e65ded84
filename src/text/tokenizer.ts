/**
 * Texts to sequences of numbers, with the exact semantics of Keras's `Tokenizer` (keras/src/legacy/preprocessing/text.py) and its JSON
 * layout, so that a tokenizer that was fitted in Python answers the same here and the other way round.
 *
 * Where it differs: `analyzer` does not exist, ids must be integers from 0 on (NumPy lets negative ones count from the end), and an
 * unfitted tokenizer with an `oovToken` is refused instead of giving `None`.
 */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatCounts, formatWords, parseCounts, parseWords } from './tokenizer-json.ts';

/** What is replaced by the split string: all punctuation but the apostrophe, tab and new line. */
export const defaultFilters = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n';

/** A text, or a list of tokens that is already split. */
export type Text = string | readonly string[];

/** `binary`: 1 where a word occurs; `count`; `freq`: count / length; `tfidf`: (1 + ln count) * ln(1 + N / (1 + documents)). */
export type MatrixMode = 'binary' | 'count' | 'freq' | 'tfidf';

export interface WordOptions {
  /** Characters that separate words. Default: {@link defaultFilters}. */
  filters?: string;
  /** Whether to turn everything into lower case first. Default true. */
  lower?: boolean;
  /** What stands between words. Default one space. */
  split?: string;
}

export interface TokenizerOptions extends WordOptions {
  /** Only ids below this are produced; `wordIndex` is never cut. Default null: all. */
  numWords?: number | null;
  /** Every character is a token. Default false. */
  charLevel?: boolean;
  /** Takes id 1 and stands for unknown and cut words; without it they are left out. Default null. */
  oovToken?: string | null;
}

/** The object that Keras's `tokenizer_to_json` writes. The five dictionaries are JSON texts inside the JSON. */
export interface TokenizerJSON {
  class_name: string;
  config: {
    num_words: number | null;
    filters: string;
    lower: boolean;
    split: string;
    char_level: boolean;
    oov_token: string | null;
    document_count: number;
    word_counts: string;
    word_docs: string;
    index_docs: string;
    index_word: string;
    word_index: string;
  };
}

/**
 * Splits a text into words: lower case, filters replaced by `split`, split there, empty words dropped.
 *
 * @example textToWordSequence("It's good, really!") // ["it's", 'good', 'really']
 */
export function textToWordSequence(text: string, options: WordOptions = {}): string[] {
  const { filters = defaultFilters, lower = true, split = ' ' } = options;
  if (typeof text !== 'string') fail('DATA', 'textToWordSequence', 'a string', describe(text));
  return wordsOf(text, new Set(filters), lower, checkedSplit(split));
}

function wordsOf(text: string, filters: ReadonlySet<string>, lower: boolean, split: string): string[] {
  let replaced = '';
  for (const character of lower ? text.toLowerCase() : text) replaced += filters.has(character) ? split : character;
  return replaced.split(split).filter((word) => word !== '');
}

function checkedSplit(split: string): string {
  if (typeof split !== 'string' || split === '')
    fail(
      'ARGUMENT',
      'Tokenizer.split',
      'a text of at least one character',
      describe(split),
      'Use charLevel for characters.',
    );
  return split;
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : `${typeof value} ${String(value)}`;
}

/**
 * @example
 * const tokenizer = new Tokenizer({ numWords: 10_000, oovToken: '[UNK]' });
 * tokenizer.fitOnTexts(['a good film', 'a bad one']);
 * tokenizer.textsToSequences(['a good one']); // [[2, 3, 6]]
 */
export class Tokenizer {
  readonly numWords: number | null;
  readonly filters: string;
  readonly lower: boolean;
  readonly split: string;
  readonly charLevel: boolean;
  readonly oovToken: string | null;
  private documents: number;
  private readonly counts: Map<string, number>;
  private readonly docsOfWord: Map<string, number>;
  private readonly docsOfIndex: Map<number, number>;
  private words: Map<string, number>;
  private wordOfIndex: Map<number, string>;
  private readonly filterSet: ReadonlySet<string>;

  constructor(options: TokenizerOptions = {}) {
    const {
      numWords = null,
      filters = defaultFilters,
      lower = true,
      split = ' ',
      charLevel = false,
      oovToken = null,
    } = options;
    if (numWords !== null && !(Number.isInteger(numWords) && numWords > 0))
      fail('ARGUMENT', 'Tokenizer.numWords', 'a positive integer, or null for all words', describe(numWords));
    if (typeof filters !== 'string') fail('ARGUMENT', 'Tokenizer.filters', 'a text of characters', describe(filters));
    if (oovToken !== null && typeof oovToken !== 'string')
      fail('ARGUMENT', 'Tokenizer.oovToken', 'a text, or null for none', describe(oovToken));
    this.numWords = numWords;
    this.filters = filters;
    this.lower = lower;
    this.split = checkedSplit(split);
    this.charLevel = charLevel;
    this.oovToken = oovToken;
    this.documents = 0;
    this.counts = new Map();
    this.docsOfWord = new Map();
    this.docsOfIndex = new Map();
    this.words = new Map();
    this.wordOfIndex = new Map();
    this.filterSet = new Set(filters);
  }

  /** How many texts and sequences it was fitted on. */
  get documentCount(): number {
    return this.documents;
  }
  /** How often each word occurred, in the order of first appearance. */
  get wordCounts(): ReadonlyMap<string, number> {
    return this.counts;
  }
  /** In how many texts each word occurred. */
  get wordDocs(): ReadonlyMap<string, number> {
    return this.docsOfWord;
  }
  /** In how many texts each id occurred. */
  get indexDocs(): ReadonlyMap<number, number> {
    return this.docsOfIndex;
  }
  /** The id of each word, from 1 on, the most frequent first (ties: the one seen first). */
  get wordIndex(): ReadonlyMap<string, number> {
    return this.words;
  }
  get indexWord(): ReadonlyMap<number, string> {
    return this.wordOfIndex;
  }

  /** Counts the words of the texts and numbers all words seen so far anew. May be called several times. */
  fitOnTexts(texts: Iterable<Text>): void {
    let at = 0;
    for (const text of texts) {
      const tokens = this.tokensOf(text, at++);
      this.documents++;
      for (const word of tokens) this.counts.set(word, (this.counts.get(word) ?? 0) + 1);
      for (const word of new Set(tokens)) this.docsOfWord.set(word, (this.docsOfWord.get(word) ?? 0) + 1);
    }
    const sorted = [...this.counts].sort((a, b) => b[1] - a[1]).map(([word]) => word);
    const vocabulary = this.oovToken === null ? sorted : [this.oovToken, ...sorted];
    this.words = new Map(vocabulary.map((word, i) => [word, i + 1]));
    this.wordOfIndex = new Map([...this.words].map(([word, index]) => [index, word]));
    for (const [word, count] of this.docsOfWord) this.docsOfIndex.set(this.words.get(word) as number, count);
  }

  /** Counts documents for tfidf from sequences of ids alone. */
  fitOnSequences(sequences: readonly ArrayLike<number>[]): void {
    this.documents += sequences.length;
    sequences.forEach((sequence, row) => {
      for (const id of new Set(idsOf(sequence, row))) this.docsOfIndex.set(id, (this.docsOfIndex.get(id) ?? 0) + 1);
    });
  }

  /** One list of ids per text; a text without known words gives an empty list. */
  textsToSequences(texts: Iterable<Text>): number[][] {
    const oov = this.outOfVocabulary();
    const sequences: number[][] = [];
    for (const text of texts) {
      const sequence: number[] = [];
      for (const word of this.tokensOf(text, sequences.length)) {
        const id = this.words.get(word);
        const kept = id === undefined || (this.numWords !== null && id >= this.numWords) ? oov : id;
        if (kept !== undefined) sequence.push(kept);
      }
      sequences.push(sequence);
    }
    return sequences;
  }

  /** Words joined by spaces; unknown and cut ids become the out-of-vocabulary token or are left out. */
  sequencesToTexts(sequences: readonly ArrayLike<number>[]): string[] {
    const oov = this.outOfVocabulary();
    return sequences.map((sequence) => {
      const text: string[] = [];
      for (const id of Array.from(sequence)) {
        const known = this.wordOfIndex.has(id) && !(this.numWords !== null && id >= this.numWords);
        const kept = known ? id : oov;
        if (kept !== undefined) text.push(this.wordOfIndex.get(kept) as string);
      }
      return text.join(' ');
    });
  }

  /** `[texts, numWords]`, a row per text; column 0 is never used. */
  textsToMatrix(texts: Iterable<Text>, mode: MatrixMode = 'binary'): NdArray {
    return this.sequencesToMatrix(this.textsToSequences(texts), mode);
  }

  /** `[sequences, numWords]` (numWords, or the size of the vocabulary and one). Ids beyond it count for the length alone. */
  sequencesToMatrix(sequences: readonly ArrayLike<number>[], mode: MatrixMode = 'binary'): NdArray {
    const where = 'Tokenizer.sequencesToMatrix';
    const columns = this.numWords ?? this.words.size + 1;
    if (columns === 1 && this.numWords === null)
      fail('STATE', where, 'numWords, or a fitted tokenizer', 'neither', 'Call fitOnTexts first.');
    if (!['binary', 'count', 'freq', 'tfidf'].includes(mode))
      fail('ARGUMENT', `${where}.mode`, "'binary', 'count', 'freq' or 'tfidf'", describe(mode));
    if (mode === 'tfidf' && this.documents === 0)
      fail(
        'STATE',
        where,
        'a tokenizer that was fitted on some data',
        'an unfitted one',
        'Call fitOnTexts or fitOnSequences first.',
      );
    const matrix = new Float32Array(sequences.length * columns);
    sequences.forEach((sequence, row) => {
      const ids = idsOf(sequence, row);
      const counts = new Map<number, number>();
      for (const id of ids) if (id < columns) counts.set(id, (counts.get(id) ?? 0) + 1);
      for (const [id, count] of counts) matrix[row * columns + id] = this.weight(mode, id, count, ids.length);
    });
    return NdArray.from(matrix, [sequences.length, columns]);
  }

  private weight(mode: MatrixMode, id: number, count: number, length: number): number {
    if (mode === 'count') return count;
    if (mode === 'freq') return count / length;
    if (mode === 'binary') return 1;
    return (1 + Math.log(count)) * Math.log(1 + this.documents / (1 + (this.docsOfIndex.get(id) ?? 0)));
  }

  private tokensOf(text: Text, position: number): readonly string[] {
    if (Array.isArray(text)) {
      const wrong = text.findIndex((token) => typeof token !== 'string');
      if (wrong >= 0) fail('DATA', `text ${position}, token ${wrong}`, 'a string', describe(text[wrong]));
      return this.lower ? text.map((token: string) => token.toLowerCase()) : (text as string[]);
    }
    if (typeof text !== 'string')
      fail(
        'DATA',
        `text ${position}`,
        'a string or an array of strings',
        describe(text),
        'Leave missing texts out, or give them as "".',
      );
    if (this.charLevel) return Array.from(this.lower ? text.toLowerCase() : text);
    return wordsOf(text, this.filterSet, this.lower, this.split);
  }

  private outOfVocabulary(): number | undefined {
    if (this.oovToken === null) return undefined;
    return (
      this.words.get(this.oovToken) ??
      fail('STATE', 'Tokenizer', 'a fitted tokenizer', 'an empty vocabulary', 'Call fitOnTexts first.')
    );
  }

  /** The object of Keras's `tokenizer_to_json`: `JSON.stringify(tokenizer)` is a file that Keras reads. */
  toJSON(): TokenizerJSON {
    return {
      class_name: 'Tokenizer',
      config: {
        num_words: this.numWords,
        filters: this.filters,
        lower: this.lower,
        split: this.split,
        char_level: this.charLevel,
        oov_token: this.oovToken,
        document_count: this.documents,
        word_counts: formatCounts(this.counts),
        word_docs: formatCounts(this.docsOfWord),
        index_docs: formatCounts(this.docsOfIndex),
        index_word: formatWords(this.wordOfIndex),
        word_index: formatCounts(this.words),
      },
    };
  }

  /** Reads what `toJSON` or Keras's `tokenizer_to_json` wrote, as text or as an object. */
  static fromJSON(json: string | TokenizerJSON): Tokenizer {
    const where = 'Tokenizer.fromJSON';
    let parsed: unknown = json;
    if (typeof json === 'string') {
      try {
        parsed = JSON.parse(json);
      } catch (cause) {
        fail('FORMAT', where, 'JSON', `a text that is not (${(cause as Error).message})`);
      }
    }
    const { class_name: className, config } = (parsed ?? {}) as Partial<TokenizerJSON>;
    if (className !== 'Tokenizer' || typeof config !== 'object' || config === null)
      fail(
        'FORMAT',
        where,
        '{ class_name: "Tokenizer", config }',
        `class_name ${describe(className)}, config ${describe(config)}`,
      );
    const tokenizer = new Tokenizer({
      numWords: config.num_words || null,
      filters: config.filters,
      lower: config.lower,
      split: config.split,
      charLevel: config.char_level,
      oovToken: config.oov_token,
    });
    tokenizer.documents = config.document_count ?? 0;
    const strings = (name: 'word_counts' | 'word_docs' | 'word_index') => parseCounts(config[name], `${where}.${name}`);
    for (const [word, count] of strings('word_counts')) tokenizer.counts.set(word, count);
    for (const [word, count] of strings('word_docs')) tokenizer.docsOfWord.set(word, count);
    for (const [id, count] of parseCounts(config.index_docs, `${where}.index_docs`))
      tokenizer.docsOfIndex.set(Number(id), count);
    tokenizer.words = strings('word_index');
    tokenizer.wordOfIndex = parseWords(config.index_word, `${where}.index_word`);
    return tokenizer;
  }
}

function idsOf(sequence: ArrayLike<number>, row: number): number[] {
  const ids = Array.from(sequence);
  const wrong = ids.findIndex((id) => !(Number.isInteger(id) && id >= 0));
  if (wrong >= 0) fail('DATA', `sequence ${row}, position ${wrong}`, 'an id from 0 on', describe(ids[wrong]));
  return ids;
}
