/**
 * What `bench/layers.ts` trains: every layer, and the options of cells that change what a step computes, each with the shapes of its batches and
 * the loss that it asks for. The peers' layers of the same names stand in `peers/torch_layers.py`.
 */
import { defineCell, type Layer, layers, ops, type SymbolicTensor } from 'unrolled';

/** Shape of a batch, and of what the layer sees of a step: (batch, time, features) where nothing else is said. */
export type Batch = readonly number[];

type Build = (x: SymbolicTensor, features: number) => SymbolicTensor;

export interface Contestant {
  readonly build: Build;
  /** Batches of three sizes, the small one first. Default (B, T, F). */
  readonly shapes?: readonly Batch[];
  /** Inputs are indices below this number; the shape is then without features. */
  readonly indices?: number;
  /** The loss, and how many classes its targets (B, T) have. Default mean squared error of all outputs. */
  readonly loss?: readonly [name: string, classes: number];
}

export const sequences: readonly Batch[] = [
  [32, 32, 32],
  [32, 100, 128],
  [64, 100, 256],
];

/** Layers with weights of their own. */
const of = (make: (features: number) => Layer, more: Omit<Contestant, 'build'> = {}): Contestant => ({
  ...more,
  build: (x, features) => make(features).apply(x),
});

/** A dense layer in front. */
const behind = (make: (features: number) => Layer, more: Omit<Contestant, 'build'> = {}): Contestant => ({
  ...more,
  build: (x, features) => make(features).apply(layers.dense({ units: features }).apply(x)),
});

/** Two inputs of the layer: what the dense layer gives, and the same turned around. */
const ofTwo = (make: () => Layer): Contestant => ({
  build(x, features) {
    const h = layers.dense({ units: features }).apply(x);
    return make().apply([h, ops.reverse(h, 2)]);
  },
});

/** What attends to itself. */
const toItself = (make: (features: number) => Layer, front: boolean, shapes?: readonly Batch[]): Contestant => ({
  shapes,
  build(x, features) {
    const h = front ? layers.dense({ units: features }).apply(x) : x;
    return make(features).apply([h, h]);
  },
});

/** A cell of one's own, of plain operations: x W + h U through a gate that mixes. */
const leakyCell = defineCell({
  name: 'LeakyCell',
  state: ({ units }) => ({ h: [units] }),
  weights: ({ units, features }) => ({
    kernel: [features, 2 * units],
    recurrentKernel: [units, 2 * units],
    bias: [2 * units],
  }),
  step({ x, state: { h }, weights: w }) {
    const product = ops.add(ops.matmul(x, w.kernel), ops.matmul(h, w.recurrentKernel));
    const [gate, value] = ops.split(ops.add(product, w.bias), 2);
    const leak = ops.sigmoid(gate);
    const next = ops.add(ops.mul(leak, h), ops.mul(ops.oneMinus(leak), ops.tanh(value)));
    return { output: next, state: { h: next } };
  },
});

const pictures: readonly Batch[] = [
  [32, 16, 16, 8],
  [32, 32, 32, 16],
  [32, 32, 32, 32],
];
const returnSequences = true;
const lines = { returnSequences, kernelSize: 3, padding: 'same' } as const;

export const contestants: Readonly<Record<string, Contestant>> = {
  dense: of((units) => layers.dense({ units })),
  embedding: of((outputDim) => layers.embedding({ inputDim: 10_000, outputDim }), { indices: 10_000 }),
  simpleRNN: of((units) => layers.simpleRNN({ units, returnSequences })),
  lstm: of((units) => layers.lstm({ units, returnSequences })),
  gru: of((units) => layers.gru({ units, returnSequences })),
  minimalGatedUnit: of((units) => layers.minimalGatedUnit({ units, returnSequences })),
  indRNN: of((units) => layers.indRNN({ units, returnSequences })),
  bidirectional: of((units) => layers.bidirectional({ layer: layers.lstm({ units: units / 2, returnSequences }) })),
  timeDistributed: of((units) => layers.timeDistributed({ layer: layers.dense({ units }) })),
  "rnn of a cell of one's own": of((units) => layers.rnn({ cell: leakyCell({ units }), returnSequences })),
  'rnn of simpleRNNCell': of((units) => layers.rnn({ cell: layers.simpleRNNCell({ units }), returnSequences })),
  'rnn of lstmCell': of((units) => layers.rnn({ cell: layers.lstmCell({ units }), returnSequences })),
  'rnn of gruCell': of((units) => layers.rnn({ cell: layers.gruCell({ units }), returnSequences })),
  'rnn of minimalGatedUnitCell': of((units) =>
    layers.rnn({ cell: layers.minimalGatedUnitCell({ units }), returnSequences }),
  ),
  'rnn of indRNNCell': of((units) => layers.rnn({ cell: layers.indRNNCell({ units }), returnSequences })),
  'rnn of stackedRNNCells': of((units) => {
    const cells = [layers.lstmCell({ units }), layers.lstmCell({ units })];
    return layers.rnn({ cell: layers.stackedRNNCells({ cells }), returnSequences });
  }),
  'gru with resetAfter false': of((units) => layers.gru({ units, returnSequences, resetAfter: false })),
  'lstm with dropout': of((units) => layers.lstm({ units, returnSequences, dropout: 0.2, recurrentDropout: 0.2 })),
  'lstm with layerNormalization': of((units) => layers.lstm({ units, returnSequences, layerNormalization: true })),
  'gru with layerNormalization': of((units) => layers.gru({ units, returnSequences, layerNormalization: true })),
  'lstm with peepholes': of((units) => layers.lstm({ units, returnSequences, peepholes: true })),
  'lstm with projection': of((units) => layers.lstm({ units, returnSequences, projection: units / 2 })),
  'lstm with outputProjection': of((units) => layers.lstm({ units, returnSequences, outputProjection: units / 2 })),
  'lstm with zoneout': of((units) => layers.lstm({ units, returnSequences, zoneout: 0.1, zoneoutMemory: 0.1 })),
  convLstm1d: of((filters) => layers.convLstm1d({ ...lines, filters }), {
    shapes: [
      [8, 8, 32, 8],
      [16, 16, 64, 32],
      [16, 16, 64, 64],
    ],
  }),
  convLstm2d: of((filters) => layers.convLstm2d({ ...lines, filters }), {
    shapes: [
      [4, 8, 16, 16, 8],
      [8, 8, 16, 16, 16],
      [8, 8, 32, 32, 16],
    ],
  }),
  convLstm3d: of((filters) => layers.convLstm3d({ ...lines, filters }), {
    shapes: [
      [2, 4, 8, 8, 8, 4],
      [4, 4, 8, 8, 8, 8],
      [4, 8, 8, 8, 8, 16],
    ],
  }),
  einsumDense: of((f) => layers.einsumDense({ equation: 'abc,cd->abd', outputShape: [null, f], biasAxes: 'd' })),
  conv1d: of((filters) => layers.conv1d({ filters, kernelSize: 3, padding: 'same' })),
  conv2d: of((filters) => layers.conv2d({ filters, kernelSize: 3, padding: 'same' }), { shapes: pictures }),
  depthwiseConv1d: of(() => layers.depthwiseConv1d({ kernelSize: 3, padding: 'same' })),
  separableConv1d: of((filters) => layers.separableConv1d({ filters, kernelSize: 3, padding: 'same' })),
  batchNormalization: behind(() => layers.batchNormalization()),
  layerNormalization: behind(() => layers.layerNormalization()),
  rmsNormalization: behind(() => layers.rmsNormalization()),
  groupNormalization: behind(() => layers.groupNormalization({ groups: 4 })),
  unitNormalization: behind(() => layers.unitNormalization()),
  maxPooling1d: behind(() => layers.maxPooling1d()),
  averagePooling1d: behind(() => layers.averagePooling1d()),
  globalMaxPooling1d: behind(() => layers.globalMaxPooling1d()),
  globalAveragePooling1d: behind(() => layers.globalAveragePooling1d()),
  activation: behind(() => layers.activation({ activation: 'gelu' })),
  relu: behind(() => layers.relu()),
  leakyRelu: behind(() => layers.leakyRelu()),
  elu: behind(() => layers.elu()),
  prelu: behind(() => layers.prelu({ sharedAxes: [1] })),
  softmax: behind(() => layers.softmax()),
  dropout: behind(() => layers.dropout({ rate: 0.3 })),
  spatialDropout1d: behind(() => layers.spatialDropout1d({ rate: 0.3 })),
  alphaDropout: behind(() => layers.alphaDropout({ rate: 0.3 })),
  gaussianDropout: behind(() => layers.gaussianDropout({ rate: 0.3 })),
  gaussianNoise: behind(() => layers.gaussianNoise({ stddev: 0.1 })),
  masking: behind(() => layers.masking()),
  identity: behind(() => layers.identity()),
  activityRegularization: behind(() => layers.activityRegularization({ l1: 0.01, l2: 0.01 })),
  sinePositionEncoding: {
    build(x, features) {
      const h = layers.dense({ units: features }).apply(x);
      return layers.add().apply([h, layers.sinePositionEncoding().apply(h)]);
    },
  },
  positionEmbedding: {
    build(x, features) {
      const h = layers.dense({ units: features }).apply(x);
      return layers.add().apply([h, layers.positionEmbedding({ sequenceLength: 128 }).apply(h)]);
    },
  },
  flatten: behind(() => layers.flatten()),
  reshape: behind((features) => layers.reshape({ targetShape: [-1, features / 2] })),
  permute: behind(() => layers.permute({ dims: [2, 1] })),
  repeatVector: {
    build(x, features) {
      const h = layers.globalAveragePooling1d().apply(layers.dense({ units: features }).apply(x));
      return layers.repeatVector({ n: 32 }).apply(h);
    },
  },
  cropping1d: behind(() => layers.cropping1d({ cropping: 1 })),
  zeroPadding1d: behind(() => layers.zeroPadding1d({ padding: 1 })),
  upSampling1d: behind(() => layers.upSampling1d({ size: 2 })),
  add: ofTwo(() => layers.add()),
  subtract: ofTwo(() => layers.subtract()),
  multiply: ofTwo(() => layers.multiply()),
  average: ofTwo(() => layers.average()),
  maximum: ofTwo(() => layers.maximum()),
  minimum: ofTwo(() => layers.minimum()),
  concatenate: ofTwo(() => layers.concatenate()),
  dot: toItself(() => layers.dot({ axes: 2 }), true),
  attention: toItself(() => layers.attention(), true),
  // 100 steps would hold a value for every pair of steps and feature.
  additiveAttention: toItself(() => layers.additiveAttention(), true, [
    [32, 32, 32],
    [16, 48, 64],
    [16, 64, 128],
  ]),
  multiHeadAttention: toItself((f) => layers.multiHeadAttention({ numHeads: 4, keyDim: f / 4 }), false),
  groupQueryAttention: toItself(
    (f) => layers.groupQueryAttention({ headDim: f / 4, numQueryHeads: 4, numKeyValueHeads: 2 }),
    false,
  ),
  crf: of(() => layers.crf({ units: 16 }), { loss: ['crf', 16] }),
  sampledSoftmax: behind(() => layers.sampledSoftmax({ units: 10_000, numSampled: 200 }), {
    loss: ['sampledSoftmax', 10_000],
  }),
  custom: behind(() => layers.custom(([x]) => ops.mul(x, ops.sigmoid(x)))),
};
