/** What a rewrite rule sees, and what rules of several files ask about it. */
import type { Graph, Node, Value } from '../ir/graph.ts';
import type { Tensor } from '../ops/tensor.ts';
import { tensorOf } from './rewrite.ts';

/** The node as it would be added, with its operands in the new graph. */
export interface Candidate {
  readonly graph: Graph;
  readonly op: string;
  readonly x: readonly Tensor[];
  readonly attributes: Node['attributes'];
  readonly outputs: readonly Value[];
}

/** What takes the place of the node's outputs; null: the rule does not apply. */
export type Rule = (c: Candidate) => Tensor | readonly Tensor[] | null;

export const numbers = (c: Pick<Node, 'attributes'>, key: string) => c.attributes[key] as readonly number[];

/** The number that a tensor holds everywhere, if that is known. */
export function everywhere(t: Tensor): number | null {
  const { node } = t.value;
  if (node.op === 'broadcast' || node.op === 'reshape') return everywhere(tensorOf(t.graph, node.inputs[0]));
  if (node.op !== 'constant') return null;
  const data = node.attributes.data as Float64Array;
  return data.length > 0 && data.every((v) => Object.is(v, data[0])) ? data[0] : null;
}
