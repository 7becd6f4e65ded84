/** Operations among the layers of Keras's configurations (`test/golden/keras-operations.py`), and TensorFlow's functions in those of tf-keras. */
import { describe, expect, it, test } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { modelFromKerasConfig } from '../../src/index.ts';
import { expectClose, goldenMachines, type Precise, readGolden } from '../golden/golden.ts';

interface Case {
  name: string;
  config: Record<string, unknown>;
  x: Precise[];
  y: Precise;
  g: Precise;
  gradients: Precise[];
}

const cases = ['keras-operations.json', 'further-keras-operations.json'].flatMap(
  (name) => readGolden<{ cases: Case[] }>(name).cases,
);
const arrayOf = ({ shape, data }: Precise) => NdArray.from(Float64Array.from(data), shape);
const plain = (config: unknown) => JSON.parse(JSON.stringify(config).replaceAll('float64', 'float32'));

for (const machine of await goldenMachines())
  describe(`operations on ${machine.traits.host} ${machine.traits.isa}`, () => {
    test.each(cases)('$name', async ({ config, x, y, g, gradients }) => {
      const model = modelFromKerasConfig(plain(config), { machine });
      const data = x.map(arrayOf);
      const check = async (own: typeof model) => {
        const { outputs, inputGradients } = await own.vjp(data.length > 1 ? data : data[0], arrayOf(g));
        expectClose([outputs].flat()[0] as NdArray, y, 2e-5, 'output');
        const found = [inputGradients].flat();
        gradients.forEach((d, i) => expectClose(found[i] as NdArray, d, 2e-5, `gradient of input ${i}`));
      };
      await check(model);
      await check(modelFromKerasConfig(JSON.stringify(model.toKerasConfig()), { machine }));
    });
  });

const inputLayer = {
  class_name: 'InputLayer',
  name: 'x',
  config: { batch_input_shape: [null, 3, 4], dtype: 'float32', sparse: false, ragged: false, name: 'x' },
  inbound_nodes: [],
};
type Node = readonly [name: string, fn: string, inbound: unknown];

/** A model of tf-keras's form: operations one after the other, the last being the output. */
const oldModel = (nodes: readonly Node[]) =>
  modelFromKerasConfig({
    class_name: 'Functional',
    config: {
      name: 'model',
      trainable: true,
      layers: [
        inputLayer,
        ...nodes.map(([name, fn, node]) => ({
          class_name: fn.endsWith('getitem') ? 'SlicingOpLambda' : 'TFOpLambda',
          config: { name, trainable: true, dtype: 'float32', function: fn },
          name,
          inbound_nodes: [node],
        })),
      ],
      input_layers: [['x', 0, 0]],
      output_layers: [[nodes[nodes.length - 1][0], 0, 0]],
    },
    keras_version: '2.15.0',
    backend: 'tensorflow',
  });
const data = Float32Array.from({ length: 24 }, (_, i) => Math.sin(i * 5 + 1));
const x = NdArray.from(data, [2, 3, 4]);
const at = (b: number, t: number, f: number) => data[(b * 3 + t) * 4 + f];

describe("functions of TensorFlow in tf-keras's files", () => {
  const expectValues = async (nodes: readonly Node[], shape: number[], value: (...at: number[]) => number) => {
    const y = (await oldModel(nodes).predict(x)) as NdArray;
    expect(y.shape).toEqual(shape);
    y.data.forEach((v, i) => {
      const place: number[] = [];
      let rest = i;
      for (const d of [...shape].reverse()) {
        place.unshift(rest % d);
        rest = Math.floor(rest / d);
      }
      expect(v, `at ${place}`).toBeCloseTo(value(...place), 5);
    });
  };
  it('numbers beside tensors, on both sides', () =>
    expectValues(
      [
        ['tf.math.multiply', 'math.multiply', ['x', 0, 0, { y: 2, name: null }]],
        [
          'tf.math.subtract',
          'math.subtract',
          ['_CONSTANT_VALUE', -1, 1, { y: ['tf.math.multiply', 0, 0], name: null }],
        ],
      ],
      [2, 3, 4],
      (b, t, f) => 1 - 2 * at(b, t, f),
    ));
  it('tensors beside tensors, lists of tensors, axes', () =>
    expectValues(
      [
        ['tf.nn.relu', 'nn.relu', ['x', 0, 0, { name: null }]],
        ['tf.__operators__.add', '__operators__.add', ['x', 0, 0, { y: ['tf.nn.relu', 0, 0], name: null }]],
        [
          'tf.concat',
          'concat',
          [
            ['x', 0, 0, { axis: -1 }],
            ['tf.__operators__.add', 0, 0, { axis: -1 }],
          ],
        ],
        ['tf.math.reduce_sum', 'math.reduce_sum', ['tf.concat', 0, 0, { axis: 1, keepdims: false, name: null }]],
      ],
      [2, 8],
      (b, f) =>
        [0, 1, 2].reduce((sum, t) => sum + (f < 4 ? at(b, t, f) : at(b, t, f - 4) + Math.max(0, at(b, t, f - 4))), 0),
    ));
  it('slices and shapes', () =>
    expectValues(
      [
        [
          'slice',
          '__operators__.getitem',
          [
            'x',
            0,
            0,
            { slice_spec: [{ start: null, stop: null, step: null }, { start: 1, stop: null, step: null }, 2] },
          ],
        ],
        ['tf.expand_dims', 'expand_dims', ['slice', 0, 0, { axis: 1 }]],
        ['tf.compat.v1.transpose', 'compat.v1.transpose', ['tf.expand_dims', 0, 0, { perm: [0, 2, 1] }]],
        ['tf.reshape', 'reshape', ['tf.compat.v1.transpose', 0, 0, { shape: [-1, 2] }]],
      ],
      [2, 2],
      (b, t) => at(b, t + 1, 2),
    ));
  it('products, casts and conditions', () =>
    expectValues(
      [
        ['m', 'linalg.matmul', ['x', 0, 0, { b: ['x', 0, 0], transpose_b: true }]],
        ['g', 'math.greater', ['m', 0, 0, { y: 0.5, name: null }]],
        ['c', 'cast', ['g', 0, 0, { dtype: 'float32' }]],
        ['w', 'where', ['g', 0, 0, { x: ['c', 0, 0], y: ['m', 0, 0] }]],
      ],
      [2, 3, 3],
      (b, t, s) => {
        const product = [0, 1, 2, 3].reduce((sum, f) => sum + at(b, t, f) * at(b, s, f), 0);
        return product > 0.5 ? 1 : product;
      },
    ));
  it('padding, turning, taking apart', () =>
    expectValues(
      [
        [
          'p',
          'pad',
          [
            'x',
            0,
            0,
            {
              paddings: [
                [0, 0],
                [1, 0],
                [0, 0],
              ],
              mode: 'CONSTANT',
              constant_values: 2,
            },
          ],
        ],
        ['r', 'roll', ['p', 0, 0, { shift: 1, axis: 1, name: null }]],
        ['u', 'unstack', ['r', 0, 0, { num: null, axis: 2 }]],
        ['s', 'math.subtract', ['u', 0, 1, { y: ['u', 0, 3], name: null }]],
      ],
      [2, 4],
      (b, t) => (t === 1 ? 0 : at(b, t === 0 ? 2 : t - 2, 1) - at(b, t === 0 ? 2 : t - 2, 3)),
    ));
  it('that are not there are named, all of them', () => {
    expect(() => oldModel([['tf.shape', 'compat.v1.shape', ['x', 0, 0, {}]]])).toThrow(
      /tf.shape: expected a function among .*math.add.*, received 'tf.compat.v1.shape'/,
    );
    expect(() =>
      oldModel([
        ['a', 'signal.stft', ['x', 0, 0, {}]],
        ['b', 'linalg.svd', ['x', 0, 0, {}]],
      ]),
    ).toThrow(/received tf.signal.stft, tf.linalg.svd. Define them with/);
  });
  it('with arguments that change the meaning are refused', () =>
    expect(() => oldModel([['m', 'linalg.matmul', ['x', 0, 0, { b: ['x', 0, 0], adjoint_a: true }]]])).toThrow(
      /adjoint_a: true/,
    ));
});
