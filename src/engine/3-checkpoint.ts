/**
 * What the backward loop of a scan makes again instead of reading it from what the forward loop stacked: the policies that
 * `2-differentiate` is given.
 * Limits: carries are always kept; keeping every k-th one and recomputing between them is not built.
 */
import type { Node } from '../ir/graph.ts';

/** Whether a residual is made again in the backward loop, where all that it needs stands there anyway. */
export type Recompute = (node: Node) => boolean;

const views = new Set(['reshape', 'transpose', 'split', 'slice', 'broadcast', 'toFloat', 'reverse']);

/** Keeps everything but views, which cost nothing to make again. */
export const keepEverything: Recompute = (node) => views.has(node.op);
