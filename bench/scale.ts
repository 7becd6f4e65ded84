/**
 * How time and memory of a training step of an LSTM grow with the length, the batch and the number of units, each from small to large with
 * the others held. The slope is that of a straight line through the logarithms: 1 where twice the size costs twice as much.
 */
import { openMachine } from 'unrolled';
import { answerAsChild, childResult } from './child.ts';
import { contest } from './contest.ts';
import { OwnModel } from './own-model.ts';
import { labelOf, type Point } from './points.ts';
import { type Row, report } from './report.ts';
import { settings } from './settings.ts';
import { ownMemory } from './training-memory.ts';

const middle: Point = { kind: 'lstm', batch: 32, time: 100, features: 64, units: 64 };
const axes = {
  time: [25, 50, 100, 200, 400, 800, 1600],
  batch: [1, 4, 16, 32, 64, 128, 256],
  units: [16, 32, 64, 128, 256, 512],
} as const;

interface Figures {
  readonly milliseconds: number;
  readonly plan: number;
  readonly process: number;
}

async function figuresAt(point: Point): Promise<Figures> {
  const { plan, process } = await ownMemory(point);
  const own = Object.assign(new OwnModel(point, 'train', settings.threads), { name: 'own' });
  const { rounds, window } = settings;
  const measured = await contest([own], point, 'train', { rounds: Math.min(rounds, 5), window });
  return { milliseconds: measured.get('own')?.median ?? Number.NaN, plan, process };
}

/** The slope of the least squares line through (log x, log y). */
function slope(xs: readonly number[], ys: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
  const [u, v] = [xs.map(Math.log), ys.map((y) => Math.log(Math.max(y, 1e-12)))];
  const [mu, mv] = [mean(u), mean(v)];
  const over = u.reduce((sum, x, i) => sum + (x - mu) * (v[i] - mv), 0);
  return over / u.reduce((sum, x) => sum + (x - mu) ** 2, 0);
}

export async function scale(): Promise<void> {
  const { host, isa } = (await openMachine()).traits;
  const rows: Row[] = [];
  const slopes: Row[] = [];
  for (const [axis, values] of Object.entries(axes)) {
    const all = values.map((value) => {
      const point: Point = { ...middle, [axis]: value };
      const figures = childResult<Figures>(import.meta.url, point);
      console.log(`scale ${labelOf(point)}: ${figures.milliseconds.toPrecision(3)} ms`);
      rows.push({
        grows: axis,
        point: labelOf(point),
        ms: figures.milliseconds,
        'plan MB': figures.plan / 2 ** 20,
        'process MB': figures.process / 2 ** 20,
      });
      return figures;
    });
    const of = (pick: (figures: Figures) => number, from: number) =>
      slope(values.slice(from), all.slice(from).map(pick));
    const half = values.length >> 1;
    slopes.push({
      grows: axis,
      'slope of time': of((one) => one.milliseconds, 0),
      'of its upper half': of((one) => one.milliseconds, half),
      'slope of the plan': of((one) => one.plan, 0),
      'plan, upper half': of((one) => one.plan, half),
      'process, upper half': of((one) => one.process, half),
    });
  }
  report('scale', rows, { host, isa }, slopes);
}

await answerAsChild(import.meta.url, figuresAt);
