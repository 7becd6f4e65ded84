/** Models of any shape against Keras 3 (`test/golden/functional.py`): predictions, gradients, training steps, configurations both ways. */
import { describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/core/array.ts';
import { type Model, modelFromBytes, modelFromKerasConfig } from '../../src/index.ts';
import {
  expectClose,
  goldenMachines,
  type Precise,
  readGolden,
  relativeDistance,
  restore,
  type Stored,
} from '../golden/golden.ts';

interface ModelCase {
  name: string;
  config: Record<string, unknown>;
  weights: Stored[];
  x: Stored[];
  outputs: Precise[];
  y: Stored[];
  compile: Record<string, never>;
  loss: number;
  gradients: (Precise | null)[];
  inputGradients: (Precise | null)[];
  step: Record<string, number>;
  change: Precise[];
  summary: string;
}

const { unit, cases } = readGolden<{ unit: number; cases: ModelCase[] }>('functional.json');
const adam = { class_name: 'Adam', config: { learning_rate: 0.01 } };
const oneOrList = <T>(list: T[]): T | T[] => (list.length === 1 ? list[0] : list);

/** Rounding errors in place of zeros: nothing to compare, and Adam makes steps of them. */
const vanishes = (gradient: Precise | null) => gradient?.data.every((g) => Math.abs(g) < 1e-9) ?? false;

for (const machine of await goldenMachines()) {
  const exact = machine.traits.host === 'oracle';
  // Keras rounds the scale of attention scores to float32, and adds 1e-7 to the count of valid steps under a mask.
  const tolerance = { output: exact ? 5e-8 : 2e-5, loss: exact ? 5e-7 : 2e-5, training: exact ? 1e-5 : 2e-3 };
  const arrays = (list: Stored[]) => oneOrList(list.map((a) => restore(a, unit)));
  const build = (golden: ModelCase, config: unknown = golden.config): Model<NdArray[]> => {
    const model = modelFromKerasConfig<NdArray[]>(config, { machine });
    model.setWeights(golden.weights.map((w) => restore(w, unit)));
    return model;
  };
  const compiled = (golden: ModelCase) => {
    const model = build(golden);
    const { loss, metrics, loss_weights: lossWeights } = golden.compile;
    model.compile({ optimizer: adam, loss, metrics, lossWeights });
    return model;
  };
  const expectOutputs = async (model: Model<NdArray[]>, golden: ModelCase) => {
    const outputs = [await model.predict(arrays(golden.x))].flat();
    expect(outputs).toHaveLength(golden.outputs.length);
    golden.outputs.forEach((expected, i) => expectClose(outputs[i], expected, tolerance.output, `output ${i}`));
  };

  describe(`functional models on ${machine.traits.host} ${machine.traits.isa}`, () => {
    test.each(cases)('predict: $name', (golden) => expectOutputs(build(golden), golden));
    test.each(cases)('written again: $name', (golden) =>
      expectOutputs(build(golden, build(golden).toKerasConfig()), golden),
    );
    test.each(cases)('through a bundle: $name', (golden) =>
      expectOutputs(
        modelFromBytes(compiled(golden).toBytes(), { machine }).model as unknown as Model<NdArray[]>,
        golden,
      ),
    );
    test.each(cases)('loss and gradients: $name', async (golden) => {
      const result = await compiled(golden).lossAndGradients(arrays(golden.x), arrays(golden.y));
      expect(relativeDistance([result.loss], [golden.loss]), 'loss').toBeLessThanOrEqual(tolerance.loss);
      golden.gradients.forEach((expected, i) => {
        if (expected && !vanishes(expected))
          expectClose(result.weightGradients[i], expected, tolerance.loss, `gradient of weight ${i}`);
      });
      const inputs = [result.inputGradients].flat();
      golden.inputGradients.forEach((expected, i) => {
        if (expected) expectClose(inputs[i] as NdArray, expected, tolerance.loss, `gradient of input ${i}`);
      });
    });
    test.each(cases)('summary: $name', (golden) => {
      const summary = build(golden).summary({ lineLength: 108, showTrainable: true, expandNested: true, print: null });
      // Keras ran in float64, which doubles the bytes.
      const withoutBytes = (text: string) => text.replaceAll(/ \([\d.]+ K?B\)/g, '').trimEnd();
      expect(withoutBytes(summary)).toBe(withoutBytes(golden.summary));
    });
    test.each(cases)('training: $name', async (golden) => {
      const model = compiled(golden);
      const logs = await model.trainOnBatch(arrays(golden.x), arrays(golden.y));
      expect(Object.keys(logs).sort()).toEqual(Object.keys(golden.step).sort());
      for (const [key, value] of Object.entries(golden.step))
        expect(relativeDistance([logs[key]], [value]), key).toBeLessThanOrEqual(tolerance.loss * 5);
      for (let k = 1; k < 3; k++) await model.trainOnBatch(arrays(golden.x), arrays(golden.y));
      model.getWeights().forEach((after, i) => {
        if (vanishes(golden.gradients[i])) return;
        const before = restore(golden.weights[i], unit);
        const change = after.data.map((v, j) => v - before.data[j]);
        expect(relativeDistance(change, golden.change[i].data), `change of weight ${i}`).toBeLessThanOrEqual(
          tolerance.training,
        );
      });
    });
  });
}
