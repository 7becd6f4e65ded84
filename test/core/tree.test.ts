import { describe, expect, it } from 'vitest';
import { flattenTree, mapTree, sameStructure, type Tree, unflattenTree } from '../../src/core/tree.ts';

const tree: Tree<number> = { decoder: { cells: [{ kernel: 1, 'a b': 2 }, 3], bias: 4 }, empty: {}, none: [] };

describe('trees', () => {
  it('flatten with paths, in order', () => {
    expect(flattenTree(tree)).toEqual([
      { path: 'decoder.cells[0].kernel', leaf: 1 },
      { path: 'decoder.cells[0]["a b"]', leaf: 2 },
      { path: 'decoder.cells[1]', leaf: 3 },
      { path: 'decoder.bias', leaf: 4 },
    ]);
    expect(flattenTree(5)).toEqual([{ path: '', leaf: 5 }]);
    expect(flattenTree([[7]])[0].path).toBe('[0][0]');
  });

  it('keep different leaves apart by path', () => {
    const paths = flattenTree<number>({ 'a.b': 1, a: { b: 2, '[0]': 3 }, 'a[0]': 4 }).map((e) => e.path);
    expect(new Set(paths).size).toBe(4);
  });

  it('map', () => {
    expect(mapTree(tree, (x, path) => `${path}=${x * 2}`)).toEqual({
      decoder: {
        cells: [{ kernel: 'decoder.cells[0].kernel=2', 'a b': 'decoder.cells[0]["a b"]=4' }, 'decoder.cells[1]=6'],
        bias: 'decoder.bias=8',
      },
      empty: {},
      none: [],
    });
  });

  it('take arrays of numbers, null and objects of classes as leaves', () => {
    const leaf = Float32Array.of(1, 2);
    const date = new Date(0);
    expect(flattenTree<unknown>({ a: leaf, b: null, c: date }).map((e) => e.leaf)).toEqual([leaf, null, date]);
  });

  it('come back from their leaves', () => {
    const leaves = flattenTree(tree).map((e) => e.leaf);
    expect(unflattenTree(tree, leaves)).toEqual(tree);
    expect(() => unflattenTree(tree, leaves.slice(1))).toThrow('unflattenTree: expected 4 leaves, received 3');
    expect(() => unflattenTree(tree, [...leaves, 0])).toThrow('expected 4 leaves, received 5');
  });

  it('do not reach prototypes by key', () => {
    const bad = JSON.parse('{"__proto__": {"polluted": 1}}') as Tree<number>;
    const copy = mapTree(bad, (x) => x);
    expect(Object.getPrototypeOf(copy)).toBe(Object.prototype);
    expect(flattenTree(copy)).toEqual([{ path: '__proto__.polluted', leaf: 1 }]);
  });

  it('compare structure', () => {
    expect(sameStructure({ a: 1, b: [2] }, { b: [0], a: 'x' })).toBe(true);
    expect(sameStructure({ a: 1 }, { a: 1, b: 2 })).toBe(false);
    expect(sameStructure({ a: 1 }, { b: 1 })).toBe(false);
    expect(sameStructure([1], [1, 2])).toBe(false);
    expect(sameStructure([1], 1)).toBe(false);
    expect(sameStructure({}, [])).toBe(false);
    expect(sameStructure(1, null)).toBe(true);
  });
});
