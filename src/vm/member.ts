/** A thread of the WebAssembly machine: an instance on the memory of the others, which waits in `member` for work and never comes back. */
import { builtin, inNode } from './builtin.ts';

/** What a thread needs to join. */
export interface Joining {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The end of its stack, which grows downwards. */
  readonly stack: number;
  readonly thread: number;
  /** The jobs that were before it came. */
  readonly seen: number;
}

function join({ module, memory, stack, thread, seen }: Joining, ready: () => void): void {
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as {
    useStack(end: number): void;
    member(thread: number, seen: number): void;
  };
  exports.useStack(stack);
  ready();
  exports.member(thread, seen);
}

if (inNode) {
  const { parentPort } = await builtin('worker_threads');
  parentPort?.on('message', (joining: Joining) => join(joining, () => parentPort.postMessage('ready')));
} else {
  // The global scope of a worker; the library's types are those of a page.
  const scope = globalThis as unknown as { onmessage: unknown; postMessage(message: unknown): void };
  scope.onmessage = (event: MessageEvent<Joining>) => join(event.data, () => scope.postMessage('ready'));
}
