/** The values of a model, all at once: out as arrays or as parts of a bundle, and back in. */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../core/shape.ts';
import type { NamedTensor } from '../formats/wire/safetensors.ts';
import { arrayOf } from './data.ts';
import type { Network } from './network.ts';
import type { Session, Values } from './session.ts';
import { slotLeaf } from './steps.ts';

const isSlot = (name: string) => name.startsWith('optimizer/');

/** All weights, in Keras's order. */
export function readWeights(session: Session, { weights }: Network): NdArray[] {
  return weights.map(({ path, spec }) => NdArray.from(session.get(path), spec.shape));
}

/** Replaces all weights, or throws SHAPE, naming the weight, and changes nothing. */
export function writeWeights(session: Session, { weights: placed }: Network, weights: readonly unknown[]): void {
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
  placed.forEach(({ path }, i) => session.set(path, arrays[i]));
}

/** Number of values that the optimizer keeps; null before the first step of training. */
export function slotCount(session: Session, started: string): number | null {
  if (!session.has(started)) return null;
  return session
    .names()
    .filter(isSlot)
    .reduce((n, name) => n + sizeOf(session.shapeOf(name)), 0);
}

/** Sets the optimizer's values to zero. */
export function clearSlots(session: Session): void {
  for (const name of session.names())
    if (isSlot(name)) session.set(name, new Float32Array(sizeOf(session.shapeOf(name))));
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
  { weights: placed }: Network,
  slotNames: readonly string[],
  weights: ReadonlyMap<string, Values>,
  slots: ReadonlyMap<string, Values>,
): void {
  const fitting = (name: string, shape: Shape, values: Values | undefined) => {
    if (!values) return fail('FORMAT', 'bundle', `the weight '${name}'`, 'a file without it');
    if (values.length !== sizeOf(shape))
      fail('FORMAT', `bundle: ${name}`, formatShape(shape), `${values.length} values`);
    return values;
  };
  const found = placed.map(({ path, spec }) => fitting(path, spec.shape, weights.get(path)));
  const kept = placed.flatMap(({ path, spec }) =>
    slotNames.flatMap((slot) => {
      const leaf = slotLeaf(path, slot);
      const values = slots.get(leaf);
      return values ? [{ leaf, spec, values: fitting(leaf, spec.shape, values) }] : [];
    }),
  );
  placed.forEach(({ path }, i) => session.set(path, found[i]));
  for (const { leaf, spec, values } of kept) {
    if (!session.has(leaf)) session.declare(leaf, spec.shape, spec.groups);
    session.set(leaf, values);
  }
}
