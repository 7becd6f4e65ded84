/** One recorded call of a Keras layer (`test/golden/layers-around.py`, `random-layers.py`), held against the layer here. */
import { expect } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { kerasReading, layerFromKeras } from '../../src/layers/from-keras.ts';
import type { Layer } from '../../src/layers/layer.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { expectClose, type Precise, restore, type Stored } from '../golden/golden.ts';
import { runLayer } from './around.ts';

export interface KerasCase {
  name: string;
  layer: { class_name: string; config: Record<string, unknown> };
  call: Record<string, unknown>;
  training: boolean;
  precision: number;
  inputs: Stored[];
  masks: (number[][] | null)[];
  weights: Stored[];
  outputGradients: Stored[];
  outputs: Precise[];
  mask: number[][] | null;
  /** Default true. */
  maskCompared?: boolean;
  weightGradients: (Precise | null)[];
  inputGradients: Precise[];
  updates: Record<string, Precise>;
}

/** The layer, with what Keras takes at the call among its options. The type of the recorded layers is float64. */
export function layerOfCase({ layer, call }: KerasCase): Layer {
  const object = { ...layer, config: { ...layer.config, ...call } };
  return layerFromKeras(JSON.parse(JSON.stringify(object).replaceAll('float64', 'float32')), kerasReading(3), 'golden');
}

/** Throws where outputs, mask, gradients or new weights differ. */
export async function checkCase(golden: KerasCase, machine: Machine, unit: number): Promise<void> {
  const tolerance = machine.traits.host === 'oracle' ? golden.precision : 2e-5;
  const layer = layerOfCase(golden);
  const inputs = golden.inputs.map((x) => restore(x, unit));
  const weights = golden.weights.map((w) => restore(w, unit));
  const masks = golden.masks.map((mask) => mask && NdArray.from(mask));
  const outputGradients = golden.outputGradients.map((d) => restore(d, unit));

  const open = inputs.map(({ shape }) => shape.map((d, i) => (i === 0 ? null : d)));
  const { definition, config } = layer;
  expect(
    definition.weights(config, open, 'layer').map(({ shape }) => shape),
    'shapes of the weights',
  ).toEqual(weights.map(({ shape }) => shape));
  const promised = definition.outputs(config, open, 'layer').map((shape) => shape.slice(1));
  expect(promised, 'promised shapes').toEqual(golden.outputs.map(({ shape }) => shape.slice(1)));

  const result = await runLayer(machine, layer, {
    inputs,
    weights,
    masks,
    outputGradients,
    training: golden.training,
  });
  const compare = (actual: ArrayLike<number> | null, expected: Precise, what: string, least = 0) => {
    // What nothing flows to has no gradient at all.
    const values = actual ?? new Float32Array(expected.data.length);
    const largest = expected.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    const scaled = largest < least ? (tolerance * least) / (largest || 1) : tolerance;
    expectClose(NdArray.from(Float64Array.from(values), expected.shape), expected, scaled, what);
  };
  // Some gradients are zero because their parts cancel, as that of a bias of keys: rounding is measured by the others.
  const gradients = [...golden.weightGradients, ...golden.inputGradients].flatMap((g) => g?.data ?? []);
  const steepest = gradients.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  // Where all of them cancel, as those of one element divided by its norm, what stands there is rounding, of both sides.
  const least = steepest < 1e-12 ? 1 : steepest;
  golden.outputs.forEach((y, i) => {
    expect(result.shapes[i], `shape of output ${i}`).toEqual(y.shape);
    compare(result.outputs[i], y, `output ${i}`);
  });
  const mask = result.masks[0];
  if (golden.maskCompared !== false) expect(mask && Array.from(mask), 'mask').toEqual(golden.mask?.flat() ?? null);
  golden.weightGradients.forEach((d, i) => {
    if (d) compare(result.weightGradients[i], d, `gradient of weight ${i}`, least);
  });
  golden.inputGradients.forEach((d, i) => compare(result.inputGradients[i], d, `gradient of input ${i}`, least));
  for (const [i, value] of Object.entries(golden.updates))
    compare(result.updates.get(Number(i)) ?? null, value, `new value of weight ${i}`);
}
