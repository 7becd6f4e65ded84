/**
 * From the start of the import to the end of the first training step, compiling included, in processes of their own: milliseconds until
 * each part is finished. What the first step takes less the second one is the compiling, and drawing the weights, which is done when they are
 * first needed.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { benchFolder, median, report } from './report.ts';

const runs = 10;

const program = `
  const started = performance.now();
  const times = [];
  const done = () => times.push(performance.now() - started);
  const { layers, NdArray, openMachine, sequential } = await import('unrolled');
  done();
  await openMachine();
  done();
  const model = sequential([layers.embedding({ inputDim: 1000, outputDim: 32, maskZero: true }), layers.lstm({ units: 32 }), layers.dense({ units: 1, activation: 'sigmoid' })]);
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
  model.build([null, 50]);
  done();
  const x = NdArray.from(new Int32Array(32 * 50).fill(3), [32, 50]);
  const y = NdArray.zeros([32, 1]);
  await model.trainOnBatch(x, y);
  done();
  await model.trainOnBatch(x, y);
  done();
  console.log(JSON.stringify(times));
`;

const parts = ['import', 'machine opened', 'model built', 'training step compiled', 'first training step finished'];

/** Milliseconds until each part was finished. */
function once(): number[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../', benchFolder)),
  });
  if (status !== 0) throw new Error(stderr.toString());
  const [imported, opened, built, first, second] = JSON.parse(stdout.toString()) as number[];
  return [imported, opened, built, Math.max(built, first - (second - first)), first];
}

export async function startup(): Promise<void> {
  once(); // the files are in the system's cache from here on
  const times = Array.from({ length: runs }, once);
  const rows = parts.map((until, i) => {
    const own = times.map((time) => time[i]);
    const part = times.map((time) => time[i] - (time[i - 1] ?? 0));
    return { until, 'of it ms': median(part), 'fastest ms': Math.min(...own), 'median ms': median(own) };
  });
  report('startup', rows, { runs });
}
