/** Gradients for the authors of models: `2-differentiate` with the choices of `3-checkpoint`. */
import type { Tensor } from '../ops/tensor.ts';
import { differentiate } from './2-differentiate.ts';
import { keepEverything, segmentLoops, type TimeMemory } from './3-checkpoint.ts';
import { dependents } from './dependents.ts';

export { checkTimeMemory, type TimeMemory } from './3-checkpoint.ts';

export interface GradientOptions {
  /** What the loops over time keep for their derivative. Default `full`. */
  readonly memory?: TimeMemory;
}

/**
 * Cotangents of `wrt`, given those of `outputs` (null: zero); null where nothing flows. Adds nodes to the graph of the tensors; with a
 * `memory` that is not `full`, its loops that a gradient flows through become loops over segments.
 *
 * @example const [dw] = gradients([loss], [constant(graph, 1)], [w]);
 */
export function gradients(
  outputs: readonly Tensor[],
  cotangents: readonly (Tensor | null)[],
  wrt: readonly Tensor[],
  { memory = 'full' }: GradientOptions = {},
): (Tensor | null)[] {
  if (memory !== 'full' && outputs.length) {
    const { graph } = outputs[0];
    const needed = dependents(graph.nodes, new Set(wrt.map((t) => t.value)));
    segmentLoops(graph, (v) => needed.has(v), memory);
  }
  return differentiate(outputs, cotangents, wrt, keepEverything);
}
