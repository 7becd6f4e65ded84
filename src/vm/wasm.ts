/**
 * The machine as WebAssembly. `run` works in a worker, on its own instance; `runSync` on an instance of the calling thread. Both run on
 * copies: the state and io of a run are copied into the instance's memory and back (the state only where the program writes it). Where memory
 * can be shared (Node, and pages with COOP and COEP), the worker reads and writes the caller's arrays itself; else they travel by message.
 */
import { fail, UnrolledError } from '../core/errors.ts';
import { builtin, inNode } from './builtin.ts';
import {
  checkOutcome,
  checkRun,
  ownProgram,
  type ProgramSizes,
  refuseMemory,
  refuseProgram,
  SLACK_BYTES,
  sizesOf,
} from './check.ts';
import { getThreads, smallestShare } from './threads.ts';
import type { BoundProgram, LoadedProgram, Machine, MachineTraits, RunOptions } from './vm.ts';
import { OutOfMemory, WasmInstance } from './wasm-instance.ts';
import type { Request, Response } from './worker.ts';

/** What 32-bit addresses reach. */
const MEMORY_LIMIT = 2 ** 32 - 2 ** 20;

const canShare = typeof SharedArrayBuffer !== 'undefined' && (inNode || globalThis.crossOriginIsolated === true);

class WasmProgram implements LoadedProgram {
  readonly sizes: ProgramSizes;
  readonly id: number;
  private data: Int32Array | null;
  private readonly forget: (id: number) => void;

  constructor(id: number, encoded: Int32Array, forget: (id: number) => void) {
    this.id = id;
    this.data = encoded.slice();
    this.sizes = sizesOf(encoded);
    this.forget = forget;
  }

  get arena(): number {
    return this.sizes.arena;
  }

  get encoded(): Int32Array {
    return this.data ?? fail('STATE', 'machine.run', 'a loaded program', 'one that was released');
  }

  release(): void {
    if (this.data) this.forget(this.id);
    this.data = null;
  }
}

/** A worker of either kind. */
interface Channel {
  post(request: Request, transfer?: ArrayBuffer[]): void;
  /** Whether the process should stay alive for it. */
  hold(busy: boolean): void;
}

async function openChannel(receive: (response: Response) => void, broken: (error: unknown) => void): Promise<Channel> {
  if (inNode) {
    const { Worker: NodeWorker } = await builtin('worker_threads');
    // Node cannot run TypeScript in a worker; from the sources, the built file serves.
    const file = import.meta.url.endsWith('.ts') ? '../../dist/vm/worker.js' : './worker.js';
    const worker = new NodeWorker(new URL(file, import.meta.url));
    worker.on('message', receive);
    worker.on('error', broken);
    worker.unref();
    return {
      post: (request, transfer = []) => worker.postMessage(request, transfer),
      hold: (busy) => (busy ? worker.ref() : worker.unref()),
    };
  }
  // In this form bundlers see the worker and pack it.
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  worker.onmessage = (event: MessageEvent<Response>) => receive(event.data);
  worker.onerror = (event) => broken(new Error(event.message || 'the worker cannot be loaded'));
  return { post: (request, transfer = []) => worker.postMessage(request, transfer), hold: () => {} };
}

interface Pending {
  readonly settle: (response: Response) => void;
  readonly reject: (error: unknown) => void;
}

interface Modules {
  readonly alone: WebAssembly.Module;
  /** Loaded when threads are first asked for. */
  threads(): Promise<WebAssembly.Module>;
}

/** The worker's side of a machine: runs one after the other, started with the first. */
class Thread {
  private readonly modules: Modules;
  /** Whether the worker has gone over to the module for threads. */
  private shared = false;
  private channel: Promise<Channel> | undefined;
  private readonly known = new Set<number>();
  private readonly pending = new Map<number, Pending>();
  private jobs = 0;

  constructor(modules: Modules) {
    this.modules = modules;
  }

  async run(program: WasmProgram, state: Float32Array, io: Float32Array, options: RunOptions): Promise<Response> {
    const job = this.jobs++;
    const encoded = program.encoded;
    const threads = { count: canShare ? getThreads() : 1, smallest: smallestShare() };
    const channel = await (this.channel ??= this.open());
    if (threads.count > 1 && !this.shared) await this.share(channel);
    return new Promise<Response>((settle, reject) => {
      this.pending.set(job, { settle, reject });
      channel.hold(true);
      const first = !this.known.has(program.id);
      this.known.add(program.id);
      const transfer = [state, io].flatMap((x) => (x.buffer instanceof ArrayBuffer ? [x.buffer] : []));
      channel.post(
        {
          kind: 'run',
          job,
          program: program.id,
          encoded: first ? encoded : undefined,
          state,
          io,
          options: { ...options },
          threads,
        },
        transfer,
      );
    });
  }

  async forget(program: number): Promise<void> {
    if (!this.known.delete(program)) return;
    (await this.channel)?.post({ kind: 'release', program });
  }

  private async open(): Promise<Channel> {
    const channel = await openChannel(
      (response) => {
        const pending = this.pending.get(response.job);
        this.pending.delete(response.job);
        if (!this.pending.size) channel.hold(false);
        pending?.settle(response);
      },
      (error) => {
        for (const { reject } of this.pending.values()) reject(error);
        this.pending.clear();
        this.known.clear();
        this.channel = undefined;
      },
    );
    channel.post({ kind: 'open', module: this.modules.alone, shared: false });
    this.shared = false;
    return channel;
  }

  /** The worker goes on with a memory that threads share; it has no programs then. */
  private async share(channel: Channel): Promise<void> {
    const module = await this.modules.threads();
    if (this.shared) return;
    this.shared = true;
    this.known.clear();
    channel.post({ kind: 'open', module, shared: true });
  }
}

class WasmMachine implements Machine {
  readonly traits: MachineTraits;
  private readonly module: WebAssembly.Module;
  private readonly own: WasmInstance;
  private readonly thread: Thread;
  private programs = 0;
  /** Releases what a collected program still holds. */
  private readonly collected = new FinalizationRegistry<number>((id) => this.forget(id));

  constructor(modules: Modules, isa: string) {
    this.traits = { host: 'wasm', isa, vector: 4 };
    this.module = modules.alone;
    this.own = new WasmInstance(modules.alone);
    this.thread = new Thread(modules);
  }

  allocate(floats: number): Float32Array {
    const bytes = floats * 4 + SLACK_BYTES;
    try {
      return new Float32Array(canShare ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes), 0, floats);
    } catch {
      refuseMemory(bytes);
    }
  }

  load(encoded: Int32Array): LoadedProgram {
    const fault = this.own.verify(encoded);
    if (fault) refuseProgram(...fault);
    const program = new WasmProgram(this.programs++, encoded, (id) => this.forget(id));
    this.collected.register(program, program.id);
    return program;
  }

  async run(program: LoadedProgram, state: Float32Array, io: Float32Array, options: RunOptions): Promise<void> {
    const { own, ioFloats } = this.check(program, state, io, options);
    // What is not shared is copied: the caller's arrays must not be taken away by the message.
    const send = (array: Float32Array, floats: number) =>
      array.buffer instanceof ArrayBuffer ? array.slice(0, floats) : array;
    const response = await this.thread.run(own, send(state, own.sizes.state), send(io, ioFloats), options);
    if (response.memory !== undefined) refuseMemory(response.memory, MEMORY_LIMIT);
    if (response.error !== undefined) throw new UnrolledError('INTERNAL', `the worker failed: ${response.error}`);
    if (response.state) state.set(response.state);
    if (response.io) io.set(response.io);
    checkOutcome(response.outcome, own.arena * 4);
  }

  runSync(program: LoadedProgram, state: Float32Array, io: Float32Array, options: RunOptions): void {
    const { own } = this.check(program, state, io, options);
    try {
      if (!this.own.has(own.id)) this.own.add(own.id, own.encoded);
      checkOutcome(this.own.run(own.id, state, io, options), own.arena * 4);
    } catch (error) {
      if (error instanceof OutOfMemory) refuseMemory(error.bytes, MEMORY_LIMIT);
      throw error;
    }
  }

  bind(program: LoadedProgram): BoundProgram {
    try {
      return new WasmInstance(this.module).bind(ownProgram(program, WasmProgram).encoded);
    } catch (error) {
      if (error instanceof OutOfMemory) refuseMemory(error.bytes, MEMORY_LIMIT);
      throw error;
    }
  }

  private check(
    program: LoadedProgram,
    state: Float32Array,
    io: Float32Array,
    options: RunOptions,
  ): { own: WasmProgram; ioFloats: number } {
    const own = ownProgram(program, WasmProgram);
    void own.encoded;
    checkRun(own.sizes, state, io, options);
    const ioFloats = options.steps ? (options.steps - 1) * options.ioStride + own.sizes.io : 0;
    const bytes = (own.sizes.arena + own.sizes.state + ioFloats) * 4;
    if (bytes > MEMORY_LIMIT) refuseMemory(bytes, MEMORY_LIMIT);
    return { own, ioFloats };
  }

  private forget(id: number): void {
    this.own.remove(id);
    void this.thread.forget(id);
  }
}

// A function of one relaxed multiply-add: engines without relaxed SIMD refuse it, as they refuse the whole of our module.
const relaxedProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2,
  253, 133, 2, 11,
]);

/** Instruction sets that this JavaScript engine runs, the fastest first. */
export function wasmSets(): string[] {
  return WebAssembly.validate(relaxedProbe) ? ['relaxed', 'simd128'] : ['simd128'];
}

const files: Readonly<Record<string, { readonly alone: string; readonly threads: string }>> = {
  relaxed: { alone: 'unrolled-relaxed.wasm', threads: 'unrolled-relaxed-threads.wasm' },
  simd128: { alone: 'unrolled.wasm', threads: 'unrolled-threads.wasm' },
};
const modules = new Map<string, Promise<WebAssembly.Module>>();

async function loadModule(url: URL): Promise<WebAssembly.Module> {
  try {
    if (url.protocol === 'file:' && inNode) {
      const { readFile } = await builtin('fs/promises');
      return await WebAssembly.compile(await readFile(url));
    }
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UnrolledError('IO', `the machine's WebAssembly cannot be loaded from ${url.href}: ${reason}`, {
      cause: error,
    });
  }
}

/** `folder` holds the .wasm files; by default it is build/ in the package. */
export async function openWasm(isa?: string, folder?: string | URL): Promise<Machine> {
  const sets = wasmSets();
  const set = isa ?? sets[0];
  if (!sets.includes(set)) fail('ARGUMENT', 'UNROLLED_ISA', `one of ${sets.join(', ')} in this engine`, `'${set}'`);
  const base =
    folder === undefined ? new URL('../../build/', import.meta.url) : new URL(folder, globalThis.location?.href);
  const moduleOf = (file: string) => {
    const url = new URL(file, base);
    let module = modules.get(url.href);
    if (!module) {
      module = loadModule(url);
      modules.set(url.href, module);
      // A failure is not kept: the next attempt may find the file.
      module.catch(() => modules.delete(url.href));
    }
    return module;
  };
  const { alone, threads } = files[set];
  return new WasmMachine({ alone: await moduleOf(alone), threads: () => moduleOf(threads) }, set);
}
