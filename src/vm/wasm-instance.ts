/**
 * One instance of the WebAssembly machine (native/hosts/wasm.cc) on the calling thread. Memory, from the heap's base on, is handed out in
 * whole regions: encoded programs, the arena, and copies of the state and io of the run at hand. It grows and never shrinks.
 */
import { type ProgramSizes, SLACK_BYTES, sizesOf } from './check.ts';
import type { RunOptions } from './vm.ts';

interface Exports {
  memory: WebAssembly.Memory;
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
}

export class WasmInstance {
  private readonly exports: Exports;
  private readonly heap: Heap;
  private readonly programs = new Map<number, Loaded>();
  /** Reused from run to run, and replaced by larger ones: arena, state, io, slots. */
  private readonly work: Region[] = [];

  constructor(module: WebAssembly.Module) {
    this.exports = new WebAssembly.Instance(module).exports as unknown as Exports;
    this.heap = new Heap(this.exports.memory, this.exports.heapBase() >>> 0);
  }

  /** The reason and the position where the program is refused, else undefined. */
  verify(encoded: Int32Array): [reason: string, position: number] | undefined {
    const region = this.heap.allocate(encoded.byteLength);
    new Int32Array(this.exports.memory.buffer, region.at, encoded.length).set(encoded);
    const reason = this.exports.verify(region.at, encoded.length) >>> 0;
    this.heap.release(region);
    if (!reason) return undefined;
    const bytes = new Uint8Array(this.exports.memory.buffer, reason);
    return [new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0))), this.exports.faultPosition()];
  }

  has(program: number): boolean {
    return this.programs.has(program);
  }

  /** Takes a verified program. */
  add(program: number, encoded: Int32Array): void {
    const region = this.heap.allocate(encoded.byteLength + SLACK_BYTES);
    new Int32Array(this.exports.memory.buffer, region.at, encoded.length).set(encoded);
    this.programs.set(program, { region, sizes: sizesOf(encoded), slots: encoded[2] });
  }

  remove(program: number): void {
    const loaded = this.programs.get(program);
    if (loaded) this.heap.release(loaded.region);
    this.programs.delete(program);
  }

  /** Runs on copies of state and io, and copies back what may have changed. Gives [status, detail, position, step]. */
  run(program: number, state: Float32Array, io: Float32Array, options: RunOptions): number[] {
    const { region, sizes, slots } = this.programs.get(program) as Loaded;
    const ioFloats = options.steps ? (options.steps - 1) * options.ioStride + sizes.io : 0;
    const [arena, stateAt, ioAt, slotsAt] = [sizes.arena, sizes.state, ioFloats, slots].map((n, i) =>
      this.workspace(i, n * 4 + SLACK_BYTES),
    );
    const view = (at: number, floats: number) => new Float32Array(this.exports.memory.buffer, at, floats);
    view(stateAt, sizes.state).set(state.subarray(0, sizes.state));
    view(ioAt, ioFloats).set(io.subarray(0, ioFloats));
    const status = this.exports.run(region.at, arena, stateAt, ioAt, slotsAt, options.ioStride, options.steps);
    if (options.writesState) state.set(view(stateAt, sizes.state));
    io.set(view(ioAt, ioFloats));
    return [status, this.exports.detail(), this.exports.position(), this.exports.step()];
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
