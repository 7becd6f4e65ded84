/** Arrays as users hand them in and get them out: a shape and a type over a typed array, row-major. */
import { fail } from './errors.ts';
import { formatShape, type Shape, sameShape, sizeOf } from './shape.ts';

const constructors = { float32: Float32Array, float64: Float64Array, int32: Int32Array } as const;

/** Types of the data: what users see. Inside graphs everything is f32 or i32. */
export type NdArrayType = keyof typeof constructors;
export type NdArrayData = Float32Array | Float64Array | Int32Array;

/** Numbers in lists in lists; the innermost lists may be typed arrays. */
export type Nested = number | ArrayLike<number> | readonly Nested[];

/** What `NdArray.from` takes. */
export type ArrayInput = Nested | NdArray;

const where = 'NdArray.from';

/** Deeper nesting is a mistake: a list that holds itself. */
const maximumRank = 32;

function typeOfData(data: unknown): NdArrayType | null {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Int32Array) return 'int32';
  return null;
}

function isTyped(x: unknown): x is ArrayLike<number> {
  return ArrayBuffer.isView(x) && !(x instanceof DataView);
}

function isList(x: unknown): x is ArrayLike<unknown> {
  return Array.isArray(x) || isTyped(x);
}

function describe(x: unknown): string {
  if (isList(x)) return `a list of ${x.length}`;
  if (typeof x === 'string') return `the text ${JSON.stringify(x.length > 20 ? `${x.slice(0, 20)}...` : x)}`;
  if (typeof x === 'number') return `the number ${x}`;
  return x === null || x === undefined || typeof x === 'boolean' ? String(x) : `a value of type ${typeof x}`;
}

const pathText = (path: readonly number[]): string => (path.length ? `[${path.join('][')}]` : 'the value');

/** The shape of nested lists, read along the first elements. */
function shapeOfNested(nested: unknown): Shape {
  const shape: number[] = [];
  let x = nested;
  while (isList(x)) {
    shape.push(x.length);
    if (shape.length > maximumRank) fail('DATA', where, `lists nested up to ${maximumRank} deep`, 'deeper ones');
    if (x.length === 0) break;
    x = x[0];
  }
  return shape;
}

/** Copies numbers up to the first thing that is none; gives how many they were. In a loop of its own, in which V8 makes no objects of them. */
function copyNumbers(list: ArrayLike<unknown>, data: NdArrayData, at: number): number {
  for (let i = 0; i < list.length; i++) {
    const x = list[i];
    if (typeof x !== 'number') return i;
    data[at + i] = x;
  }
  return list.length;
}

/** Lists with no element at all end the shape early: [[], []] is (2, 0). */
function fillFrom(nested: unknown, shape: Shape, dtype: NdArrayType): NdArrayData {
  // Whole numbers are looked at one by one when they are converted.
  const data = new constructors[dtype === 'int32' ? 'float64' : dtype](sizeOf(shape));
  let k = 0;
  const path: number[] = [];
  const refuseElement = (x: unknown) =>
    fail(
      'DATA',
      `${where}: ${pathText(path)}`,
      'a number',
      describe(x),
      isList(x) ? 'All lists of one axis need the same length and depth.' : undefined,
    );
  const visit = (x: unknown, axis: number): void => {
    if (!isList(x) || x.length !== shape[axis])
      fail(
        'DATA',
        `${where}: ${pathText(path)}`,
        `a list of ${shape[axis]}, as before it`,
        describe(x),
        'Pad lists of unequal length with padSequences.',
      );
    if (axis === shape.length - 1) {
      const count = copyNumbers(x, data, k);
      k += count;
      if (count === x.length) return;
      path.push(count);
      refuseElement(x[count]);
    }
    for (let i = 0; i < shape[axis]; i++) {
      path.push(i);
      visit(x[i], axis + 1);
      path.pop();
    }
  };
  if (shape.length) visit(nested, 0);
  else if (typeof nested === 'number') data[0] = nested;
  else refuseElement(nested);
  return data;
}

function convert(values: ArrayLike<number>, dtype: NdArrayType): NdArrayData {
  if (dtype === 'int32')
    for (let i = 0; i < values.length; i++)
      if ((values[i] | 0) !== values[i])
        fail(
          'DATA',
          `${where}: element ${i}`,
          'a whole number of 32 bits for dtype int32',
          String(values[i]),
          "Use dtype 'float32' for other numbers.",
        );
  return constructors[dtype].from(values);
}

function checkedShape(shape: Shape, size: number): Shape {
  if (!Array.isArray(shape) || shape.some((d) => !Number.isInteger(d) || d < 0))
    fail('SHAPE', where, 'a shape of whole numbers from 0 on', JSON.stringify(shape));
  if (sizeOf(shape) !== size)
    fail('SHAPE', where, `data of ${sizeOf(shape)} elements for the shape ${formatShape(shape)}`, `${size} elements`);
  return shape;
}

/** All data of a fit are looked through, so this is a plain loop: on the exponent bits of float32, one type of array a loop. */
function firstNonFiniteIn(data: NdArrayData): number {
  if (data instanceof Int32Array) return -1;
  if (data instanceof Float32Array) {
    const bits = new Int32Array(data.buffer, data.byteOffset, data.length);
    // An exponent of ones, and one more, is negative; the sign of all of them together tells whether to look closer.
    let seen = 0;
    const fours = bits.length & ~3;
    for (let i = 0; i < fours; i += 4)
      seen |=
        ((bits[i] & 0x7f800000) + 0x800000) |
        ((bits[i + 1] & 0x7f800000) + 0x800000) |
        ((bits[i + 2] & 0x7f800000) + 0x800000) |
        ((bits[i + 3] & 0x7f800000) + 0x800000);
    for (let i = fours; i < bits.length; i++) seen |= (bits[i] & 0x7f800000) + 0x800000;
    return seen < 0 ? bits.findIndex((b) => (b & 0x7f800000) === 0x7f800000) : -1;
  }
  for (let i = 0; i < data.length; i++) if (data[i] - data[i] !== 0) return i;
  return -1;
}

/**
 * An array of numbers. Its shape and type do not change; its data may be written to.
 *
 * @example
 * const x = NdArray.from([[1, 2, 3], [4, 5, 6]]); // float32 (2, 3)
 * x.data[4]; // 5
 * x.toNested(); // [[1, 2, 3], [4, 5, 6]]
 */
export class NdArray {
  readonly shape: Shape;
  readonly dtype: NdArrayType;
  /** Row-major. */
  readonly data: NdArrayData;

  private constructor(shape: Shape, dtype: NdArrayType, data: NdArrayData) {
    this.shape = Object.freeze([...shape]);
    this.dtype = dtype;
    this.data = data;
  }

  /**
   * An array from nested lists, a typed array, a number, or another array.
   *
   * @param source a typed array of the wanted type is used as it is, without a copy
   * @param shape default: the nesting of the source; a typed array is a vector
   * @param dtype `float32`, `float64` or `int32`. Default: the type of a typed array (`int32` for those of whole numbers), else `float32`
   * @throws DATA for ragged lists, for anything that is not a number, for fractions as int32; SHAPE where the shape has another size
   */
  static from(source: ArrayInput, shape?: Shape, dtype?: NdArrayType): NdArray {
    if (dtype !== undefined && !Object.hasOwn(constructors, dtype))
      fail('ARGUMENT', `${where}: dtype`, Object.keys(constructors).join(', '), String(dtype));
    if (source instanceof NdArray) return NdArray.fromFlat(source.data, shape ?? source.shape, dtype ?? source.dtype);
    if (isTyped(source)) {
      if (source instanceof BigInt64Array || source instanceof BigUint64Array)
        fail('DATA', where, 'numbers', 'a typed array of BigInt', 'Convert it with Int32Array.from(source, Number).');
      return NdArray.fromFlat(
        source,
        shape ?? [source.length],
        dtype ?? typeOfData(source) ?? (isWhole(source) ? 'int32' : 'float32'),
      );
    }
    const nested = shapeOfNested(source);
    const own = dtype ?? 'float32';
    return NdArray.fromFlat(fillFrom(source, nested, own), shape ?? nested, own);
  }

  private static fromFlat(values: ArrayLike<number>, shape: Shape, dtype: NdArrayType): NdArray {
    const checked = checkedShape(shape, values.length);
    const data = typeOfData(values) === dtype ? (values as NdArrayData) : convert(values, dtype);
    return new NdArray(checked, dtype, data);
  }

  /** Zeros of a shape. */
  static zeros(shape: Shape, dtype: NdArrayType = 'float32'): NdArray {
    return NdArray.from(new constructors[dtype](sizeOf(shape)), shape, dtype);
  }

  get rank(): number {
    return this.shape.length;
  }

  get size(): number {
    return this.data.length;
  }

  /** The numbers as plain lists in lists; a plain number for shape (). */
  toNested(): NestedNumbers {
    const { shape, data } = this;
    let at = 0;
    const build = (axis: number): NestedNumbers =>
      axis === shape.length ? data[at++] : Array.from({ length: shape[axis] }, () => build(axis + 1));
    return build(0);
  }

  /** The index path of the first element that is NaN or infinite; null where all are finite. */
  firstNonFinite(): number[] | null {
    const flat = firstNonFiniteIn(this.data);
    if (flat < 0) return null;
    const path: number[] = [];
    let rest = flat;
    for (let axis = this.shape.length - 1; axis >= 0; axis--) {
      path.unshift(rest % this.shape[axis]);
      rest = Math.floor(rest / this.shape[axis]);
    }
    return path;
  }

  /** Same shape, type and numbers (NaN equals NaN). */
  equals(other: NdArray): boolean {
    return (
      this.dtype === other.dtype &&
      sameShape(this.shape, other.shape) &&
      this.data.every((x: number, i: number) => Object.is(x, other.data[i]) || x === other.data[i])
    );
  }

  toString(): string {
    return `NdArray ${this.dtype}${formatShape(this.shape)}`;
  }
}

/** Plain lists in lists, as JSON has them. */
export type NestedNumbers = number | NestedNumbers[];

/** Whether the numbers of a typed array are whole by its type. */
function isWhole(source: ArrayLike<number>): boolean {
  return !(source instanceof Float32Array || source instanceof Float64Array) && !/^Float/.test(source.constructor.name);
}
