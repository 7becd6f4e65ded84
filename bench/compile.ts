/**
 * Milliseconds to compile a training step for a new shape: the first `trainOnBatch` of a length less the second one of the same length, in
 * a process that has compiled other models before, and the first of all in it; beside it what building the model took (its weights are
 * drawn), and a step that is compiled. Deep models must cost in proportion to their depth.
 */
import { type Layer, layers, NdArray, openMachine, sequential } from 'unrolled';
import { median, type Row, report } from './report.ts';

const batch = 4;
const features = 8;
const lengths = 24;

const repeated = (count: number, make: () => Layer) => Array.from({ length: count }, make);
const lstm = () => layers.lstm({ units: 16, returnSequences: true });
const models: Readonly<Record<string, () => readonly Layer[]>> = {
  'embedding, lstm, dense': () => [
    layers.embedding({ inputDim: 100, outputDim: 16, maskZero: true }),
    layers.lstm({ units: 32 }),
    layers.dense({ units: 1 }),
  ],
  'lstm, lstm, dense': () => [lstm(), layers.lstm({ units: 16 }), layers.dense({ units: 1 })],
  '4 x lstm, dense': () => [...repeated(4, lstm), layers.lstm({ units: 16 }), layers.dense({ units: 1 })],
  '8 x lstm, dense': () => [...repeated(8, lstm), layers.lstm({ units: 16 }), layers.dense({ units: 1 })],
  '16 x lstm, dense': () => [...repeated(16, lstm), layers.lstm({ units: 16 }), layers.dense({ units: 1 })],
  '4 x bidirectional, dense': () => [
    ...repeated(4, () => layers.bidirectional({ layer: lstm() })),
    layers.lstm({ units: 16 }),
    layers.dense({ units: 1 }),
  ],
};

async function measure(name: string, make: () => readonly Layer[]): Promise<Row> {
  const model = sequential(make());
  model.compile({ optimizer: 'adam', loss: 'mse' });
  const isText = name.startsWith('embedding');
  const before = performance.now();
  model.build(isText ? [null, null] : [null, null, features]);
  // They are drawn when they are first asked for.
  model.getWeights();
  const build = performance.now() - before;
  const times: number[] = [];
  const runs: number[] = [];
  for (let length = 2; length < 2 + lengths; length++) {
    const x = isText
      ? NdArray.from(new Int32Array(batch * length).fill(3), [batch, length])
      : NdArray.from(new Float32Array(batch * length * features).fill(0.1), [batch, length, features]);
    const y = NdArray.zeros([batch, 1]);
    const started = performance.now();
    await model.trainOnBatch(x, y);
    const compiled = performance.now();
    await model.trainOnBatch(x, y);
    const run = performance.now() - compiled;
    times.push(compiled - started - run);
    runs.push(run);
  }
  return {
    model: name,
    build,
    'first of this model': times[0],
    median: median(times.slice(1)),
    fastest: Math.min(...times),
    'a step': median(runs),
  };
}

export async function compile(): Promise<void> {
  const { host, isa } = (await openMachine()).traits;
  const rows: Row[] = [];
  for (const [name, make] of Object.entries(models)) rows.push(await measure(name, make));
  report(`compile-${host}`, rows, { host, isa, batch, lengths, unit: 'milliseconds' });
}
