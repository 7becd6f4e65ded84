/** Loss and metrics over a pass of data. */
import { fail } from '../core/errors.ts';
import type { Result } from '../engine/compile.ts';
import { Averages } from './averages.ts';
import type { ReadyBatch } from './batches.ts';
import type { Session } from './session.ts';
import type { Trainer } from './trainer.ts';
import { type NextBatch, Pace, walkBatches } from './walk.ts';

export interface Measuring {
  readonly session: Session;
  readonly next: NextBatch;
  /** Batches at most; null: all. */
  readonly steps: number | null;
  readonly where: string;
  readonly signal?: AbortSignal;
  /** After every hand-over. */
  each?(done: number, logs: Record<string, number>, results: readonly Result[]): void;
}

/** At most so many batches. */
export function limited(next: NextBatch, steps: number | null): NextBatch {
  if (steps === null) return next;
  let left = steps;
  return () => (left-- > 0 ? next() : null);
}

const trainerOf = ({ trainer }: ReadyBatch) => trainer as Trainer;

/** `loss` and the metrics. Ends early where the signal says so. Throws DATA where there is no batch. */
export async function runEvaluate(measuring: Measuring): Promise<{ logs: Record<string, number>; done: number }> {
  const { session, next, steps, where, signal, each } = measuring;
  let averages: Averages | null = null;
  let done = 0;
  const walk = walkBatches({
    session,
    pace: new Pace(),
    next: limited(next, steps),
    stepFor: (batch) => trainerOf(batch).evaluateStep(batch.shapes),
    stepAhead: (batch) => trainerOf(batch).evaluateStepAhead(batch.shapes),
    signal,
  });
  for await (const { batches, results } of walk) {
    averages ??= new Averages(trainerOf(batches[0]).objective.reported);
    for (const [i, result] of results.entries()) averages.add(result, batches[i].samples);
    done += batches.length;
    each?.(done, averages.logs(), results);
  }
  if (!averages) {
    if (!signal?.aborted) fail('DATA', where, 'at least one batch', 'none');
    return { logs: {}, done };
  }
  return { logs: averages.logs(), done };
}
