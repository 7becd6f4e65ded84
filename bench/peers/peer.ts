/** What stands beside `unrolled` in a benchmark. */
import type { Point, Work } from '../points.ts';

/** Some steps of one kind of work at one point. */
export interface StepOrder extends Point {
  readonly work: Work;
  readonly steps: number;
}

export interface Peer {
  readonly name: string;
  readonly version: string;
  /** Measured by one step at a time, and in two rounds, because a step takes long. */
  readonly slow?: boolean;
  /** Whether this point is worth its time with this peer. */
  takes(point: Point, work: Work): boolean;
  /** Milliseconds per step. The first call of a point may compile. */
  run(order: StepOrder): Promise<number>;
  stop(): void;
}
