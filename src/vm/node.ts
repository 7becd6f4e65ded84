/** The machine as a Node addon (native/hosts/node.cc): runs on threads of Node's pool, on state and io where they are. */
import { fail, UnrolledError } from '../core/errors.ts';
import { builtin, environment } from './builtin.ts';
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
import { lookBy } from './finite.ts';
import { getThreads, smallestShare } from './threads.ts';
import type { BlockCopy, BoundProgram, LoadedProgram, Machine, MachineTraits, RunOptions } from './vm.ts';

type Outcome = readonly [status: number, detail: number, position: number, step: number];
type Handle = object;
interface Addon {
  sets(): [name: string, vector: number][];
  allocate(bytes: number): ArrayBuffer | null;
  largePages(array: Float32Array): void;
  discard(array: Float32Array): void;
  load(encoded: Int32Array): Handle | [reason: string, position: number];
  runSync(
    set: number,
    program: Handle,
    state: Float32Array,
    io: Float32Array,
    ioStride: number,
    steps: number,
    threads: number,
    smallest: number,
  ): Outcome | undefined;
  run(
    set: number,
    program: Handle,
    state: Float32Array,
    io: Float32Array,
    ioStride: number,
    steps: number,
    threads: number,
    smallest: number,
  ): Promise<Outcome>;
  bind(set: number, program: Handle, state: Float32Array, io: Float32Array): (() => Outcome | undefined) | null;
  copy(to: Copied, from: Copied, box: Float64Array, toRows: Int32Array | null, fromRows: Int32Array | null): boolean;
  isFinite(data: Float32Array): boolean;
}
type Copied = Float32Array | Int32Array | Float64Array;

class NativeProgram implements LoadedProgram {
  readonly sizes: ProgramSizes;
  private handle: Handle | null;

  constructor(handle: Handle, sizes: ProgramSizes) {
    this.handle = handle;
    this.sizes = sizes;
  }

  get arena(): number {
    return this.sizes.arena;
  }

  get own(): Handle {
    return this.handle ?? fail('STATE', 'machine.run', 'a loaded program', 'one that was released');
  }

  /** The addon frees it when the handle is collected, or after the runs that still need it. */
  release(): void {
    this.handle = null;
  }
}

/** Floats from which memory in large pages is faster to write to. */
const largeRoom = 1 << 20;

/** Floats from which an array has pages that are worth a call. */
const worthDiscarding = 1 << 14;

class NativeMachine implements Machine {
  readonly traits: MachineTraits;
  private readonly addon: Addon;
  private readonly set: number;
  private readonly memory: number;

  constructor(addon: Addon, set: number, isa: string, vector: number, memory: number) {
    this.addon = addon;
    this.set = set;
    this.memory = memory;
    this.traits = { host: 'native', isa, vector };
  }

  allocate(floats: number): Float32Array {
    const bytes = floats * 4;
    if (bytes > this.memory) refuseMemory(bytes, this.memory);
    const buffer = this.addon.allocate(bytes + SLACK_BYTES) ?? refuseMemory(bytes);
    return new Float32Array(buffer, 0, floats);
  }

  /** The engine's own memory, so that users get arrays like any others. */
  room(floats: number): Float32Array {
    const array = new Float32Array(floats);
    if (floats >= largeRoom) this.addon.largePages(array);
    return array;
  }

  discard(array: Float32Array): void {
    if (array.length >= worthDiscarding) this.addon.discard(array);
  }

  load(encoded: Int32Array): LoadedProgram {
    const result = this.addon.load(encoded);
    if (Array.isArray(result)) refuseProgram(result[0], result[1]);
    return new NativeProgram(result, sizesOf(encoded));
  }

  async run(program: LoadedProgram, state: Float32Array, io: Float32Array, options: RunOptions): Promise<void> {
    const own = this.check(program, state, io, options);
    const outcome = await this.addon.run(
      this.set,
      own.own,
      state,
      io,
      options.ioStride,
      options.steps,
      getThreads(),
      smallestShare(),
    );
    checkOutcome(outcome, own.arena * 4);
  }

  runSync(program: LoadedProgram, state: Float32Array, io: Float32Array, options: RunOptions): void {
    const own = this.check(program, state, io, options);
    checkOutcome(
      this.addon.runSync(this.set, own.own, state, io, options.ioStride, options.steps, getThreads(), smallestShare()),
      own.arena * 4,
    );
  }

  copy(
    to: Copied,
    from: Copied,
    { counts, run, toAt, fromAt, toStrides, fromStrides, leaves, toRows, fromRows }: BlockCopy,
  ): void {
    const box = Float64Array.of(...counts, run, toAt, ...toStrides, fromAt, ...fromStrides, leaves ? 1 : 0);
    if (!this.addon.copy(to, from, box, toRows, fromRows))
      throw new UnrolledError(
        'INTERNAL',
        'a copy leaves its arrays. This is a fault of the library; please report it.',
      );
  }

  bind(program: LoadedProgram): BoundProgram {
    const own = ownProgram(program, NativeProgram);
    const bytes = own.arena * 4;
    if (bytes > this.memory) refuseMemory(bytes, this.memory);
    const [state, io] = [this.allocate(own.sizes.state), this.allocate(own.sizes.io)];
    const call = this.addon.bind(this.set, own.own, state, io) ?? refuseMemory(bytes);
    return {
      state,
      io,
      run() {
        const outcome = call();
        if (outcome !== undefined) checkOutcome(outcome, bytes);
      },
    };
  }

  private check(program: LoadedProgram, state: Float32Array, io: Float32Array, options: RunOptions): NativeProgram {
    const own = ownProgram(program, NativeProgram);
    checkRun(own.sizes, state, io, options);
    if (own.arena * 4 > this.memory) refuseMemory(own.arena * 4, this.memory);
    return own;
  }
}

/** Loads the addon; rejects where there is none. UNROLLED_ADDON names another file (a build with sanitizers). */
async function loadAddon(): Promise<Addon> {
  const { createRequire } = await builtin('module');
  const { fileURLToPath } = await builtin('url');
  // This file is src/vm/node.ts or dist/vm/node.js: the package is two levels up.
  const file = environment('UNROLLED_ADDON') ?? fileURLToPath(new URL('../../build/unrolled.node', import.meta.url));
  return createRequire(import.meta.url)(file) as Addon;
}

/** Instruction sets that this processor runs, the fastest first. */
export async function nativeSets(): Promise<string[]> {
  return (await loadAddon()).sets().map(([name]) => name);
}

export async function openNative(isa?: string): Promise<Machine> {
  const addon = await loadAddon();
  lookBy((data) => addon.isFinite(data));
  const sets = addon.sets();
  const set = isa === undefined ? 0 : sets.findIndex(([name]) => name === isa);
  if (set < 0)
    fail('ARGUMENT', 'UNROLLED_ISA', `one of ${sets.map(([name]) => name).join(', ')} on this processor`, `'${isa}'`);
  const { totalmem } = await builtin('os');
  // A container may have less than the computer.
  const limit = process.constrainedMemory?.() || Number.POSITIVE_INFINITY;
  return new NativeMachine(addon, set, sets[set][0], sets[set][1], Math.min(totalmem(), limit));
}
