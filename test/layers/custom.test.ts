/** A layer from a function: shapes that are found, shapes that are promised, masks, use in a model. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers } from '../../src/layers/all.ts';
import { layerToKeras } from '../../src/layers/to-keras.ts';
import { concat, matmul, mul, reshape, sigmoid, split, sum } from '../../src/ops/namespace.ts';
import { sequential } from '../../src/train/sequential.ts';

const shapesOf = (layer: ReturnType<typeof layers.custom>, ...inputs: (number | null)[][]) =>
  layer.definition.outputs(layer.config, inputs, 'mine');

describe('shapes', () => {
  it('are found, open sizes included', () => {
    const double = layers.custom(([x]) => concat([x, x], 1));
    expect(shapesOf(double, [null, null, 4])).toEqual([[null, null, 4]]);
    expect(shapesOf(double, [null, 5, 4])).toEqual([[null, 10, 4]]);
    expect(
      shapesOf(
        layers.custom(([x]) => sum(x, { axes: [1] })),
        [null, null, 4],
      ),
    ).toEqual([[null, 4]]);
    expect(
      shapesOf(
        layers.custom(([x]) => split(x, 2)),
        [null, 6],
      ),
    ).toEqual([
      [null, 3],
      [null, 3],
    ]);
  });
  it('may be promised, and the promise is held', async () => {
    const flat = layers.custom(([x]) => reshape(x, [x.shape[0], -1]), { outputShapes: ([[batch]]) => [[batch, 12]] });
    expect(shapesOf(flat, [null, null, 4])).toEqual([[null, 12]]);
    const model = sequential([layers.input({ shape: [null, 4] }), flat]);
    expect((await model.predict(NdArray.from(new Float32Array(24), [2, 3, 4]))).shape).toEqual([2, 12]);
    await expect(model.predict(NdArray.from(new Float32Array(16), [2, 2, 4]))).rejects.toThrow(
      /custom: expected output 0 as \(2, 12\), received \(2, 8\)/,
    );
  });
  it('that do not fit name the layer', () => {
    const wrong = layers.custom(([a, b]) => matmul(a, b));
    expect(() => shapesOf(wrong, [null, 3], [4, 2])).toThrow(/mine: matmul: expected a\[\.\.\., K\]/);
    expect(() =>
      shapesOf(
        layers.custom(() => [] as never),
        [null, 3],
      ),
    ).toThrow(/a function that returns a tensor/);
  });
});

it('computes, differentiates and trains with the rest of a model', async () => {
  const model = sequential([
    layers.input({ shape: [3] }),
    layers.custom(([x]) => mul(x, sigmoid(x)), { name: 'swish' }),
    layers.dense({ units: 1 }),
  ]);
  const reference = sequential([
    layers.input({ shape: [3] }),
    layers.activation({ activation: 'swish' }),
    layers.dense({ units: 1 }),
  ]);
  reference.setWeights(model.getWeights());
  const x = NdArray.from([
    [1, -2, 0.5],
    [0.25, 3, -1],
  ]);
  const d = NdArray.from([[1], [2]]);
  const [a, b] = [await model.vjp(x, d), await reference.vjp(x, d)];
  expect([a.inputGradients].flat()[0]?.toNested()).toEqual([b.inputGradients].flat()[0]?.toNested());
  model.compile({ optimizer: 'adam', loss: 'mse' });
  const { history } = await model.fit(x, d, { epochs: 3, verbose: 0 });
  expect(history.loss[2]).toBeLessThan(history.loss[0]);
});

it('cannot be written for Keras', () => {
  expect(() =>
    layerToKeras(
      layers.custom(([x]) => x),
      'mine',
    ),
  ).toThrow(/a layer that is data, received a function/);
});
