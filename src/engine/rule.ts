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

export interface Rule {
  /** What takes the place of the node's outputs; null: the rule does not apply. */
  (c: Candidate): Tensor | readonly Tensor[] | null;
  /** The operations that must have made an operand, or all of them: else the rule does not apply, and need not be asked. */
  readonly operands?: ReadonlySet<string>;
  readonly ofAll?: boolean;
}

/** A rule for what has an operand made by one of some operations. */
export const on = (operands: readonly string[], rule: Rule): Rule =>
  Object.assign(rule, { operands: new Set(operands), ofAll: false });

/** A rule for what has no other operands. */
export const onAll = (operands: readonly string[], rule: Rule): Rule =>
  Object.assign(rule, { operands: new Set(operands), ofAll: true });

/** Whether a rule may apply to such operands. */
export function isFor({ operands, ofAll }: Rule, inputs: readonly Value[]): boolean {
  if (!operands) return true;
  return ofAll ? areAllFrom(inputs, operands) : isAnyFrom(inputs, operands);
}

export function isAnyFrom(inputs: readonly Value[], operations: ReadonlySet<string>): boolean {
  for (let i = 0; i < inputs.length; i++) if (operations.has(inputs[i].node.op)) return true;
  return false;
}

function areAllFrom(inputs: readonly Value[], operations: ReadonlySet<string>): boolean {
  for (let i = 0; i < inputs.length; i++) if (!operations.has(inputs[i].node.op)) return false;
  return true;
}

/** What may be known to hold one number everywhere. */
export const numbered = ['constant', 'broadcast', 'reshape'];

export const numbers = (c: Pick<Node, 'attributes'>, key: string) => c.attributes[key] as readonly number[];

/** The number that a tensor holds everywhere, if that is known. */
export function everywhere(t: Tensor): number | null {
  const { node } = t.value;
  if (node.op === 'broadcast' || node.op === 'reshape') return everywhere(tensorOf(t.graph, node.inputs[0]));
  if (node.op !== 'constant') return null;
  const data = node.attributes.data as Float64Array;
  return data.length > 0 && data.every((v) => Object.is(v, data[0])) ? data[0] : null;
}
