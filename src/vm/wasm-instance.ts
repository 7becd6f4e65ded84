/**
 * One instance of the WebAssembly machine (native/hosts/wasm.cc) on the calling thread. Memory, from the heap's base on, is handed out in
 * whole regions: encoded programs, the arena, and copies of the state and io of the run at hand. It grows and never shrinks.
 */
import { checkOutcome, type ProgramSizes, SLACK_BYTES, sizesOf } from './check.ts';
import { Crew, STACK_BYTES } from './crew.ts';
import type { BoundProgram, RunOptions } from './vm.ts';

/** Threads that a run may use, and the nanoseconds of work from which something is shared out. */
export interface RunThreads {
  readonly count: number;
  readonly smallest: number;
}

interface Exports {
  memory?: WebAssembly.Memory;
  heapBase(): number;
  verify(encoded: number, length: number): number;
  faultPosition(): number;
  run(
    encoded: number,
    arena: number,
    state: number,
    io: number,
    slots: number,
    ioStride: number,
    steps: number,
  ): number;
  detail(): number;
  position(): number;
  step(): number;
}

/** What a module for threads has beside. */
interface SharedExports extends Exports {
  shareSize(encoded: number): number;
  shareWorkspace(encoded: number): number;
  findShares(encoded: number, shares: number, workspace: number): number;
  worthThreads(encoded: number, shares: number, smallest: number): number;
  started(): number;
  runShared(
    encoded: number,
    arena: number,
    state: number,
    io: number,
    own: number,
    ownBytes: number,
    slotBytes: number,
    shares: number,
    ioStride: number,
    steps: number,
    members: number,
    threads: number,
    smallest: number,
  ): number;
}

/** Thrown where the memory cannot grow; the machine makes it an error with the figure. */
export class OutOfMemory extends Error {
  readonly bytes: number;
  constructor(bytes: number) {
    super(`no memory for ${bytes} bytes`);
    this.bytes = bytes;
  }
}

const PAGE = 65536;
const roundTo = (n: number, unit: number) => Math.ceil(n / unit) * unit;

interface Region {
  at: number;
  bytes: number;
}

/** Regions of a growing memory, first fit. Neighbouring free regions are joined. */
class Heap {
  private readonly memory: WebAssembly.Memory;
  private end: number;
  private free: Region[] = [];

  constructor(memory: WebAssembly.Memory, base: number) {
    this.memory = memory;
    this.end = roundTo(base, 64);
  }

  allocate(bytes: number): Region {
    const size = roundTo(Math.max(bytes, 64), 64);
    const hole = this.free.findIndex((r) => r.bytes >= size);
    if (hole >= 0) {
      const region = this.free[hole];
      const taken = { at: region.at, bytes: size };
      if (region.bytes === size) this.free.splice(hole, 1);
      else this.free[hole] = { at: region.at + size, bytes: region.bytes - size };
      return taken;
    }
    const last = this.free.at(-1);
    const at = last && last.at + last.bytes === this.end ? last.at : this.end;
    const pages = Math.ceil((at + size - this.memory.buffer.byteLength) / PAGE);
    if (at + size > 65536 * PAGE) throw new OutOfMemory(at + size);
    if (pages > 0) {
      try {
        this.memory.grow(pages);
      } catch {
        throw new OutOfMemory(at + size);
      }
    }
    if (at !== this.end) this.free.pop();
    this.end = at + size;
    return { at, bytes: size };
  }

  release(region: Region): void {
    this.free.push(region);
    this.free.sort((a, b) => a.at - b.at);
    this.free = this.free.reduce<Region[]>((joined, r) => {
      const last = joined.at(-1);
      if (last && last.at + last.bytes === r.at) last.bytes += r.bytes;
      else joined.push({ ...r });
      return joined;
    }, []);
  }
}

interface Loaded {
  readonly region: Region;
  readonly sizes: ProgramSizes;
  readonly slots: number;
  /** What threads may share out, found when a run first asks for threads. */
  shares: { readonly region: Region; readonly scratch: number } | null;
}

export class WasmInstance {
  private readonly exports: Exports;
  private readonly memory: WebAssembly.Memory;
  private readonly heap: Heap;
  /** The threads; null where the memory is not shared. */
  private readonly crew: Crew | null;
  private readonly programs = new Map<number, Loaded>();
  /** Reused from run to run, and replaced by larger ones: arena, state, io, slots, what the threads have of their own. */
  private readonly work: Region[] = [];

  /** @param shared the module is one for threads */
  constructor(module: WebAssembly.Module, shared = false) {
    const memory = shared ? new WebAssembly.Memory({ initial: 32, maximum: 65536, shared }) : null;
    const { exports } = new WebAssembly.Instance(module, memory ? { env: { memory } } : {});
    this.exports = exports as unknown as Exports;
    this.memory = memory ?? (this.exports.memory as WebAssembly.Memory);
    this.heap = new Heap(this.memory, this.exports.heapBase() >>> 0);
    this.crew = memory
      ? new Crew(() => ({
          module,
          memory,
          stack: this.heap.allocate(STACK_BYTES).at + STACK_BYTES,
          seen: (this.exports as SharedExports).started(),
        }))
      : null;
  }

  /** The reason and the position where the program is refused, else undefined. */
  verify(encoded: Int32Array): [reason: string, position: number] | undefined {
    const region = this.heap.allocate(encoded.byteLength);
    new Int32Array(this.memory.buffer, region.at, encoded.length).set(encoded);
    const reason = this.exports.verify(region.at, encoded.length) >>> 0;
    this.heap.release(region);
    if (!reason) return undefined;
    const bytes = new Uint8Array(this.memory.buffer, reason);
    return [new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0))), this.exports.faultPosition()];
  }

  has(program: number): boolean {
    return this.programs.has(program);
  }

  /** Takes a verified program. */
  add(program: number, encoded: Int32Array): void {
    const region = this.heap.allocate(encoded.byteLength + SLACK_BYTES);
    new Int32Array(this.memory.buffer, region.at, encoded.length).set(encoded);
    this.programs.set(program, { region, sizes: sizesOf(encoded), slots: encoded[2], shares: null });
  }

  remove(program: number): void {
    const loaded = this.programs.get(program);
    if (loaded) this.heap.release(loaded.region);
    if (loaded?.shares) this.heap.release(loaded.shares.region);
    this.programs.delete(program);
  }

  /** How many of so many threads there are for the next run, once they have started. */
  async threads(count: number): Promise<number> {
    return this.crew ? this.crew.grow(count) : 1;
  }

  /** Runs on copies of state and io, and copies back what may have changed. Gives [status, detail, position, step]. */
  run(
    program: number,
    state: Float32Array,
    io: Float32Array,
    options: RunOptions,
    threads: RunThreads = { count: 1, smallest: 0 },
  ): number[] {
    const loaded = this.programs.get(program) as Loaded;
    const { region, sizes, slots } = loaded;
    const ioFloats = options.steps ? (options.steps - 1) * options.ioStride + sizes.io : 0;
    const [arena, stateAt, ioAt, slotsAt] = [sizes.arena, sizes.state, ioFloats, slots].map((n, i) =>
      this.workspace(i, n * 4 + SLACK_BYTES),
    );
    const view = (at: number, floats: number) => new Float32Array(this.memory.buffer, at, floats);
    view(stateAt, sizes.state).set(state.subarray(0, sizes.state));
    view(ioAt, ioFloats).set(io.subarray(0, ioFloats));
    const status =
      this.runShared(loaded, [arena, stateAt, ioAt], options, threads) ??
      this.exports.run(region.at, arena, stateAt, ioAt, slotsAt, options.ioStride, options.steps);
    if (options.writesState) state.set(view(stateAt, sizes.state));
    io.set(view(ioAt, ioFloats));
    return [status, this.exports.detail(), this.exports.position(), this.exports.step()];
  }

  /** The status of a run on threads; null where they are not worth it. The memory must have been given out before: views of it stay. */
  private runShared(
    loaded: Loaded,
    [arena, state, io]: readonly number[],
    { ioStride, steps }: RunOptions,
    { count, smallest }: RunThreads,
  ): number | null {
    if (count < 2 || !this.crew) return null;
    const exports = this.exports as SharedExports;
    const { region, slots } = loaded;
    loaded.shares ??= this.sharesOf(region.at, exports);
    const { region: shares, scratch } = loaded.shares;
    if (!exports.worthThreads(region.at, shares.at, smallest)) return null;
    const slotBytes = roundTo(slots * 4, 64);
    const ownBytes = slotBytes + roundTo(scratch * 4, 64) + SLACK_BYTES;
    const own = this.workspace(4, count * ownBytes);
    const { members } = this.crew;
    const memories = [region.at, arena, state, io, own, ownBytes, slotBytes, shares.at] as const;
    return exports.runShared(...memories, ioStride, steps, members, count, smallest);
  }

  private sharesOf(encoded: number, exports: SharedExports): NonNullable<Loaded['shares']> {
    const region = this.heap.allocate(exports.shareSize(encoded));
    const workspace = this.heap.allocate(exports.shareWorkspace(encoded));
    const scratch = exports.findShares(encoded, region.at, workspace.at);
    this.heap.release(workspace);
    return { region, scratch };
  }

  /** A verified program with memories of its own. The instance is for it alone: its memory does not grow afterwards, so that the views stay. */
  bind(encoded: Int32Array): BoundProgram {
    const sizes = sizesOf(encoded);
    const regions = [encoded.length, sizes.arena, sizes.state, sizes.io, encoded[2]].map((n) =>
      this.heap.allocate(n * 4 + SLACK_BYTES),
    );
    const [code, arena, state, io, slots] = regions.map(({ at }) => at);
    const { buffer } = this.memory;
    new Int32Array(buffer, code, encoded.length).set(encoded);
    const { exports } = this;
    return {
      state: new Float32Array(buffer, state, sizes.state),
      io: new Float32Array(buffer, io, sizes.io),
      run() {
        const status = exports.run(code, arena, state, io, slots, 0, 1);
        if (status !== 0) checkOutcome([status, exports.detail(), exports.position(), exports.step()], sizes.arena * 4);
      },
    };
  }

  private workspace(index: number, bytes: number): number {
    const old = this.work[index];
    if (old && old.bytes >= bytes) return old.at;
    if (old) this.heap.release(old);
    // An entry must not outlive its region where the allocation throws.
    delete this.work[index];
    const region = this.heap.allocate(bytes);
    this.work[index] = region;
    return region.at;
  }
}
