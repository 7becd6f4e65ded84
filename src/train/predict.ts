/** Outputs for data, batch by batch. */
import { NdArray, type NdArrayData } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../core/shape.ts';
import type { CompiledStep, Destinations, Result } from '../engine/compile.ts';
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
  /** Samples in all batches; null where only their end tells. */
  readonly samples: number | null;
  readonly where: string;
  each?(done: number): void;
}

/** One array per output, all samples in their order. */
export async function runPredict(predicting: Predicting): Promise<NdArray[]> {
  const { session, network, next, steps, each } = predicting;
  const found = new Found(predicting);
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
    into: (batches) => found.places(batches),
  });
  for await (const { batches, results } of walk) {
    results.forEach((result, b) => found.add(batches[b], result));
    done += results.length;
    each?.(done);
  }
  return found.all();
}

const nameOf = (output: number) => `y${output}`;

/** What has been predicted. Where the number of samples is known, all but the first batch is written to its place at once. */
class Found {
  private readonly session: Session;
  private readonly network: () => Network;
  private readonly samples: number | null;
  private readonly where: string;
  /** Shapes of the outputs of a batch by those of its inputs. */
  private readonly shapes = new Map<string, readonly Shape[]>();
  private readonly parts: NdArray[][] = [];
  private whole: readonly NdArray[] | null = null;

  constructor({ session, network, samples, where }: Predicting) {
    this.session = session;
    this.network = network;
    this.samples = samples;
    this.where = where;
  }

  private shapesOf({ key, shapes }: ReadyBatch): readonly Shape[] {
    let own = this.shapes.get(key);
    if (!own) {
      own = shapesFor(this.network(), shapes.inputs) as readonly Shape[];
      this.shapes.set(key, own);
    }
    return own;
  }

  places(batches: readonly ReadyBatch[]): Destinations {
    const { whole } = this;
    if (!whole) return () => null;
    const byName = new Map(whole.map((array, i) => [nameOf(i), { data: array.data, size: rowSize(array.shape) }]));
    return (step, name) => {
      const place = byName.get(name);
      const { from: first, rows } = batches[step];
      return place ? { ...place, first, rows } : null;
    };
  }

  add(batch: ReadyBatch, result: Result): void {
    if (this.whole) return;
    const { rows, from, samples } = batch;
    const own = this.shapesOf(batch).map((shape, i) =>
      NdArray.from(inOrder(resultOf(result, nameOf(i)), rows, from), shape),
    );
    if (this.samples !== null && this.samples > samples) {
      this.whole = own.map(({ data, shape }) => {
        const whole = [this.samples as number, ...shape.slice(1)];
        const place = data instanceof Float32Array ? this.session.room(sizeOf(whole)) : emptyLike(data, sizeOf(whole));
        place.set(data, from * rowSize(shape));
        return NdArray.from(place, whole);
      });
    } else
      own.forEach((array, i) => {
        this.parts[i] ??= [];
        this.parts[i].push(array);
      });
  }

  all(): NdArray[] {
    if (this.whole) return [...this.whole];
    if (!this.parts.length) fail('DATA', this.where, 'at least one batch', 'none');
    return this.parts.map((own) => (own.length === 1 ? own[0] : joinRows(own, this.where)));
  }
}

const rowSize = (shape: Shape) => sizeOf(shape.slice(1));

function emptyLike({ constructor }: NdArrayData, size: number): NdArrayData {
  return new (constructor as { new (n: number): NdArrayData })(size);
}

/** The rows of all batches under each other. */
function joinRows(parts: readonly NdArray[], where: string): NdArray {
  const [first] = parts;
  const inner = first.shape.slice(1);
  const whole = [parts.reduce((n, { shape }) => n + shape[0], 0), ...inner];
  const joined = emptyLike(first.data, sizeOf(whole));
  let at = 0;
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
  }
  return NdArray.from(joined, whole);
}
