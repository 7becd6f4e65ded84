/** The state of a cell: a tree of any form whose leaves are shapes in the declaration, and tensors in a step. */
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape } from '../core/shape.ts';
import { Tensor } from '../ops/tensor.ts';

/** Shapes of the state of one row: a shape, or a list or an object of such trees. */
export type StateTree = Shape | readonly StateTree[] | { readonly [name: string]: StateTree };

/** The same tree with tensors, [B, ...shape], for shapes. */
export type TensorsOf<S> = S extends readonly number[]
  ? Tensor
  : S extends readonly (infer E)[]
    ? readonly TensorsOf<E>[]
    : { readonly [K in keyof S]: TensorsOf<S[K]> };

const isShape = (tree: unknown): tree is Shape => Array.isArray(tree) && tree.every((d) => typeof d === 'number');

/** What a step lets be looked at, by name: [B, ...] each. */
export type Gates = Readonly<Record<string, Tensor>>;

export interface StateLeaf {
  /** `h`, `[0].c`. */
  readonly path: string;
  readonly shape: Shape;
}

/** The leaves in the order of returnState. */
export function stateLeaves(tree: StateTree, path = ''): StateLeaf[] {
  if (isShape(tree)) return [{ path: path || 'state', shape: tree }];
  if (Array.isArray(tree)) return tree.flatMap((child, i) => stateLeaves(child as StateTree, `${path}[${i}]`));
  return Object.entries(tree).flatMap(([name, child]) =>
    stateLeaves(child as StateTree, path ? `${path}.${name}` : name),
  );
}

/** A tree of the declared form with these tensors as its leaves. */
export function buildState(tree: StateTree, leaves: readonly Tensor[]): unknown {
  let next = 0;
  const build = (part: StateTree): unknown => {
    if (isShape(part)) return leaves[next++];
    if (Array.isArray(part)) return part.map((child) => build(child as StateTree));
    return Object.fromEntries(Object.entries(part).map(([name, child]) => [name, build(child as StateTree)]));
  };
  return build(tree);
}

/** A tree in words: `{ h, c }`. */
function describe(tree: unknown): string {
  if (isShape(tree) || tree instanceof Tensor) return 'tensor';
  if (Array.isArray(tree)) return `[${tree.map(describe).join(', ')}]`;
  if (typeof tree !== 'object' || tree === null) return String(tree);
  const entries = Object.entries(tree).map(([name, child]) => {
    const own = describe(child);
    return own === 'tensor' ? name : `${name}: ${own}`;
  });
  return entries.length ? `{ ${entries.join(', ')} }` : '{  }';
}

/** The leaves of a tree of tensors that must have the declared form; null where it has another. */
function tensorsIn(tree: StateTree, given: unknown): Tensor[] | null {
  if (isShape(tree)) return given instanceof Tensor ? [given] : null;
  const list = Array.isArray(tree);
  if (typeof given !== 'object' || given === null || Array.isArray(given) !== list || given instanceof Tensor)
    return null;
  const names = Object.keys(tree);
  if (Object.keys(given).length !== names.length) return null;
  const leaves: Tensor[] = [];
  for (const name of names) {
    if (!Object.hasOwn(given, name)) return null;
    const own = tensorsIn((tree as Record<string, StateTree>)[name], (given as Record<string, unknown>)[name]);
    if (!own) return null;
    leaves.push(...own);
  }
  return leaves;
}

/** Holds what a step returned against what its cell declares. Throws ARGUMENT for a wrong tree and SHAPE for a wrong leaf. */
export function checkStep(
  result: { readonly output: Tensor; readonly state: unknown; readonly gates?: Gates } | undefined,
  tree: StateTree,
  output: Shape,
  batch: number,
  where: string,
): { next: Tensor[]; output: Tensor; gates: Gates } {
  const hasOutput = result?.output instanceof Tensor;
  const next = tensorsIn(tree, result?.state);
  if (!hasOutput || !next)
    fail(
      'ARGUMENT',
      where,
      `{ output, state: ${describe(tree)} }`,
      `${hasOutput ? '' : 'no output and '}state ${describe(result?.state ?? {})}`,
      'Return a tensor for the output, and one for each state, under the names that the `state` of the cell has.',
    );
  const check = (what: string, value: Tensor, shape: Shape) => {
    if (!sameShape(value.shape, [batch, ...shape]))
      fail(
        'SHAPE',
        where,
        `${what} ${formatShape([batch, ...shape])}`,
        formatShape(value.shape),
        'Bring it to that size, or say the other one in `state` (and `output`, where it is not the first state).',
      );
  };
  check('an output', (result as { output: Tensor }).output, output);
  stateLeaves(tree).forEach(({ path, shape }, i) => check(`state ${path}`, next[i], shape));
  const { gates = {} } = result as { readonly gates?: Gates };
  for (const [name, gate] of Object.entries(gates))
    if (!(gate instanceof Tensor && gate.shape[0] === batch))
      fail(
        'SHAPE',
        where,
        `gate ${name} as a tensor (${batch}, ...)`,
        gate instanceof Tensor ? formatShape(gate.shape) : String(gate),
      );
  return { next, output: (result as { output: Tensor }).output, gates };
}
