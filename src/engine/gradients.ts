/** Gradients for the authors of models: `2-differentiate` with the usual choice of `3-checkpoint`. */
import type { Tensor } from '../ops/tensor.ts';
import { differentiate } from './2-differentiate.ts';
import { keepEverything, type Recompute } from './3-checkpoint.ts';

/**
 * Cotangents of `wrt`, given those of `outputs` (null: zero); null where nothing flows. Adds nodes to the graph of the tensors.
 *
 * @example const [dw] = gradients([loss], [constant(graph, 1)], [w]);
 */
export function gradients(
  outputs: readonly Tensor[],
  cotangents: readonly (Tensor | null)[],
  wrt: readonly Tensor[],
  recompute: Recompute = keepEverything,
): (Tensor | null)[] {
  return differentiate(outputs, cotangents, wrt, recompute);
}
