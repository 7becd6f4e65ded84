import { describe, expect, it } from 'vitest';
import { broadcastShapes, formatShape, normalAxis, sameShape, sizeOf, stridesOf } from '../../src/core/shape.ts';

describe('shapes', () => {
  it('have sizes and strides', () => {
    expect(sizeOf([])).toBe(1);
    expect(sizeOf([2, 0, 3])).toBe(0);
    expect(stridesOf([2, 3, 5])).toEqual([15, 5, 1]);
    expect(stridesOf([])).toEqual([]);
  });

  it('print as Python tuples', () => {
    expect([formatShape([]), formatShape([3]), formatShape([null, 3])]).toEqual(['()', '(3,)', '(null, 3)']);
  });

  it('compare', () => {
    expect(sameShape([2, 3], [2, 3])).toBe(true);
    expect(sameShape([2], [2, 1])).toBe(false);
  });

  it.each([
    [[2, 3], [3], [2, 3]],
    [
      [2, 1],
      [1, 5],
      [2, 5],
    ],
    [[], [4], [4]],
    [[1], [0], [0]],
    [
      [0, 3],
      [1, 1],
      [0, 3],
    ],
  ])('%j and %j broadcast to %j', (a, b, wanted) => {
    expect(broadcastShapes(a, b, 'test')).toEqual(wanted);
    expect(broadcastShapes(b, a, 'test')).toEqual(wanted);
  });

  it('refuse to broadcast', () => {
    expect(() => broadcastShapes([2], [3], 'add')).toThrow(
      'add: expected shapes that broadcast together, received (2,) and (3,).',
    );
    expect(() => broadcastShapes([0], [2], 'add')).toThrow('(0,) and (2,)');
  });

  it('count axes from both ends', () => {
    expect([normalAxis(-1, 3, 'sum'), normalAxis(0, 3, 'sum')]).toEqual([2, 0]);
    for (const axis of [3, -4, 0.5])
      expect(() => normalAxis(axis, 3, 'sum')).toThrow(`sum: expected an axis in -3..2, received ${axis}.`);
  });
});
