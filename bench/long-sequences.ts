/**
 * Training on long sequences: what the backward pass over time takes, in the plan and in the process, and how long, for the choices of `memory`
 * and for truncated backpropagation. Every measurement is a process of its own, since memory that was used once stays with a process.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { layers, NdArray, openMachine, sequential, type TimeMemory, type Truncation } from 'unrolled';
import { median, type Row, report } from './report.ts';

const [steps, batch, features, units] = [10_000, 32, 16, 64];
const rounds = 3;

interface Contestant {
  /** All outputs of the layer are trained on, or the last one. */
  readonly outputs: 'all' | 'last';
  readonly memory: TimeMemory;
  readonly tbptt?: Truncation;
}

const contestants: Readonly<Record<string, Contestant>> = {
  "last output, memory: 'full'": { outputs: 'last', memory: 'full' },
  "last output, memory: 'sqrt'": { outputs: 'last', memory: 'sqrt' },
  'last output, memory: 1000': { outputs: 'last', memory: 1000 },
  "all outputs, memory: 'full'": { outputs: 'all', memory: 'full' },
  "all outputs, memory: 'sqrt'": { outputs: 'all', memory: 'sqrt' },
  'all outputs, tbptt: { window: 100 }': { outputs: 'all', memory: 'full', tbptt: { window: 100 } },
  'all outputs, tbptt: { window: 100, stride: 50 }': {
    outputs: 'all',
    memory: 'full',
    tbptt: { window: 100, stride: 50 },
  },
};

interface Measured {
  /** The largest arena of a step. */
  readonly planMB: number;
  /** The peak of the process over what it had with the data in memory. */
  readonly rssMB: number;
  readonly milliseconds: number;
}

const megabytes = (bytes: number) => bytes / 2 ** 20;

function wave(...shape: number[]): NdArray {
  const data = new Float32Array(shape.reduce((a, b) => a * b));
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(i * 1.3);
  return NdArray.from(data, shape);
}

/** Bytes of the arenas in the printed plans. */
function arenas(text: string): number[] {
  const unit: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
  return [...text.matchAll(/arena map: \d+ buffers in ([\d.]+) (\w+)/g)].map(
    ([, size, name]) => Number(size) * unit[name],
  );
}

/** One pass over the sequences to compile and to touch the memory, and one that is timed. */
async function measure({ outputs, memory, tbptt }: Contestant): Promise<Measured> {
  const model = sequential([
    layers.input({ shape: [null, features] }),
    layers.lstm({ units, returnSequences: outputs === 'all' }),
    layers.dense({ units: 1 }),
  ]);
  model.compile({ optimizer: 'adam', loss: 'mse', memory });
  const x = wave(batch, steps, features);
  const y = outputs === 'all' ? wave(batch, steps, 1) : wave(batch, 1);
  const before = process.memoryUsage().rss;
  const pass = async () => {
    const start = performance.now();
    await model.fit(x, y, { batchSize: batch, verbose: 0, shuffle: false, tbptt });
    return performance.now() - start;
  };
  await pass();
  const milliseconds = await pass();
  return {
    planMB: megabytes(Math.max(...arenas(model.explain()))),
    rssMB: megabytes(process.resourceUsage().maxRSS * 1024 - before),
    milliseconds,
  };
}

function inProcess(name: string): Measured {
  const program = fileURLToPath(import.meta.url);
  const { stdout, stderr, status } = spawnSync(process.execPath, [program, name], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name}: ${stderr}`);
  return JSON.parse(stdout) as Measured;
}

export async function longSequences(): Promise<void> {
  const { traits } = await openMachine();
  const names = Object.keys(contestants);
  const measured = new Map<string, Measured[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) for (const name of names) measured.get(name)?.push(inProcess(name));
  const rows = names.map((name): Row => {
    const all = measured.get(name) as Measured[];
    return {
      training: name,
      'plan MB': all[0].planMB,
      'process MB': median(all.map(({ rssMB }) => rssMB)),
      'ms per pass over the sequences': median(all.map(({ milliseconds }) => milliseconds)),
      'optimizer steps': Math.ceil(
        steps / (contestants[name].tbptt?.stride ?? contestants[name].tbptt?.window ?? steps),
      ),
    };
  });
  const { host, isa } = traits;
  report('long-sequences', rows, { host, isa, steps, batch, features, units, rounds });
}

// A process of its own for one contestant.
const name = process.argv[2];
if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(await measure(contestants[name])));
