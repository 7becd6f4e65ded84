/**
 * Random functional models against Keras in float64 (`test/golden/random-models.py`, which also draws others: UNROLLED_RANDOM_MODELS names the
 * file to read in place of the recorded one): outputs, gradients of weights and inputs, and outputs again after `toKerasConfig`.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { modelFromKerasConfig } from '../../src/index.ts';
import { goldenMachines, readGolden } from '../golden/golden.ts';

interface Values {
  shape: number[];
  data: number[];
  whole: boolean;
}

interface ModelCase {
  name: string;
  config: unknown;
  weights: Values[];
  inputs: Values[];
  outputGradients: Values[];
  outputs: Values[];
  weightGradients: (Values | null)[];
  inputGradients: (Values | null)[];
}

const other = process.env.UNROLLED_RANDOM_MODELS;
const { cases } = other
  ? (JSON.parse(readFileSync(other, 'utf8')) as { cases: ModelCase[] })
  : readGolden<{ cases: ModelCase[] }>('random-models.json');

const arrayOf = ({ shape, data, whole }: Values) =>
  NdArray.from(whole ? Int32Array.from(data) : Float32Array.from(data), shape);
const arraysOf = (list: Values[]) => (list.length === 1 ? arrayOf(list[0]) : list.map(arrayOf));
const largest = (values: readonly number[]) => values.reduce((most, v) => Math.max(most, Math.abs(v)), 0);

/** @param least magnitude that small values are measured against */
function expectNear(actual: NdArray | null, { shape, data }: Values, what: string, least = 0): void {
  if (actual) expect(actual.shape, `shape of ${what}`).toEqual(shape);
  // What nothing flows to has no gradient at all.
  const distance = largest(data.map((v, i) => v - Number(actual?.data[i] ?? 0)));
  expect(distance, what).toBeLessThanOrEqual(2e-5 * Math.max(largest(data), least, 1e-3));
}

for (const machine of await goldenMachines()) {
  describe(`random models as in Keras on ${machine.traits.host} ${machine.traits.isa}`, () => {
    test.each(cases)('$name', async (one) => {
      const config = JSON.parse(JSON.stringify(one.config).replaceAll('float64', 'float32'));
      const model = modelFromKerasConfig<NdArray[]>(config, { machine });
      model.setWeights(one.weights.map(arrayOf));
      const found = await model.vjp(arraysOf(one.inputs), arraysOf(one.outputGradients));
      const outputs = [found.outputs].flat();
      one.outputs.forEach((y, i) => expectNear(outputs[i], y, `output ${i}`));
      // Some gradients cancel: their rounding is measured by the others.
      const all = [...one.weightGradients, ...one.inputGradients].flatMap((g) => g?.data ?? []);
      const least = largest(all) / 20;
      one.weightGradients.forEach((g, i) => {
        if (g) expectNear(found.weightGradients[i], g, `gradient of ${model.weights[i].path}`, least);
      });
      const slopes = [found.inputGradients].flat();
      one.inputGradients.forEach((g, i) => {
        if (g) expectNear(slopes[i] as NdArray, g, `gradient of input ${i}`, least);
      });
      const again = modelFromKerasConfig<NdArray[]>(JSON.stringify(model.toKerasConfig()), { machine });
      again.setWeights(model.getWeights());
      [await again.predict(arraysOf(one.inputs))]
        .flat()
        .forEach((y, i) => expectNear(y, one.outputs[i], `written, ${i}`));
    });
  });
}
