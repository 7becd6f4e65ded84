/**
 * Sums that a loop carries through all of its steps. One of products (the gradient of a weight) becomes one product over all steps, after the
 * loop; so do sums by index (the gradient of a table). One over rows alone (the gradient of a scale) is carried row by row, and its
 * rows are added up after the loop: unless a product needs all steps anyway.
 */
import { addOutput, type Node, type Value } from '../ir/graph.ts';
import { scatterAdd } from '../ops/gather.ts';
import { matmulTN, precisionOf } from '../ops/matmul.ts';
import { add } from '../ops/pointwise.ts';
import { sum } from '../ops/reduce.ts';
import { broadcastTo } from '../ops/shape.ts';
import { constant, Tensor } from '../ops/tensor.ts';
import { dropUnused, type LoopContext, stackOf, terms } from './loops.ts';
import { type Mapping, mapped, useCounts } from './rewrite.ts';

function isLeading(axes: readonly number[]): boolean {
  return axes.every((a, i) => a === i);
}

export function hoistSums(context: LoopContext): boolean {
  const { graph, parts, after } = context;
  const sums = parts.carries.filter(({ next, result, held }) => next.node.op === 'add' && result && !held?.length);
  if (!sums.length) return false;
  const uses = useCounts(parts.body);
  let changed = false;
  for (const carry of sums) {
    if ((uses.get(carry.inner) ?? 0) !== 1 || (uses.get(carry.next) ?? 0) !== 1) continue;
    const list = terms(carry.next, uses);
    if (list.length < 2 || list.filter((v) => v === carry.inner).length !== 1) continue;
    const contributions = list.filter((v) => v !== carry.inner);
    const makers = contributions.map((v) => summed(context, v, uses));
    if (makers.some((m) => !m)) continue;
    const { init, result } = carry;
    after.push((map) => {
      let total = new Tensor(graph, init);
      for (const make of makers) total = add(total, (make as (map: Mapping) => Tensor)(map));
      map.set(result as Value, total.value);
    });
    parts.carries = parts.carries.filter((c) => c !== carry);
    changed = true;
  }
  if (changed) dropUnused(parts);
  return changed;
}

/** How the sum over all steps of a term is made outside of the loop. */
function summed(
  context: LoopContext,
  value: Value,
  uses: ReadonlyMap<Value, number>,
): ((map: Mapping) => Tensor) | null {
  const { node } = value;
  if ((uses.get(value) ?? 0) !== 1) return null;
  const stacks = node.inputs.map((v) => () => stackOf(context, v));
  const isConstant = (v: Value) => v.node.op === 'constant' || context.parts.constants.some((c) => c.inner === v);
  if (node.inputs.some(isConstant)) return null;
  const at = (stack: ((map: Mapping) => Value) | null, map: Mapping) =>
    new Tensor(context.graph, (stack as (map: Mapping) => Value)(map));
  if (node.op === 'matmul' && node.attributes.form === 'tn') {
    const [a, b] = stacks.map((s) => s());
    return (map) => matmulTN(at(a, map), at(b, map), precisionOf(node.attributes));
  }
  if (node.op === 'scatterAdd') {
    const [ids, values] = stacks.map((s) => s());
    return (map) => scatterAdd(at(ids, map), at(values, map), node.attributes.rows as number);
  }
  const axes = node.attributes.axes as readonly number[];
  if (node.op === 'sum' && !node.attributes.keepDims && axes.length && isLeading(axes)) {
    if (!isStackedAnyway(context, node.inputs[0])) return summedInPlace(context, node.inputs[0], axes);
    const [a] = stacks.map((s) => s());
    return (map) => sum(at(a, map), { axes: [0, ...axes.map((x) => x + 1)] });
  }
  return null;
}

/** Whether there is a stack of a value of the body, or will be: for a product over all steps. */
function isStackedAnyway({ parts }: LoopContext, value: Value): boolean {
  const isOuter = (node: Node) => node.op === 'matmul' && node.attributes.form === 'tn' && node.inputs.includes(value);
  return (
    parts.sequences.some((s) => s.inner === value) ||
    parts.stacked.some((s) => s.inner === value && s.result) ||
    parts.body.nodes.some(isOuter)
  );
}

/** Adds up the steps where they are made, element by element; what is left of the sum is made after the loop. */
function summedInPlace({ graph, parts }: LoopContext, value: Value, axes: readonly number[]): (map: Mapping) => Tensor {
  const { type, node } = value;
  const zero = broadcastTo(constant(graph, 0), type.shape).value;
  const make = (op: string, inputs: Value[], attributes: Node['attributes']): Value => {
    const made: Node = { op, inputs, attributes, outputs: [], path: node.path };
    return addOutput(made, type);
  };
  const inner = make('input', [], { name: 'total' });
  const next = make('add', [inner, value], {});
  // A result of no node: it names the total until the scan is put together.
  const result: Value = { type, node: next.node, index: -1 };
  parts.body.nodes.unshift(inner.node);
  parts.body.nodes.push(next.node);
  parts.carries.push({ init: zero, inner, next, result });
  return (map) => sum(new Tensor(graph, mapped(map, result)), { axes });
}
