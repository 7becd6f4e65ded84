/**
 * One training step of an LSTM: forward, mean squared error of the whole output sequence, backward without the gradient of the input, Adam.
 * 32 x 100 x 128 on one thread, measured through `fit`, in turn with PyTorch in the same run; on WebAssembly in turn with TensorFlow.js.
 */
import { spawnSync } from 'node:child_process';
import { layers, NdArray, openMachine, sequential } from 'unrolled';
import { measurePeak } from './peak.ts';
import type { StepOrder } from './peers/peer.ts';
import { TensorFlowPeer } from './peers/tfjs.ts';
import { TorchPeer } from './peers/torch.ts';
import { interleave, median, type Row, report } from './report.ts';

const batch = 32;
const time = 100;
const features = 128;
const units = 128;
const order: StepOrder = { kind: 'lstm', batch, time, features, units, work: 'train', steps: 10 };
const rounds = 9;

/** Forward x W and h U, and twice that backward, less the gradient of the input. */
const flops = 2 * batch * time * 4 * units * (features + units) * 3 - 2 * batch * time * 4 * units * features;

/** Gives milliseconds per step of a fit over `order.steps` batches. */
function ours(): () => Promise<number> {
  const samples = batch * order.steps;
  const wave = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * 0.7) * 0.5 + 0.5);
  const x = NdArray.from(wave(samples * time * features), [samples, time, features]);
  const y = NdArray.from(wave(samples * time * units), [samples, time, units]);
  const model = sequential([layers.lstm({ units, returnSequences: true })]);
  model.compile({ optimizer: 'adam', loss: 'mse' });
  return async () => {
    const started = performance.now();
    await model.fit(x, y, { epochs: 1, batchSize: batch, verbose: 0 });
    return (performance.now() - started) / order.steps;
  };
}

function rowOf(name: string, times: readonly number[], peak: number): Row {
  const ms = median(times);
  return {
    name,
    'ms per step': ms,
    fastest: Math.min(...times),
    'GFLOP/s': flops / ms / 1e6,
    'share of peak': `${((100 * flops) / ms / 1e6 / peak).toFixed(0)} %`,
  };
}

async function native(): Promise<void> {
  const { rate, host, isa } = await measurePeak();
  const torch = await TorchPeer.start();
  const contestants: Record<string, () => Promise<number>> = { unrolled: ours() };
  if (torch) contestants.PyTorch = () => torch.run(order);
  const times = await interleave(contestants, rounds);
  torch?.stop();
  const rows = [rowOf(`unrolled, ${host} ${isa}`, times.unrolled, rate)];
  if (torch) {
    rows.push(rowOf(`PyTorch ${torch.version}`, times.PyTorch, rate));
    rows.push({ name: 'PyTorch / unrolled', 'ms per step': median(times.PyTorch) / median(times.unrolled) });
  }
  report(`lstm-step-${host}`, rows, { batch, time, features, units, rounds, peak: rate, times });
}

async function wasm(): Promise<void> {
  const { rate, host, isa } = await measurePeak();
  const times = await interleave({ unrolled: ours() }, rounds);
  const rows = [rowOf(`unrolled, ${host} ${isa}`, times.unrolled, rate)];
  const tensorFlow = await TensorFlowPeer.start();
  if (tensorFlow) {
    const milliseconds = await tensorFlow.run({ ...order, steps: 2 });
    tensorFlow.stop();
    rows.push(rowOf(`tfjs-wasm ${tensorFlow.version}`, [milliseconds], rate));
    rows.push({ name: 'tfjs-wasm / unrolled', 'ms per step': milliseconds / median(times.unrolled) });
  }
  report(`lstm-step-${host}`, rows, { batch, time, features, units, rounds, peak: rate, times });
}

/** The host is chosen once per process: the WebAssembly half runs in a process of its own. */
export async function lstmStep(): Promise<void> {
  const { traits } = await openMachine();
  if (traits.host === 'wasm') return wasm();
  await native();
  const { status } = spawnSync(process.execPath, [process.argv[1], 'lstm-step'], {
    stdio: 'inherit',
    env: { ...process.env, UNROLLED_HOST: 'wasm', UNROLLED_ISA: '' },
  });
  if (status !== 0) process.exitCode = 1;
}
