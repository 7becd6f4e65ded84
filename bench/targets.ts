/** What the design asks for: ratios to PyTorch, shares of the peak, and the other figures of its table. */
import { designPoints, type Kind, type Point, type Work } from './points.ts';

export interface Target {
  /** At least so many times PyTorch's speed. */
  readonly ratio: number;
  /** At least this part of the peak; null where there is no such target. */
  readonly share: number | null;
}

const training: readonly (readonly [fits: (p: Point) => boolean, share: number | null, ratios: readonly number[]])[] = [
  [({ units }) => units >= 256, 0.85, [1.35, 1.3, 1.6]],
  [({ units }) => units === 128, 0.78, [1.3, 2, 3]],
  [({ batch }) => batch === 32, 0.65, [2, 10, 12]],
  [({ batch }) => batch === 1, null, [10, 100, 100]],
];
const column: Readonly<Partial<Record<Kind, number>>> = { lstm: 0, gru: 1, 'simple-rnn': 2 };

export function isOfTheTable(point: Point): boolean {
  return designPoints.some((p) => Object.keys(p).every((key) => p[key as keyof Point] === point[key as keyof Point]));
}

/** Null for points outside of the design's table. */
export function targetOf(point: Point, work: Work): Target | null {
  const at = column[point.kind];
  if (at === undefined || !isOfTheTable(point)) return null;
  if (work === 'infer') return { ratio: point.kind === 'lstm' ? 1.05 : 1.4, share: null };
  const found = training.find(([fits]) => fits(point));
  return found ? { share: found[1], ratio: found[2][at] } : null;
}

/** How many times one thread's speed two threads must reach; null where the design says nothing. */
export function threadTargetOf({ batch, units }: Point): number | null {
  if (batch < 32) return null;
  return units >= 128 ? 1.8 : units >= 32 ? 1.6 : null;
}

/** Figures that are the same at every point. */
export const targets = {
  /** Of the twelve training rows. */
  geometricMean: 5,
  worstTraining: 1.3,
  worstInference: 1.05,
  /** Time of a user's cell over the built-in one's. */
  ownCell: 1.05,
  /** The same at batch 1, where a built-in cell may have an instruction of its own. */
  ownCellOneRow: 1.25,
  /** Batches of lengths uniform in 1..T over the same padded. */
  unequal: 1.8,
  /** GFLOP/s of the LSTM's training at 32 x 100 x 128 where the addon's peak is 115. */
  wasm: { simd128: 25, relaxed: 40, peak: 115 },
  tensorFlow: 100,
  streamMicroseconds: 2,
  startupMilliseconds: 150,
  compileMilliseconds: 10,
  /** Peak of the process over the plan's figure. */
  memoryOverPlan: 1.1,
  /** Peak over PyTorch's. */
  memoryOverTorch: 0.5,
  packageMegabytes: 5,
} as const;

export function yesOrNo(met: boolean | null): string {
  return met === null ? '-' : met ? 'yes' : 'no';
}
