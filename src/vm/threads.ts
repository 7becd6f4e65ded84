/** How many threads a run may use. */
import { fail } from '../core/errors.ts';
import { environment } from './builtin.ts';

export interface ThreadOptions {
  /** Nanoseconds of work, as the machine estimates it, from which an instruction or a loop is shared out; less is done by one thread. Default: 15000. */
  readonly smallestShare?: number;
}

const MOST = 256;
const SMALLEST_SHARE = 15_000;

let threads: number | null = null;
let smallest = SMALLEST_SHARE;

function checked(count: number, where: string, received: string): number {
  if (!Number.isInteger(count) || count < 1 || count > MOST)
    fail('ARGUMENT', where, `a whole number of threads from 1 to ${MOST}`, received);
  return count;
}

/**
 * Sets how many threads the runs that start from now on may use: on the native host, and on WebAssembly where memory can be shared (Node, and
 * pages with the headers COOP and COEP; elsewhere it runs on one). What runs synchronously on WebAssembly has one thread. The rows of a
 * batch are split over the threads for the whole of a recurrence, large products and sums by rows or columns. Results are the same to the
 * bit for every count. One run at a time has the threads: one that starts meanwhile runs on one thread. More threads than cores are slower.
 *
 * Default: the environment variable UNROLLED_THREADS, else 1. Errors: ARGUMENT for a count that is not a whole number from 1 to 256.
 *
 * @example setThreads(2);
 */
export function setThreads(count: number, options: ThreadOptions = {}): void {
  const { smallestShare = SMALLEST_SHARE } = options;
  if (!Number.isInteger(smallestShare) || smallestShare < 0 || smallestShare > 0x7fffffff)
    fail('ARGUMENT', 'setThreads', 'smallestShare in whole nanoseconds from 0 to 2147483647', String(smallestShare));
  threads = checked(count, 'setThreads', String(count));
  smallest = smallestShare;
}

/** How many threads a run may use now. Errors: ARGUMENT where UNROLLED_THREADS is no count of threads. */
export function getThreads(): number {
  if (threads === null) {
    const given = environment('UNROLLED_THREADS');
    threads = given === undefined ? 1 : checked(Number(given), 'UNROLLED_THREADS', `'${given}'`);
  }
  return threads;
}

export function smallestShare(): number {
  return smallest;
}
