/** Splits of data into a part to learn from and a part to judge by. */
import { fail } from '../core/errors.ts';
import { RandomKey } from '../core/random.ts';

export interface Split {
  /** Positions to train on, in random order. */
  readonly train: number[];
  /** Positions that are held out, in random order. */
  readonly heldOut: number[];
}

/**
 * Holds out the same share of every class, so that the two parts have the same balance. Classes of one row stay in the training part.
 *
 * @param fraction Share to hold out, between 0 and 1.
 * @example const { train, heldOut } = stratifiedSplit(labels, 0.2, 42);
 */
export function stratifiedSplit(labels: readonly number[], fraction: number, seed: number): Split {
  if (!(fraction > 0 && fraction < 1))
    fail('ARGUMENT', 'stratifiedSplit.fraction', 'a share between 0 and 1', String(fraction));
  const key = RandomKey.from(seed).split('held out');
  const ofClass = new Map<number, number[]>();
  for (const i of key.permutation(labels.length)) {
    const members = ofClass.get(labels[i]);
    if (members) members.push(i);
    else ofClass.set(labels[i], [i]);
  }
  const held = new Set<number>();
  for (const members of ofClass.values())
    for (const i of members.slice(0, Math.min(members.length - 1, Math.round(members.length * fraction)))) held.add(i);
  const order = Array.from(key.split('order').permutation(labels.length));
  return { train: order.filter((i) => !held.has(i)), heldOut: order.filter((i) => held.has(i)) };
}
