/**
 * Elements made into a batch. An element is a number, an array, or a list or object of elements; lists of numbers are arrays. At the top a
 * list is always a list of parts, such as [x, y].
 */
import { type ArrayInput, NdArray, type NdArrayData, type NdArrayType } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../core/shape.ts';

export interface BatchOptions {
  /** Leave out a last batch that is not full. Default false. */
  readonly dropRemainder?: boolean;
}

export interface PaddingOptions {
  /** Where padding stands. Default `post`: behind, as in TensorFlow. */
  readonly padding?: 'pre' | 'post';
  /** What padding is filled with. Default 0. */
  readonly value?: number;
}

export interface PaddedBatchOptions extends BatchOptions, PaddingOptions {
  /** Length of all batches; longer sequences are refused. Default: the longest of each batch. */
  readonly length?: number;
}

type Fields = Readonly<Record<string, unknown>>;

const isNumbers = (x: unknown): boolean =>
  typeof x === 'number' || (Array.isArray(x) && x.every((own) => isNumbers(own) || isTyped(own)));

const isTyped = (x: unknown): boolean => ArrayBuffer.isView(x) && !(x instanceof DataView);

const isFields = (x: unknown): x is Fields =>
  typeof x === 'object' && x !== null && !Array.isArray(x) && !isTyped(x) && !(x instanceof NdArray);

/** Whether an element, or a part of one, is an array rather than a list or an object of parts. */
export function isArrayLeaf(x: unknown, top: boolean): boolean {
  if (typeof x === 'number' || typeof x === 'boolean' || x instanceof NdArray || isTyped(x)) return true;
  return Array.isArray(x) && !top && isNumbers(x);
}

/** The array of a leaf. Whole numbers stay whole: ids are int32. */
export function leafArray(x: unknown, where: string): NdArray {
  if (x instanceof NdArray) return x;
  if (typeof x === 'boolean') return NdArray.from(x ? 1 : 0);
  try {
    return NdArray.from(x as ArrayInput);
  } catch (error) {
    return fail('DATA', where, 'numbers', error instanceof Error ? error.message : String(error));
  }
}

/** One batch out of the leaves at one place of the elements; `part` is the first key on the way to it. */
type Join = (leaves: readonly NdArray[], where: string, part: string | number | null) => NdArray;

/** Walks the elements side by side. */
export function joinElements(elements: readonly unknown[], join: Join, where: string): unknown {
  const visit = (parts: readonly unknown[], path: string, part: string | number | null, top: boolean): unknown => {
    const [first] = parts;
    const place = path ? `${where}: ${path}` : where;
    if (first === undefined || first === null) {
      const odd = parts.findIndex((x) => x !== undefined && x !== null);
      if (odd >= 0) fail('DATA', place, 'nothing, as in the first element', `something in element ${odd} of the batch`);
      return first;
    }
    if (isArrayLeaf(first, top))
      return join(
        parts.map((x) => leafArray(x, place)),
        place,
        part,
      );
    if (Array.isArray(first)) {
      parts.forEach((x, i) => {
        if (!Array.isArray(x) || x.length !== first.length)
          fail(
            'DATA',
            place,
            `a list of ${first.length}, as in the first element`,
            `another one in element ${i} of the batch`,
          );
      });
      return first.map((_, i) =>
        visit(
          parts.map((x) => (x as unknown[])[i]),
          `${path}[${i}]`,
          part ?? i,
          false,
        ),
      );
    }
    if (!isFields(first)) return fail('DATA', place, 'numbers, arrays, lists or objects', typeof first);
    const keys = Object.keys(first);
    parts.forEach((x, i) => {
      if (!isFields(x) || Object.keys(x).length !== keys.length || !keys.every((key) => Object.hasOwn(x, key)))
        fail(
          'DATA',
          place,
          `an object of ${keys.join(', ')}, as in the first element`,
          `another one in element ${i} of the batch`,
        );
    });
    return Object.fromEntries(
      keys.map((key) => [
        key,
        visit(
          parts.map((x) => (x as Fields)[key]),
          path ? `${path}.${key}` : key,
          part ?? key,
          false,
        ),
      ]),
    );
  };
  return visit(elements, '', null, true);
}

const constructors = { float32: Float32Array, float64: Float64Array, int32: Int32Array } as const;

/** A type that holds all of them. */
function commonType(arrays: readonly NdArray[]): NdArrayType {
  const types = new Set(arrays.map(({ dtype }) => dtype));
  if (types.size === 1) return arrays[0].dtype;
  return types.has('float64') ? 'float64' : 'float32';
}

/** Arrays of one shape under each other. */
export function stack(arrays: readonly NdArray[], where: string): NdArray {
  const { shape } = arrays[0];
  const dtype = commonType(arrays);
  const data: NdArrayData = new constructors[dtype](arrays.length * sizeOf(shape));
  arrays.forEach((array, i) => {
    if (!sameShape(array.shape, shape))
      fail(
        'SHAPE',
        where,
        `elements of the shape ${formatShape(shape)}, as the first of the batch`,
        `${formatShape(array.shape)} in element ${i} of the batch`,
        'For sequences of different lengths use paddedBatch or bucketByLength.',
      );
    data.set(array.data, i * sizeOf(shape));
  });
  return NdArray.from(data, [arrays.length, ...shape], dtype);
}

/** Sequences under each other, each padded along its first axis to a length. */
export function padAndStack(
  arrays: readonly NdArray[],
  length: number,
  { padding = 'post', value = 0 }: PaddingOptions,
  where: string,
): NdArray {
  const inner: Shape = arrays[0].shape.slice(1);
  const dtype = commonType(arrays);
  const size = sizeOf(inner);
  const data: NdArrayData = new constructors[dtype](arrays.length * length * size);
  if (value) data.fill(value);
  arrays.forEach((array, i) => {
    if (!sameShape(array.shape.slice(1), inner))
      fail(
        'SHAPE',
        where,
        `steps of the shape ${formatShape(inner)}, as the first of the batch`,
        `${formatShape(array.shape.slice(1))} in element ${i} of the batch`,
      );
    if (array.shape[0] > length)
      fail('SHAPE', where, `sequences of at most ${length} steps`, `${array.shape[0]} in element ${i} of the batch`);
    const before = padding === 'pre' ? length - array.shape[0] : 0;
    data.set(array.data, (i * length + before) * size);
  });
  return NdArray.from(data, [arrays.length, length, ...inner], dtype);
}

export function stackBatch(elements: readonly unknown[], where: string): unknown {
  return joinElements(elements, stack, where);
}

const longest = (arrays: readonly NdArray[]) => arrays.reduce((most, { shape }) => Math.max(most, shape[0]), 0);

/**
 * Elements stacked, sequences padded.
 *
 * @param roundUp length to which a longest one is padded further, where batches shall have few shapes; null: as it is
 */
export function padBatch(
  elements: readonly unknown[],
  options: PaddedBatchOptions,
  roundUp: ((length: number) => number) | null,
  where: string,
): unknown {
  checkPadding(options, where);
  const { length } = options;
  // Lengths of the input: what has the same ones, such as a tag for every step, is padded with it.
  let input: readonly number[] | null = null;
  const join: Join = (arrays, place, part) => {
    if (arrays[0].rank === 0) return stack(arrays, place);
    const lengths = arrays.map(({ shape }) => shape[0] ?? -1);
    const isInput = part === null || part === 0 || part === 'x';
    input ??= lengths;
    const follows = isInput || lengths.every((n, i) => n === input?.[i]);
    if (follows) return padAndStack(arrays, length ?? roundUp?.(longest(arrays)) ?? longest(arrays), options, place);
    // What has one length in all elements, such as the classes of a label, is no sequence.
    if (lengths.every((n) => n === lengths[0])) return stack(arrays, place);
    return padAndStack(arrays, roundUp?.(longest(arrays)) ?? longest(arrays), options, place);
  };
  return joinElements(elements, join, where);
}

/** Throws ARGUMENT for options of padding that are none. */
export function checkPadding({ padding = 'post', value = 0, length }: PaddedBatchOptions, where: string): void {
  if (padding !== 'pre' && padding !== 'post')
    fail('ARGUMENT', `${where}: padding`, "'pre' or 'post'", String(padding));
  if (typeof value !== 'number') fail('ARGUMENT', `${where}: value`, 'a number', String(value));
  if (length !== undefined && (!Number.isSafeInteger(length) || length < 1))
    fail('ARGUMENT', `${where}: length`, 'a positive integer', String(length));
}
