/** A classifier of texts: the model with its tokenizer, the length of a row and the names of the classes. All of it is in the bundle. */
import { layers, loadModel, type Model, type NdArray, sequential, text, UnrolledError } from '../index.ts';
import type { RecurrentLayerName } from './options.ts';

export interface ClassifierShape {
  layer: RecurrentLayerName;
  words: number;
  embedding: number;
  units: number;
  dropout: number;
  seed: number;
}

export interface Answer {
  /** The class as it was spelled in the data. */
  label: string;
  probability: number;
  knownWords: number;
}

const unknownWord = '[UNK]';
/** What the bundle holds beside model and tokenizer. */
interface Preparation {
  kind: 'text classifier';
  length: number;
  classes: string[];
}

function recurrent({ layer, units, dropout }: ClassifierShape) {
  if (layer === 'gru') return layers.gru({ units, dropout });
  if (layer === 'simple-rnn') return layers.simpleRNN({ units, dropout });
  return layers.lstm({ units, dropout });
}

/** Two classes have one sigmoid output, more have a softmax. */
function buildModel(shape: ClassifierShape, classes: number): Model {
  const head =
    classes === 2
      ? layers.dense({ units: 1, activation: 'sigmoid' })
      : layers.dense({ units: classes, activation: 'softmax' });
  return sequential(
    [
      layers.embedding({ inputDim: shape.words, outputDim: shape.embedding, maskZero: true }),
      recurrent(shape),
      ...(shape.dropout > 0 ? [layers.dropout({ rate: shape.dropout })] : []),
      head,
    ],
    { seed: shape.seed },
  );
}

export class Classifier {
  readonly model: Model;
  readonly tokenizer: text.Tokenizer;
  readonly length: number;
  readonly classes: readonly string[];

  constructor(model: Model, tokenizer: text.Tokenizer, length: number, classes: readonly string[]) {
    this.model = model;
    this.tokenizer = tokenizer;
    this.length = length;
    this.classes = classes;
  }

  /** A new one, with the vocabulary of the texts. The length is cut to the longest text. */
  static create(
    texts: readonly string[],
    classes: readonly string[],
    length: number,
    shape: ClassifierShape,
  ): Classifier {
    const tokenizer = new text.Tokenizer({ numWords: shape.words, oovToken: unknownWord });
    tokenizer.fitOnTexts(texts);
    const words = Math.min(shape.words, tokenizer.wordIndex.size + 1);
    const longest = tokenizer.textsToSequences(texts).reduce((most, sequence) => Math.max(most, sequence.length), 1);
    return new Classifier(
      buildModel({ ...shape, words }, classes.length),
      tokenizer,
      Math.min(length, longest),
      classes,
    );
  }

  get loss(): string {
    return this.classes.length === 2 ? 'binaryCrossentropy' : 'sparseCategoricalCrossentropy';
  }

  /** `[texts, length]`, padded in front. */
  encode(texts: readonly string[]): NdArray {
    return text.padSequences(this.tokenizer.textsToSequences(texts), { maxlen: this.length });
  }

  async answer(texts: readonly string[]): Promise<Answer[]> {
    const probabilities = (await this.model.predict(this.encode(texts))) as NdArray;
    const columns = probabilities.shape[1];
    const unknown = this.tokenizer.wordIndex.get(unknownWord);
    return this.tokenizer.textsToSequences(texts).map((sequence, row) => {
      const one = Array.from(probabilities.data.slice(row * columns, (row + 1) * columns));
      const all = columns === 1 ? [1 - one[0], one[0]] : one;
      const best = all.indexOf(Math.max(...all));
      return {
        label: this.classes[best],
        probability: all[best],
        knownWords: sequence.filter((id) => id !== unknown).length,
      };
    });
  }

  async save(path: string): Promise<void> {
    const preparation: Preparation = { kind: 'text classifier', length: this.length, classes: [...this.classes] };
    await this.model.save(path, { tokenizer: this.tokenizer, notes: preparation });
  }

  static async load(path: string): Promise<Classifier> {
    const { model, tokenizer, notes } = await loadModel(path);
    const { kind, length, classes } = (notes ?? {}) as Partial<Preparation>;
    if (!tokenizer || kind !== 'text classifier' || !length || !classes)
      throw new UnrolledError(
        'FORMAT',
        `${path}: expected a text classifier, received a model without tokenizer and classes. Train one with npm start -- --out ${path}.`,
      );
    return new Classifier(model, tokenizer, length, classes);
  }
}
