/**
 * `npm run bench -- NAME...`: runs benchmarks one after the other, each in a process of its own that is held to one processor (or to as many
 * as it has threads). `all` runs everything, `quick` a selection of five minutes, `report` writes bench/RESULTS.md from the last results.
 * Without a name it lists them.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { benchProcessors, pinningPrefix } from './pinning.ts';

interface Program {
  readonly does: string;
  run(): Promise<void>;
  /** A run for each count. Default: one thread. */
  readonly threads?: readonly number[];
  /** What the five-minute selection sets; null where it leaves the program out. */
  readonly quick: Readonly<Record<string, string>> | null;
  /** What `all` sets. */
  readonly all?: Readonly<Record<string, string>>;
  /** May use every processor: it measures what stands beside the machine's threads, or what V8 does on threads of its own, as users see it. */
  readonly free?: boolean;
}

const programs: Readonly<Record<string, Program>> = {
  peak: {
    does: 'FMA rate and memory bandwidth of one core, by host, instruction set and type of core',
    run: async () => (await import('./peak.ts')).peak(),
    quick: {},
    free: true,
  },
  train: {
    does: 'training steps over the grid, one and two threads, against PyTorch, Keras and TensorFlow.js',
    run: async () => (await import('./grid.ts')).grid('train'),
    threads: [1, 2],
    quick: {},
  },
  infer: {
    does: 'inference over the grid, one and two threads, against PyTorch, Keras, ONNX Runtime and TensorFlow.js',
    run: async () => (await import('./grid.ts')).grid('infer'),
    threads: [1, 2],
    quick: {},
  },
  'lstm-step': {
    does: 'one LSTM training step, against PyTorch; on WebAssembly against TensorFlow.js',
    run: async () => (await import('./lstm-step.ts')).lstmStep(),
    quick: {},
  },
  'custom-cell': {
    does: "a user's LSTM and minimal gated unit against the built-in ones",
    run: async () => (await import('./custom-cell.ts')).customCell(),
    quick: {},
  },
  unequal: {
    does: 'batches of unequal length against the same padded, and against packed sequences of PyTorch',
    run: async () => (await import('./unequal.ts')).unequal(),
    quick: {},
  },
  layers: {
    does: 'a training step of every layer at three sizes, and its memory, against PyTorch',
    run: async () => (await import('./layers.ts')).layersBench(),
    quick: null,
    all: { UNROLLED_BENCH_ROUNDS: '3' },
  },
  scale: {
    does: 'how time and memory of a training step grow with length, batch and units',
    run: async () => (await import('./scale.ts')).scale(),
    quick: null,
  },
  memory: {
    does: 'memory of the process over 2,000 training steps of changing length',
    run: async () => (await import('./memory.ts')).memory(),
    quick: null,
  },
  'training-memory': {
    does: "peak memory of a training step against the plan's figure and against PyTorch",
    run: async () => (await import('./training-memory.ts')).trainingMemory(),
    quick: { UNROLLED_BENCH_ROUNDS: '1' },
  },
  'long-sequences': {
    does: 'memory and time of training on 10,000 steps, by what is kept of them',
    run: async () => (await import('./long-sequences.ts')).longSequences(),
    quick: null,
  },
  stream: {
    does: 'one step of a model that takes its sequence step by step: microseconds, and bytes left behind',
    run: async () => (await import('./stream.ts')).stream(),
    quick: {},
  },
  startup: {
    does: 'from the import to the end of the first training step, in processes of their own',
    run: async () => (await import('./startup.ts')).startup(),
    quick: {},
    free: true,
  },
  compile: {
    does: 'milliseconds to compile a training step for a new shape, by model and depth',
    run: async () => (await import('./compile.ts')).compile(),
    quick: {},
    free: true,
  },
  precision: {
    does: 'speed and accuracy of bfloat16 products, against float32',
    run: async () => (await import('./precision.ts')).precision(),
    quick: {},
  },
  profile: {
    does: "what the time of each row of the design's table goes to, by Linux' perf",
    run: async () => (await import('./profile.ts')).profile(),
    quick: null,
  },
  'event-loop': {
    does: 'delay of the event loop while a fit runs',
    run: async () => (await import('./event-loop.ts')).eventLoop(),
    quick: null,
    free: true,
  },
};

type Environment = Readonly<Record<string, string>>;

/** Runs one program in a process of its own. @returns whether it ended well */
function start(name: string, threads: number, environment: Environment): boolean {
  const program = programs[name];
  const processors = benchProcessors();
  const cpus = program.free ? [] : processors.slice(0, threads);
  if (!program.free && cpus.length < threads) {
    console.log(`${name} on ${threads} threads skipped: there are ${cpus.length} processors to use.`);
    return true;
  }
  const prefix = pinningPrefix(cpus);
  const held = prefix.length > 0 ? `processor ${cpus.join(' and ')}` : 'not held to a processor';
  console.log(`\n## ${name}${threads > 1 ? `, ${threads} threads` : ''}: ${program.does} (${held})`);
  const started = performance.now();
  const [command, ...rest] = [...prefix, process.execPath, '--expose-gc', fileURLToPath(import.meta.url), name];
  const { status, signal } = spawnSync(command, rest, {
    stdio: 'inherit',
    env: {
      ...process.env,
      ...environment,
      UNROLLED_BENCH_PROGRAM: name,
      UNROLLED_BENCH_THREADS: String(threads),
      UNROLLED_BENCH_PINNED: prefix.length > 0 ? cpus.join(',') : '',
    },
  });
  console.log(`${name}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
  if (status !== 0) console.error(`${name} failed: ${signal ?? `status ${status}`}`);
  return status === 0;
}

interface Run {
  readonly name: string;
  readonly environment: Environment;
}

function runsOf(names: readonly string[]): Run[] {
  const all = Object.keys(programs);
  return names.flatMap((name): Run[] => {
    if (name === 'all')
      return all.map((each) => ({
        name: each,
        environment: { ...programs[each].all, UNROLLED_BENCH_SELECTION: 'all' },
      }));
    if (name !== 'quick') return [{ name, environment: {} }];
    return all.flatMap((each) => {
      const { quick } = programs[each];
      return quick ? [{ name: each, environment: { UNROLLED_BENCH_SELECTION: 'quick', ...quick } }] : [];
    });
  });
}

async function main(names: readonly string[]): Promise<void> {
  const special = ['all', 'quick', 'report'];
  const unknown = names.find((name) => !Object.hasOwn(programs, name) && !special.includes(name));
  if (names.length === 0 || unknown) {
    if (unknown) console.error(`There is no benchmark ${unknown}.`);
    console.log('npm run bench -- NAME... | all | quick | report');
    for (const [name, { does }] of Object.entries(programs)) console.log(`  ${name.padEnd(16)} ${does}`);
    console.log(
      `  ${'all'.padEnd(16)} everything; quick: a selection of five minutes; report: writes bench/RESULTS.md`,
    );
    process.exitCode = unknown ? 1 : 0;
    return;
  }
  const started = performance.now();
  const failed: string[] = [];
  for (const { name, environment } of runsOf(names.filter((each) => each !== 'report')))
    for (const threads of programs[name].threads ?? [1]) if (!start(name, threads, environment)) failed.push(name);
  if (names.includes('report')) await (await import('./results-page.ts')).writeResults();
  console.log(`\n${names.join(', ')}: ${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
  if (failed.length > 0) {
    console.error(`Failed: ${failed.join(', ')}`);
    process.exitCode = 1;
  }
}

const names = process.argv.slice(2);
// a process that was started for one program, or that such a program starts anew for another host
if (process.env.UNROLLED_BENCH_PROGRAM && names.length === 1) await programs[names[0]].run();
else await main(names);
