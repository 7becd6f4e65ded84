/** The declaration of one weight of a layer. */
import type { Shape } from '../core/shape.ts';
import type { Constraint } from './constraints.ts';
import type { Initializer } from './initializers.ts';
import type { Regularizer } from './regularizers.ts';

export interface WeightSpec {
  /** Unique in the layer; parts are joined by `/`: `forward/kernel`. */
  readonly name: string;
  readonly shape: Shape;
  readonly initializer: Initializer;
  /** Whether training may change it at all; a layer that is not `trainable` freezes all of its weights. */
  readonly trainable: boolean;
  /** How many gates stand beside each other along the last axis; the engine may interleave them in memory. */
  readonly groups: number;
  /** Its penalty is added to the loss while the weight trains. */
  readonly regularizer?: Regularizer | null;
  /** What projects the weight after every step of the optimizer. */
  readonly constraint?: Constraint | null;
}

/** A weight of one group, which training changes unless said otherwise. */
export function plainWeight(name: string, shape: Shape, initializer: Initializer, trainable = true): WeightSpec {
  return { name, shape, initializer, trainable, groups: 1 };
}

/** A weight with what the options of its layer say about it. */
export function ruledWeight(
  spec: WeightSpec,
  regularizer: Regularizer | null | undefined,
  constraint: Constraint | null | undefined,
): WeightSpec {
  return { ...spec, regularizer: regularizer ?? null, constraint: constraint ?? null };
}
