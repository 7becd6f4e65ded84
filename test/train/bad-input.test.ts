/** Bad input: each is refused with its place, what was expected and what to do, and the model is as it was. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers } from '../../src/layers/all.ts';
import { callbacks } from '../../src/train/callbacks/all.ts';
import { sequential } from '../../src/train/sequential.ts';

const ids = [
  [1, 2, 3],
  [4, 5, 6],
];
const words = (units = 4) => {
  const model = sequential([
    layers.input({ shape: [null] }),
    layers.embedding({ inputDim: 10, outputDim: 2, maskZero: true }),
    layers.lstm({ units: 3 }),
    layers.dense({ units, activation: 'softmax' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'sparseCategoricalCrossentropy', metrics: ['accuracy'] });
  return model;
};
const steps = () => {
  const model = sequential([layers.input({ shape: [null, 2] }), layers.gru({ units: 3 }), layers.dense({ units: 1 })]);
  model.compile({ optimizer: 'sgd', loss: 'mse' });
  return model;
};
const good = [
  [
    [1, 2],
    [3, 4],
  ],
];

class Misspelt {
  onEpochEnds() {}
}

const cases: [string, () => Promise<unknown>, string, RegExp][] = [
  [
    'ragged rows',
    () => words().fit([[1, 2, 3], [4]], [0, 1]),
    'DATA',
    /fit: x: .*\[1\]: expected a list of 3.*padSequences/,
  ],
  [
    'texts',
    () => words().fit([['a', 'b']] as never, [0]),
    'DATA',
    /fit: x: .*expected a number, received the text "a"/,
  ],
  [
    'NaN',
    () =>
      steps().fit(
        [
          [
            [1, 2],
            [3, Number.NaN],
          ],
        ],
        [[1]],
      ),
    'DATA',
    /fit: x, sample 0, position \[1, 1\]: expected a finite number, received NaN/,
  ],
  ['infinity in y', () => steps().fit(good, [[Number.POSITIVE_INFINITY]]), 'DATA', /fit: y, sample 0, position \[0\]/],
  [
    'a wrong rank',
    () => words().fit([1, 2, 3], [0, 1, 2]),
    'SHAPE',
    /fit: x: expected 2 axes, \(null, null\), received 1 axes, \(3,\). One sample still needs its axis/,
  ],
  [
    'a wrong number of features',
    () => steps().fit([[[1, 2, 3]]], [[1]]),
    'SHAPE',
    /fit: x: expected \(null, null, 2\), received \(1, 1, 3\)/,
  ],
  [
    'an index beyond the vocabulary',
    () =>
      words().fit(
        [
          [1, 2, 3],
          [4, 10, 6],
        ],
        [0, 1],
      ),
    'DATA',
    /fit: x, sample 1, position \[1\]: expected an index from 0 to 9, received 10. Layer 'embedding' has inputDim 10/,
  ],
  ['a negative index', () => words().predict([[1, -1]]), 'DATA', /predict: x, sample 0, position \[1\].*received -1/],
  ['a fraction as index', () => words().predict([[1, 1.5]]), 'DATA', /an index from 0 to 9, received 1.5/],
  ['no samples', () => words().fit([], []), 'DATA', /fit: x: expected at least one sample, received an empty data set/],
  ['nothing', () => words().fit(undefined as never, [1]), 'DATA', /fit: x: expected an array, received nothing/],
  [
    'a label out of range',
    () => words().fit(ids, [0, 4]),
    'DATA',
    /fit: y, sample 1: expected a label from 0 to 3, received 4. The last layer has 4 classes/,
  ],
  ['y of another size', () => words().fit(ids, [0, 1, 2]), 'SHAPE', /fit: y: expected 2 samples, as in x, received 3/],
  [
    'one-hot labels for the sparse loss',
    () =>
      words().fit(ids, [
        [1, 0, 0, 0],
        [0, 1, 0, 0],
      ]),
    'SHAPE',
    /use loss: 'categoricalCrossentropy'/,
  ],
  [
    'sample weights of another shape',
    () => words().fit(ids, [0, 1], { sampleWeight: [1, 2, 3] }),
    'SHAPE',
    /sampleWeight: expected \(2,\), received \(3,\)/,
  ],
  [
    'a mask of another length',
    () => steps().fit(good, [[1]], { mask: [[1]] }),
    'SHAPE',
    /fit: mask: expected \(1, 2\).*received \(1, 1\)/,
  ],
  [
    'a mask of other numbers',
    () => steps().predict(good, { mask: [[0.5, 1]] }),
    'DATA',
    /mask, sample 0, position \[0\]: expected 0 or 1/,
  ],
  [
    'a batch of zero',
    () => words().fit(ids, [0, 1], { batchSize: 0 }),
    'ARGUMENT',
    /batchSize: expected a positive integer/,
  ],
  [
    'an unknown option',
    () => words().fit(ids, [0, 1], { batch_size: 3 } as never),
    'ARGUMENT',
    /fit: expected options among epochs.*Did you mean 'batchSize'/,
  ],
  [
    'a shuffle of another kind',
    () => words().fit(ids, [0, 1], { shuffle: 'batch' } as never),
    'ARGUMENT',
    /fit: shuffle: expected true or false, received 'batch'/,
  ],
  [
    'a signal that is none',
    () => words().fit(ids, [0, 1], { signal: new AbortController() } as never),
    'ARGUMENT',
    /fit: signal: expected an AbortSignal.*Give the `signal`/,
  ],
  [
    'a callback that was not made',
    () => words().fit(ids, [0, 1], { callbacks: [callbacks.earlyStopping] } as never),
    'ARGUMENT',
    /fit: callbacks\[0\]: expected an object with hooks, received the function earlyStopping. Call it/,
  ],
  [
    'a callback that is not there',
    () => words().fit(ids, [0, 1], { callbacks: [{}, null] } as never),
    'ARGUMENT',
    /fit: callbacks\[1\]: expected an object with hooks, received null/,
  ],
  [
    'a hook by its name in Keras',
    () => words().fit(ids, [0, 1], { callbacks: [{ on_train_batch_end: () => undefined }] } as never),
    'ARGUMENT',
    /callbacks\[0\]: expected hooks among onTrainBegin.*Did you mean `onBatchEnd`/,
  ],
  [
    'a misspelt hook of a class',
    () => words().fit(ids, [0, 1], { callbacks: [new Misspelt()] } as never),
    'ARGUMENT',
    /received 'onEpochEnds'. Did you mean `onEpochEnd`/,
  ],
  [
    'a loss that returns no tensor',
    () => {
      const model = steps();
      model.compile({ optimizer: 'sgd', loss: (() => 3) as never });
      return model.fit(good, [[1]], { verbose: 0 });
    },
    'ARGUMENT',
    /compile: loss: expected a function that returns a tensor, received 3/,
  ],
  [
    'a metric that returns no tensor',
    () => {
      const model = steps();
      model.compile({ optimizer: 'sgd', loss: 'mse', metrics: [(async () => 3) as never] });
      return model.fit(good, [[1]], { verbose: 0 });
    },
    'ARGUMENT',
    /compile: metrics: expected a function that returns a tensor/,
  ],
  [
    'labels of CTC that do not fit into the steps',
    () => {
      const model = sequential([layers.input({ shape: [2, 2] }), layers.dense({ units: 3 })]);
      model.compile({ optimizer: 'sgd', loss: 'ctc' });
      return model.fit(good, [[1, 1]], { verbose: 0 });
    },
    'NUMERIC',
    /zeroInfinity: true/,
  ],
  [
    'a hook that cannot be called, before anything is trained',
    () => words().fit(ids, [0, 1], { callbacks: [{ onTrainEnd: 'log' }] } as never),
    'ARGUMENT',
    /callbacks\[0\].onTrainEnd: expected a function, received 'log'/,
  ],
  [
    'a split that leaves nothing',
    () => words().fit([[1, 2, 3]], [0], { validationSplit: 0.5 }),
    'DATA',
    /validationSplit: expected at least one sample on both sides/,
  ],
  [
    'bad validation data',
    () => words().fit(ids, [0, 1], { validationData: [[[11]], [0]] }),
    'DATA',
    /fit: validationData: x, sample 0/,
  ],
  [
    'a gradient of the wrong shape',
    () => steps().vjp(good, [[1, 2]]),
    'SHAPE',
    /vjp: outputGradients: expected \(1, 1\), received \(1, 2\)/,
  ],
  [
    'samples that do not fill a fixed batch',
    () => sequential([layers.input({ batchShape: [4, 2, 2] }), layers.gru({ units: 1 })]).predict(good),
    'SHAPE',
    /a multiple of 4 samples/,
  ],
];

describe('bad input', () => {
  it.each(cases)('%s', async (_what, run, code, message) => {
    await expect(run()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('leaves weights and optimizer as they were, and the model usable', async () => {
    const model = words();
    await model.fit(ids, [0, 1], { verbose: 0 });
    const before = model.getWeights();
    await expect(model.fit([[1, 99, 3]], [0], { verbose: 0 })).rejects.toMatchObject({ code: 'DATA' });
    model.getWeights().forEach((w, i) => expect(w.equals(before[i])).toBe(true));
    expect(model.iterations).toBe(1);
    await model.fit(ids, [0, 1], { verbose: 0 });
    expect(model.iterations).toBe(2);
  });

  // The oracle has no plan.
  it.skipIf(process.env.UNROLLED_HOST === 'oracle')('a plan that does not fit is refused with its figure', async () => {
    const model = sequential([layers.input({ shape: [50, 8] }), layers.lstm({ units: 32 })], { memoryLimit: 100_000 });
    await expect(model.predict(NdArray.zeros([32, 50, 8]))).rejects.toMatchObject({
      code: 'MEMORY',
      message: expect.stringMatching(/\d+(\.\d+)? ?[kM]?i?B|bytes/i),
    });
  });

  it('names in compile that do not exist are listed', () => {
    const model = words();
    expect(() => model.compile({ loss: 'crossentrpy' })).toThrow(/compile: loss: expected a loss among/);
    expect(() => model.compile({ loss: 'mse', optimizer: 'adamix' })).toThrow(
      /compile: optimizer: expected an optimizer among sgd, rmsprop, adam/,
    );
    expect(() => model.compile({ loss: 'mse', metrics: ['acuracy'] })).toThrow(/compile: metrics: expected a metric/);
    expect(() => model.compile({ loss: 'mse', metrics: ['mae', 'mae'] })).toThrow(/'mae' twice/);
    expect(() => model.compile({ optimizer: 'sgd' } as never)).toThrow(/a loss, received none/);
  });
});
