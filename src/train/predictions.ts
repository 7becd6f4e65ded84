/** What has been predicted, batch by batch: in one array per output where the number of samples is known, else under each other at the end. */
import { NdArray, type NdArrayData } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../core/shape.ts';
import type { Destination, Destinations, Result, ResultType } from '../engine/compile.ts';
import type { ReadyBatch } from './batches.ts';
import { type Network, shapesFor } from './network.ts';
import { inOrder } from './ordering.ts';
import type { Session } from './session.ts';
import { resultOf } from './steps.ts';

interface Order {
  readonly session: Session;
  /** Known when the first batch is there. */
  readonly network: () => Network;
  /** Samples in all batches; null where only their end tells. */
  readonly samples: number | null;
  /** The user's own arrays, one per output. */
  readonly out: readonly NdArray[] | null;
  readonly where: string;
}

const nameOf = (output: number) => `y${output}`;
const rowSize = (shape: Shape) => sizeOf(shape.slice(1));

export class Predictions {
  private readonly order: Order;
  /** Shapes of the outputs of a batch by those of its inputs. */
  private readonly shapes = new Map<string, readonly Shape[]>();
  /** All samples of an output, where there is one array for them. */
  private readonly whole: NdArray[] = [];
  private readonly parts: NdArray[][] = [];
  /** Samples that have been given their place. */
  private seen = 0;

  constructor(order: Order) {
    this.order = order;
  }

  private shapesOf({ key, shapes }: ReadyBatch): readonly Shape[] {
    let own = this.shapes.get(key);
    if (!own) {
      own = shapesFor(this.order.network(), shapes.inputs) as readonly Shape[];
      this.shapes.set(key, own);
    }
    return own;
  }

  /** Where the results of a hand-over are written at once. */
  places(batches: readonly ReadyBatch[]): Destinations {
    if (this.order.samples === null && !this.order.out) return () => null;
    const shapes = this.shapesOf(batches[0]);
    const { out, where } = this.order;
    if (out && out.length !== shapes.length)
      fail('ARGUMENT', `${where}: out`, `${shapes.length} arrays, one per output`, `${out.length}`);
    const outputs = new Map(shapes.map((_, output) => [nameOf(output), output]));
    // Batches of streams count their samples from 0, each by itself.
    const starts = batches.map(({ samples }) => {
      this.seen += samples;
      return this.seen - samples;
    });
    return (step, name, type): Destination | null => {
      const output = outputs.get(name);
      if (output === undefined) return null;
      const { from, rows } = batches[step];
      const first = starts[step];
      const { data, shape } = this.placeFor(output, batches[step], first, type);
      return {
        data,
        size: rowSize(shape),
        first,
        rows: rows && first !== from ? rows.map((row) => row - from + first) : rows,
      };
    };
  }

  private placeFor(output: number, batch: ReadyBatch, first: number, type: ResultType): NdArray {
    const { session, samples, out, where } = this.order;
    const [, ...inner] = this.shapesOf(batch)[output];
    if (out) {
      const needed = samples ?? Math.max(first + batch.samples, out[output].shape[0] ?? 0);
      return checkedPlace(out, output, [needed, ...inner], type, where);
    }
    const shape = [samples as number, ...inner];
    this.whole[output] ??=
      type === 'float32' ? NdArray.from(session.room(sizeOf(shape)), shape) : NdArray.zeros(shape, type);
    return this.whole[output];
  }

  /** Takes what was not written to its place. */
  add(batch: ReadyBatch, result: Result): void {
    const { rows, from } = batch;
    this.shapesOf(batch).forEach((shape, output) => {
      if (result[nameOf(output)] === undefined) return;
      this.parts[output] ??= [];
      this.parts[output].push(NdArray.from(inOrder(resultOf(result, nameOf(output)), rows, from), shape));
    });
  }

  all(): NdArray[] {
    const { out, where } = this.order;
    if (out && this.seen) {
      out.forEach(({ shape: [rows] }, output) => {
        if (rows !== this.seen) refusePlace(out, output, `${this.seen} samples`, `${rows}`, where);
      });
      return [...out];
    }
    if (this.whole.length) return [...this.whole];
    if (!this.parts.length) fail('DATA', where, 'at least one batch', 'none');
    return this.parts.map((own) => (own.length === 1 ? own[0] : joinRows(own, where)));
  }
}

/** The arrays that a user gives for results. */
export function givenPlaces(out: unknown, where: string): readonly NdArray[] | null {
  if (out === undefined) return null;
  const places: readonly unknown[] = Array.isArray(out) ? out : [out];
  const wrong = places.find((place) => !(place instanceof NdArray));
  if (wrong !== undefined) fail('ARGUMENT', `${where}: out`, 'an NdArray, or a list of one per output', typeof wrong);
  const arrays = places as readonly NdArray[];
  if (new Set(arrays.map(({ data }) => data.buffer)).size < arrays.length)
    fail('ARGUMENT', `${where}: out`, 'memory of its own for every output', 'two arrays over the same memory');
  return arrays;
}

function refusePlace(
  out: readonly NdArray[],
  output: number,
  expected: string,
  received: string,
  where: string,
): never {
  fail('ARGUMENT', `${where}: out${out.length > 1 ? `[${output}]` : ''}`, expected, received);
}

/** The user's array for an output, where it fits. */
function checkedPlace(out: readonly NdArray[], output: number, shape: Shape, type: ResultType, where: string): NdArray {
  const place = out[output];
  const isSameKind = (place.dtype === 'int32') === (type === 'int32');
  if (place.data.length !== sizeOf(place.shape))
    refusePlace(out, output, 'an array that has its memory', 'one whose memory was handed to another thread', where);
  if (!isSameKind || !sameShape(place.shape, shape)) {
    const dtype = type === 'int32' ? 'int32' : 'float32';
    refusePlace(out, output, `${dtype}${formatShape(shape)}`, `${place.dtype}${formatShape(place.shape)}`, where);
  }
  return place;
}

/** The rows of all batches under each other. */
function joinRows(parts: readonly NdArray[], where: string): NdArray {
  const [first] = parts;
  const inner = first.shape.slice(1);
  const whole = [parts.reduce((n, { shape }) => n + shape[0], 0), ...inner];
  const { constructor } = first.data;
  const joined = new (constructor as { new (n: number): NdArrayData })(sizeOf(whole));
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
