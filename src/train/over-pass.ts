/** One pass over data outside of training, with its progress. */

import type { Verbosity } from './fit.ts';
import { ProgressBar, processWriter } from './progress.ts';
import type { BatchSource } from './source.ts';
import type { NextBatch } from './walk.ts';

export interface PassOptions {
  /** Batches at most. Default: all. */
  readonly steps?: number;
  readonly verbose?: Verbosity;
}

export interface PassWork {
  readonly next: NextBatch;
  readonly steps: number | null;
  /** Samples in all batches; null where only their end tells. */
  readonly samples: number | null;
  readonly where: string;
  each(done: number, logs?: Record<string, number>): void;
}

/** Opens a pass for as long as the work takes. */
export async function overPass<T>(
  source: BatchSource,
  { steps, verbose }: PassOptions,
  where: string,
  work: (pass: PassWork) => Promise<T>,
): Promise<T> {
  const pass = source.open(0, 0);
  const bar = progressBar(verbose, steps ?? source.count);
  let seen: [done: number, logs: Record<string, number>] = [0, {}];
  const each = (done: number, logs: Record<string, number> = {}) => {
    seen = [done, logs];
    bar?.update(done, logs, false);
  };
  try {
    const samples = steps === undefined ? source.samples : null;
    const result = await work({ next: () => pass.next(), steps: steps ?? null, samples, where, each });
    bar?.update(...seen, true);
    return result;
  } finally {
    await pass.close();
  }
}

function progressBar(verbose: Verbosity | undefined, target: number | null): ProgressBar | null {
  const { terminal, ...writer } = processWriter();
  const level = verbose === 'auto' ? (terminal ? 1 : 2) : (verbose ?? 0);
  return level ? new ProgressBar({ ...writer, target, verbose: level, now: () => performance.now() / 1000 }) : null;
}
