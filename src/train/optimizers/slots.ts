/** Where the values of an optimizer are kept, what they start with, and how Keras orders them. */
import type { Shape } from '../../core/shape.ts';
import { camelToSnake } from '../../layers/names.ts';
import type { Network } from '../network.ts';
import type { Session } from '../session.ts';
import type { OptimizedWeight, Optimizer } from './optimizer.ts';

const prefix = 'optimizer/';

/** The leaf of a weight's slot. */
export const slotLeaf = (path: string, slot: string) => `${prefix}${path}/${slot}`;
/** The leaf of a number that belongs to all weights. */
export const sharedLeaf = (name: string) => `${prefix}${name}`;
/** Whether a leaf belongs to the optimizer. */
export const isSlot = (leaf: string) => leaf.startsWith(prefix);

/** A weight of a network as optimizers see it. */
export function optimizedWeight({ path, spec }: Network['weights'][number]): OptimizedWeight {
  return { path, shape: spec.shape, groups: spec.groups };
}

/** The weights of a network that train. */
export function optimizedWeights({ weights }: Network): OptimizedWeight[] {
  return weights.filter(({ trainable }) => trainable).map(optimizedWeight);
}

/** Every leaf that an optimizer keeps. */
export function slotLeaves(optimizer: Optimizer, weights: readonly OptimizedWeight[]) {
  return [
    ...Object.entries(optimizer.shared).map(([name, initial]) => ({
      leaf: sharedLeaf(name),
      shape: [] as Shape,
      groups: 1,
      initial,
      weight: '',
    })),
    ...weights.flatMap((weight) =>
      Object.entries(optimizer.slots(weight)).map(([name, slot]) => ({
        leaf: slotLeaf(weight.path, name),
        ...slot,
        weight: weight.path as string,
      })),
    ),
  ];
}

/** Makes room for what an optimizer keeps, with its first values; what is there stays. */
export function declareSlots(session: Session, optimizer: Optimizer, weights: readonly OptimizedWeight[]): void {
  for (const { leaf, shape, groups, initial, weight } of slotLeaves(optimizer, weights)) {
    if (session.has(leaf)) continue;
    session.declare(leaf, shape, groups, initial === 'weight' ? session.get(weight) : initial);
  }
}

/** A variable of Keras's optimizer. */
export interface KerasVariable {
  readonly name: string;
  readonly shape: Shape;
  /** Where its value is kept here; null: iteration, learning rate, and what Keras keeps without reading it. */
  readonly leaf: string | null;
}

/**
 * The variables of Keras's optimizer in the order in which it saves them: iteration, learning rate (not with a schedule), averages, gathered
 * gradients, slots, shared numbers. Values that Keras overwrites before it reads them have no leaf here.
 */
export function kerasVariables(optimizer: Optimizer, weights: readonly OptimizedWeight[]): KerasVariable[] {
  const { learningRate, useEma, gradientAccumulationSteps } = optimizer.config;
  const entry = (weight: OptimizedWeight, name: string): KerasVariable[] => {
    const slot = optimizer.slots(weight)[name];
    const keras = `${weight.path.replaceAll('/', '_')}_${camelToSnake(name)}`;
    if (slot) return [{ name: keras, shape: slot.shape, leaf: slotLeaf(weight.path, name) }];
    const unread = optimizer.kerasUnread(weight)[name];
    return unread ? [{ name: keras, shape: unread, leaf: null }] : [];
  };
  const common = [...(useEma ? ['average'] : []), ...(gradientAccumulationSteps ? ['gradientAccumulator'] : [])];
  const own = (weight: OptimizedWeight) =>
    Object.keys(optimizer.slots(weight)).filter((name) => !common.includes(name));
  const listed = (list: readonly string[]) => weights.flatMap((weight) => list.flatMap((name) => entry(weight, name)));
  return [
    { name: 'iteration', shape: [], leaf: null },
    ...(typeof learningRate === 'number' ? [{ name: 'learning_rate', shape: [], leaf: null }] : []),
    ...common.flatMap((name) => listed([name])),
    ...(optimizer.kerasOrder?.flatMap(listed) ??
      weights.flatMap((weight) => own(weight).flatMap((name) => entry(weight, name)))),
    ...Object.keys(optimizer.shared).map((name) => ({ name: camelToSnake(name), shape: [], leaf: sharedLeaf(name) })),
  ];
}
