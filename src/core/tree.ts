/**
 * Plain trees: objects and lists of leaves. Weights, optimizer slots, random and recurrent state are trees, so that one set of functions
 * walks, saves and compares all of them. A leaf is whatever is neither a list nor a plain object: a number, an array, a tensor, null.
 */
import { fail } from './errors.ts';

export type Tree<T> = T | readonly Tree<T>[] | { readonly [key: string]: Tree<T> };

export interface TreeEntry<T> {
  /** `decoder.cells[0].kernel`; empty where the tree is a leaf itself. */
  readonly path: string;
  readonly leaf: T;
}

function isPlainObject(x: unknown): x is Record<string, unknown> {
  if (typeof x !== 'object' || x === null) return false;
  const prototype = Object.getPrototypeOf(x);
  return prototype === Object.prototype || prototype === null;
}

const isBranch = (x: unknown): boolean => Array.isArray(x) || isPlainObject(x);

/** Keys that are not words are quoted, so that different trees never have equal paths. */
function memberPath(path: string, key: string): string {
  if (!/^[\p{L}_$][\p{L}\p{N}_$-]*$/u.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path ? `${path}.${key}` : key;
}

/** A tree of the same structure with `change(leaf, path)` in place of each leaf. */
export function mapTree<T, R>(tree: Tree<T>, change: (leaf: T, path: string) => R, path = ''): Tree<R> {
  if (Array.isArray(tree)) return tree.map((child, i) => mapTree<T, R>(child, change, `${path}[${i}]`));
  if (isPlainObject(tree))
    return Object.fromEntries(
      Object.entries(tree).map(([key, child]) => [key, mapTree<T, R>(child as Tree<T>, change, memberPath(path, key))]),
    );
  return change(tree as T, path);
}

/** All leaves with their paths, in the order in which lists and objects hold them. */
export function flattenTree<T>(tree: Tree<T>): TreeEntry<T>[] {
  const entries: TreeEntry<T>[] = [];
  mapTree<T, void>(tree, (leaf, path) => {
    entries.push({ path, leaf });
  });
  return entries;
}

/** The reverse of `flattenTree`: a tree of the structure of `like`, with these leaves in its order. */
export function unflattenTree<R>(like: Tree<unknown>, leaves: readonly R[]): Tree<R> {
  let next = 0;
  const tree = mapTree<unknown, R>(like, () => leaves[next++]);
  if (next !== leaves.length) fail('ARGUMENT', 'unflattenTree', `${next} leaves`, String(leaves.length));
  return tree;
}

/** Whether both have the same lists and keys (in any order) with leaves at the same places. */
export function sameStructure(a: Tree<unknown>, b: Tree<unknown>): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((x, i) => sameStructure(x, b[i]));
  if (isPlainObject(a) && isPlainObject(b)) {
    const keys = Object.keys(a);
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => Object.hasOwn(b, key) && sameStructure(a[key] as Tree<unknown>, b[key] as Tree<unknown>))
    );
  }
  return !isBranch(a) && !isBranch(b);
}
