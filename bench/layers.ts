/**
 * A training step of every layer at three sizes, in turn with PyTorch's in the same run, on one thread: forward, mean squared error of all
 * outputs, backward, Adam, measured through `fit`. In front of layers without weights stands a dense one, here and there. Memory: the plan's
 * figure (state, io and arena of the step) beside the bytes that PyTorch keeps for the way back and for weights, gradients and slots.
 *
 * `npm run bench -- layers` runs all; UNROLLED_BENCH_LAYERS=lstm,gru some, UNROLLED_BENCH_ROUNDS=3 fewer rounds, UNROLLED_BENCH_SIZES=1
 * the small ones alone.
 */
import { input, type Layer, layers, model as makeModel, NdArray, ops, type SymbolicTensor } from 'unrolled';
import { TorchPeer } from './peers/torch.ts';
import { interleave, median, type Row, report } from './report.ts';

interface Size {
  readonly batch: number;
  readonly time: number;
  readonly features: number;
}

const sizes: readonly Size[] = [
  { batch: 32, time: 32, features: 32 },
  { batch: 32, time: 100, features: 128 },
  { batch: 64, time: 100, features: 256 },
];

type Build = (x: SymbolicTensor, size: Size) => SymbolicTensor;

/** Layers with weights of their own. */
const of =
  (make: (features: number) => Layer): Build =>
  (x, { features }) =>
    make(features).apply(x);

/** A dense layer in front. */
const behind =
  (make: (features: number) => Layer): Build =>
  (x, { features }) =>
    make(features).apply(layers.dense({ units: features }).apply(x));

/** Two inputs of the layer: what the dense layer gives, and the same turned around. */
const ofTwo =
  (make: () => Layer): Build =>
  (x, { features }) => {
    const h = layers.dense({ units: features }).apply(x);
    return make().apply([h, ops.reverse(h, 2)]);
  };

/** What attends to itself. */
const toItself =
  (make: (features: number) => Layer, front: boolean): Build =>
  (x, { features }) => {
    const h = front ? layers.dense({ units: features }).apply(x) : x;
    return make(features).apply([h, h]);
  };

const returnSequences = true;
const builds: Readonly<Record<string, Build>> = {
  dense: of((units) => layers.dense({ units })),
  embedding: of((outputDim) => layers.embedding({ inputDim: 10_000, outputDim })),
  simpleRNN: of((units) => layers.simpleRNN({ units, returnSequences })),
  lstm: of((units) => layers.lstm({ units, returnSequences })),
  gru: of((units) => layers.gru({ units, returnSequences })),
  minimalGatedUnit: of((units) => layers.minimalGatedUnit({ units, returnSequences })),
  indRNN: of((units) => layers.indRNN({ units, returnSequences })),
  bidirectional: of((units) => layers.bidirectional({ layer: layers.lstm({ units: units / 2, returnSequences }) })),
  timeDistributed: of((units) => layers.timeDistributed({ layer: layers.dense({ units }) })),
  einsumDense: of((f) => layers.einsumDense({ equation: 'abc,cd->abd', outputShape: [null, f], biasAxes: 'd' })),
  conv1d: of((filters) => layers.conv1d({ filters, kernelSize: 3, padding: 'same' })),
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
  prelu: behind(() => layers.prelu({ sharedAxes: [1] })),
  softmax: behind(() => layers.softmax()),
  dropout: behind(() => layers.dropout({ rate: 0.3 })),
  spatialDropout1d: behind(() => layers.spatialDropout1d({ rate: 0.3 })),
  gaussianNoise: behind(() => layers.gaussianNoise({ stddev: 0.1 })),
  flatten: behind(() => layers.flatten()),
  permute: behind(() => layers.permute({ dims: [2, 1] })),
  cropping1d: behind(() => layers.cropping1d({ cropping: 1 })),
  zeroPadding1d: behind(() => layers.zeroPadding1d({ padding: 1 })),
  upSampling1d: behind(() => layers.upSampling1d({ size: 2 })),
  add: ofTwo(() => layers.add()),
  multiply: ofTwo(() => layers.multiply()),
  concatenate: ofTwo(() => layers.concatenate()),
  dot: toItself(() => layers.dot({ axes: 2 }), true),
  attention: toItself(() => layers.attention(), true),
  additiveAttention: toItself(() => layers.additiveAttention(), true),
  multiHeadAttention: toItself((f) => layers.multiHeadAttention({ numHeads: 4, keyDim: f / 4 }), false),
  groupQueryAttention: toItself(
    (f) => layers.groupQueryAttention({ headDim: f / 4, numQueryHeads: 4, numKeyValueHeads: 2 }),
    false,
  ),
};

/** Additive attention of 100 steps holds a value for every pair of steps and feature. */
const onlyAt: Readonly<Record<string, number>> = { additiveAttention: 1 };

interface Own {
  run(): Promise<number>;
  /** Bytes of state, io and arena of the training step. */
  bytes(): number;
}

function ours(build: Build, name: string, size: Size, steps: number): Own {
  const { batch, time, features } = size;
  const rows = batch * steps;
  const wave = (shape: readonly number[]) => {
    const count = shape.reduce((a, b) => a * b);
    return NdArray.from(
      Float32Array.from({ length: count }, (_, i) => Math.sin(i * 0.7) * 0.5 + 0.5),
      shape,
    );
  };
  const indices = name === 'embedding';
  const x = input(indices ? { shape: [time], dtype: 'int32' } : { shape: [time, features] });
  const y = build(x, size);
  const own = makeModel({ inputs: x, outputs: y });
  own.compile({ optimizer: 'adam', loss: 'mse' });
  const data = indices
    ? NdArray.from(
        Int32Array.from({ length: rows * time }, (_, i) => (i * 7919) % 10_000),
        [rows, time],
      )
    : wave([rows, time, features]);
  const target = wave([rows, ...(y.shape.slice(1) as number[])]);
  return {
    async run() {
      const started = performance.now();
      await own.fit(data, target, { epochs: 1, batchSize: batch, verbose: 0 });
      return (performance.now() - started) / steps;
    },
    bytes() {
      const plan = own.explain().split('== train')[1] ?? '';
      const units: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
      const parts = [/buffers in ([\d.]+) (\w+)/, /state ([\d.]+) (\w+)/, /io ([\d.]+) (\w+) a step/];
      return parts.reduce((total, part) => {
        const found = part.exec(plan);
        return total + (found ? Number(found[1]) * units[found[2]] : 0);
      }, 0);
    },
  };
}

const megabytes = (bytes: number) => bytes / 2 ** 20;

export async function layersBench(): Promise<void> {
  const chosen = process.env.UNROLLED_BENCH_LAYERS?.split(',') ?? Object.keys(builds);
  const rounds = Number(process.env.UNROLLED_BENCH_ROUNDS ?? 7);
  const count = Number(process.env.UNROLLED_BENCH_SIZES ?? sizes.length);
  const torch = await TorchPeer.start('torch_layers.py');
  const rows: Row[] = [];
  const all: Record<string, unknown> = {};
  for (const name of chosen)
    for (const [at, size] of sizes.entries()) {
      if (!builds[name]) throw new Error(`There is no layer ${name}: ${Object.keys(builds).join(', ')}.`);
      if (at >= Math.min(count, onlyAt[name] ?? count)) continue;
      const steps = at === 0 ? 20 : 5;
      const order = { layer: name, ...size, steps };
      const peerBytes = torch ? await torch.run({ ...order, steps: 0 }) : null;
      const own = ours(builds[name], name, size, steps);
      const contestants: Record<string, () => Promise<number>> = { unrolled: own.run };
      if (torch && peerBytes !== null) contestants.PyTorch = () => torch.run(order);
      const times = await interleave(contestants, rounds);
      const milliseconds = median(times.unrolled);
      const label = `${name} ${size.batch} x ${size.time} x ${size.features}`;
      rows.push({
        name: label,
        'ms per step': milliseconds,
        PyTorch: times.PyTorch ? median(times.PyTorch) : '-',
        'PyTorch / unrolled': times.PyTorch ? median(times.PyTorch) / milliseconds : '-',
        MB: megabytes(own.bytes()),
        'PyTorch MB': peerBytes === null ? '-' : megabytes(peerBytes),
      });
      all[label] = times;
    }
  torch?.stop();
  // The worst beside the peer first, those without a peer last.
  const ratio = (row: Row) => Number(row['PyTorch / unrolled']);
  rows.sort((a, b) => (Number.isNaN(ratio(a)) ? 1 : Number.isNaN(ratio(b)) ? -1 : ratio(a) - ratio(b)));
  report('layers', rows, { rounds, times: all });
}
