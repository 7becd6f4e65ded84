/**
 * Peak memory of a training step: of the process (what it takes beyond a process that has trained a small model, with the data in memory)
 * beside the plan's figure, and beside PyTorch's process. Every figure comes from a process of its own.
 */
import { openMachine } from 'unrolled';
import { answerAsChild, childResult } from './child.ts';
import { recurrentModel, wave } from './own-model.ts';
import { watchMemory } from './peak-memory.ts';
import { startPython } from './peers/python.ts';
import { planFigures } from './plan-figures.ts';
import { labelOf, type Point } from './points.ts';
import { median, type Row, report } from './report.ts';
import { settings } from './settings.ts';
import { targets, yesOrNo } from './targets.ts';

const points: readonly Point[] = [
  { kind: 'lstm', batch: 32, time: 100, features: 128, units: 128 },
  { kind: 'lstm', batch: 64, time: 100, features: 256, units: 256 },
  { kind: 'gru', batch: 64, time: 100, features: 256, units: 256 },
  { kind: 'simple-rnn', batch: 64, time: 100, features: 256, units: 256 },
  { kind: 'lstm', batch: 32, time: 1000, features: 64, units: 64 },
  { kind: 'two-layer', batch: 32, time: 100, features: 256, units: 256 },
];
const small: Point = { kind: 'lstm', batch: 2, time: 4, features: 8, units: 8 };
const steps = 3;

interface Own {
  readonly plan: number;
  readonly process: number;
}

/** The peak of a model's first training steps over what was there before it was made. */
export async function ownMemory(point: Point): Promise<Own> {
  const { batch, time, features, units } = point;
  const trained = async ({ kind }: Point, x: ReturnType<typeof wave>, y: ReturnType<typeof wave>) => {
    const model = recurrentModel(kind, units, features);
    for (let step = 0; step < steps; step++) await model.trainOnBatch(x, y);
    return model;
  };
  const warm = recurrentModel(small.kind, small.units, small.features);
  await warm.trainOnBatch(wave(small.batch, small.time, small.features), wave(small.batch, small.time, small.units));
  const [x, y] = [wave(batch, time, features), wave(batch, time, units)];
  const peak = watchMemory();
  const model = await trained(point, x, y);
  // Before the plan is printed: writing numbers with separators loads 5 MB of Node's tables of languages.
  const taken = peak();
  const { arena, state, io } = planFigures(model.explain());
  return { plan: arena + state + io, process: taken };
}

const mebibytes = (bytes: number) => bytes / 2 ** 20;

export async function trainingMemory(): Promise<void> {
  const { host, isa } = (await openMachine()).traits;
  const rounds = Math.min(settings.rounds, 3);
  const rows: Row[] = [];
  for (const point of settings.selection === 'quick' ? points.slice(0, 3) : points) {
    const own: Own[] = [];
    const others: number[] = [];
    for (let round = 0; round < rounds; round++) {
      own.push(childResult<Own>(import.meta.url, point));
      const torch = await startPython('PyTorch', 'torch_memory.py', ['torch'], 1);
      if (torch) others.push((await torch.ask<{ bytes: number }>({ ...point, steps })).bytes);
      torch?.stop();
    }
    const mine = median(own.map(({ process }) => process));
    const { plan } = own[0];
    const theirs = others.length > 0 ? median(others) : null;
    const enough = theirs === null ? null : mine <= targets.memoryOverTorch * theirs;
    console.log(
      `training-memory ${labelOf(point)}: ${mebibytes(mine).toFixed(1)} MB, the plan ${mebibytes(plan).toFixed(1)} MB`,
    );
    rows.push({
      point: labelOf(point),
      'plan MB': mebibytes(plan),
      'process MB': mebibytes(mine),
      'process / plan': mine / plan,
      'target ': targets.memoryOverPlan,
      'met ': yesOrNo(mine <= targets.memoryOverPlan * plan),
      'PyTorch MB': theirs === null ? '-' : mebibytes(theirs),
      'process / PyTorch': theirs === null ? '-' : mine / theirs,
      target: targets.memoryOverTorch,
      met: yesOrNo(enough),
    });
  }
  report('training-memory', rows, { host, isa, rounds, steps });
}

await answerAsChild(import.meta.url, ownMemory);
