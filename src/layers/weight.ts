/** The declaration of one weight of a layer. */
import type { Shape } from '../core/shape.ts';
import type { Initializer } from './initializers.ts';

export interface WeightSpec {
  /** Unique in the layer; parts are joined by `/`: `forward/kernel`. */
  readonly name: string;
  readonly shape: Shape;
  readonly initializer: Initializer;
  /** Whether training may change it at all; a layer that is not `trainable` freezes all of its weights. */
  readonly trainable: boolean;
  /** How many gates stand beside each other along the last axis; the engine may interleave them in memory. */
  readonly groups: number;
}

/** A weight of one group, which training changes unless said otherwise. */
export function plainWeight(name: string, shape: Shape, initializer: Initializer, trainable = true): WeightSpec {
  return { name, shape, initializer, trainable, groups: 1 };
}
