/** What comes out of the compiler. */

/** Values of the inputs of one step by name, in logical order. */
export type Feed = Readonly<Record<string, ArrayLike<number>>>;
export type Result = Record<string, Float32Array | Float64Array | Int32Array>;

export interface Plan {
  readonly arenaBytes: number;
  readonly stateBytes: number;
  readonly ioBytes: number;
  /** Floating-point operations of the products of one step. */
  readonly flops: number;
}

export interface CompiledStep {
  readonly plan: Plan;
  /** Runs one step for every feed, in one call and off the main thread. */
  run(feeds: readonly Feed[]): Promise<Result[]>;
  runSync(feeds: readonly Feed[]): Result[];
  /** Graph, program, arena map and operation counts, for people. */
  explain(): string;
}

export interface CompileOptions {
  /** Bytes that arena, state and io may take together; default: what the machine has free. */
  readonly memoryLimit?: number;
}
