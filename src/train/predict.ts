/** Outputs for a data set, batch by batch. */
import { NdArray, type NdArrayData } from '../core/array.ts';
import type { Shape } from '../core/shape.ts';
import { batchesOf, Pace, walkBatches } from './batches.ts';
import type { Dataset } from './data.ts';
import { type Network, shapesFor, statesOf } from './network.ts';
import type { Session } from './session.ts';
import { checkEvenBatches, prepareStates } from './states.ts';
import { resultOf, shapesKey, tracePredict } from './steps.ts';

/** One array per output, all samples in their order. */
export async function runPredict(
  session: Session,
  network: Network,
  set: Dataset,
  batchSize: number,
  each: (done: number) => void,
): Promise<NdArray[]> {
  checkEvenBatches(network, set.count, batchSize, 'predict');
  const parts: NdArrayData[][] = network.outputs.map(() => []);
  let done = 0;
  const walk = walkBatches({
    session,
    set,
    batches: batchesOf(set.count, batchSize),
    order: null,
    pace: new Pace(),
    limit: Number.POSITIVE_INFINITY,
    stepFor(shapes) {
      prepareStates(session, network, shapes.inputs[0][0]);
      return session.prepare(`predict ${shapesKey(shapes)}`, tracePredict(network, shapes));
    },
    keepsRows: statesOf(network).length > 0,
  });
  for await (const { batches, results, rows } of walk) {
    results.forEach((result, b) => {
      for (let i = 0; i < parts.length; i++)
        parts[i].push(inOrder(resultOf(result, `y${i}`), rows[b], batches[b].from));
    });
    done += results.length;
    each(done);
  }
  const shapes = shapesFor(
    network,
    set.inputs.map(({ shape }) => [set.count, ...shape]),
  );
  return shapes.map((shape, i) => joinRows(parts[i], shape as Shape));
}

/** The rows of a batch, in the order of its samples again. */
function inOrder(values: NdArrayData, rows: Int32Array | null, from: number): NdArrayData {
  if (!rows) return values;
  const size = values.length / rows.length;
  const ordered = values.slice() as NdArrayData;
  rows.forEach((sample, r) => ordered.set(values.subarray(r * size, (r + 1) * size), (sample - from) * size));
  return ordered;
}

/** The rows of all batches under each other. */
function joinRows(parts: readonly NdArrayData[], shape: Shape): NdArray {
  const total = parts.reduce((n, part) => n + part.length, 0);
  const joined = new (parts[0].constructor as { new (n: number): NdArrayData })(total);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return NdArray.from(joined, shape);
}
