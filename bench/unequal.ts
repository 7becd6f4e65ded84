/**
 * Batches of sequences of unequal length, padded and masked, in turn with the same padded sequences without a mask, which compute every step,
 * and with PyTorch's packed sequences. Lengths are uniform in 1..T, or those of real reviews. Training through `fit`, LSTM, all outputs.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { layers, NdArray, openMachine, sequential } from 'unrolled';
import { type Contestant, contest } from './contest.ts';
import { wave } from './own-model.ts';
import type { StepOrder } from './peers/peer.ts';
import { TorchPeer } from './peers/torch.ts';
import type { Point } from './points.ts';
import { type Row, report } from './report.ts';
import { settings } from './settings.ts';
import { targets, yesOrNo } from './targets.ts';

type Side = 'right' | 'left';

interface Lengths {
  readonly name: string;
  readonly longest: number;
  /** The length of row r of all the batches. */
  of(r: number): number;
  readonly target: number | null;
}

/** Words of the reviews in the npm package wink-sentiment, a development dependency of the repository; null where it is absent. */
function reviewLengths(): number[] | null {
  try {
    const main = createRequire(import.meta.url).resolve('wink-sentiment/package.json');
    const file = new URL('test/data/amazon_cells_labelled.txt', `file://${main}`);
    const lines = readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.trim());
    return lines.map(
      (line) =>
        line
          .replace(/\s\d\s*$/, '')
          .trim()
          .split(/\s+/).length,
    );
  } catch (error) {
    console.log(`Lengths of reviews skipped: ${(error as Error).message.split('\n')[0]}`);
    return null;
  }
}

/** The same numbers in every run: a multiplicative generator of 31 bits. */
function uniform(longest: number): (r: number) => number {
  const drawn: number[] = [];
  let seed = 12345;
  return (r) => {
    while (drawn.length <= r) {
      seed = (seed * 48271) % 2147483647;
      drawn.push(1 + (seed % longest));
    }
    return drawn[r];
  };
}

function contestants(point: Point, lengths: Lengths, torch: TorchPeer | null): Contestant[] {
  const { batch, time, features, units } = point;
  const own = (name: string, side: Side | null): Contestant => {
    const model = sequential([
      layers.input({ shape: [time, features] }),
      layers.lstm({ units, returnSequences: true }),
    ]);
    model.compile({ optimizer: 'adam', loss: 'mse' });
    let data: { steps: number; x: NdArray; y: NdArray; mask: NdArray | undefined } | null = null;
    return {
      name,
      async run({ steps }) {
        const rows = batch * steps;
        if (data?.steps !== steps) {
          const kept = (r: number, t: number) => (side === 'left' ? t >= time - lengths.of(r) : t < lengths.of(r));
          const mask = Int32Array.from({ length: rows * time }, (_, i) => Number(kept(Math.floor(i / time), i % time)));
          data = {
            steps,
            x: wave(rows, time, features),
            y: wave(rows, time, units),
            mask: side ? NdArray.from(mask, [rows, time]) : undefined,
          };
        }
        const { x, y, mask } = data;
        const started = performance.now();
        await model.fit(x, y, { batchSize: batch, verbose: 0, shuffle: false, mask });
        return (performance.now() - started) / steps;
      },
    };
  };
  const all = [own('padded', null), own('right', 'right'), own('left', 'left')];
  if (torch) {
    const packed = (order: StepOrder) =>
      torch.run({ ...order, lengths: Array.from({ length: batch }, (_, r) => lengths.of(r)) });
    all.push({ name: 'PyTorch packed', run: packed }, { name: 'PyTorch padded', run: (order) => torch.run(order) });
  }
  return all;
}

export async function unequal(): Promise<void> {
  const { host, isa } = (await openMachine()).traits;
  const { rounds, window } = settings;
  const reviews = reviewLengths();
  const kinds: Lengths[] = (settings.selection === 'quick' ? [100] : [100, 400]).map((longest) => ({
    name: `uniform in 1..${longest}`,
    longest,
    of: uniform(longest),
    target: targets.unequal,
  }));
  if (reviews) {
    const longest = Math.max(...reviews);
    const name = `1,000 reviews, 1..${longest} words`;
    kinds.unshift({ name, longest, of: (r) => reviews[r % reviews.length], target: null });
  }
  const torch = await TorchPeer.start('torch_steps.py');
  const rows: Row[] = [];
  for (const lengths of kinds)
    for (const units of [32, 128]) {
      const point: Point = { kind: 'lstm', batch: 32, time: lengths.longest, features: units, units };
      const measured = await contest(contestants(point, lengths, torch), point, 'train', { rounds, window });
      const of = (name: string) => measured.get(name)?.median ?? Number.NaN;
      const gain = of('padded') / Math.max(of('right'), of('left'));
      console.log(`unequal ${lengths.name}, ${units} units: ${gain.toFixed(2)}x`);
      rows.push({
        lengths: lengths.name,
        size: `32 x ${lengths.longest} x ${units}, ${units} units`,
        'padded ms': of('padded'),
        'padded right ms': of('right'),
        'padded left ms': of('left'),
        'gain of the slower side': gain,
        target: lengths.target ?? '-',
        met: yesOrNo(lengths.target === null ? null : gain >= lengths.target),
        'PyTorch padded ms': torch ? of('PyTorch padded') : '-',
        'PyTorch packed ms': torch ? of('PyTorch packed') : '-',
        'x PyTorch packed': torch ? of('PyTorch packed') / Math.max(of('right'), of('left')) : '-',
      });
    }
  torch?.stop();
  report('unequal', rows, { host, isa, rounds, window });
}
