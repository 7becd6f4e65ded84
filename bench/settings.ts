/** What a run of the benchmarks is told by the environment: `main.ts` sets it for the programs that it starts. */
import type { Selection } from './points.ts';

function count(name: string, otherwise: number): number {
  const given = process.env[name];
  if (!given) return otherwise;
  const value = Number(given);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`${name}: expected a whole number from 1 on, received '${given}'`);
  return value;
}

function selection(): Selection {
  const given = process.env.UNROLLED_BENCH_SELECTION || 'all';
  if (given === 'design' || given === 'quick' || given === 'all') return given;
  throw new Error(`UNROLLED_BENCH_SELECTION: expected design, quick or all, received '${given}'`);
}

export const settings = {
  /** Threads of this program. */
  threads: count('UNROLLED_BENCH_THREADS', 1),
  selection: selection(),
  /** Rounds of a contest; fewer in the selection. */
  rounds: count('UNROLLED_BENCH_ROUNDS', selection() === 'quick' ? 5 : 7),
  /** Milliseconds of one measurement. */
  window: count('UNROLLED_BENCH_WINDOW', selection() === 'quick' ? 60 : 120),
  /** Points whose label contains this alone, such as `gru 32 x 100`. */
  only: process.env.UNROLLED_BENCH_POINTS ?? '',
};
