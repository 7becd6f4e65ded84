/**
 * What a recurrent network has to beat: the most frequent class, and a bag of words (softmax regression on which words occur, whatever
 * their order), trained by stochastic gradient descent with Adagrad's step sizes on sparse rows.
 */

import { RandomKey } from '../index.ts';

/** Share of the most frequent class of the training labels among the labels to judge. */
export function majorityAccuracy(trainLabels: readonly number[], labels: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const label of trainLabels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const [majority] = [...counts].reduce((a, b) => (b[1] > a[1] ? b : a));
  return labels.filter((label) => label === majority).length / labels.length;
}

interface BagOfWords {
  predict(sequence: readonly number[]): number;
}

const epochs = 30;
const learningRate = 0.1;
const decay = 1e-3;

/** Fits the bag of words; `sequences` are lists of word numbers below `words`. */
function fitBagOfWords(
  sequences: readonly (readonly number[])[],
  labels: readonly number[],
  words: number,
  classes: number,
): BagOfWords {
  const rows = sequences.map((sequence) => Int32Array.from(new Set([0, ...sequence]))); // word 0 is padding, here the bias
  const weights = new Float64Array(words * classes);
  const squares = new Float64Array(words * classes).fill(1e-8);
  const scores = (row: Int32Array): Float64Array => {
    const sums = new Float64Array(classes);
    for (const word of row) for (let c = 0; c < classes; c++) sums[c] += weights[word * classes + c];
    const top = Math.max(...sums);
    let total = 0;
    for (let c = 0; c < classes; c++) total += sums[c] = Math.exp(sums[c] - top);
    return sums.map((x) => x / total);
  };
  const key = RandomKey.from(0);
  for (let epoch = 0; epoch < epochs; epoch++)
    // files are often sorted by label, which would leave the last class with the last word
    for (const i of key.split(epoch).permutation(rows.length)) {
      const row = rows[i];
      const probabilities = scores(row);
      for (let c = 0; c < classes; c++) {
        const error = probabilities[c] - (labels[i] === c ? 1 : 0);
        for (const word of row) {
          const at = word * classes + c;
          const gradient = error + decay * weights[at];
          squares[at] += gradient * gradient;
          weights[at] -= (learningRate * gradient) / Math.sqrt(squares[at]);
        }
      }
    }
  return {
    predict(sequence) {
      const probabilities = scores(Int32Array.from(new Set([0, ...sequence])));
      return probabilities.indexOf(Math.max(...probabilities));
    },
  };
}

export interface LabelledSequences {
  readonly sequences: readonly (readonly number[])[];
  readonly labels: readonly number[];
}

/** Held-out accuracy of the bag of words. */
export function bagOfWordsAccuracy(
  train: LabelledSequences,
  heldOut: LabelledSequences,
  words: number,
  classes: number,
): number {
  const model = fitBagOfWords(train.sequences, train.labels, words, classes);
  const right = heldOut.sequences.filter((sequence, i) => model.predict(sequence) === heldOut.labels[i]).length;
  return right / heldOut.labels.length;
}
