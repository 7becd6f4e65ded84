/** Parameter counts, shapes, names and the order of weights, as Keras has them. */
import { describe, expect, it } from 'vitest';
import { layers } from '../../src/layers/all.ts';
import { sequential } from '../../src/train/sequential.ts';

describe('parameters and shapes', () => {
  it('SimpleRNN(3) on (2, 10)', () => {
    const model = sequential([layers.input({ shape: [2, 10] }), layers.simpleRNN({ units: 3 })]);
    expect(model.countParams()).toBe(42);
    expect(model.outputShapes).toEqual([[null, 3]]);
  });
  it('a fixed batch', () => {
    const fixed = (returnSequences: boolean) =>
      sequential([layers.input({ batchShape: [8, 2, 10] }), layers.simpleRNN({ units: 3, returnSequences })])
        .outputShapes;
    expect(fixed(false)).toEqual([[8, 3]]);
    expect(fixed(true)).toEqual([[8, 2, 3]]);
    expect(sequential([layers.input({ shape: [2, 10], batchSize: 8 }), layers.gru({ units: 3 })]).outputShapes).toEqual(
      [[8, 3]],
    );
  });
  it('Embedding(10, 5) + SimpleRNN(3)', () => {
    const model = sequential([
      layers.input({ shape: [null] }),
      layers.embedding({ inputDim: 10, outputDim: 5 }),
      layers.simpleRNN({ units: 3 }),
    ]);
    expect(model.weights.map(({ shape }) => shape)).toEqual([[10, 5], [5, 3], [3, 3], [3]]);
    expect(model.countParams()).toBe(50 + 27);
  });
  it('Embedding(256, 100) + SimpleRNN(20) + Dense(10, softmax)', () => {
    const model = sequential([
      layers.input({ shape: [null] }),
      layers.embedding({ inputDim: 256, outputDim: 100 }),
      layers.simpleRNN({ units: 20 }),
      layers.dense({ units: 10, activation: 'softmax' }),
    ]);
    expect(model.countParams()).toBe(28_230);
  });
  it.each([
    ['lstm', {}, 4 * 5 * (7 + 5 + 1)],
    ['gru', {}, 3 * 5 * (7 + 5 + 2)],
    ['gru', { resetAfter: false }, 3 * 5 * (7 + 5 + 1)],
    ['simpleRNN', { useBias: false }, 5 * (7 + 5)],
  ] as const)('%s %o', (name, options, count) => {
    const model = sequential([layers.input({ shape: [null, 7] }), layers[name]({ units: 5, ...options })]);
    expect(model.countParams()).toBe(count);
  });
  it('four bidirectional layers over each other', () => {
    const model = sequential([
      layers.input({ shape: [null] }),
      layers.embedding({ inputDim: 1000, outputDim: 32 }),
      ...[true, true, true, false].map((returnSequences) =>
        layers.bidirectional({ layer: layers.lstm({ units: 16, returnSequences }) }),
      ),
    ]);
    expect(model.countParams()).toBe(1000 * 32 + 4 * (2 * 4 * 16 * (32 + 16 + 1)));
    expect(model.outputShapes).toEqual([[null, 32]]);
  });
  it('states after the output, both directions apart', () => {
    const inner = layers.lstm({ units: 3, returnSequences: true, returnState: true });
    const model = sequential([
      layers.input({ shape: [4, 2] }),
      layers.bidirectional({ layer: inner, mergeMode: null }),
    ]);
    expect(model.outputShapes).toEqual([
      [null, 4, 3],
      [null, 4, 3],
      [null, 3],
      [null, 3],
      [null, 3],
      [null, 3],
    ]);
  });
});

describe('weights', () => {
  it('stand in the order of Keras: kernel, recurrent kernel, bias; forward first', () => {
    const model = sequential([
      layers.input({ shape: [null] }),
      layers.embedding({ inputDim: 9, outputDim: 2 }),
      layers.bidirectional({ layer: layers.gru({ units: 3, returnSequences: true }) }),
      layers.lstm({ units: 2 }),
      layers.dense({ units: 1 }),
      layers.dense({ units: 1, useBias: false }),
    ]);
    expect(model.weights.map(({ path }) => path)).toEqual([
      'embedding/embeddings',
      ...['forward', 'backward'].flatMap((d) =>
        ['kernel', 'recurrentKernel', 'bias'].map((w) => `bidirectional/${d}/${w}`),
      ),
      'lstm/kernel',
      'lstm/recurrentKernel',
      'lstm/bias',
      'dense/kernel',
      'dense/bias',
      'dense_1/kernel',
    ]);
    const bias = model.getWeights()[9];
    expect(bias.toNested()).toEqual([0, 0, 1, 1, 0, 0, 0, 0]); // the forget gate starts at 1
  });
  it('come back as they were set, in float32', () => {
    const model = sequential([layers.input({ shape: [null, 2] }), layers.lstm({ units: 3 })]);
    const weights = model.getWeights().map((w, k) => {
      for (let i = 0; i < w.size; i++) w.data[i] = Math.fround(k + i / 7);
      return w;
    });
    model.setWeights(weights);
    model.getWeights().forEach((w, k) => expect(w.equals(weights[k])).toBe(true));
  });
  it('that do not fit are refused, and nothing changes', () => {
    const model = sequential([layers.input({ shape: [null, 2] }), layers.simpleRNN({ units: 3 })]);
    const before = model.getWeights();
    expect(() => model.setWeights(before.slice(1))).toThrow(/3 arrays \(simple_rnn\/kernel/);
    expect(() => model.setWeights([before[0], before[0], before[2]])).toThrow(
      /setWeights: simple_rnn\/recurrentKernel: expected \(3, 3\), received \(2, 3\)/,
    );
    model.getWeights().forEach((w, k) => expect(w.equals(before[k])).toBe(true));
  });
  it('follow from the seed and the path', () => {
    const make = (seed: number) =>
      sequential([layers.input({ shape: [null, 2] }), layers.gru({ units: 3 })], { seed }).getWeights()[0];
    expect(make(1).equals(make(1))).toBe(true);
    expect(make(1).equals(make(2))).toBe(false);
  });
});

describe('wrong descriptions', () => {
  const rejected: [string, () => unknown, RegExp][] = [
    [
      'an unknown option',
      () => layers.lstm({ units: 3, return_sequences: true } as never),
      /Did you mean `returnSequences: true`/,
    ],
    [
      'no units',
      () => layers.lstm({} as never),
      /layers.LSTM: expected `units`, a positive integer, received no such option/,
    ],
    ['units of zero', () => layers.gru({ units: 0 }), /layers.GRU.units: expected a positive integer, received 0/],
    ['an unknown activation', () => layers.dense({ units: 1, activation: 'sigmiod' }), /Did you mean 'sigmoid'/],
    [
      'an unknown constraint',
      () => layers.lstm({ units: 1, kernelConstraint: 'maxnrm' as never }),
      /kernelConstraint: expected a constraint among maxNorm.*Did you mean 'maxNorm'/,
    ],
    [
      'a regulariser',
      () => layers.dense({ units: 1, kernelRegularizer: 'l3' as never }),
      /a regulariser among l1, l2, l1l2, orthogonal, received 'l3'/,
    ],
    ['a dropout of 1 in a loop', () => layers.lstm({ units: 1, dropout: 1 }), /from 0 to below 1/],
    [
      'two directions alike',
      () => layers.bidirectional({ layer: layers.lstm({ units: 1 }), backwardLayer: layers.lstm({ units: 1 }) }),
      /opposite directions/,
    ],
    [
      'a dense layer inside bidirectional',
      () => layers.bidirectional({ layer: layers.dense({ units: 1 }) }),
      /a recurrent layer.*received Dense/,
    ],
    ['no shape', () => layers.input({}), /either `shape` or `batchShape`/],
    ['no layers', () => sequential([]), /a list of layers/],
    ['a factory in place of a layer', () => sequential([layers.lstm as never]), /Call the factory/],
    [
      'two names alike',
      () => sequential([layers.dense({ units: 1, name: 'a' }), layers.dense({ units: 1, name: 'a' })]),
      /'a' twice/,
    ],
    [
      'two axes for a recurrent layer',
      () => sequential([layers.input({ shape: [5] }), layers.lstm({ units: 1, name: 'top' })]),
      /top: expected an input of three axes, \(batch, time, features\), received \(null, 5\)/,
    ],
    [
      'features unknown',
      () => sequential([layers.input({ shape: [3, null] }), layers.lstm({ units: 1 })]),
      /lstm: expected a known number of features/,
    ],
    [
      'states between layers',
      () =>
        sequential([
          layers.input({ shape: [3, 2] }),
          layers.gru({ units: 1, returnState: true }),
          layers.dense({ units: 1 }),
        ]),
      /only the last layer may return states/,
    ],
    [
      'merged halves of different size',
      () =>
        sequential([
          layers.input({ shape: [3, 2] }),
          layers.bidirectional({
            layer: layers.gru({ units: 2 }),
            backwardLayer: layers.gru({ units: 3, goBackwards: true }),
            mergeMode: 'sum',
          }),
        ]),
      /layers of equal size.*2 and 3/,
    ],
  ];
  it.each(rejected)('%s', (_what, make, message) => expect(make).toThrow(message));
});
