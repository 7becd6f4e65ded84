/** The thread that runs programs for `wasm.ts`: worker_threads in Node, a Web Worker in browsers. It loads nothing else of the library. */
import { builtin, inNode } from './builtin.ts';
import type { RunOptions } from './vm.ts';
import { OutOfMemory, type RunThreads, WasmInstance } from './wasm-instance.ts';

export type Request =
  /** Also later, for another module: programs are sent anew then. */
  | { readonly kind: 'open'; readonly module: WebAssembly.Module; readonly shared: boolean }
  | { readonly kind: 'release'; readonly program: number }
  | {
      readonly kind: 'run';
      readonly job: number;
      readonly program: number;
      /** Sent with the first run of a program. */
      readonly encoded?: Int32Array;
      readonly state: Float32Array;
      readonly io: Float32Array;
      readonly options: RunOptions;
      readonly threads: RunThreads;
    };

export interface Response {
  readonly job: number;
  readonly outcome?: number[];
  /** Sent back where they are not shared. */
  readonly state?: Float32Array;
  readonly io?: Float32Array;
  /** Bytes that memory could not grow to. */
  readonly memory?: number;
  readonly error?: string;
}

let instance: WasmInstance;

function isShared(array: Float32Array): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && array.buffer instanceof SharedArrayBuffer;
}

async function answer(request: Request): Promise<Response | undefined> {
  if (request.kind === 'open') {
    instance = new WasmInstance(request.module, request.shared);
    return undefined;
  }
  if (request.kind === 'release') {
    instance.remove(request.program);
    return undefined;
  }
  const { job, program, encoded, state, io, options, threads } = request;
  try {
    if (encoded && !instance.has(program)) instance.add(program, encoded);
    const count = threads.count > 1 ? await instance.threads(threads.count) : 1;
    const outcome = instance.run(program, state, io, options, { ...threads, count });
    return {
      job,
      outcome,
      state: options.writesState && !isShared(state) ? state : undefined,
      io: isShared(io) ? undefined : io,
    };
  } catch (error) {
    if (error instanceof OutOfMemory) return { job, memory: error.bytes };
    return { job, error: String(error instanceof Error ? error.message : error) };
  }
}

type Post = (response: Response, transfer: ArrayBuffer[]) => void;

/** One request after the other, also while threads start. */
let last: Promise<void> = Promise.resolve();

function serve(request: Request, post: Post): void {
  last = last.then(async () => {
    const response = await answer(request);
    if (!response) return;
    const sent = [response.state, response.io].flatMap((x) => (x ? [x.buffer as ArrayBuffer] : []));
    post(response, sent);
  });
}

if (inNode) {
  const { parentPort } = await builtin('worker_threads');
  parentPort?.on('message', (request: Request) => serve(request, (r, transfer) => parentPort.postMessage(r, transfer)));
} else {
  // The global scope of a worker; the library's types are those of a page.
  const scope = globalThis as unknown as {
    onmessage: unknown;
    postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  };
  scope.onmessage = (event: MessageEvent<Request>) =>
    serve(event.data, (r, transfer) => scope.postMessage(r, transfer));
}
