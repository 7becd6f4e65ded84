/** How operands of pointwise operations stand to the shape of their result. */
import { type Shape, sameShape, sizeOf } from '../core/shape.ts';
import type { Node } from '../ir/graph.ts';
import { operationOf } from '../ops/op.ts';

/** Nodes that are no operations: they have no rules in `ops/`. */
const structural = new Set(['scan', 'input', 'constant', 'product', 'pack', 'productTN', 'chain', 'relayout']);

const pointwise = new Map<string, boolean>();

export function isPointwise({ op }: Node): boolean {
  let known = pointwise.get(op);
  if (known === undefined) {
    known = !structural.has(op) && Boolean(operationOf(op).pointwise);
    pointwise.set(op, known);
  }
  return known;
}

/** `same`: element by element; `scalar`: one element; `row`: a vector for every row; `column`: one element per row. */
export function operandKind(operand: Shape, result: Shape): 'same' | 'scalar' | 'row' | 'column' | 'other' {
  const size = sizeOf(operand);
  const cols = result[result.length - 1] ?? 1;
  const last = operand[operand.length - 1] ?? 1;
  const leading = (s: Shape) => s.slice(0, -1).filter((_, i, a) => a.slice(0, i + 1).some((d) => d !== 1));
  if (last === cols && sameShape(leading(operand), leading(result))) return 'same';
  if (size === 1) return 'scalar';
  if (last === cols && size === cols) return 'row';
  if (last === 1 && sameShape(leading(operand), leading(result))) return 'column';
  return 'other';
}
