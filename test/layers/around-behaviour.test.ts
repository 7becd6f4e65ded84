/** What the layers around do beyond Keras's recorded numbers: noise, empty rows, training in a model, wrong shapes. */
import { describe, expect, it, test } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers } from '../../src/layers/all.ts';
import type { Layer, OpenShape } from '../../src/layers/layer.ts';
import { sequential } from '../../src/train/sequential.ts';
import { openMachine } from '../../src/vm/open.ts';
import { runLayer } from './around.ts';

const machine = await openMachine();
const filled = (shape: number[], value: (i: number) => number) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return NdArray.from(
    Float32Array.from({ length: size }, (_, i) => value(i)),
    shape,
  );
};
const run = async (layer: Layer, x: NdArray, training = true) => {
  const { outputs } = await runLayer(machine, layer, { inputs: [x], training });
  return Array.from(outputs[0] as ArrayLike<number>);
};
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const deviation = (values: readonly number[]) => Math.sqrt(mean(values.map((v) => (v - mean(values)) ** 2)));

describe('noise in training', () => {
  const ones = filled([40, 50, 10], () => 1);
  it('gaussianNoise has its mean, deviation and shape of a normal draw', async () => {
    const y = await run(layers.gaussianNoise({ stddev: 0.5 }), ones);
    expect(mean(y)).toBeCloseTo(1, 1);
    expect(deviation(y)).toBeCloseTo(0.5, 1);
    expect(y.filter((v) => Math.abs(v - 1) < 0.5).length / y.length).toBeCloseTo(0.683, 1);
    expect(new Set(y).size).toBeGreaterThan(y.length * 0.9);
  });
  it('gaussianDropout has the deviation sqrt(rate / (1 - rate))', async () => {
    const y = await run(layers.gaussianDropout({ rate: 0.2 }), ones);
    expect(mean(y)).toBeCloseTo(1, 1);
    expect(deviation(y)).toBeCloseTo(0.5, 1);
  });
  it('spatialDropout1d drops whole features', async () => {
    const y = await run(layers.spatialDropout1d({ rate: 0.25 }), ones);
    let dropped = 0;
    for (let b = 0; b < 40; b++)
      for (let k = 0; k < 10; k++) {
        const steps = Array.from({ length: 50 }, (_, t) => y[(b * 50 + t) * 10 + k]);
        expect(new Set(steps).size).toBe(1);
        expect(steps[0] === 0 ? 1 / 0.75 : steps[0]).toBeCloseTo(1 / 0.75, 6);
        dropped += steps[0] === 0 ? 1 : 0;
      }
    expect(dropped / 400).toBeGreaterThan(0.18);
    expect(dropped / 400).toBeLessThan(0.32);
  });
  it('is reproducible, and silent without training', async () => {
    const layer = layers.gaussianNoise({ stddev: 1 });
    expect(await run(layer, ones)).toEqual(await run(layer, ones));
    expect(await run(layer, ones, false)).toEqual(Array.from(ones.data));
  });
});

describe('rows without a valid step', () => {
  const x = filled([2, 3, 2], (i) => i + 1);
  const mask = NdArray.from([
    [1, 0, 1],
    [0, 0, 0],
  ]);
  it('have the mean 0', async () => {
    const { outputs } = await runLayer(machine, layers.globalAveragePooling1d(), { inputs: [x], masks: [mask] });
    expect(Array.from(outputs[0] as ArrayLike<number>)).toEqual([3, 4, 0, 0]);
  });
  it('have the maximum 0 where the mask is asked for, else the mask is not looked at', async () => {
    const pooled = async (useMask: boolean) => {
      const layer = layers.globalMaxPooling1d({ useMask });
      const { outputs } = await runLayer(machine, layer, {
        inputs: [x],
        masks: [
          NdArray.from([
            [1, 1, 0],
            [0, 0, 0],
          ]),
        ],
      });
      return Array.from(outputs[0] as ArrayLike<number>);
    };
    expect(await pooled(true)).toEqual([3, 4, 0, 0]);
    expect(await pooled(false)).toEqual([5, 6, 11, 12]);
  });
  it('are attended to equally', async () => {
    const { outputs } = await runLayer(machine, layers.attention(), { inputs: [x, x], masks: [null, mask] });
    const y = Array.from(outputs[0] as ArrayLike<number>);
    for (let t = 0; t < 3; t++) expect(y.slice(6 + 2 * t, 8 + 2 * t)).toEqual([9, 10]);
  });
});

it('time distributed hands the mask of a step to its layer', async () => {
  const lstm = layers.lstm({ units: 2 });
  const x = filled([2, 3, 4, 2], (i) => Math.sin(i));
  const mask = filled([2, 3, 4], (i) => (i % 5 === 0 || i % 7 === 3 ? 0 : 1));
  const weights = [[2, 8], [2, 8], [8]].map((shape, k) => filled(shape, (i) => Math.cos(i + k)));
  const all = await runLayer(machine, layers.timeDistributed({ layer: lstm }), { inputs: [x], masks: [mask], weights });
  const part = (a: NdArray, b: number, t: number, size: number) =>
    a.data.slice((b * 3 + t) * size, (b * 3 + t + 1) * size);
  for (let b = 0; b < 2; b++)
    for (let t = 0; t < 3; t++) {
      const one = await runLayer(machine, lstm, {
        inputs: [NdArray.from(Float32Array.from(part(x, b, t, 8)), [1, 4, 2])],
        masks: [NdArray.from(Float32Array.from(part(mask, b, t, 4)), [1, 4])],
        weights,
      });
      const y = Array.from(all.outputs[0] as ArrayLike<number>).slice((b * 3 + t) * 2, (b * 3 + t) * 2 + 2);
      y.forEach((v, i) => expect(v).toBeCloseTo((one.outputs[0] as ArrayLike<number>)[i], 6));
    }
});

describe('positions', () => {
  it('sine and cosine, as in the paper', async () => {
    const y = await run(
      layers.sinePositionEncoding({ maxWavelength: 100 }),
      filled([2, 3, 4], () => 5),
    );
    for (let b = 0; b < 2; b++)
      for (let t = 0; t < 3; t++)
        for (let i = 0; i < 4; i++) {
          const angle = t / 100 ** (i < 2 ? 0 : 0.5);
          expect(y[(b * 3 + t) * 4 + i]).toBeCloseTo(i % 2 ? Math.cos(angle) : Math.sin(angle), 6);
        }
  });
  it('learnt, the first T of them', async () => {
    const table = filled([5, 2], (i) => i);
    const result = await runLayer(machine, layers.positionEmbedding({ sequenceLength: 5 }), {
      inputs: [filled([2, 3, 2], () => 9)],
      weights: [table],
      outputGradients: [filled([2, 3, 2], () => 1)],
    });
    expect(Array.from(result.outputs[0] as ArrayLike<number>)).toEqual([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]);
    expect(Array.from(result.weightGradients[0] as ArrayLike<number>)).toEqual([2, 2, 2, 2, 2, 2, 0, 0, 0, 0]);
  });
});

describe('in a model', () => {
  it('batch normalisation follows the batches of a fit, and uses what it learnt afterwards', async () => {
    const model = sequential([
      layers.input({ shape: [2] }),
      layers.batchNormalization({ momentum: 0.5, name: 'norm' }),
      layers.dense({ units: 1 }),
    ]);
    expect(model.countParams()).toBe(4 * 2 + 3);
    model.compile({ optimizer: 'sgd', loss: 'mse' });
    model.learningRate = 0;
    const x = NdArray.from([
      [1, 2],
      [3, 6],
    ]);
    await model.fit(x, NdArray.from([[0], [0]]), { epochs: 2, batchSize: 2, verbose: 0 });
    const [, , movingMean, movingVariance] = model.getWeights();
    expect(Array.from(movingMean.data)).toEqual([0.75 * 2, 0.75 * 4]);
    expect(Array.from(movingVariance.data)).toEqual([0.25 + 0.75 * 1, 0.25 + 0.75 * 4]);
    const before = model.getWeights();
    await model.evaluate(x, NdArray.from([[0], [0]]));
    model.getWeights().forEach((w, i) => expect(w.equals(before[i])).toBe(true));
  });
  it('a stack of everything over time trains', async () => {
    const model = sequential(
      [
        layers.embedding({ inputDim: 12, outputDim: 6, maskZero: true }),
        layers.spatialDropout1d({ rate: 0.1 }),
        layers.batchNormalization(),
        layers.bidirectional({ layer: layers.gru({ units: 4, returnSequences: true }) }),
        layers.timeDistributed({ layer: layers.dense({ units: 6, activation: 'relu' }) }),
        layers.layerNormalization(),
        layers.conv1d({ filters: 5, kernelSize: 3, padding: 'causal', activation: 'tanh' }),
        layers.maxPooling1d(),
        layers.flatten(),
        layers.dense({ units: 1, activation: 'sigmoid' }),
      ],
      { seed: 3 },
    );
    const x = Array.from({ length: 40 }, (_, i) =>
      Array.from({ length: 8 }, (_, t) => (t < i % 3 ? 0 : ((i * 5 + t) % 11) + 1)),
    );
    const y = x.map((row) => (row[7] > 5 ? 1 : 0));
    model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
    model.learningRate = 0.01;
    const { history } = await model.fit(x, y, { epochs: 30, batchSize: 10, verbose: 0 });
    expect(history.loss[29]).toBeLessThan(history.loss[0] * 0.5);
  });
  it('time distributed embedding gives (B, T, S, D)', async () => {
    const model = sequential([
      layers.input({ shape: [null, 3] }),
      layers.timeDistributed({ layer: layers.embedding({ inputDim: 5, outputDim: 2 }) }),
    ]);
    expect(model.outputShapes).toEqual([[null, null, 3, 2]]);
    expect(model.weights.map(({ path }) => path)).toEqual(['time_distributed/layer/embeddings']);
    const [table] = model.getWeights();
    const y = await model.predict(NdArray.from([[[1, 0, 4]]]));
    const rows = [1, 0, 4].flatMap((i) => Array.from(table.data.slice(2 * i, 2 * i + 2)));
    expect(Array.from(y.data)).toEqual(rows);
  });
});

describe('wrong use', () => {
  const shapes =
    (layer: Layer, ...inputs: OpenShape[]) =>
    () => {
      layer.definition.weights(layer.config, inputs, 'top');
      layer.definition.outputs(layer.config, inputs, 'top');
    };
  const B = null;
  test.each<[string, () => unknown, RegExp]>([
    [
      'conv1d on vectors',
      shapes(layers.conv1d({ filters: 1, kernelSize: 2 }), [B, 5]),
      /top: expected an input of 3 axes, \(batch, time, features\), received \(null, 5\)/,
    ],
    [
      'conv1d longer than its input',
      shapes(layers.conv1d({ filters: 1, kernelSize: 4 }), [B, 3, 2]),
      /top: expected at least 4 elements for a window of 4, received \(null, 3, 2\).*padding: 'same'/,
    ],
    [
      'conv1d with strides and dilation',
      () => layers.conv1d({ filters: 1, kernelSize: 2, strides: 2, dilationRate: 2 }),
      /strides or dilationRate of 1/,
    ],
    [
      'conv1d with groups that do not fit',
      shapes(layers.conv1d({ filters: 4, kernelSize: 2, groups: 2 }), [B, 9, 3]),
      /multiple of 2 groups, received 3/,
    ],
    [
      'conv1d of unknown features',
      shapes(layers.conv1d({ filters: 1, kernelSize: 1 }), [B, 3, null]),
      /top: expected a known size on axis -1/,
    ],
    [
      'conv2d causal',
      () => layers.conv2d({ filters: 1, kernelSize: 2, padding: 'causal' as never }),
      /one of 'valid', 'same'/,
    ],
    [
      'normalisation of an axis that is not there',
      shapes(layers.layerNormalization({ axis: 3 }), [B, 4, 2]),
      /top.axis: expected an axis in -3..2, received 3/,
    ],
    [
      'groups that do not fit',
      shapes(layers.groupNormalization({ groups: 3 }), [B, 4]),
      /multiple of 3 groups, received 4/,
    ],
    [
      'reshape to another size',
      shapes(layers.reshape({ targetShape: [3, 3] }), [B, 4, 2]),
      /a targetShape of 8 elements for \(4, 2\), received \(3, 3\)/,
    ],
    ['a wrong permutation', () => layers.permute({ dims: [1, 3] }), /an order of the numbers from 1 on/],
    ['cropping all', shapes(layers.cropping1d({ cropping: 2 }), [B, 4, 2]), /more than the 4 steps that are cut off/],
    [
      'adding what does not fit',
      shapes(layers.add(), [B, 4, 2], [B, 4, 3]),
      /top: expected inputs whose shapes broadcast together, received \(null, 4, 2\) and \(null, 4, 3\)/,
    ],
    ['subtracting three', shapes(layers.subtract(), [B, 4], [B, 4], [B, 4]), /exactly 2 inputs, received 3/],
    [
      'concatenating what does not fit',
      shapes(layers.concatenate(), [B, 4, 2], [B, 5, 2]),
      /equal shapes but for axis 2/,
    ],
    ['dot of different sizes', shapes(layers.dot({ axes: 1 }), [B, 4], [B, 5]), /same size along axes 1 and 1/],
    ['attention of one input', shapes(layers.attention(), [B, 4, 2]), /query \(B, T, F\), value \(B, S, G\)/],
    [
      'heads with keys and values of two lengths',
      shapes(layers.multiHeadAttention({ numHeads: 1, keyDim: 2 }), [B, 4, 2], [B, 5, 2], [B, 6, 2]),
      /as many values as keys/,
    ],
    [
      'attention along the features',
      shapes(layers.multiHeadAttention({ numHeads: 1, keyDim: 2, attentionAxes: [1, 2] }), [B, 4, 3], [B, 4, 3]),
      /top.attentionAxes: expected different axes between 0 and 2, received \[1, 2\]/,
    ],
    [
      'query heads that do not fit',
      () => layers.groupQueryAttention({ headDim: 2, numQueryHeads: 3, numKeyValueHeads: 2 }),
      /a multiple of 2/,
    ],
    [
      'an equation without a comma',
      shapes(layers.einsumDense({ equation: 'ab->ac', outputShape: 3 }), [B, 4]),
      /'ab,bc->ac'.*received 'ab->ac'/,
    ],
    [
      'an equation of another rank',
      shapes(layers.einsumDense({ equation: 'ab,bc->ac', outputShape: 3 }), [B, 4, 2]),
      /2 axes for 'ab'.*received 3 axes/,
    ],
    [
      'a letter from nowhere',
      shapes(layers.einsumDense({ equation: 'ab,bc->ad', outputShape: 3 }), [B, 4]),
      /'d' in 'ab,bc->ad'/,
    ],
    [
      'a size against the input',
      shapes(layers.einsumDense({ equation: 'abc,cd->abd', outputShape: [7, 3] }), [B, 4, 2]),
      /size 4 of the input for 'b'/,
    ],
    [
      'a sequence longer than the positions',
      shapes(layers.positionEmbedding({ sequenceLength: 3 }), [B, 4, 2]),
      /at most 3 steps/,
    ],
    [
      'time distributed over vectors',
      shapes(layers.timeDistributed({ layer: layers.dense({ units: 1 }) }), [B, 4]),
      /at least three axes/,
    ],
    ['time distributed of no layer', () => layers.timeDistributed({ layer: 'dense' as never }), /a layer, such as/],
  ])('%s', (_what, act, message) => expect(act).toThrow(message));
});
