/** Which values a gradient flows through. */
import '../ops/all.ts';
import { type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { operationOf } from '../ops/op.ts';

/** All values that depend on the given ones in a differentiable way. */
export function dependents(nodes: readonly Node[], from: ReadonlySet<Value>): Set<Value> {
  const found = new Set(from);
  for (const node of nodes) {
    if (!node.inputs.some((v) => found.has(v))) continue;
    if (node.op === 'scan') {
      const inner = scanDependents(node, (i) => found.has(node.inputs[i]));
      scanAttributes(node).body.outputs.forEach((v, i) => {
        if (inner.has(v)) found.add(node.outputs[i]);
      });
    } else if (operationOf(node.op).vjp) for (const out of node.outputs) if (out.type.dtype === 'f32') found.add(out);
  }
  return found;
}

/** The same inside a body, where a carry depends if its start or its step does. */
export function scanDependents(node: Node, isNeeded: (input: number) => boolean): Set<Value> {
  const { body, carries } = scanAttributes(node);
  const active = new Set(body.inputs.filter((_, i) => isNeeded(i)));
  for (;;) {
    const found = dependents(body.nodes, active);
    const before = active.size;
    for (let i = 0; i < carries; i++) if (found.has(body.outputs[i])) active.add(body.inputs[i]);
    if (active.size === before) return found;
  }
}
