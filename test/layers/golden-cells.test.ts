/** Outputs and gradients of the three cells, masks included, against NumPy in float64 (`test/golden/golden-cells.py`). */
import { describe, expect, test } from 'vitest';
import { layers, type Model, modelFromKerasConfig, sequential } from '../../src/index.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { expectClose, goldenMachines, type Precise, readGolden, restore, type Stored } from '../golden/golden.ts';

interface CellConfig {
  units: number;
  return_sequences: boolean;
  go_backwards: boolean;
  zero_output_for_mask: boolean;
  use_bias: boolean;
  reset_after?: boolean;
}

interface CellCase {
  name: string;
  layer: 'SimpleRNN' | 'LSTM' | 'GRU';
  config: CellConfig;
  x: Stored;
  mask: number[][] | null;
  weights: Stored[];
  outputGradient: Stored;
  output: Precise;
  weightGradients: Precise[];
  inputGradient: Precise;
}

const { unit, cases } = readGolden<{ unit: number; cases: CellCase[] }>('golden-cells.json');
const toleranceOn = ({ traits }: Machine) => (traits.host === 'oracle' ? 1e-10 : 1e-5);

function fromConfig({ layer, config, x }: CellCase, machine: Machine): Model {
  const entry = { batch_shape: [null, ...x.shape.slice(1)], dtype: 'float32', name: 'input_layer' };
  const listed = [
    { module: 'keras.layers', class_name: 'InputLayer', config: entry, registered_name: null },
    { module: 'keras.layers', class_name: layer, config: { name: 'cell', ...config }, registered_name: null },
  ];
  const model = { name: 'sequential', layers: listed };
  return modelFromKerasConfig(
    { module: 'keras', class_name: 'Sequential', config: model, registered_name: null },
    { machine },
  );
}

function fromFactories({ layer, config, x }: CellCase, machine: Machine): Model {
  const options = {
    units: config.units,
    returnSequences: config.return_sequences,
    goBackwards: config.go_backwards,
    zeroOutputForMask: config.zero_output_for_mask,
    useBias: config.use_bias,
  };
  const cell = {
    SimpleRNN: () => layers.simpleRNN(options),
    LSTM: () => layers.lstm(options),
    GRU: () => layers.gru({ ...options, resetAfter: config.reset_after }),
  };
  return sequential([layers.input({ shape: x.shape.slice(1) }), cell[layer]()], { machine });
}

async function check(model: Model, golden: CellCase, tolerance: number): Promise<void> {
  model.setWeights(golden.weights.map((w) => restore(w, unit)));
  const x = restore(golden.x, unit);
  const mask = golden.mask ?? undefined;
  const result = await model.vjp(x, restore(golden.outputGradient, unit), { mask });
  const [output] = [result.outputs].flat();
  const [inputGradient] = [result.inputGradients].flat();
  expectClose(output, golden.output, tolerance, 'y');
  expect(result.weightGradients).toHaveLength(golden.weightGradients.length);
  const names = ['kernel', 'recurrent kernel', 'bias'];
  golden.weightGradients.forEach((expected, i) =>
    expectClose(result.weightGradients[i], expected, tolerance, `gradient of the ${names[i]}`),
  );
  if (!inputGradient) throw new Error('no gradient of x');
  expectClose(inputGradient, golden.inputGradient, tolerance, 'gradient of x');
  const [prediction] = [await model.predict(x, { mask })].flat();
  expectClose(prediction, golden.output, tolerance, 'prediction');
}

const masked = cases.filter((c) => c.mask !== null);
const chosen = (['SimpleRNN', 'LSTM', 'GRU'] as const).flatMap((layer) =>
  masked.filter((c) => c.layer === layer).slice(0, 3),
);

for (const machine of await goldenMachines()) {
  const where = `${machine.traits.host} ${machine.traits.isa}`;
  const tolerance = toleranceOn(machine);
  describe(`cells from Keras configurations on ${where}`, () => {
    test.each(cases)('$name', (golden) => check(fromConfig(golden, machine), golden, tolerance));
  });
  describe(`cells from factories on ${where}`, () => {
    test.each(chosen)('$name', (golden) => check(fromFactories(golden, machine), golden, tolerance));
  });
}
