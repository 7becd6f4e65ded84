/** Wrong use is answered with the layer's path, both shapes and a way out. */
import { describe, expect, it } from 'vitest';
import { defineCell, input, layers, model, NdArray, ops, type SymbolicTensor, sequential } from '../../src/index.ts';

const steps = (rows: number, length: number, features: number) =>
  Array.from({ length: rows }, () => Array.from({ length }, () => new Array<number>(features).fill(0.5)));
const reader = () => sequential([layers.input({ shape: [5, 3] }), layers.lstm({ units: 2, name: 'reader' })]);
const x = input({ shape: [5, 3] });

const cases: [string, () => unknown, RegExp][] = [
  [
    'features of another number',
    () => reader().predict(steps(2, 5, 4)),
    /predict: x: expected \(null, 5, 3\), received \(2, 5, 4\)\. On axis 2, 'reader' was made for 3: give that many numbers/,
  ],
  [
    'steps of another number',
    () => reader().predict(steps(2, 4, 3)),
    /received \(2, 4, 3\)\. On axis 1, 'reader' was made for 5: pad or cut to that, or leave the axis open with null/,
  ],
  [
    'a mask of the wrong length',
    () =>
      reader().predict(steps(2, 5, 3), {
        mask: [
          [1, 1, 1],
          [1, 1, 0],
        ],
      }),
    /mask: expected \(2, 5\), one value per sample and step, received \(2, 3\)\. Give 1 for each step that counts/,
  ],
  [
    'a symbolic mask of the wrong length',
    () => layers.gru({ units: 1 }).apply(x, { mask: input({ shape: [4] }) }),
    /gru: mask: .*\(null, 5\), received \(null, 4\)\. Make the mask of the sequence that this layer reads/,
  ],
  [
    'one state for a layer of two',
    () => layers.lstm({ units: 2 }).apply(x, { initialState: [input({ shape: [2] })] }),
    /lstm: expected the sequence alone, or with 2 initial states, h \(null, 2\) and c \(null, 2\), received 2 inputs, \(null, 5, 3\) and \(null, 2\)\. .*\[h, c\]/,
  ],
  [
    'a state of another size',
    () => layers.gru({ units: 2 }).apply(x, { initialState: input({ shape: [3] }) }),
    /gru: initial state h: expected \(null, 2\), received \(null, 3\)\. Hand over states of a layer of the same size/,
  ],
  [
    'one state for two directions',
    () => layers.bidirectional({ layer: layers.gru({ units: 2 }) }).apply(x, { initialState: [input({ shape: [2] })] }),
    /bidirectional: expected 2 initial states, the forward ones first, received 1 of \(null, 2\)\. Give each direction/,
  ],
  [
    'four axes for a layer of three',
    () => layers.gru({ units: 2 }).apply(input({ shape: [5, 4, 3] })),
    /gru: expected an input of three axes, \(batch, time, features\), received \(null, 5, 4, 3\)\. Put it into `layers\.timeDistributed`/,
  ],
  [
    'four axes for cells over each other, in two directions',
    () =>
      layers
        .bidirectional({
          layer: layers.rnn({ cell: layers.stackedRNNCells({ cells: [layers.lstmCell({ units: 2 })] }) }),
        })
        .apply(input({ shape: [5, 4, 3] })),
    /bidirectional\/forward: expected an input of three axes.*received \(null, 5, 4, 3\)/,
  ],
  [
    'a mask of other keys',
    () =>
      layers
        .multiHeadAttention({ numHeads: 1, keyDim: 2 })
        .apply([x, input({ shape: [7, 3] })], { attentionMask: input({ shape: [5, 3] }) }),
    /multi_head_attention: attentionMask: expected \(null, 5, 7\), received \(null, 5, 3\)\. Give 1 for each pair/,
  ],
  [
    'an array in place of a symbolic tensor',
    () => layers.gru({ units: 2 }).apply(NdArray.from(steps(1, 5, 3)) as never),
    /gru: expected a symbolic tensor, received an array \(1, 5, 3\)\. Start with/,
  ],
  [
    'a stateful layer for every step',
    () =>
      layers.timeDistributed({ layer: layers.gru({ units: 2, stateful: true }) }).apply(input({ shape: [2, 5, 3] })),
    /time_distributed: expected a layer without state between batches, received a stateful GRU\. Leave `stateful` out/,
  ],
  [
    'a layer in place of a cell',
    () => layers.rnn({ cell: layers.lstm({ units: 2 }) as never }),
    /layers\.RNN\.cell: expected a cell, such as `layers\.lstmCell\(\{ units: 8 \}\)`.*received a layer, LSTM/,
  ],
  [
    'layers in place of cells',
    () => layers.stackedRNNCells({ cells: [layers.lstm({ units: 2 })] as never }),
    /expected a list of cells.*received \[a layer, LSTM\]/,
  ],
  [
    'joined inputs of different lengths',
    () => layers.concatenate({ name: 'joined' }).apply([x, input({ shape: [4, 3] })]),
    /joined: expected inputs of equal shapes but for axis 2, received \(null, 5, 3\) and \(null, 4, 3\)\. Join them along another/,
  ],
  [
    'added inputs of different sizes',
    () => layers.add({ name: 'sum' }).apply([x, input({ shape: [5, 2] })]),
    /sum: .*received \(null, 5, 3\) and \(null, 5, 2\)\. Bring them to one shape/,
  ],
  [
    'attention of one input',
    () => layers.multiHeadAttention({ numHeads: 2, keyDim: 2 }).apply(x),
    /multi_head_attention: expected query, value .*received \(null, 5, 3\)\. .*apply\(\[x, x\]\)/,
  ],
  [
    'attention between different features',
    () => layers.attention().apply([x, input({ shape: [5, 2] })]),
    /attention: expected query \(B, T, F\).*received \(null, 5, 3\), \(null, 5, 2\)\. .*a dense layer/,
  ],
];

describe('wrong use', () => {
  it.each(cases)('%s', async (_what, run, message) => {
    await expect(async () => run()).rejects.toThrow(message);
  });

  it('a cell whose step returns nothing', () => {
    const cell = defineCell({
      name: 'Silent',
      state: ({ units }) => ({ h: [units] }),
      weights: ({ units, features }) => ({ kernel: [features, units] }),
      step: (() => undefined) as never,
    });
    const own = sequential([layers.input({ shape: [5, 3] }), layers.rnn({ cell: cell({ units: 2 }), name: 'mine' })]);
    return expect(own.predict(steps(1, 5, 3))).rejects.toThrow(
      /mine: step of Silent: expected \{ output, state: \{ h \} \}, received .*\. Return a tensor for the output, and one for each state/,
    );
  });

  it('a shared layer between inputs of different features, in a model of two outputs', () => {
    const shared = layers.gru({ units: 2, name: 'shared' });
    const z = input({ shape: [5, 4] });
    expect(() =>
      model({ inputs: [x, z], outputs: [shared.apply(x), ops.tanh(shared.apply<SymbolicTensor>(z))] }),
    ).toThrow(
      /shared\/kernel: .*\(null, 5, 3\), for weights \(3, 6\), received \(null, 5, 4\), which needs \(4, 6\)\. /,
    );
  });
});
