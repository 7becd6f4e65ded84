/**
 * Random configurations of every layer with random masks against Keras in float64, and models with penalties and constraints in training
 * (`test/golden/random-layers.py`, which also draws others: UNROLLED_RANDOM_LAYERS names the file to read in place of the recorded one).
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { modelFromKerasConfig } from '../../src/index.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { expectClose, goldenMachines, type Precise, readGolden, restore, type Stored } from '../golden/golden.ts';
import { checkCase, type KerasCase } from './keras-case.ts';

interface TrainedCase {
  name: string;
  config: Record<string, unknown>;
  x: Stored;
  y: Stored;
  weights: Stored[];
  losses: number[];
  after: Precise[];
}

interface Recorded {
  unit: number;
  layers: KerasCase[];
  training: TrainedCase[];
}

const other = process.env.UNROLLED_RANDOM_LAYERS;
const golden = other
  ? (JSON.parse(readFileSync(other, 'utf8')) as Recorded)
  : readGolden<Recorded>('random-layers.json');
const { unit } = golden;

async function checkTraining(one: TrainedCase, machine: Machine): Promise<void> {
  const config = JSON.parse(JSON.stringify(one.config).replaceAll('float64', 'float32'));
  const model = modelFromKerasConfig(config, { machine });
  model.compile({ optimizer: { class_name: 'SGD', config: { learning_rate: 0.0625 } }, loss: 'mse' });
  model.setWeights(one.weights.map((w) => restore(w, unit)));
  for (const [i, loss] of one.losses.entries()) {
    const logs = await model.trainOnBatch(restore(one.x, unit), restore(one.y, unit));
    expect(Math.abs(logs.loss - loss), `loss of step ${i}: ${logs.loss} beside ${loss}`).toBeLessThan(
      2e-5 * Math.max(1, Math.abs(loss)),
    );
  }
  model.getWeights().forEach((w, i) => {
    expectClose(w, one.after[i], 5e-5, model.weights[i].path);
  });
}

for (const machine of await goldenMachines()) {
  const where = `${machine.traits.host} ${machine.traits.isa}`;
  describe(`random layers as in Keras on ${where}`, () => {
    test.each(golden.layers)('$name', (one) => checkCase(one, machine, unit));
  });
  describe(`penalties and constraints as in Keras on ${where}`, () => {
    test.each(golden.training)('$name', (one) => checkTraining(one, machine));
  });
}
