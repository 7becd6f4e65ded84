/** Outputs for data, batch by batch. */
import type { NdArray } from '../core/array.ts';
import type { CompiledStep } from '../engine/compile.ts';
import type { ReadyBatch } from './batches.ts';
import { limited } from './evaluate.ts';
import { type Network, statesOf } from './network.ts';
import { Predictions } from './predictions.ts';
import type { Session } from './session.ts';
import { prepareStates } from './states.ts';
import { shapesKey, tracePredict } from './steps.ts';
import { type NextBatch, Pace, walkBatches } from './walk.ts';

export interface Predicting {
  readonly session: Session;
  /** Known when the first batch is there. */
  readonly network: () => Network;
  readonly next: NextBatch;
  /** Batches at most; null: all. */
  readonly steps: number | null;
  /** Samples in all batches; null where only their end tells. */
  readonly samples: number | null;
  /** The user's own arrays for the results, one per output; null: new ones. */
  readonly out: readonly NdArray[] | null;
  readonly where: string;
  each?(done: number): void;
}

/** One array per output, all samples in their order. */
export async function runPredict(predicting: Predicting): Promise<NdArray[]> {
  const { session, network, next, steps, each } = predicting;
  const predictions = new Predictions(predicting);
  let done = 0;
  const traced = ({ shapes }: ReadyBatch): [string, ReturnType<typeof tracePredict>] => [
    `predict ${shapesKey(shapes)}`,
    tracePredict(network(), shapes),
  ];
  const walk = walkBatches({
    session,
    pace: new Pace(),
    next: limited(next, steps),
    stepFor(batch): Promise<CompiledStep> {
      prepareStates(session, network(), batch.samples);
      return session.prepare(...traced(batch));
    },
    stepAhead: (batch) =>
      statesOf(network()).length && session.stateRows !== batch.samples ? null : session.prepareNow(...traced(batch)),
    into: (batches) => predictions.places(batches),
  });
  for await (const { batches, results } of walk) {
    results.forEach((result, b) => predictions.add(batches[b], result));
    done += results.length;
    each?.(done);
  }
  return predictions.all();
}
