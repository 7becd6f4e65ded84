/** Outputs for data, batch by batch. */
import { NdArray, type NdArrayData } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape } from '../core/shape.ts';
import type { CompiledStep } from '../engine/compile.ts';
import type { ReadyBatch } from './batches.ts';
import { limited } from './evaluate.ts';
import { type Network, shapesFor, statesOf } from './network.ts';
import { inOrder } from './ordering.ts';
import type { Session } from './session.ts';
import { prepareStates } from './states.ts';
import { resultOf, shapesKey, tracePredict } from './steps.ts';
import { type NextBatch, Pace, walkBatches } from './walk.ts';

export interface Predicting {
  readonly session: Session;
  /** Known when the first batch is there. */
  readonly network: () => Network;
  readonly next: NextBatch;
  /** Batches at most; null: all. */
  readonly steps: number | null;
  readonly where: string;
  each?(done: number): void;
}

/** One array per output, all samples in their order. */
export async function runPredict({ session, network, next, steps, where, each }: Predicting): Promise<NdArray[]> {
  const parts: NdArray[][] = [];
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
  });
  for await (const { batches, results } of walk) {
    results.forEach((result, b) => {
      const { rows, from, shapes } = batches[b];
      shapesFor(network(), shapes.inputs).forEach((shape, i) => {
        parts[i] ??= [];
        parts[i].push(NdArray.from(inOrder(resultOf(result, `y${i}`), rows, from), shape as Shape));
      });
    });
    done += results.length;
    each?.(done);
  }
  if (!parts.length) fail('DATA', where, 'at least one batch', 'none');
  return parts.map((own) => joinRows(own, where));
}

/** The rows of all batches under each other. */
function joinRows(parts: readonly NdArray[], where: string): NdArray {
  const [first] = parts;
  const inner = first.shape.slice(1);
  const total = parts.reduce((n, { data }) => n + data.length, 0);
  const joined = new (first.data.constructor as { new (n: number): NdArrayData })(total);
  let at = 0;
  let rows = 0;
  for (const { data, shape } of parts) {
    if (!sameShape(shape.slice(1), inner))
      fail(
        'SHAPE',
        where,
        `outputs of one shape in all batches, such as ${formatShape(first.shape)}`,
        formatShape(shape),
        'Use predictOnBatch for batches of different lengths.',
      );
    joined.set(data, at);
    at += data.length;
    rows += shape[0];
  }
  return NdArray.from(joined, [rows, ...inner]);
}
