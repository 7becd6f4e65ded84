/**
 * The machine as the engine sees it, and the choice of the host. A host runs encoded programs (`ir/program.ts`) on three memories: the
 * state (parameters, optimizer slots; it belongs to the caller), io (inputs, scalars and results of each step, handed over for a run),
 * and the arena (scratch, which the host owns).
 */
export type HostName = 'native' | 'wasm' | 'oracle';

/** What the compiler must know of a machine to choose well; a program that was made for one runs on all. */
export interface MachineTraits {
  readonly host: HostName;
  /** `avx512bf16`, `avx512`, `avx2`, `sse`, `neon`, `simd128`, `relaxed` or `float64`. */
  readonly isa: string;
  /** Floats in a vector register: 16, 8 or 4. */
  readonly vector: number;
}

export interface LoadedProgram {
  readonly arena: number;
  /** Frees what the host holds for it; also happens when it is collected. */
  release(): void;
}

export interface RunOptions {
  /** Elements between the io of one step and that of the next. */
  readonly ioStride: number;
  readonly steps: number;
  /** Whether the program changes the state. */
  readonly writesState: boolean;
}

/** A program with memories of its own, made ready to be run again and again. */
export interface BoundProgram {
  /** The memories, zero at the start; they stay where they are. */
  readonly state: Float32Array;
  readonly io: Float32Array;
  /** One step at once, on the calling thread. Nothing is allocated. Throws as `Machine.run` rejects. */
  run(): void;
}

/** Boxes of runs that are copied from one array to another; samples may be picked and placed by their index. */
export interface BlockCopy {
  readonly counts: readonly [samples: number, number, number];
  /** Elements beside each other on both sides. */
  readonly run: number;
  readonly toAt: number;
  readonly fromAt: number;
  /** Elements from one to the next, by counts. */
  readonly toStrides: readonly [number, number, number];
  readonly fromStrides: readonly [number, number, number];
  /** What is written is not read again soon. */
  readonly leaves: boolean;
  /** Which sample stands where; null: one after the other. */
  readonly toRows: Int32Array | null;
  readonly fromRows: Int32Array | null;
}

export interface Machine {
  readonly traits: MachineTraits;
  /** Zeroed memory for state or io, aligned for the host. */
  allocate(floats: number): Float32Array;
  /** Decodes and checks a program. */
  load(encoded: Int32Array): LoadedProgram;
  /** Runs `steps` steps off the main thread. Until it settles, state and io must not be changed. Rejects with code DATA for an index out of range, MEMORY where the arena does not fit. */
  run(program: LoadedProgram, state: Float32Array, io: Float32Array, options: RunOptions): Promise<void>;
  /** The same at once, on the calling thread. */
  runSync(program: LoadedProgram, state: Float32Array, io: Float32Array, options: RunOptions): void;
  /** Gives the memory of an array that nobody reads or writes any more back to the system at once; what it held is lost. Missing where only the collector can. */
  discard?(array: Float32Array): void;
  /** An array for large results. Missing where `new Float32Array` does as well. */
  room?(floats: number): Float32Array;
  /** Copies 32-bit elements between arrays of one kind. Missing where the host has nothing faster than a loop. */
  copy?(to: Float32Array | Int32Array | Float64Array, from: typeof to, copy: BlockCopy): void;
  /** Makes a program ready for many single steps. `run` may be given the memories too, between two of them. */
  bind(program: LoadedProgram): BoundProgram;
}
