/**
 * Gradients over activations: where the backward loop reads a stacked activation for the last time in the very operation that makes
 * its gradient, the two share their memory. The activations of the gates of a step then stand interleaved in one stack, as their gradients
 * must for the products, and the stack of gradients costs no memory of its own.
 */
import { type Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { type Layout, layoutOf } from '../ir/lower.ts';
import { mayOverwrite } from './chains.ts';

/** A stack of interleaved gradients of the scan `backward`, and the stacked activations that it takes the place of, by group. */
export interface Overlay {
  readonly backward: Node;
  readonly gradients: Value;
  readonly activations: readonly Value[];
}

/** All overlays that are safe: nothing but the backward loop reads the activations. */
export function findOverlays(graph: Graph, groupsOf: (v: Value) => number): Overlay[] {
  if (!graph.nodes.some((node) => node.op === 'scan')) return [];
  const readers = new Map<Value, number>();
  for (const node of graph.nodes) for (const v of node.inputs) readers.set(v, (readers.get(v) ?? 0) + 1);
  for (const v of graph.outputs) readers.set(v, 2);
  const taken = new Set<Value>();
  return graph.nodes.flatMap((node) => {
    if (node.op !== 'scan') return [];
    const { body, carries } = scanAttributes(node);
    return body.outputs.flatMap((inner, j) => {
      const parts = j >= carries && inner.node.op === 'concat' ? inner.node.inputs : [];
      if (parts.length < 2 || groupsOf(inner) !== parts.length) return [];
      const isFree = (v: Value) => readers.get(v) === 1 && !taken.has(v) && !found.includes(v);
      const found: (Value | null)[] = [];
      for (const part of parts) found.push(activationOf(node, part, isFree, groupsOf, true));
      // What is left may take the place of anything that is read before it is made.
      found.forEach((v, i) => {
        found[i] = v ?? activationOf(node, parts[i], isFree, groupsOf, false);
      });
      if (found.some((v) => !v)) return [];
      for (const v of found) taken.add(v as Value);
      return [{ backward: node, gradients: node.outputs[j], activations: found as Value[] }];
    });
  });
}

/** The stack that a part may overwrite: a sequence of the loop that the chain has read then. @param own only one that the operation itself reads */
function activationOf(
  scan: Node,
  part: Value,
  isFree: (v: Value) => boolean,
  groupsOf: (v: Value) => number,
  own: boolean,
): Value | null {
  const { body, carries, sequences } = scanAttributes(scan);
  const chain = part.node;
  if (chain.op !== 'chain') return null;
  const inner = chain.attributes.body as Graph;
  let made = inner.outputs[part.index];
  // A gradient that stands in two stacks is written twice.
  while (made.node.op === 'identity') made = made.node.inputs[0];
  for (const operand of own ? made.node.inputs : inner.inputs) {
    const k = inner.inputs.indexOf(operand);
    if (k < 0 || !mayOverwrite(chain, part.index, k)) continue;
    const entering = chain.inputs[k];
    const position = body.inputs.indexOf(entering);
    const outer = scan.inputs[position];
    const isSequence = position >= carries && position < carries + sequences;
    const once =
      body.nodes.every((n) => n === chain || !n.inputs.includes(entering)) && !body.outputs.includes(entering);
    if (!isSequence || !once || !isFree(outer) || groupsOf(outer) !== 1) continue;
    if (isStackOfChain(outer) && sameSize(layoutOf(outer.type.shape), layoutOf(part.type.shape), scan)) return outer;
  }
  return null;
}

/** Whether a value is what the chain of another loop stacks, and not a carry's stack. */
function isStackOfChain({ node, index }: Value): boolean {
  if (node.op !== 'scan') return false;
  const { body, carries } = scanAttributes(node);
  const inner = body.outputs[index];
  const isCarry = body.outputs.slice(0, carries).includes(inner) || body.inputs.includes(inner);
  return index >= carries && !isCarry && inner.node.op === 'chain' && body.outputs.indexOf(inner) === index;
}

function sameSize(stack: Layout, step: Layout, scan: Node): boolean {
  return stack.cols === step.cols && stack.rows === step.rows * scanAttributes(scan).length;
}
