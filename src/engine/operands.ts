/** How operands of pointwise operations stand to the shape of their result. */
import { type Shape, sameShape, sizeOf } from '../core/shape.ts';
import type { Graph, Node, Value } from '../ir/graph.ts';
import { operationOf } from '../ops/op.ts';

/** Nodes that are no operations: they have no rules in `ops/`. */
const structural = new Set([
  'scan',
  'input',
  'constant',
  'product',
  'pack',
  'productTN',
  'chain',
  'relayout',
  'without',
]);

const pointwise = new Map<string, boolean>();

export function isPointwise({ op }: Node): boolean {
  let known = pointwise.get(op);
  if (known === undefined) {
    known = !structural.has(op) && Boolean(operationOf(op).pointwise);
    pointwise.set(op, known);
  }
  return known;
}

/** Whether a node is a part of chains: a pointwise operation, or one that takes or replaces rows of a table. */
export function isChained(node: Node): boolean {
  return node.op === 'pickRows' || node.op === 'putRows' || isPointwise(node);
}

/** Whether an operand of such a node is read element by element; others are a table and a list of its rows. */
export function isElementwise({ op }: Node, operand: number): boolean {
  return op === 'putRows' ? operand === 2 : op !== 'pickRows';
}

/** What such a node goes over: the table that it replaces rows of may have more of them. */
export function iterationShape(node: Node): Shape {
  return node.op === 'putRows' ? node.inputs[2].type.shape : node.outputs[0].type.shape;
}

/** What a chain goes over. */
export function chainShape({ attributes }: Node): Shape {
  const body = attributes.body as Graph;
  return iterationShape(body.outputs[0].node);
}

/** Whether an output of a chain is a table of which it replaces some rows. */
export function replacesRows({ node, index }: Value): boolean {
  const body = node.attributes.body as Graph;
  return body.outputs[index].node.op === 'putRows';
}

/** Whether a chain reads or writes rows of an operand by a list of them, or takes it for the list. */
export function isIndexed({ attributes }: Node, operand: number): boolean {
  const body = attributes.body as Graph;
  const read = body.inputs[operand];
  for (const node of body.nodes)
    if (
      (node.op === 'pickRows' || node.op === 'putRows') &&
      node.inputs.some((v, i) => v === read && !isElementwise(node, i))
    )
      return true;
  return false;
}

/** `same`: element by element; `scalar`: one element; `row`: a vector for every row; `column`: one element per row. */
export function operandKind(operand: Shape, result: Shape): 'same' | 'scalar' | 'row' | 'column' | 'other' {
  if (sameShape(operand, result)) return 'same';
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

/** What a product knows of the order of its columns, and of those that it leaves out. */
export interface ProductParts {
  /** The part that each left-hand side leaves out (of `productTN`: that each leaves out of the right-hand side); none where it is negative or not given. */
  readonly without?: readonly number[];
  /** Parts of the right-hand side, where two of the result come of the last one, or some are left out. */
  readonly period?: number;
  /** Left-hand sides of the first of these two. */
  readonly apart?: number;
}

export const partsOfProduct = ({ attributes }: Node): ProductParts => attributes;

/** A product along the rows, as the gradient of a weight. */
export const isOuter = (node: Node): boolean => node.op === 'matmul' && node.attributes.form === 'tn';

/** The sum of all columns over all rows, as the gradient of a bias. */
export function isColumnSum(node: Node): boolean {
  if (node.op !== 'sum' || node.attributes.keepDims) return false;
  const rank = node.inputs[0].type.shape.length;
  const axes = node.attributes.axes as readonly number[];
  return rank > 1 && axes.length === rank - 1 && axes.every((a, i) => a === i);
}
