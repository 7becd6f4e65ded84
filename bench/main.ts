/** `npm run bench -- NAME...`: runs benchmarks one after the other. Without a name it lists them. */
const programs: Record<string, { does: string; run(): Promise<void> }> = {
  peak: {
    does: 'FMA rate of one core, by products that stay in the cache',
    run: async () => (await import('./peak.ts')).peak(),
  },
  'lstm-step': {
    does: 'one LSTM training step, against PyTorch; on WebAssembly against TensorFlow.js',
    run: async () => (await import('./lstm-step.ts')).lstmStep(),
  },
  layers: {
    does: 'a training step of every layer at three sizes, and its memory, against PyTorch',
    run: async () => (await import('./layers.ts')).layersBench(),
  },
  memory: {
    does: 'memory of the process over 2,000 training steps of changing length',
    run: async () => (await import('./memory.ts')).memory(),
  },
  'long-sequences': {
    does: 'memory and time of training on 10,000 steps, by what is kept of them',
    run: async () => (await import('./long-sequences.ts')).longSequences(),
  },
  stream: {
    does: 'one step of a model that takes its sequence step by step: microseconds, and bytes left behind',
    run: async () => (await import('./stream.ts')).stream(),
  },
  startup: {
    does: 'from the import to the end of the first training step, in processes of their own',
    run: async () => (await import('./startup.ts')).startup(),
  },
  compile: {
    does: 'milliseconds to compile a training step for a new shape, by model and depth',
    run: async () => (await import('./compile.ts')).compile(),
  },
  'event-loop': {
    does: 'delay of the event loop while a fit runs',
    run: async () => (await import('./event-loop.ts')).eventLoop(),
  },
};

const names = process.argv.slice(2);
const unknown = names.find((name) => !(name in programs) && name !== 'all');
if (names.length === 0 || unknown) {
  if (unknown) console.error(`There is no benchmark ${unknown}.`);
  console.log('npm run bench -- NAME... | all');
  for (const [name, { does }] of Object.entries(programs)) console.log(`  ${name.padEnd(12)} ${does}`);
  process.exitCode = unknown ? 1 : 0;
} else {
  for (const name of names.includes('all') ? Object.keys(programs) : names) {
    console.log(`\n## ${name}: ${programs[name].does}`);
    await programs[name].run();
  }
}
