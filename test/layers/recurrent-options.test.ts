/** Options of recurrent layers against Keras 3 (`test/golden/recurrent-options.py`): initial states, stacks, directions, convolutions, kept states, penalties and constraints. */
import { describe, expect, test } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { sizeOf } from '../../src/core/shape.ts';
import { compileStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { modelFromKerasConfig } from '../../src/index.ts';
import { kerasReading, layerFromKeras } from '../../src/layers/from-keras.ts';
import { layerToKeras } from '../../src/layers/to-keras.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { expectClose, goldenMachines, type Precise, readGolden } from '../golden/golden.ts';

interface LayerCase {
  title: string;
  layer: Record<string, unknown>;
  inputs: Precise[];
  mask: number[][] | null;
  weights: Precise[];
  outputs: Precise[];
  cotangents: Precise[];
  weightGradients: Precise[];
  inputGradients: Precise[];
}

interface StatefulCase {
  title: string;
  config: Record<string, unknown>;
  weights: Precise[];
  batches: Precise[];
  outputs: Precise[];
}

interface TrainingCase {
  title: string;
  config: Record<string, unknown>;
  weights: Precise[];
  x: Precise;
  ids: boolean;
  y: Precise;
  evaluated: number;
  losses: number[];
  after: Precise[];
}

const golden = readGolden<{ layers: LayerCase[]; stateful: StatefulCase[]; training: TrainingCase[] }>(
  'recurrent-options.json',
);
/** Keras computes in float32 itself. */
const tolerance = 2e-5;
const arrayOf = ({ shape, data }: Precise) => NdArray.from(Float64Array.from(data), shape);

async function checkLayer(one: LayerCase, json: unknown, machine: Machine): Promise<void> {
  const layer = layerFromKeras(json, kerasReading(3), 'layer');
  const shapes = one.inputs.map(({ shape }) => shape);
  const specs = layer.definition.weights(layer.config, shapes, 'layer');
  const space = new StateSpace(machine);
  specs.forEach(({ name, shape, groups }, i) => {
    expect(shape, name).toEqual(one.weights[i].shape);
    space.declare(name, shape, { groups });
    space.set(name, one.weights[i].data);
  });
  const step = compileStep(space, 'layer', (b) => {
    const weights = Object.fromEntries(specs.map(({ name }) => [name, b.state(name)]));
    const inputs = shapes.map((shape, i) => b.input(`x${i}`, shape));
    const mask = one.mask ? b.input('mask', shapes[0].slice(0, 2)) : null;
    const { outputs } = layer.definition.call(layer.config, {
      inputs,
      masks: inputs.map((_, i) => (i ? null : mask)),
      weights,
      training: false,
      random: { uniform: () => expect.unreachable() },
      path: 'layer',
    });
    const cotangents = outputs.map((y, i) => b.input(`d${i}`, y.shape));
    const found = gradients(outputs, cotangents, [...specs.map(({ name }) => weights[name]), ...inputs]);
    return {
      outputs: {
        ...Object.fromEntries(outputs.map((y, i) => [`y${i}`, y])),
        ...Object.fromEntries(found.flatMap((g, i) => (g ? [[`g${i}`, g]] : []))),
      },
    };
  });
  const feed: Record<string, ArrayLike<number>> = {};
  one.inputs.forEach(({ data }, i) => {
    feed[`x${i}`] = data;
  });
  one.cotangents.forEach(({ data }, i) => {
    feed[`d${i}`] = data;
  });
  if (one.mask) feed.mask = one.mask.flat();
  const [result] = await step.run([feed]);
  const compare = (name: string, expected: Precise, what: string) =>
    expectClose(
      NdArray.from(result[name] ?? new Float32Array(sizeOf(expected.shape)), expected.shape),
      expected,
      tolerance,
      what,
    );
  expect(Object.keys(result).filter((name) => name.startsWith('y'))).toHaveLength(one.outputs.length);
  one.outputs.forEach((y, i) => compare(`y${i}`, y, `output ${i}`));
  one.weightGradients.forEach((g, i) => compare(`g${i}`, g, `gradient of ${specs[i].name}`));
  one.inputGradients.forEach((g, i) => compare(`g${specs.length + i}`, g, `gradient of input ${i}`));
}

for (const machine of await goldenMachines()) {
  const where = `${machine.traits.host} ${machine.traits.isa}`;
  describe(`recurrent layers as in Keras on ${where}`, () => {
    test.each(golden.layers)('$title', (one) => checkLayer(one, one.layer, machine));
  });

  describe(`kept states as in Keras on ${where}`, () => {
    test.each(golden.stateful)('$title', async ({ config, weights, batches, outputs }) => {
      const model = modelFromKerasConfig(config, { machine });
      model.setWeights(weights.map(arrayOf));
      for (const [i, x] of batches.entries())
        expectClose((await model.predict(arrayOf(x))) as NdArray, outputs[i], tolerance, `batch ${i}`);
    });
  });

  describe(`penalties and constraints as in Keras on ${where}`, () => {
    test.each(golden.training)('$title', async ({ config, weights, x, ids, y, evaluated, losses, after }) => {
      const model = modelFromKerasConfig(config, { machine });
      model.compile({ optimizer: { class_name: 'SGD', config: { learning_rate: 0.1 } }, loss: 'mse' });
      model.setWeights(weights.map(arrayOf));
      const input = ids ? NdArray.from(Int32Array.from(x.data), x.shape) : arrayOf(x);
      const target = arrayOf(y);
      expect((await model.evaluate(input, target)).loss).toBeCloseTo(evaluated, 4);
      for (const loss of losses) expect((await model.trainOnBatch(input, target)).loss).toBeCloseTo(loss, 4);
      model.getWeights().forEach((w, i) => expectClose(w, after[i], 1e-4, model.weights[i].path));
    });
  });
}

test('the configuration that is written gives the same layer again', async () => {
  const [machine] = await goldenMachines();
  for (const one of golden.layers.filter((_, i) => i % 3 === 0)) {
    const layer = layerFromKeras(one.layer, kerasReading(3), 'layer');
    await checkLayer(one, JSON.parse(JSON.stringify(layerToKeras(layer, 'again'))), machine);
  }
});
