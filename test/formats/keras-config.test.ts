/** Configurations of Keras: what goes out comes back, every generation is read, and what is not there is named. */
import { describe, expect, it } from 'vitest';
import { layers } from '../../src/layers/all.ts';
import { defineCell } from '../../src/layers/cell.ts';
import { losses } from '../../src/layers/losses/all.ts';
import { modelFromKerasConfig } from '../../src/train/from-keras.ts';
import { optimizers } from '../../src/train/optimizers/all.ts';
import { sequential } from '../../src/train/sequential.ts';

describe('toKerasConfig', () => {
  it('comes back as the same configuration, compile settings included', () => {
    const model = sequential(
      [
        layers.input({ shape: [null] }),
        layers.embedding({ inputDim: 30, outputDim: 4, maskZero: true, embeddingsInitializer: 'heNormal' }),
        layers.bidirectional({
          layer: layers.gru({ units: 3, returnSequences: true, recurrentDropout: 0.1 }),
          mergeMode: 'ave',
        }),
        layers.dropout({ rate: 0.3, seed: 5 }),
        layers.rnn({
          cell: layers.lstmCell({ units: 2, recurrentActivation: 'hardSigmoid' }),
          zeroOutputForMask: true,
        }),
        layers.dense({ units: 4, activation: 'softmax', name: 'head', trainable: false }),
      ],
      { name: 'tagger' },
    );
    model.compile({
      optimizer: optimizers.adam({ learningRate: 0.02, clipnorm: 1 }),
      loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
      metrics: ['accuracy'],
    });
    const config = JSON.parse(JSON.stringify(model.toKerasConfig()));
    const again = modelFromKerasConfig(config);
    expect(again.name).toBe('tagger');
    expect(again.learningRate).toBe(0.02);
    expect(again.weights).toEqual(model.weights);
    expect(JSON.parse(JSON.stringify(again.toKerasConfig()))).toEqual(config);
    expect(
      config.config.layers.map((l: { class_name: string; config: { name: string } }) => [l.class_name, l.config.name]),
    ).toEqual([
      ['InputLayer', 'input_layer'],
      ['Embedding', 'embedding'],
      ['Bidirectional', 'bidirectional'],
      ['Dropout', 'dropout'],
      ['RNN', 'rnn'],
      ['Dense', 'head'],
    ]);
    expect(config.compile_config.optimizer.config).toMatchObject({ learning_rate: 0.02, clipnorm: 1, beta_1: 0.9 });
  });
});

describe('older generations', () => {
  const lstm = {
    class_name: 'LSTM',
    config: {
      name: 'lstm_1',
      trainable: true,
      batch_input_shape: [null, 7, 3],
      dtype: 'float32',
      return_sequences: false,
      units: 4,
      recurrent_activation: 'hard_sigmoid',
      kernel_initializer: {
        class_name: 'VarianceScaling',
        config: { scale: 1, mode: 'fan_avg', distribution: 'uniform', seed: null },
      },
      implementation: 1,
      unroll: false,
      time_major: false,
    },
  };
  it('Keras 2: the shape on the first layer, no modules', () => {
    const model = modelFromKerasConfig({ class_name: 'Sequential', config: { name: 'old', layers: [lstm] } });
    expect(model.outputShapes).toEqual([[null, 4]]);
    expect(model.countParams()).toBe(4 * 4 * (3 + 4 + 1));
  });
  it('the oldest: a bare list, a GRU without reset_after, JSON text', () => {
    const gru = { class_name: 'GRU', config: { units: 4, batch_input_shape: [null, 7, 3], implementation: 1 } };
    const model = modelFromKerasConfig(JSON.stringify({ class_name: 'Sequential', config: [gru] }));
    expect(model.weights[2].shape).toEqual([12]);
  });
  it('settings with lr, nested metrics and zeros', () => {
    const model = modelFromKerasConfig({
      class_name: 'Sequential',
      config: { layers: [lstm] },
      compile_config: {
        optimizer: { class_name: 'SGD', config: { lr: 0.5, decay: 0, momentum: 0 } },
        loss: 'mse',
        metrics: [['mae']],
      },
    });
    expect(model.learningRate).toBe(0.5);
  });
});

describe('what is not there', () => {
  const wrap = (class_name: string, config: object = {}) => ({
    class_name: 'Sequential',
    config: { layers: [{ class_name, config }] },
  });
  it.each([
    [
      'a functional model without layers',
      { class_name: 'Functional', config: { layers: [] } },
      /layers: expected a list of layers/,
    ],
    [
      'an unknown layer',
      wrap('Conv9D'),
      /layers\[0\]: expected a layer among InputLayer, Embedding, SimpleRNN.*received 'Conv9D'.*registerLayer/,
    ],
    ['a lambda', wrap('Lambda'), /never runs from a file/],
    [
      'a regulariser',
      wrap('Dense', { units: 1, kernel_regularizer: { class_name: 'L3', config: { l3: 0.1 } } }),
      /kernelRegularizer: expected a regulariser among l1, l2, l1l2, orthogonal, received 'L3'/,
    ],
    ['a foreign option', wrap('Dense', { units: 1, magic: 3 }), /'magic': 3/],
    [
      'another type',
      wrap('Dense', { units: 1, dtype: { class_name: 'DTypePolicy', config: { name: 'mixed_float16' } } }),
      /expected 'float32', received 'mixed_float16'/,
    ],
    ['time_major', wrap('LSTM', { units: 1, time_major: true }), /Transpose the data/],
    ['no layers', { class_name: 'Sequential', config: {} }, /a list of layers/],
    ['no object', 5, /a configuration object/],
    ['text that is no JSON', '{', /expected JSON/],
    ['an unknown cell', wrap('RNN', { cell: { class_name: 'Mine', config: { units: 2 } } }), /Give cells of your own/],
  ])('%s', (_what, json, message) => {
    expect(() => modelFromKerasConfig(json)).toThrow(message as RegExp);
  });
  it("a cell of one's own is found when it is given", () => {
    const mine = defineCell({
      name: 'Mine',
      state: ({ units }) => ({ h: [units] }),
      weights: ({ units, features }) => ({ kernel: [features, units] }),
      step: ({ state: { h } }) => ({ output: h, state: { h } }),
    });
    const model = sequential([layers.input({ shape: [2, 3] }), layers.rnn({ cell: mine({ units: 2 }) })]);
    expect(modelFromKerasConfig(model.toKerasConfig(), { cells: [mine] }).countParams()).toBe(6);
  });
});

describe('classes that are not there', () => {
  const layer = (class_name: string, config: object = {}, registered_name: string | null = null) => ({
    module: registered_name ? 'mine' : 'keras.layers',
    class_name,
    config: { name: class_name.toLowerCase(), ...config },
    registered_name,
  });
  const sequentialOf = (...layers: object[]) => ({ class_name: 'Sequential', config: { name: 's', layers } });
  const first = layer('InputLayer', { batch_shape: [null, 4, 3], dtype: 'float32' });

  it('are listed in one message, also those of models and wrappers within', () => {
    const inner = { ...sequentialOf(layer('Conv3D'), layer('Flatten')), registered_name: null };
    const wrapped = layer('TimeDistributed', { layer: layer('Discretization') });
    const json = sequentialOf(first, layer('Scale', { by: 3 }, 'my>Scale'), inner, wrapped, layer('Conv3D'));
    expect(() => modelFromKerasConfig(json)).toThrow(
      /^modelFromKerasConfig: expected layers and operations that are there, received my>Scale, Conv3D, Discretization\. Define them with `defineLayer`, and give them by `registerLayer/,
    );
  });

  it('one alone is answered with its place', () => {
    expect(() => modelFromKerasConfig(sequentialOf(first, layer('Scale', { by: 3 }, 'my>Scale')))).toThrow(
      /layers\[1\]: expected a class of Keras, received 'my>Scale'/,
    );
  });
});
