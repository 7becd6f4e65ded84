/**
 * What the backward loop of a scan makes again instead of reading it from what the forward loop stacked: the policies that
 * `2-differentiate` is given.
 * Limits: carries are always kept; keeping every k-th one and recomputing between them is not built.
 */
import type { Node } from '../ir/graph.ts';

/** Whether a residual is made again in the backward loop: always, where all that it needs stands there anyway, or never. */
export type Recompute = (node: Node) => 'always' | 'atHand' | 'never';

const views = new Set(['reshape', 'transpose', 'split', 'slice', 'broadcast', 'toFloat', 'reverse']);

/** One operation on one value is less than to store and to read its result. */
function isCheap({ op, inputs }: Node): boolean {
  return op === 'neg' || op === 'oneMinus' || (op === 'sub' && inputs[0].node.op === 'constant');
}

/** Keeps everything but views, which cost nothing to make again, and values that are one cheap operation away from another one. */
export const keepEverything: Recompute = (node) => (isCheap(node) ? 'always' : views.has(node.op) ? 'atHand' : 'never');
