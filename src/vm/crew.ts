/**
 * The threads of one shared memory (native/hosts/wasm-threads.inl.h), started from the worker that runs programs. A thread that has started
 * stays, and sleeps between the runs.
 */
import { builtin, inNode } from './builtin.ts';
import type { Joining } from './member.ts';

/** Bytes of a thread's stack, as for the first one. */
export const STACK_BYTES = 262144;

/** Starts a thread; resolves when it is in the machine. */
async function start(joining: Joining): Promise<void> {
  if (inNode) {
    const { Worker: NodeWorker } = await builtin('worker_threads');
    const worker = new NodeWorker(new URL('./member.js', import.meta.url));
    worker.unref();
    return new Promise((resolve, reject) => {
      worker.on('message', () => resolve());
      worker.on('error', reject);
      worker.postMessage(joining);
    });
  }
  // In this form bundlers see the worker and pack it.
  const worker = new Worker(new URL('./member.js', import.meta.url), { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => reject(new Error(event.message || 'the worker cannot be loaded'));
    worker.postMessage(joining);
  });
}

export class Crew {
  /** Threads beside the one that hands out the work. */
  members = 0;
  private failed = false;
  private readonly joining: () => Omit<Joining, 'thread'>;

  /** @param joining what the next thread needs, with a stack of its own */
  constructor(joining: () => Omit<Joining, 'thread'>) {
    this.joining = joining;
  }

  /** How many of so many threads there are, the first included: fewer where the host gives no more. */
  async grow(threads: number): Promise<number> {
    while (this.members < threads - 1 && !this.failed) {
      try {
        await start({ ...this.joining(), thread: this.members + 1 });
        this.members++;
      } catch {
        this.failed = true;
      }
    }
    return Math.min(threads, this.members + 1);
  }
}
