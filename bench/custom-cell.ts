/**
 * Cells written by a user, by `defineCell` from the public operations, in turn with the built-in cells of the same equations: an LSTM and a
 * minimal gated unit, training through `fit` and inference through `predict`.
 */
import { defineCell, type Layer, layers, openMachine, ops, sequential } from 'unrolled';
import { contest } from './contest.ts';
import { wave } from './own-model.ts';
import type { Point, Work } from './points.ts';
import { type Row, report } from './report.ts';
import { settings } from './settings.ts';
import { targets, yesOrNo } from './targets.ts';

const ownLstm = defineCell({
  name: 'OwnLstm',
  state: ({ units }) => ({ h: [units], c: [units] }),
  weights: ({ units, features }) => ({
    kernel: [features, 4 * units],
    recurrentKernel: [units, 4 * units],
    bias: [4 * units],
  }),
  step: ({ x, state: { h, c }, weights: w }) => {
    const product = ops.add(ops.matmul(x, w.kernel), ops.matmul(h, w.recurrentKernel));
    const [i, f, g, o] = ops.split(ops.add(product, w.bias), 4);
    const next = ops.add(ops.mul(ops.sigmoid(f), c), ops.mul(ops.sigmoid(i), ops.tanh(g)));
    const output = ops.mul(ops.sigmoid(o), ops.tanh(next));
    return { output, state: { h: output, c: next } };
  },
});

const ownMinimalGatedUnit = defineCell({
  name: 'OwnMinimalGatedUnit',
  state: ({ units }) => ({ h: [units] }),
  weights: ({ units, features }) => ({
    kernel: [features, 2 * units],
    recurrentKernel: [units, 2 * units],
    bias: [2 * units],
  }),
  step: ({ x, state: { h }, weights: w }) => {
    const [xf, xh] = ops.split(ops.add(ops.matmul(x, w.kernel), w.bias), 2);
    const [hf, hh] = ops.split(ops.matmul(h, w.recurrentKernel), 2);
    const forget = ops.sigmoid(ops.add(xf, hf));
    const candidate = ops.tanh(ops.add(xh, ops.mul(forget, hh)));
    const next = ops.add(ops.mul(ops.oneMinus(forget), h), ops.mul(forget, candidate));
    return { output: next, state: { h: next } };
  },
});

const returnSequences = true;
const pairs: Readonly<Record<string, readonly [own: (units: number) => Layer, builtIn: (units: number) => Layer]>> = {
  lstm: [
    (units) => layers.rnn({ cell: ownLstm({ units }), returnSequences }),
    (units) => layers.lstm({ units, returnSequences }),
  ],
  'minimal gated unit': [
    (units) => layers.rnn({ cell: ownMinimalGatedUnit({ units }), returnSequences }),
    (units) => layers.minimalGatedUnit({ units, returnSequences }),
  ],
};

const sizes = [
  { batch: 1, time: 100, features: 1, units: 32 },
  { batch: 32, time: 100, features: 32, units: 32 },
  { batch: 32, time: 100, features: 128, units: 128 },
  { batch: 64, time: 100, features: 256, units: 256 },
] as const;

function contestant(name: string, layer: Layer, { batch, time, features, units }: Point, work: Work) {
  const model = sequential([layers.input({ shape: [time, features] }), layer]);
  model.compile({ optimizer: 'adam', loss: 'mse' });
  let data = { steps: 0, x: wave(1), y: wave(1) };
  return {
    name,
    async run({ steps }: { readonly steps: number }) {
      const rows = batch * steps;
      if (data.steps !== steps) data = { steps, x: wave(rows, time, features), y: wave(rows, time, units) };
      const started = performance.now();
      if (work === 'train') await model.fit(data.x, data.y, { batchSize: batch, verbose: 0 });
      // Over the results of the last time, as in the grid: new arrays of megabytes cost more than what is compared.
      else await model.predict(data.x, { batchSize: batch, out: data.y });
      return (performance.now() - started) / steps;
    },
  };
}

export async function customCell(): Promise<void> {
  const { host, isa } = (await openMachine()).traits;
  const { rounds, window } = settings;
  const rows: Row[] = [];
  for (const work of ['train', 'infer'] as const)
    for (const [name, [own, builtIn]] of Object.entries(pairs))
      for (const size of settings.selection === 'quick' ? sizes.slice(0, 3) : sizes) {
        const point: Point = { kind: 'lstm', ...size };
        const contestants = [
          contestant('own', own(size.units), point, work),
          contestant('built in', builtIn(size.units), point, work),
        ];
        const measured = await contest(contestants, point, work, { rounds, window });
        const [mine, theirs] = ['own', 'built in'].map((key) => measured.get(key)?.median ?? Number.NaN);
        const target = size.batch === 1 ? targets.ownCellOneRow : targets.ownCell;
        const label = `${size.batch} x ${size.time} x ${size.features}, ${size.units} units`;
        console.log(`custom-cell ${work} ${name} ${label}: ${(mine / theirs).toFixed(2)}`);
        rows.push({
          cell: name,
          work,
          size: label,
          'own ms': mine,
          'built-in ms': theirs,
          'own / built-in': mine / theirs,
          target,
          met: yesOrNo(mine / theirs <= target),
        });
      }
  report('custom-cell', rows, { host, isa, rounds, window });
}
