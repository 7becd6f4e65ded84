import { describe, expect, it } from 'vitest';
import { type ArrayInput, NdArray, type NdArrayType } from '../../src/core/array.ts';
import { UnrolledError } from '../../src/core/errors.ts';

describe('NdArray.from', () => {
  it('reads nested lists', () => {
    const x = NdArray.from([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(x.shape).toEqual([2, 3]);
    expect(x.dtype).toBe('float32');
    expect(x.data).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6));
    expect(x.toNested()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
  });

  it('reads a number, typed rows, and empty lists', () => {
    expect(NdArray.from(5).shape).toEqual([]);
    expect(NdArray.from(5).toNested()).toBe(5);
    expect(NdArray.from([Float64Array.of(1, 2), Float64Array.of(3, 4)]).toNested()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(NdArray.from([]).shape).toEqual([0]);
    expect(NdArray.from([[], []]).shape).toEqual([2, 0]);
    expect(NdArray.from([[], []]).toNested()).toEqual([[], []]);
  });

  it('takes a typed array as it is, with its type', () => {
    const data = Float32Array.of(1, 2, 3, 4);
    const x = NdArray.from(data, [2, 2]);
    expect(x.data).toBe(data);
    expect(NdArray.from(Float64Array.of(1)).dtype).toBe('float64');
    expect(NdArray.from(Int32Array.of(1)).dtype).toBe('int32');
    expect(NdArray.from(Uint8Array.of(255)).data).toEqual(Int32Array.of(255));
    expect(NdArray.from(data, [4], 'float64').data).toEqual(Float64Array.of(1, 2, 3, 4));
  });

  it('takes another array, also under another shape and type', () => {
    const x = NdArray.from([
      [1, 2],
      [3, 4],
    ]);
    expect(NdArray.from(x).data).toBe(x.data);
    expect(NdArray.from(x, [4], 'int32').toNested()).toEqual([1, 2, 3, 4]);
  });

  it('rounds to the type', () => {
    expect(NdArray.from([[0.1], [2.5]], [2], 'float64').data).toEqual(Float64Array.of(0.1, 2.5));
    expect(NdArray.from([[7], [-3]], [2], 'int32').data).toEqual(Int32Array.of(7, -3));
    expect(NdArray.from([0.1], [1], 'float64').data[0]).toBe(0.1);
    expect(NdArray.from([0.1]).data[0]).toBe(Math.fround(0.1));
  });

  it('holds what is not finite, and finds it', () => {
    expect(
      NdArray.from([
        [1, 2],
        [3, Number.NaN],
      ]).firstNonFinite(),
    ).toEqual([1, 1]);
    expect(
      NdArray.from([
        [1, 2],
        [3, 4],
      ]).firstNonFinite(),
    ).toBeNull();
    expect(NdArray.from(Number.POSITIVE_INFINITY).firstNonFinite()).toEqual([]);
  });

  const looped: unknown[] = [];
  looped.push(looped);
  it.each<[string, unknown, string, number[]?, string?]>([
    ['DATA', [[1, 2], [3]], 'NdArray.from: [1]: expected a list of 2, as before it, received a list of 1.'],
    [
      'DATA',
      [
        [[1], [2]],
        [[3], [4, 5]],
      ],
      'NdArray.from: [1][1]: expected a list of 1, as before it, received a list of 2.',
    ],
    ['DATA', [[1, 2], 3], 'NdArray.from: [1]: expected a list of 2, as before it, received the number 3.'],
    ['DATA', [1, [2]], 'NdArray.from: [1]: expected a number, received a list of 1.'],
    ['DATA', [[], [1]], 'NdArray.from: [1]: expected a list of 0, as before it, received a list of 1.'],
    ['DATA', [[1, 'two']], 'NdArray.from: [0][1]: expected a number, received the text "two".'],
    ['DATA', ['some long text that goes on', 1], 'received the text "some long text that ...".'],
    ['DATA', [null], '[0]: expected a number, received null.'],
    ['DATA', [true], '[0]: expected a number, received true.'],
    ['DATA', [1n], '[0]: expected a number, received a value of type bigint.'],
    ['DATA', { a: 1 }, 'NdArray.from: the value: expected a number, received a value of type object.'],
    ['DATA', undefined, 'the value: expected a number, received undefined.'],
    ['DATA', BigInt64Array.of(1n), 'expected numbers, received a typed array of BigInt.'],
    ['DATA', looped, 'lists nested up to 32 deep'],
    [
      'DATA',
      [1, 2.5],
      'NdArray.from: element 1: expected a whole number of 32 bits for dtype int32, received 2.5.',
      [2],
      'int32',
    ],
    ['DATA', [Number.NaN], 'received NaN', [1], 'int32'],
    ['DATA', [2 ** 31], 'received 2147483648', [1], 'int32'],
    [
      'SHAPE',
      [1, 2, 3],
      'NdArray.from: expected data of 4 elements for the shape (2, 2), received 3 elements.',
      [2, 2],
    ],
    ['SHAPE', [1], 'a shape of whole numbers from 0 on', [-1]],
    ['ARGUMENT', [1], 'NdArray.from: dtype: expected float32, float64, int32, received toString.', [1], 'toString'],
  ])('%s for %s', (code, source, message, shape, dtype) => {
    let error: unknown;
    try {
      NdArray.from(source as ArrayInput, shape, dtype as NdArrayType);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(UnrolledError);
    expect((error as UnrolledError).message).toContain(message);
    expect((error as UnrolledError).code).toBe(code);
  });
});

describe('NdArray', () => {
  it('compares by type, shape and numbers', () => {
    const x = NdArray.from([[1, Number.NaN]]);
    expect(x.equals(NdArray.from([[1, Number.NaN]]))).toBe(true);
    expect(x.equals(NdArray.from([1, Number.NaN]))).toBe(false);
    expect(x.equals(NdArray.from([[1, 2]]))).toBe(false);
    expect(NdArray.from([1]).equals(NdArray.from([1], [1], 'float64'))).toBe(false);
  });

  it('makes zeros', () => {
    const x = NdArray.zeros([2, 0, 3], 'int32');
    expect([x.size, x.rank, String(x)]).toEqual([0, 3, 'NdArray int32(2, 0, 3)']);
    expect(NdArray.zeros([2]).toNested()).toEqual([0, 0]);
  });
});
