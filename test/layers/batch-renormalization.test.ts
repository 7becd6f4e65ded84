/** Batch renormalisation as in Keras (`test/golden/batch-renormalization.py`): training, the statistics that it keeps, and inference. */
import { describe, expect, it, test } from 'vitest';
import type { NdArray } from '../../src/core/array.ts';
import { layers, modelFromKerasConfig } from '../../src/index.ts';
import { expectClose, goldenMachines, type Precise, readGolden, restore, type Stored } from '../golden/golden.ts';

interface Case {
  name: string;
  config: Record<string, unknown>;
  x: Stored;
  y: Stored;
  weights: Stored[];
  losses: number[];
  after: Precise[];
  prediction: Precise;
}

const { unit, cases } = readGolden<{ unit: number; cases: Case[] }>('batch-renormalization.json');

for (const machine of await goldenMachines())
  describe(`batch renormalisation on ${machine.traits.host} ${machine.traits.isa}`, () => {
    test.each(cases)('$name', async (one) => {
      const config = JSON.stringify(one.config).replaceAll('float64', 'float32');
      const read = modelFromKerasConfig(config, { machine });
      const model = modelFromKerasConfig(read.toKerasConfig(), { machine });
      model.compile({ optimizer: { class_name: 'SGD', config: { learning_rate: 0.0625 } }, loss: 'mse' });
      model.setWeights(one.weights.map((w) => restore(w, unit)));
      for (const loss of one.losses) {
        const logs = await model.trainOnBatch(restore(one.x, unit), restore(one.y, unit));
        expect(Math.abs(logs.loss - loss) / loss).toBeLessThan(2e-5);
      }
      model.getWeights().forEach((w, i) => {
        expectClose(w, one.after[i], 5e-5, model.weights[i].path);
      });
      expectClose((await model.predict(restore(one.x, unit))) as NdArray, one.prediction, 5e-5, 'prediction');
    });
  });

it('refuses limits that cross, and others', () => {
  expect(() => layers.batchNormalization({ renorm: true, renormClipping: { rmax: 1, rmin: 2 } })).toThrow(
    /renormClipping: expected an object of numbers among rmax, rmin and dmax, rmax not below rmin/,
  );
  expect(() => layers.batchNormalization({ renormClipping: { max: 1 } as never })).toThrow(/received {"max":1}/);
});
