/** Memory of the process over many training steps of changing batch lengths: it must stay flat. */
import { layers, openMachine, sequential } from 'unrolled';
import { type Row, report } from './report.ts';

const steps = 2000;
const batch = 16;
const longest = 40;
const vocabulary = 500;

function megabytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss / 2 ** 20;
}

export async function memory(): Promise<void> {
  const { traits } = await openMachine();
  const model = sequential([
    layers.embedding({ inputDim: vocabulary, outputDim: 32, maskZero: true }),
    layers.lstm({ units: 32 }),
    layers.dense({ units: 1, activation: 'sigmoid' }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
  const batchOf = (length: number, step: number) => ({
    x: Array.from({ length: batch }, (_, r) =>
      Array.from({ length }, (_, t) => 1 + ((step * 31 + r * 17 + t * 7) % (vocabulary - 1))),
    ),
    y: Array.from({ length: batch }, (_, r) => [(step + r) % 2]),
  });
  const rows: Row[] = [{ when: 'before the first step', 'RSS MB': megabytes() }];
  // every length is compiled once; what is measured is what a step leaves behind
  for (let length = 1; length <= longest; length++)
    await model.trainOnBatch(batchOf(length, length).x, batchOf(length, length).y);
  for (let step = 0; step < 200; step++) {
    const { x, y } = batchOf(1 + ((step * 13) % longest), step);
    await model.trainOnBatch(x, y);
  }
  const start = megabytes();
  rows.push({ when: `after ${longest} lengths and 200 steps`, 'RSS MB': start });
  for (let step = 1; step <= steps; step++) {
    const { x, y } = batchOf(1 + ((step * 13) % longest), step);
    await model.trainOnBatch(x, y);
    if (step % 500 === 0) rows.push({ when: `${step} steps later`, 'RSS MB': megabytes() });
  }
  const end = megabytes();
  rows.push({ when: 'growth over them', 'RSS MB': end - start });
  report('memory', rows, { host: traits.host, isa: traits.isa, steps, batch, longest });
}
