/** Outputs and gradients of the three cells, masks included, against NumPy in float64 (`test/golden/golden-cells.py`). */
import { describe, expect, test } from 'vitest';
import { layers, type Model, modelFromKerasConfig, sequential } from '../../src/index.ts';
import { openMachine } from '../../src/vm/open.ts';
import { expectClose, type Precise, readGolden, restore, type Stored } from '../golden/golden.ts';

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
const { host } = (await openMachine()).traits;
const tolerance = host === 'oracle' ? 1e-10 : 1e-5;

function fromConfig({ layer, config, x }: CellCase): Model {
  const entry = { batch_shape: [null, ...x.shape.slice(1)], dtype: 'float32', name: 'input_layer' };
  return modelFromKerasConfig({
    module: 'keras',
    class_name: 'Sequential',
    config: {
      name: 'sequential',
      layers: [
        { module: 'keras.layers', class_name: 'InputLayer', config: entry, registered_name: null },
        { module: 'keras.layers', class_name: layer, config: { name: 'cell', ...config }, registered_name: null },
      ],
    },
    registered_name: null,
  });
}

function fromFactories({ layer, config, x }: CellCase): Model {
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
  return sequential([layers.input({ shape: x.shape.slice(1) }), cell[layer]()]);
}

async function check(model: Model, golden: CellCase): Promise<void> {
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

describe(`cells from Keras configurations on ${host}`, () => {
  test.each(cases)('$name', (golden) => check(fromConfig(golden), golden));
});

describe(`cells from factories on ${host}`, () => {
  const masked = cases.filter((c) => c.mask !== null);
  const chosen = (['SimpleRNN', 'LSTM', 'GRU'] as const).flatMap((layer) =>
    masked.filter((c) => c.layer === layer).slice(0, 3),
  );
  test.each(chosen)('$name', (golden) => check(fromFactories(golden), golden));
});
