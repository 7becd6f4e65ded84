/**
 * One step of a model that takes its sequence step by step, called from TypeScript: microseconds per step (median, 99th percentile and
 * fastest of single steps), and bytes of the heap that a step leaves behind.
 */
import { layers, openMachine, sequential } from 'unrolled';
import { type Row, report } from './report.ts';

const shapes = [
  { cell: 'lstm', units: 64, features: 1, rows: 1 },
  { cell: 'lstm', units: 64, features: 64, rows: 1 },
  { cell: 'gru', units: 64, features: 64, rows: 1 },
  { cell: 'lstm', units: 256, features: 64, rows: 1 },
  { cell: 'lstm', units: 64, features: 64, rows: 16 },
] as const;
const warm = 20_000;
const samples = 20_000;

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/**
 * Heap that `calls` of `work`, and the look at the heap itself, leave behind at least, in bytes: the first trials of a process also hold what V8
 * makes while it optimises this loop.
 */
function leastLeft(work: () => unknown, calls: number, collect: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let trial = 0; trial < 16; trial++) {
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let k = 0; k < calls; k++) work();
    least = Math.min(least, process.memoryUsage().heapUsed - before);
  }
  return least;
}

/** Heap that `work` leaves behind, in bytes per call; 0 where the collector cannot be called. */
function bytesPerCall(work: () => unknown, calls: number): number {
  const collect = (globalThis as { gc?: () => void }).gc;
  return collect ? Math.max(0, leastLeft(work, calls, collect) - leastLeft(work, 0, collect)) / calls : 0;
}

async function measure({ cell, units, features, rows }: (typeof shapes)[number]): Promise<Row> {
  const recurrent = cell === 'lstm' ? layers.lstm({ units }) : layers.gru({ units });
  const model = sequential([layers.input({ shape: [null, features] }), recurrent, layers.dense({ units: 1 })]);
  const stepper = await model.stream({ rows });
  const x = Float32Array.from({ length: rows * features }, (_, i) => Math.sin(i * 0.7));
  const step = () => stepper.step(x);
  for (let k = 0; k < warm; k++) step();
  const times = new Float64Array(samples);
  for (let k = 0; k < samples; k++) {
    const started = performance.now();
    step();
    times[k] = (performance.now() - started) * 1000;
  }
  times.sort();
  return {
    model: `${cell}(${units}), dense(1)`,
    features,
    rows,
    'median µs': quantile(times, 0.5),
    'p99 µs': quantile(times, 0.99),
    'fastest µs': times[0],
    'bytes per step': bytesPerCall(step, 20_000),
  };
}

export async function stream(): Promise<void> {
  const { host, isa } = (await openMachine()).traits;
  const rows: Row[] = [];
  for (const shape of shapes) rows.push(await measure(shape));
  report(`stream-${host}`, rows, { host, isa, warm, samples });
}
