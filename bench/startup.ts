/**
 * From the start of the import to the end of the first training step, compiling included, in processes of their own: milliseconds, and how
 * much of them the import takes.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { benchFolder, median, report } from './report.ts';

const runs = 10;

const program = `
  const started = performance.now();
  const { layers, NdArray, sequential } = await import('unrolled');
  const imported = performance.now();
  const model = sequential([layers.embedding({ inputDim: 1000, outputDim: 32, maskZero: true }), layers.lstm({ units: 32 }), layers.dense({ units: 1, activation: 'sigmoid' })]);
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
  await model.trainOnBatch(NdArray.from(new Int32Array(32 * 50).fill(3), [32, 50]), NdArray.zeros([32, 1]));
  console.log(JSON.stringify([imported - started, performance.now() - started]));
`;

function once(): readonly [imported: number, trained: number] {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../', benchFolder)),
  });
  if (status !== 0) throw new Error(stderr.toString());
  return JSON.parse(stdout.toString());
}

export async function startup(): Promise<void> {
  once(); // the files are in the system's cache from here on
  const times = Array.from({ length: runs }, once);
  const rows = ['import', 'first training step finished'].map((name, i) => {
    const own = times.map((time) => time[i]);
    return { until: name, 'fastest ms': Math.min(...own), 'median ms': median(own) };
  });
  report('startup', rows, { runs });
}
