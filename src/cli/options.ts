/** The options of the command line, each declared once with its default and check. */
import { Command, InvalidArgumentError, Option } from 'commander';

export const recurrentLayers = ['lstm', 'gru', 'simple-rnn'] as const;
export type RecurrentLayerName = (typeof recurrentLayers)[number];
export const layerTitles: Readonly<Record<RecurrentLayerName, string>> = {
  lstm: 'LSTM',
  gru: 'GRU',
  'simple-rnn': 'SimpleRNN',
};

export interface TrainOptions {
  data?: string;
  testData?: string;
  labelColumn?: string | number;
  textColumn?: string | number;
  layer: RecurrentLayerName;
  words: number;
  length: number;
  embedding: number;
  units: number;
  dropout: number;
  epochs: number;
  batch: number;
  optimizer: string;
  learningRate?: number;
  heldOut: number;
  seed: number;
  out: string;
  model?: string;
  ask: boolean;
}

function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`expected a whole number from ${least} on.`);
    return value;
  };
}

function between(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= low && value < high))
      throw new InvalidArgumentError(`expected a number from ${low} to ${high}.`);
    return value;
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError('expected a positive number.');
  return value;
}

/** A column by position if it is a number, else by name. */
function column(text: string): string | number {
  return /^\d+$/.test(text) ? Number(text) : text;
}

export function commandLine(version: string): Command {
  return new Command('unrolled')
    .description('Trains a classifier of reviews (embedding, recurrent layer, dense), or answers from a saved one.')
    .version(version)
    .argument('[sentences...]', 'sentences to judge once the model is ready')
    .option('--data <file>', 'label and text per line, separated by a tab, also .gz (default: 1,000 reviews of phones)')
    .option('--test-data <file>', 'rows to judge the model by (default: a share of --data is held out)')
    .option('--label-column <name>', 'header name or position (from 0) of the label', column)
    .option('--text-column <name>', 'header name or position (from 0) of the text', column)
    .addOption(new Option('--layer <name>', 'the recurrent layer').choices(recurrentLayers).default('gru'))
    .option('--words <n>', 'size of the vocabulary, the most frequent words', wholeNumber(3), 10_000)
    .option('--length <n>', 'words of a review that are read, the last ones', wholeNumber(1), 100)
    .option('--embedding <n>', 'size of a word vector', wholeNumber(1), 64)
    .option('--units <n>', 'size of the recurrent state', wholeNumber(1), 64)
    .option(
      '--dropout <share>',
      'share of the inputs of the recurrent and the dense layer that is dropped in training',
      between(0, 1),
      0.5,
    )
    .option('--epochs <n>', 'passes over the data', wholeNumber(1), 10)
    .option('--batch <n>', 'reviews per training step', wholeNumber(1), 16)
    .option('--optimizer <name>', 'adam, rmsprop or sgd', 'rmsprop')
    .option('--learning-rate <rate>', "step size (default: the optimizer's own)", positive)
    .option('--held-out <share>', 'share of --data that is held out to judge by', between(0.01, 0.9), 0.2)
    .option('--seed <n>', 'the same seed gives the same run', wholeNumber(0), 42)
    .option(
      '--out <file>',
      'where the model goes; the learning curves stand beside it as .svg',
      'runs/reviews.unrolled',
    )
    .option('--model <file>', 'answer from a saved model instead of training one')
    .option('--no-ask', 'do not read sentences from the standard input')
    .showHelpAfterError('(--help lists all options)');
}
