/** Outputs, masks, gradients and moving statistics of the layers around the recurrent ones, against Keras in float64 (`layers-around.py`). */
import { describe, expect, test } from 'vitest';
import { RandomKey } from '../../src/core/random.ts';
import { layers } from '../../src/layers/all.ts';
import { kerasReading, layerFromKeras } from '../../src/layers/from-keras.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { layerToKeras } from '../../src/layers/to-keras.ts';
import { goldenMachines, readGolden } from '../golden/golden.ts';
import { checkCase, type KerasCase, layerOfCase } from './keras-case.ts';

const { unit, cases } = readGolden<{ unit: number; cases: KerasCase[] }>('layers-around.json');

for (const machine of await goldenMachines())
  describe(`layers around on ${machine.traits.host} ${machine.traits.isa}`, () => {
    test.each(cases)('$name', (golden) => checkCase(golden, machine, unit));
  });

describe('configurations', () => {
  /** Keys that a writer leaves out, so that older releases of Keras 3 load the file, or that are not part of what a layer is. */
  const leftOut = new Set([
    ...['quantization_config', 'renorm', 'renorm_clipping', 'renorm_momentum', 'synchronized', 'unroll'],
    ...['build_config', 'input_axes', 'output_axes', 'registered_name'],
  ]);
  /** The same, where they hold this value. */
  const leftOutWhere: Record<string, unknown> = {
    rms_scaling: false,
    use_gate: false,
    sliding_window: null,
    activity_regularizer: null,
  };
  const plain = (value: unknown) =>
    JSON.parse(
      JSON.stringify(value, (key, inner) => {
        if (leftOut.has(key) || (key in leftOutWhere && leftOutWhere[key] === inner)) return undefined;
        return inner === 'float64' ? 'float32' : inner;
      }),
    );

  test.each(cases)('$name', (golden) => {
    const { config } = golden.layer;
    const written = layerToKeras(layerOfCase(golden), config.name as string) as { class_name: string; config: object };
    expect(written.class_name).toBe(golden.layer.class_name);
    expect(plain(written.config)).toEqual(plain({ ...config, ...golden.call }));
  });
});

describe('configurations of older generations', () => {
  const read = (className: string, config: Record<string, unknown>, generation: 2 | 3 = 2) =>
    layerFromKeras({ class_name: className, config }, kerasReading(generation), 'old').config;
  test('the slope of LeakyReLU was called alpha', () =>
    expect(read('LeakyReLU', { name: 'l', alpha: 0.125 })).toMatchObject({ negativeSlope: 0.125 }));
  test('batch normalisation had a list of one axis', () =>
    expect(read('BatchNormalization', { axis: [2], momentum: 0.9, epsilon: 0.01 })).toMatchObject({
      axis: 2,
      momentum: 0.9,
    }));
  test('batch renormalisation', () =>
    expect(
      read('BatchNormalization', { renorm: true, renorm_clipping: { rmax: 2 }, renorm_momentum: 0.9 }, 3),
    ).toMatchObject({ renorm: true, renormClipping: { rmax: 2 }, renormMomentum: 0.9 }));
  test('attention with heads noted what it was built with', () =>
    expect(
      read('MultiHeadAttention', {
        ...{ num_heads: 2, key_dim: 3, value_dim: 3, attention_axes: [1], output_shape: null },
        ...{ query_shape: [null, 4, 5], key_shape: [null, 6, 5], value_shape: [null, 6, 5] },
      }),
    ).toMatchObject({ numHeads: 2, attentionAxes: [1] }));
  test('spatial dropout had a shape of noise', () =>
    expect(read('SpatialDropout1D', { rate: 0.25, noise_shape: null, trainable: true })).toMatchObject({ rate: 0.25 }));
  test('positions are those of KerasHub', () => {
    const given = { module: 'keras_hub.layers', registered_name: 'keras_hub>SinePositionEncoding' };
    const object = { ...given, class_name: 'SinePositionEncoding', config: { max_wavelength: 50 } };
    const layer = layerFromKeras(object, kerasReading(3), 'hub');
    expect(layer.config).toMatchObject({ maxWavelength: 50 });
    expect(layerToKeras(layer, 'p')).toMatchObject({ registered_name: 'keras_hub>SinePositionEncoding' });
  });
});

describe('weights', () => {
  test('carry the rules of their options', () => {
    const one = (layer: Layer) => layer.definition.weights(layer.config, [[null, 5, 4]], 'layer');
    const rules = (layer: Layer) =>
      one(layer).map(({ name, regularizer, constraint }) => [name, regularizer?.className, constraint?.className]);
    const ruled = { kernelRegularizer: 'l2', biasConstraint: 'nonNeg' } as const;
    const kernelAndBias = [
      ['kernel', 'L2', undefined],
      ['bias', undefined, 'NonNeg'],
    ];
    expect(rules(layers.conv1d({ filters: 2, kernelSize: 2, ...ruled }))).toEqual(kernelAndBias);
    const equation = { equation: 'abc,cd->abd', outputShape: [null, 2], biasAxes: 'd' };
    expect(rules(layers.einsumDense({ ...equation, ...ruled }))).toEqual(kernelAndBias);
    expect(rules(layers.batchNormalization({ gammaRegularizer: 'l1', betaConstraint: 'unitNorm' }))).toEqual([
      ['gamma', 'L1', undefined],
      ['beta', undefined, 'UnitNorm'],
      ['movingMean', undefined, undefined],
      ['movingVariance', undefined, undefined],
    ]);
  });
  test('of einsumDense are drawn by the sizes that they map between', () => {
    const layer = layers.einsumDense({ equation: 'btf,fhd->bthd', outputShape: [null, 20, 5], name: 'heads' });
    const [{ shape, initializer }] = layer.definition.weights(layer.config, [[null, null, 50]], 'heads');
    const values = initializer.values(shape, RandomKey.from(3));
    const limit = Math.sqrt(6 / (50 + 100));
    expect(values).toHaveLength(5000);
    expect(values.reduce((a, b) => Math.max(a, Math.abs(b)), 0)).toBeGreaterThan(limit * 0.99);
    expect(values.reduce((a, b) => Math.max(a, Math.abs(b)), 0)).toBeLessThanOrEqual(limit * 1.000001);
  });
});
