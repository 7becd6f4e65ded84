/** Models that run one time step at a time: how a value stands to time, and what a layer is given to remember the steps before. */
import type { Shape } from '../core/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import type { OpenShape } from './layer.ts';

/**
 * - `steps`: a sequence, of which the present step is there: (B, 1, ...)
 * - `latest`: what follows from the sequence so far, whole: the last output of a layer over time
 * - `fixed`: what does not depend on sequences
 */
export type InTime = 'steps' | 'latest' | 'fixed';

/** What a layer over time kept, row by row. All that is kept starts with zeros. */
export interface StepMemory {
  /** How the inputs of the call stand to time. */
  readonly inputs: readonly InTime[];
  /** What the step before kept under a name, (B, ...shape). */
  recall(name: string, shape: Shape): Tensor;
  /** Keeps a value of this shape for the next step. */
  keep(name: string, value: Tensor): void;
  /** Where several steps are there: what stands after so many of them is kept. Default: after all. */
  readonly after?: number;
  /** How many steps the row had before this one: (B). */
  position(): Tensor;
}

/** The inputs of a layer, for its rule. */
export interface InTimeCall {
  /** How the inputs stand to time. */
  readonly inputs: readonly InTime[];
  readonly shapes: readonly OpenShape[];
  readonly path: string;
  /** The layer's options end after so many steps of a row. */
  limit(steps: number): void;
  /** Throws UNSUPPORTED with what stands against running the layer step by step. */
  refuse(reason: string, next?: string): never;
}
