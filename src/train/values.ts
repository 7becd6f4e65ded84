/** The values of a model, all at once: out as arrays or as parts of a bundle, and back in. */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../core/shape.ts';
import type { NamedTensor } from '../formats/wire/safetensors.ts';
import { arrayOf } from './data.ts';
import type { Network } from './network.ts';
import type { Optimizer } from './optimizers/optimizer.ts';
import { isSlot, kerasVariables, optimizedWeights, slotLeaf, slotLeaves } from './optimizers/slots.ts';
import type { Session, Values } from './session.ts';

/** All weights, in Keras's order. */
export function readWeights(session: Session, { weights }: Network): NdArray[] {
  return weights.map(({ path, spec }) => NdArray.from(session.get(path), spec.shape));
}

/**
 * Replaces all weights, or throws SHAPE, naming the weight, and changes nothing. Slots that start with the weight start anew where it changes.
 */
export function writeWeights(
  session: Session,
  network: Network,
  weights: readonly unknown[],
  optimizer: Optimizer | null = null,
): void {
  const { weights: placed } = network;
  if (weights.length !== placed.length)
    fail(
      'SHAPE',
      'setWeights',
      `${placed.length} arrays (${placed.map(({ path }) => path).join(', ')})`,
      String(weights.length),
    );
  const arrays = placed.map(({ path, spec }, i) => {
    const array = arrayOf(weights[i], `setWeights: ${path}`);
    if (!sameShape(array.shape, spec.shape))
      fail('SHAPE', `setWeights: ${path}`, formatShape(spec.shape), formatShape(array.shape));
    return array.data instanceof Int32Array ? Float32Array.from(array.data) : array.data;
  });
  const followers = (optimizer ? slotLeaves(optimizer, optimizedWeights(network)) : []).filter(
    ({ leaf, initial }) => initial === 'weight' && session.has(leaf),
  );
  placed.forEach(({ path }, i) => {
    const own = followers.filter(({ weight }) => weight === path);
    const before = own.length ? session.get(path) : null;
    session.set(path, arrays[i]);
    const after = before && session.get(path);
    if (before?.some((value, k) => value !== after?.[k])) for (const { leaf } of own) session.set(leaf, arrays[i]);
  });
}

/** Number of values that Keras counts for the optimizer, iteration and learning rate among them; null before the first step of training. */
export function slotCount(
  session: Session,
  network: Network,
  optimizer: Optimizer | null,
  started: string,
): number | null {
  if (!optimizer || !session.has(started)) return null;
  return kerasVariables(optimizer, optimizedWeights(network)).reduce((n, { shape }) => n + sizeOf(shape), 0);
}

/** Forgets the optimizer's values. */
export function clearSlots(session: Session): void {
  for (const name of session.names()) if (isSlot(name)) session.remove(name);
}

/** Weights and slots by path. */
export function collectValues(session: Session, { weights }: Network, withSlots: boolean) {
  const value = (name: string): [string, NamedTensor] => [
    name,
    { shape: session.shapeOf(name), data: session.get(name) },
  ];
  return {
    weights: new Map(weights.map(({ path }) => value(path))),
    slots: new Map(withSlots ? session.names().filter(isSlot).map(value) : []),
  };
}

/** Puts back what `collectValues` gave. Throws FORMAT, before anything changes, for weights that are missing or do not fit. */
export function restoreValues(
  session: Session,
  network: Network,
  optimizer: Optimizer | null,
  weights: ReadonlyMap<string, Values>,
  slots: ReadonlyMap<string, Values>,
): void {
  const fitting = (name: string, shape: Shape, values: Values | undefined) => {
    if (!values) return fail('FORMAT', 'bundle', `the weight '${name}'`, 'a file without it');
    if (values.length !== sizeOf(shape))
      fail('FORMAT', `bundle: ${name}`, formatShape(shape), `${values.length} values`);
    return values;
  };
  const found = network.weights.map(({ path, spec }) => fitting(path, spec.shape, weights.get(path)));
  const kept = (optimizer ? slotLeaves(optimizer, optimizedWeights(network)) : []).flatMap((slot) => {
    const values = slots.get(slot.leaf);
    return values ? [{ ...slot, values: fitting(slot.leaf, slot.shape, values) }] : [];
  });
  network.weights.forEach(({ path }, i) => session.set(path, found[i]));
  for (const { leaf, shape, groups, values } of kept) {
    if (!session.has(leaf)) session.declare(leaf, shape, groups);
    session.set(leaf, values);
  }
}

/** All weights, in Keras's order, with the moving averages for those that have one. Throws STATE where there are none. */
export function readAverages(session: Session, network: Network): NdArray[] {
  requireAverages(session, network);
  return network.weights.map(({ path, spec }) => {
    const leaf = slotLeaf(path, 'average');
    return NdArray.from(session.get(session.has(leaf) ? leaf : path), spec.shape);
  });
}

function requireAverages(session: Session, { weights }: Network): void {
  if (!weights.some(({ path }) => session.has(slotLeaf(path, 'average'))))
    fail(
      'STATE',
      'averages of weights',
      'an optimizer that keeps them, and a step of training',
      'neither or one of both',
      'Compile with an optimizer that has `useEma: true`, and train.',
    );
}

/** Runs work on the averages, and puts the weights back, whatever happens. */
export async function withAverages<T>(session: Session, network: Network, work: () => T | Promise<T>): Promise<T> {
  requireAverages(session, network);
  const own = new Map(network.weights.map(({ path }) => [path, session.get(path)]));
  try {
    for (const path of own.keys()) {
      const leaf = slotLeaf(path, 'average');
      if (session.has(leaf)) session.set(path, session.get(leaf));
    }
    return await work();
  } finally {
    for (const [path, values] of own) session.set(path, values);
  }
}
