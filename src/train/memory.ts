/** Models that cannot fit are refused before anything is made, with the figure. */
import { UnrolledError } from '../core/errors.ts';
import { sizeOf } from '../core/shape.ts';
import type { Network } from './network.ts';

/** The state of a model is addressed by 31 bits of floats. */
const addressable = 2 ** 33;

const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;

/** Refuses weights that are larger than the limit, or than any machine here addresses. */
export function refuseLargeWeights({ weights }: Network, memoryLimit: number | undefined): void {
  const bytes = weights.reduce((total, { spec }) => total + 4 * sizeOf(spec.shape), 0);
  const limit = Math.min(memoryLimit ?? addressable, addressable);
  if (bytes <= limit) return;
  const largest = weights.reduce((a, b) => (sizeOf(a.spec.shape) >= sizeOf(b.spec.shape) ? a : b));
  throw new UnrolledError(
    'MEMORY',
    `model: expected weights of at most ${gib(limit)}, received ${gib(bytes)} (${bytes} bytes), of which ${largest.path} takes ${gib(4 * sizeOf(largest.spec.shape))}. Use fewer units or a smaller vocabulary.`,
  );
}

/** Runs what takes memory; where the host has none left it is an error with the figure. */
export function takingMemory<T>({ weights }: Network, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const bytes = weights.reduce((total, { spec }) => total + 4 * sizeOf(spec.shape), 0);
    throw new UnrolledError(
      'MEMORY',
      `model: no memory for weights of ${gib(bytes)} (${bytes} bytes). Use fewer units or a smaller vocabulary.`,
      { cause: error },
    );
  }
}
