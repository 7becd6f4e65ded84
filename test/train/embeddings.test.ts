/** Training of embeddings of which a batch touches few rows, in models: against PyTorch's sparse gradients and Keras, and the oracle. */
import { describe, expect, it } from 'vitest';
import { compileStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import {
  input,
  layers,
  type Model,
  model,
  NdArray,
  optimizers,
  type SymbolicTensor,
  sequential,
} from '../../src/index.ts';
import { gather } from '../../src/ops/gather.ts';
import { square, tanh } from '../../src/ops/pointwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { slotLeaf } from '../../src/train/optimizers/slots.ts';
import { traceOptimizer } from '../../src/train/optimizers/step.ts';
import { openMachine } from '../../src/vm/open.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { goldenMachines, type Precise, readGolden } from '../golden/golden.ts';

interface Golden {
  ids: number[][][];
  targets: number[][][];
  table: Precise;
  weights: Precise[];
  sparse: Record<'sgd' | 'adagrad', Precise>;
  models: { optimizer: { class_name: string; config: Record<string, unknown> }; table: Precise }[];
}
const golden = readGolden<Golden>('touched-rows.json');
const machines = await goldenMachines();
const oracle = await openMachine({ host: 'oracle' });
const array = ({ shape, data }: Precise) => NdArray.from(Float32Array.from(data), shape);

function expectClose(got: ArrayLike<number>, want: ArrayLike<number>, within: number): void {
  expect(got.length).toBe(want.length);
  const apart = Array.from(want, (x, i) => Math.abs(got[i] - x) / Math.max(1, Math.abs(x)));
  expect(Math.max(...apart)).toBeLessThanOrEqual(within);
}

const rates = { learningRate: 0.1 };
const rules = { sgd: optimizers.sgd(rates), adagrad: optimizers.adagrad({ ...rates, epsilon: 1e-30 }) };

describe.each(machines.map((m) => [m.traits.host, m] as const))('on %s', (_, machine) => {
  it.each(['sgd', 'adagrad'] as const)("as PyTorch's embedding with sparse gradients: %s", (name) => {
    const optimizer = rules[name];
    const weight = { path: 'table', shape: golden.table.shape, groups: 1 };
    const space = new StateSpace(machine);
    space.declare(weight.path, weight.shape);
    space.set(weight.path, golden.table.data);
    for (const [slot, { shape, initial }] of Object.entries(optimizer.slots(weight))) {
      space.declare(slotLeaf(weight.path, slot), shape);
      space.set(slotLeaf(weight.path, slot), new Float64Array(golden.table.data.length).fill(initial as number));
    }
    const step = compileStep(space, name, (b) => {
      const table = b.state(weight.path);
      const loss = sum(square(tanh(gather(table, b.input('ids', [3, 5], 'i32')))));
      const [gradient] = gradients([loss], [b.constant(1)], [table]);
      const updates: Record<string, typeof table> = {};
      const scalars = { learningRate: b.input('rate', []) };
      traceOptimizer(b, optimizer, [{ ...weight, gradient, project: null }], scalars, (leaf, next) => {
        updates[leaf] = next;
      });
      return { outputs: { loss }, updates };
    });
    step.runSync(golden.ids.map((ids) => ({ ids: Int32Array.from(ids.flat()), rate: [0.1] })));
    expectClose(space.get(weight.path), golden.sparse[name].data, 1e-6);
  });

  it.each(golden.models.map((m) => [`${m.optimizer.class_name} ${JSON.stringify(m.optimizer.config)}`, m] as const))(
    'as Keras: %s',
    async (_name, { optimizer, table }) => {
      const [rows, columns] = golden.table.shape;
      const own = sequential(
        [
          layers.embedding({ inputDim: rows, outputDim: columns, maskZero: true }),
          layers.lstm({ units: 4 }),
          layers.dense({ units: 1, activation: 'sigmoid' }),
        ],
        { machine },
      );
      own.compile({ optimizer, loss: 'binaryCrossentropy' });
      await own.predict(golden.ids[0]);
      own.setWeights(golden.weights.map(array));
      for (const [i, ids] of golden.ids.entries()) await own.trainOnBatch(ids, golden.targets[i]);
      expectClose(own.getWeights()[0].data, table.data, 2e-5);
      if (machine.traits.host !== 'oracle') expect(own.explain()).toMatch('DISTINCT');
    },
  );
});

const ROWS = 400;
const machine = machines[machines.length - 1];
const ids = NdArray.from(
  Int32Array.from({ length: 8 * 12 }, (_, i) => (i % 12 < i % 5 ? 0 : (i * i * 7 + i) % ROWS)),
  [8, 12],
);
const labels = NdArray.from(
  Float32Array.from({ length: 8 }, (_, i) => i % 2),
  [8, 1],
);
const perStep = NdArray.from(
  Float32Array.from({ length: 8 * 12 }, (_, i) => i % 3 && 1),
  [8, 12, 1],
);
const embedding = (options: object = {}) =>
  layers.embedding({ inputDim: ROWS, outputDim: 8, name: 'embedding', ...options });
const head = () => layers.dense({ units: 1, activation: 'sigmoid' });

type Make = (machine: Machine) => Model;
const chain =
  (list: () => Parameters<typeof sequential>[0], options: object = {}): Make =>
  (on) =>
    sequential(list(), { seed: 3, machine: on, ...options });
const functional =
  (body: (x: SymbolicTensor, table: ReturnType<typeof embedding>) => SymbolicTensor): Make =>
  (on) => {
    const x = input({ shape: [12], dtype: 'int32' });
    return model({ inputs: x, outputs: head().apply(body(x, embedding())), seed: 3, machine: on });
  };

/** Models, and how many instructions of a training step by SGD still pass over the whole table. */
const models: [string, Make, { fit?: object; passes: number }][] = [
  ['masked', chain(() => [embedding({ maskZero: true }), layers.gru({ units: 6 }), head()]), { passes: 0 }],
  [
    'bidirectional',
    chain(() => [embedding(), layers.bidirectional({ layer: layers.lstm({ units: 4 }) }), head()]),
    { passes: 0 },
  ],
  [
    'windows',
    chain(() => [embedding(), layers.lstm({ units: 4, returnSequences: true }), head()]),
    { fit: { tbptt: { window: 4 } }, passes: 0 },
  ],
  ['segments', chain(() => [embedding(), layers.lstm({ units: 4 }), head()], { memory: 'sqrt' }), { passes: 0 }],
  ['averages over time', chain(() => [embedding(), layers.globalAveragePooling1d(), head()]), { passes: 0 }],
  [
    'called twice',
    functional((x, table) => {
      const back = layers.lstm({ units: 4, goBackwards: true }).apply(table.apply(x));
      return layers.concatenate().apply([layers.gru({ units: 3 }).apply(table.apply(x)), back]);
    }),
    { passes: 0 },
  ],
  [
    'a penalty',
    chain(() => [embedding({ embeddingsRegularizer: 'l2' }), layers.gru({ units: 4 }), head()]),
    { passes: 3 },
  ],
  [
    'not below zero',
    chain(() => [embedding({ embeddingsConstraint: 'nonNeg' }), layers.gru({ units: 4 }), head()]),
    { passes: 1 },
  ],
  ['frozen', chain(() => [embedding({ trainable: false }), layers.gru({ units: 4 }), head()]), { passes: 0 }],
];

/** Instructions over all rows of the table. */
function wholePasses(text: string): string[] {
  const lines = text
    .split('\n== ')
    .filter((part) => part.includes('train'))[0]
    .split('\n');
  return lines.filter((line) =>
    /^\s*(CHAIN vectors=400|FILL .*count=6400|SCATTER_ADD .*vocabulary=400) /.test(`${line} `),
  );
}

describe('models', () => {
  it.each(models)('%s: as on the oracle', async (_, make, { fit = {}, passes }) => {
    for (const optimizer of ['sgd', 'adagrad', 'adam']) {
      const trained = await Promise.all(
        [machine, oracle].map(async (on) => {
          const own = make(on);
          own.compile({ optimizer, loss: 'binaryCrossentropy' });
          const y = 'tbptt' in fit ? perStep : labels;
          await own.fit(ids, y, { epochs: 2, batchSize: 4, shuffle: false, verbose: 0, ...fit });
          return own;
        }),
      );
      const [got, want] = trained.map((own) => own.getWeights());
      got.forEach((w, i) => expectClose(w.data, want[i].data, 3e-5));
      if (machine.traits.host === 'oracle' || optimizer === 'adam') continue;
      expect(wholePasses(trained[0].explain()).length).toBe(passes);
    }
  });

  it('bfloat16 products, the same with and without an embedding that is large', async () => {
    // Rows that no batch names make no difference, but let the gradient be kept by rows.
    const runs = await Promise.all(
      [96, 4000].map(async (inputDim) => {
        const own = sequential([embedding({ inputDim }), layers.lstm({ units: 16 }), head()], {
          machine,
          precision: 'bfloat16',
          seed: 5,
        });
        own.compile({ optimizer: 'adagrad', loss: 'binaryCrossentropy' });
        const small = NdArray.from(
          Int32Array.from(ids.data, (x) => x % 96),
          ids.shape,
        );
        await own.predict(small);
        const table = Float32Array.from({ length: inputDim * 8 }, (_, i) => Math.sin(i) / 10);
        own.setWeight('embedding/embeddings', NdArray.from(table, [inputDim, 8]));
        await own.fit(small, labels, { epochs: 2, batchSize: 8, shuffle: false, verbose: 0 });
        return own;
      }),
    );
    const [small, large] = runs.map((own) => Array.from(own.getWeights()[0].data.subarray(0, 96 * 8)));
    expect(large).toEqual(small);
    if (machine.traits.host === 'oracle') return;
    expect(runs.map((own) => own.explain().includes('DISTINCT'))).toEqual([false, true]);
  });

  it.skipIf(machine.traits.host === 'oracle')(
    'a loss that stops being finite is found, and the weights are those of the last good step',
    async () => {
      const own = sequential([embedding(), layers.flatten(), layers.dense({ units: 1, name: 'head' })], { machine });
      own.compile({ optimizer: optimizers.sgd({ learningRate: 0.1, clipnorm: 1 }), loss: 'mse' });
      await own.fit(ids, labels, { batchSize: 4, verbose: 0 });
      const before = own.getWeights().map((w) => Array.from(w.data));
      const broken = NdArray.from(Float32Array.from(labels.data).fill(3e38), labels.shape);
      await expect(own.trainOnBatch(ids, broken)).rejects.toMatchObject({ code: 'NUMERIC' });
      expect(own.getWeights().map((w) => Array.from(w.data))).toEqual(before);
    },
  );
});
