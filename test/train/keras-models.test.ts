/** Whole models against Keras 3 (`test/golden/keras-models.py`): configurations of two generations, predictions, gradients, training, summary. */
import { describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/core/array.ts';
import { type Model, modelFromKerasConfig } from '../../src/index.ts';
import type { Machine } from '../../src/vm/vm.ts';
import {
  expectClose,
  goldenMachines,
  type Precise,
  readGolden,
  relativeDistance,
  restore,
  type Stored,
} from '../golden/golden.ts';

interface CompileArguments {
  optimizer: { class_name: string; config: Record<string, unknown> };
  loss: { class_name: string; config: Record<string, unknown> };
  metrics: string[];
}

interface ModelCase {
  name: string;
  config: Record<string, unknown>;
  configKeras2?: Record<string, unknown>;
  weights: Stored[];
  x: Stored;
  output: Precise;
  /** Where Keras 2 means something else by the same words. */
  outputKeras2?: Precise;
  summary: string;
  summaryCompiled?: string;
  parameters: number;
  outputShape: (number | null)[];
  y?: Stored;
  sampleWeight?: Stored;
  loss?: number;
  gradients?: Precise[];
  inputGradient?: Precise;
  compile?: CompileArguments;
  compileKeras2?: CompileArguments;
  steps?: Record<string, number>[];
  /** Weights after the steps less the weights before. */
  change?: Precise[];
}

type Trained = ModelCase &
  Required<
    Pick<ModelCase, 'y' | 'loss' | 'gradients' | 'compile' | 'compileKeras2' | 'steps' | 'change' | 'summaryCompiled'>
  >;

const { unit, cases } = readGolden<{ unit: number; cases: ModelCase[] }>('keras-models.json');

interface Host {
  machine: Machine;
  tolerance: { output: number; loss: number; trajectory: number };
}

/** Keras adds 1e-7 to the count of valid steps when it averages a loss under a mask; so the oracle's loss differs that much. */
function hostOf(machine: Machine): Host {
  const exact = machine.traits.host === 'oracle';
  return {
    machine,
    tolerance: { output: exact ? 1e-10 : 2e-5, loss: exact ? 1e-7 : 2e-5, trajectory: exact ? 1e-6 : 1e-4 },
  };
}

function build(golden: ModelCase, generation: 2 | 3, { machine }: Host): Model {
  const model = modelFromKerasConfig(generation === 3 ? golden.config : golden.configKeras2, { machine });
  model.setWeights(golden.weights.map((w) => restore(w, unit)));
  return model;
}

const only = (arrays: NdArray | (NdArray | null)[] | null): NdArray => [arrays].flat()[0] as NdArray;
const isTrained = (golden: ModelCase): golden is Trained => golden.steps !== undefined;
const trained = cases.filter(isTrained);
const rewritten = cases.filter((c) => c.configKeras2 !== undefined);

function targets(golden: Trained): { y: NdArray; options: { sampleWeight?: NdArray } } {
  const options = golden.sampleWeight ? { sampleWeight: restore(golden.sampleWeight, unit) } : {};
  return { y: restore(golden.y, unit), options };
}

async function expectTrajectory(model: Model, golden: Trained, { tolerance }: Host): Promise<void> {
  const { y, options } = targets(golden);
  const x = restore(golden.x, unit);
  for (const [k, expected] of golden.steps.entries()) {
    const logs: Record<string, number> = await model.trainOnBatch(x, y, options);
    expect(Object.keys(logs).sort(), `keys of step ${k}`).toEqual(Object.keys(expected).sort());
    for (const [key, value] of Object.entries(expected))
      expect(relativeDistance([logs[key]], [value]), `${key} of step ${k}`).toBeLessThanOrEqual(tolerance.trajectory);
  }
  const before = golden.weights.map((w) => restore(w, unit));
  model.getWeights().forEach((after, i) => {
    const data = Array.from(golden.change[i].data, (change, j) => before[i].data[j] + change);
    expectClose(after, { shape: golden.change[i].shape, data }, tolerance.trajectory, `weight ${i} after training`);
  });
}

for (const machine of await goldenMachines()) {
  const host = hostOf(machine);
  const { tolerance } = host;
  const title = `Keras models on ${machine.traits.host} ${machine.traits.isa}`;

  describe(`${title}: predictions`, () => {
    const predicts = async (model: Model, golden: ModelCase, expected: Precise) =>
      expectClose(only(await model.predict(restore(golden.x, unit))), expected, tolerance.output, 'prediction');
    test.each(cases)('$name', (golden) => predicts(build(golden, 3, host), golden, golden.output));
    test.each(rewritten)('written by Keras 2: $name', (golden) =>
      predicts(build(golden, 2, host), golden, golden.outputKeras2 ?? golden.output),
    );
    test.each(cases)('written again by us: $name', (golden) => {
      const config = build(golden, 3, host).toKerasConfig();
      return predicts(build({ ...golden, config }, 3, host), golden, golden.output);
    });
  });

  describe(`${title}: loss and gradients`, () => {
    test.each(trained)('$name', async (golden) => {
      const model = build(golden, 3, host);
      model.compile(golden.compile);
      const { y, options } = targets(golden);
      const result = await model.lossAndGradients(restore(golden.x, unit), y, options);
      expect(relativeDistance([result.loss], [golden.loss]), 'loss').toBeLessThanOrEqual(tolerance.loss);
      expect(result.weightGradients).toHaveLength(golden.gradients.length);
      golden.gradients.forEach((expected, i) =>
        expectClose(result.weightGradients[i], expected, tolerance.loss, `gradient of weight ${i}`),
      );
      const input = only(result.inputGradients);
      if (golden.inputGradient) expectClose(input, golden.inputGradient, tolerance.loss, 'gradient of x');
      else expect(input).toBeNull(); // indices have no gradient
    });
  });

  describe(`${title}: training steps`, () => {
    test.each(trained)('$name', async (golden) => {
      const model = build(golden, 3, host);
      model.compile(golden.compile);
      await expectTrajectory(model, golden, host);
      expect(model.summary({ lineLength: 80, print: null })).toBe(golden.summaryCompiled.trimEnd());
    });
    test.each(trained.filter((c) => c.configKeras2))('written by Keras 2: $name', async (golden) => {
      const model = build(golden, 2, host);
      model.compile(golden.compileKeras2);
      await expectTrajectory(model, golden, host);
    });
  });

  describe(`${title}: summary`, () => {
    test.each(cases)('$name', (golden) => {
      const model = build(golden, 3, host);
      expect(model.countParams()).toBe(golden.parameters);
      expect(model.outputShapes).toEqual([golden.outputShape]);
      expect(model.summary({ lineLength: 80, print: null })).toBe(golden.summary.trimEnd());
    });
  });
}
