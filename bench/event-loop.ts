/** How late timers fire while a fit runs, beside an idle process. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { layers, NdArray, openMachine, sequential } from 'unrolled';
import { type Row, report } from './report.ts';

const milliseconds = (nanoseconds: number) => nanoseconds / 1e6;
const resolution = 1;

async function delays(what: string, work: () => Promise<unknown>): Promise<Row> {
  const histogram = monitorEventLoopDelay({ resolution });
  histogram.enable();
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  histogram.disable();
  return {
    what,
    seconds,
    'median ms': milliseconds(histogram.percentile(50)),
    'p99 ms': milliseconds(histogram.percentile(99)),
    'longest ms': milliseconds(histogram.max),
  };
}

export async function eventLoop(): Promise<void> {
  const { traits } = await openMachine();
  const [time, features, units, samples] = [100, 128, 128, 320];
  const model = sequential([layers.lstm({ units, returnSequences: true })]);
  model.compile({ optimizer: 'adam', loss: 'mse' });
  const wave = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 0.7));
  const x = NdArray.from(wave(samples * time * features), [samples, time, features]);
  const y = NdArray.from(wave(samples * time * units), [samples, time, units]);
  await model.fit(x, y, { epochs: 1, batchSize: 32, verbose: 0 });
  const rows = [
    await delays('idle', () => new Promise((resolve) => setTimeout(resolve, 3000))),
    await delays('fit, LSTM 32 x 100 x 128', () => model.fit(x, y, { epochs: 8, batchSize: 32, verbose: 0 })),
  ];
  report('event-loop', rows, { host: traits.host, isa: traits.isa, resolution });
}
