/**
 * A training step of every layer at three sizes, in turn with PyTorch's in the same run, on one thread: forward, mean squared error of all
 * outputs (of a few layers their own loss), backward, Adam, measured through `fit`. In front of layers without weights stands a dense one,
 * here and there. What PyTorch does not have is written there in its plain operations. Memory: the plan's figure (state, io and arena of
 * the step) beside the bytes that PyTorch keeps for the way back and for weights, gradients and slots.
 *
 * `npm run bench -- layers` runs all; UNROLLED_BENCH_LAYERS=lstm,gru some, UNROLLED_BENCH_ROUNDS=3 fewer rounds, UNROLLED_BENCH_SIZES=1
 * the small ones alone.
 */
import { input, model as makeModel, NdArray } from 'unrolled';
import { type Batch, type Contestant, contestants, sequences } from './layer-contestants.ts';
import { TorchPeer } from './peers/torch.ts';
import { interleave, median, type Row, report } from './report.ts';

interface Own {
  run(): Promise<number>;
  /** Bytes of state, io and arena of the training step. */
  bytes(): number;
}

function ours({ build, indices, loss: [loss, classes] = ['mse', 0] }: Contestant, batch: Batch, steps: number): Own {
  const rows = batch[0] * steps;
  const wave = (shape: readonly number[]) => {
    const count = shape.reduce((a, b) => a * b);
    return NdArray.from(
      Float32Array.from({ length: count }, (_, i) => Math.sin(i * 0.7) * 0.5 + 0.5),
      shape,
    );
  };
  const numbers = (shape: readonly number[], below: number) => {
    const count = shape.reduce((a, b) => a * b);
    return NdArray.from(
      Int32Array.from({ length: count }, (_, i) => (i * 7919) % below),
      shape,
    );
  };
  const row = batch.slice(1, indices ? -1 : undefined);
  const x = input(indices ? { shape: row, dtype: 'int32' } : { shape: row });
  const y = build(x, batch[batch.length - 1]);
  const own = makeModel({ inputs: x, outputs: y });
  own.compile({ optimizer: 'adam', loss });
  const data = indices ? numbers([rows, ...row], indices) : wave([rows, ...row]);
  const target = classes ? numbers([rows, batch[1]], classes) : wave([rows, ...(y.shape.slice(1) as number[])]);
  return {
    async run() {
      const started = performance.now();
      await own.fit(data, target, { epochs: 1, batchSize: batch[0], verbose: 0 });
      return (performance.now() - started) / steps;
    },
    bytes() {
      const plan = own.explain().split('== train')[1] ?? '';
      const units: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
      const parts = [/buffers in ([\d.]+) (\w+)/, /state ([\d.]+) (\w+)/, /io ([\d.]+) (\w+) a step/];
      return parts.reduce((total, part) => {
        const found = part.exec(plan);
        return total + (found ? Number(found[1]) * units[found[2]] : 0);
      }, 0);
    },
  };
}

const megabytes = (bytes: number) => bytes / 2 ** 20;

export async function layersBench(): Promise<void> {
  const chosen = process.env.UNROLLED_BENCH_LAYERS?.split(',') ?? Object.keys(contestants);
  const rounds = Number(process.env.UNROLLED_BENCH_ROUNDS ?? 7);
  const count = Number(process.env.UNROLLED_BENCH_SIZES ?? sequences.length);
  const torch = await TorchPeer.start('torch_layers.py');
  const rows: Row[] = [];
  const all: Record<string, unknown> = {};
  for (const name of chosen) {
    const contestant = contestants[name];
    if (!contestant) throw new Error(`There is no layer ${name}: ${Object.keys(contestants).join(', ')}.`);
    for (const [at, batch] of (contestant.shapes ?? sequences).slice(0, count).entries()) {
      const steps = at === 0 ? 20 : 5;
      const order = { layer: name, batch, steps };
      const peerBytes = torch ? await torch.run({ ...order, steps: 0 }) : null;
      const own = ours(contestant, batch, steps);
      const both: Record<string, () => Promise<number>> = { unrolled: own.run };
      if (torch && peerBytes !== null) both.PyTorch = () => torch.run(order);
      const times = await interleave(both, rounds);
      const milliseconds = median(times.unrolled);
      const label = `${name} ${batch.join(' x ')}`;
      rows.push({
        name: label,
        'ms per step': milliseconds,
        PyTorch: times.PyTorch ? median(times.PyTorch) : '-',
        'PyTorch / unrolled': times.PyTorch ? median(times.PyTorch) / milliseconds : '-',
        MB: megabytes(own.bytes()),
        'PyTorch MB': peerBytes === null ? '-' : megabytes(peerBytes),
      });
      all[label] = times;
      console.log(`layers ${label}: ${milliseconds.toPrecision(3)} ms`);
    }
  }
  torch?.stop();
  // The worst beside the peer first, those without a peer last.
  const ratio = (row: Row) => Number(row['PyTorch / unrolled']);
  rows.sort((a, b) => (Number.isNaN(ratio(a)) ? 1 : Number.isNaN(ratio(b)) ? -1 : ratio(a) - ratio(b)));
  report('layers', rows, { rounds, times: all });
}
