/** Stacks of carries: T+1 entries, of which each step reads one and writes the next, so that nothing is copied. */
import { scanAttributes, type Value } from '../ir/graph.ts';
import type { Layout } from '../ir/lower.ts';

/** What a carry is after every step, or before it. */
export interface CarryStack {
  readonly carry: number;
  /** The entry that it begins with; the other end has one that does not belong to it. */
  readonly entry: 0 | 1;
}

/** Null for what is no such stack. */
export function carryStackOf({ node, index }: Value): CarryStack | null {
  if (node.op !== 'scan') return null;
  const { body, carries, reverse } = scanAttributes(node);
  const inner = body.outputs[index];
  if (index < carries) return null;
  for (let carry = 0; carry < carries; carry++) {
    const isNext = inner === body.outputs[carry];
    if (isNext || inner === body.inputs[carry]) return { carry, entry: isNext === reverse ? 0 : 1 };
  }
  return null;
}

/** Elements of one entry of a stack. */
export function entryFloats({ node }: Value, { carry }: CarryStack, layout: (v: Value) => Layout): number {
  const { rows, pitch } = layout(scanAttributes(node).body.inputs[carry]);
  return rows * pitch;
}
