/** What comes out of the compiler. */
import type { Precision } from '../ir/graph.ts';

/** Rows of a larger array, brought together only where the machine reads them. */
export interface GatheredRows {
  readonly data: Float32Array | Float64Array | Int32Array;
  /** Elements of a row. */
  readonly size: number;
  /** Which rows of `data`, in order. */
  readonly rows: Int32Array;
}

/** A number where there is one element. */
export type FeedValue = number | ArrayLike<number> | GatheredRows;

/** Values of the inputs of one step by name, in logical order. */
export type Feed = Readonly<Record<string, FeedValue>>;

export function isGathered(value: FeedValue): value is GatheredRows {
  return typeof value === 'object' && 'rows' in value;
}

/** Elements that a value has. */
export function feedLength(value: FeedValue): number {
  if (typeof value === 'number') return 1;
  return isGathered(value) ? value.size * value.rows.length : value.length;
}

/** The values themselves, in one array. */
export function gathered(value: FeedValue): ArrayLike<number> {
  if (typeof value === 'number') return [value];
  if (!isGathered(value)) return value;
  const { data, size, rows } = value;
  const result = new (data.constructor as { new (n: number): typeof data })(size * rows.length);
  for (let r = 0; r < rows.length; r++) result.set(data.subarray(rows[r] * size, (rows[r] + 1) * size), r * size);
  return result;
}
export type Result = Record<string, Float32Array | Float64Array | Int32Array>;

export interface Plan {
  readonly arenaBytes: number;
  readonly stateBytes: number;
  readonly ioBytes: number;
  /** Floating-point operations of the products of one step. */
  readonly flops: number;
}

/** Rows of an array that take the rows of a result. */
export interface Destination {
  readonly data: Float32Array | Float64Array | Int32Array;
  /** Elements of a row. */
  readonly size: number;
  /** The row that takes the first one. */
  readonly first: number;
  /** The row for each row of the result; null: one after the other from the first. */
  readonly rows: Int32Array | null;
}

/** The type of a result. */
export type ResultType = 'float32' | 'float64' | 'int32';

/** Where the results of a step go; null: into an array of their own. */
export type Destinations = (step: number, name: string, type: ResultType) => Destination | null;

/** Feeds that stand where the machine reads them: made while another run is going, so that the machine does not wait for them. */
export interface StagedFeeds {
  /**
   * Runs the steps, once. What is written to a destination is not among the results.
   *
   * @param late values that were not staged, one feed for each step
   */
  run(late?: readonly Feed[], into?: Destinations): Promise<Result[]>;
  /** Gives the memory back without a run. */
  discard(): void;
}

export interface CompiledStep {
  readonly plan: Plan;
  /** Runs one step for every feed, in one call and off the main thread. */
  run(feeds: readonly Feed[]): Promise<Result[]>;
  /** Prepares a run; inputs that the feeds leave out are given to `run` of what it returns. State may be in use meanwhile. */
  stage(feeds: readonly Feed[]): StagedFeeds;
  runSync(feeds: readonly Feed[]): Result[];
  /** Graph, program, arena map and operation counts, for people. */
  explain(): string;
}

export interface CompileOptions {
  /** Bytes that arena, state and io may take together; default: what the machine has free. */
  readonly memoryLimit?: number;
  /** What the products of a model round their operands to; the trace reads it as `precision`. Default `float32`. */
  readonly precision?: Precision;
  /**
   * Elements from which a stack of all steps is not made, where the loop that takes it can make each step itself. Default 2^18: a smaller one
   * stays in the cache, and is made faster all at once.
   */
  readonly stacksFrom?: number;
}
