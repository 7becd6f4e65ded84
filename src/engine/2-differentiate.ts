/**
 * Reverse-mode differentiation of a graph, the scan included (backpropagation through time).
 *
 * The derivative of a scan is a scan in the other direction over the derivative of its body. What the derivative of the body reads of
 * the forward body (its residuals) is stacked by the forward scan, which gets outputs for it. Gradients of the
 * scan's constants are carried as running sums; `4-simplify` turns those that are products into one product after the loop.
 * A scan over segments (`3-checkpoint`) keeps its carries alone: its backward loop runs each segment's loop again, for what the derivative
 * of the segment reads.
 *
 * Source: A. Griewank and A. Walther, Evaluating Derivatives (2008), chapter 3; the partition into a forward and a backward
 * scan follows JAX's rule for `lax.scan`.
 */
import '../ops/all.ts';
import { type Attributes, addOutput, Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { operationOf } from '../ops/op.ts';
import { add } from '../ops/pointwise.ts';
import { broadcastTo } from '../ops/shape.ts';
import { constant, Tensor } from '../ops/tensor.ts';
import { ORDERED_ROWS } from './active-rows.ts';
import { dependents, scanDependents } from './dependents.ts';
import { isPointwise } from './operands.ts';
import { cloneGraph } from './rewrite.ts';

/** Whether a residual of a scan is made again in the backward loop (`3-checkpoint`). */
type Recompute = (node: Node) => 'always' | 'atHand' | 'never';

/**
 * Cotangents of `wrt`, given those of `outputs` (null: zero); null where nothing flows. Adds nodes to the graph of the tensors.
 */
export function differentiate(
  outputs: readonly Tensor[],
  cotangents: readonly (Tensor | null)[],
  wrt: readonly Tensor[],
  recompute: Recompute,
): (Tensor | null)[] {
  if (!outputs.length) return wrt.map(() => null);
  const { graph } = outputs[0];
  const nodes = [...graph.nodes];
  const depends = dependents(nodes, new Set(wrt.map((t) => t.value)));
  const flowing = new Map<Value, Tensor>();
  const accumulate = (value: Value, cotangent: Tensor) => {
    const before = flowing.get(value);
    flowing.set(value, before ? add(before, cotangent) : cotangent);
  };
  outputs.forEach((out, i) => {
    const cotangent = cotangents[i];
    if (cotangent && depends.has(out.value)) accumulate(out.value, cotangent);
  });
  const path = graph.path;
  for (const node of nodes.reverse()) {
    if (!node.outputs.some((out) => flowing.has(out))) continue;
    const needed = node.inputs.map((input) => depends.has(input));
    if (!needed.some(Boolean)) continue;
    graph.path = node.path ? `${node.path}'` : '';
    const given = node.outputs.map((out) => flowing.get(out) ?? null);
    const result =
      node.op === 'scan' ? scanVjp(graph, node, given, needed, recompute) : operationVjp(graph, node, given, needed);
    result.forEach((cotangent, i) => {
      if (cotangent && needed[i]) accumulate(node.inputs[i], cotangent);
    });
  }
  graph.path = path;
  return wrt.map((t) => flowing.get(t.value) ?? null);
}

function operationVjp(graph: Graph, node: Node, cotangents: (Tensor | null)[], needed: boolean[]) {
  const rule = operationOf(node.op).vjp;
  if (!rule) return node.inputs.map(() => null);
  const inputs = node.inputs.map((v) => new Tensor(graph, v));
  const outputs = node.outputs.map((v) => new Tensor(graph, v));
  return rule({ inputs, outputs, attributes: node.attributes, needed }, cotangents);
}

function zeros(graph: Graph, like: Value): Tensor {
  return broadcastTo(constant(graph, 0), like.type.shape);
}

function scanVjp(
  graph: Graph,
  node: Node,
  cotangents: readonly (Tensor | null)[],
  needed: readonly boolean[],
  recompute: Recompute,
): (Tensor | null)[] {
  const { body, carries, sequences, reverse, length, segments } = scanAttributes(node);
  const active = scanDependents(node, (i) => needed[i]);
  const isConstant = (i: number) => i >= carries + sequences;
  const activeCarries = body.inputs.flatMap((v, i) => (i < carries && active.has(v) ? [i] : []));
  const neededSequences = body.inputs.flatMap((_, i) => (i >= carries && !isConstant(i) && needed[i] ? [i] : []));
  const neededConstants = body.inputs.flatMap((_, i) => (isConstant(i) && needed[i] ? [i] : []));
  const stackedOutputs = cotangents.flatMap((c, j) => (j >= carries && c && active.has(body.outputs[j]) ? [j] : []));

  // The derivative is first built inside the forward body, then moved out with what it reads.
  const forwardCount = body.nodes.length;
  const placeholder = (like: Value) => new Tensor(body, body.add('input', [], { name: 'd' }, [like.type]).outputs[0]);
  const carryIn = activeCarries.map((i) => placeholder(body.inputs[i]));
  const stackedIn = stackedOutputs.map((j) => placeholder(body.outputs[j]));
  const sumIn = neededConstants.map((i) => placeholder(body.inputs[i]));
  const wrt = [...activeCarries, ...neededSequences, ...neededConstants].map((i) => new Tensor(body, body.inputs[i]));
  const found = differentiate(
    [...activeCarries, ...stackedOutputs].map((j) => new Tensor(body, body.outputs[j])),
    [...carryIn, ...stackedIn],
    wrt,
    recompute,
  );
  const orZero = (t: Tensor | null, like: Tensor) => t ?? zeros(body, like.value);
  const carryOut = activeCarries.map((_, k) => orZero(found[k], wrt[k]));
  const sequenceOut = neededSequences.map((_, k) => orZero(found[carryOut.length + k], wrt[carryOut.length + k]));
  const sumOut = neededConstants.map((_, k) => {
    const gradient = found[carryOut.length + sequenceOut.length + k];
    return gradient ? add(sumIn[k], gradient) : sumIn[k];
  });
  const backwardNodes = body.nodes.splice(forwardCount);
  const mover = new BodyMover(node, backwardNodes, segments ? () => 'always' : recompute);
  const backward = mover.graph;
  const outputs = [...carryOut, ...sumOut, ...sequenceOut].map((t) => mover.move(t.value));
  const carried = [...carryIn, ...sumIn].map((t) => mover.move(t.value));
  const stacked = stackedIn.map((t) => mover.move(t.value));
  backward.inputs.push(...carried, ...stacked, ...mover.sequenceInputs, ...mover.constantInputs);
  backward.outputs = outputs;

  const operands = [
    ...activeCarries.map((i) => cotangents[i]?.value ?? zeros(graph, node.outputs[i]).value),
    ...neededConstants.map((i) => zeros(graph, node.inputs[i]).value),
    ...stackedOutputs.map((j) => (cotangents[j] as Tensor).value),
    ...mover.outerSequences,
    ...mover.outerConstants,
  ];
  const attributes: Attributes = {
    body: backward,
    length,
    reverse: !reverse,
    carries: carried.length,
    sequences: stacked.length + mover.sequenceInputs.length,
    ...(segments && { segments }),
  };
  const types = outputs.map((v, i) =>
    i < carried.length ? v.type : { dtype: v.type.dtype, shape: [length, ...v.type.shape] },
  );
  const scan = graph.add('scan', operands, attributes, types);
  const result: (Tensor | null)[] = node.inputs.map(() => null);
  [...activeCarries, ...neededConstants, ...neededSequences].forEach((i, k) => {
    result[i] = new Tensor(graph, scan.outputs[k]);
  });
  return result;
}

/** Moves the derivative of a body into a graph of its own; values of the forward body come in as sequences or constants. */
class BodyMover {
  readonly graph: Graph;
  readonly sequenceInputs: Value[] = [];
  readonly outerSequences: Value[] = [];
  readonly constantInputs: Value[] = [];
  readonly outerConstants: Value[] = [];
  private readonly moved = new Map<Value, Value>();
  private readonly forward: Node;
  private readonly recompute: Recompute;

  constructor(forward: Node, own: readonly Node[], recompute: Recompute) {
    this.forward = forward;
    this.recompute = recompute;
    this.graph = new Graph(`${scanAttributes(forward).body.name}'`);
    for (const node of own) this.copy(node);
  }

  move(value: Value): Value {
    const done = this.moved.get(value);
    return done ?? this.bring(value);
  }

  private copy(node: Node): void {
    const inputs = node.inputs.map((v) => this.move(v));
    const types = node.outputs.map((v) => v.type);
    // A loop that is made again gets a body of its own, since phases change bodies in place.
    const own = node.op === 'scan' && { body: cloneGraph(scanAttributes(node).body) };
    const copy = this.graph.add(node.op, inputs, { ...node.attributes, ...own }, types, node.path);
    node.outputs.forEach((v, i) => this.moved.set(v, copy.outputs[i]));
  }

  /** A value of the forward body. */
  private bring(value: Value): Value {
    const { carries, sequences, body } = scanAttributes(this.forward);
    const position = body.inputs.indexOf(value);
    if (position >= carries + sequences)
      return this.enter(value, this.constantInputs, this.outerConstants, this.forward.inputs[position]);
    if (position >= carries)
      return this.enter(value, this.sequenceInputs, this.outerSequences, this.forward.inputs[position]);
    if (position < 0 && this.isMadeAgain(value.node)) {
      this.copy(value.node);
      return this.moved.get(value) as Value;
    }
    return this.enter(value, this.sequenceInputs, this.outerSequences, this.stack(value));
  }

  private isMadeAgain(node: Node): boolean {
    if (node.op === 'constant' || this.isOfCarry(node)) return true;
    const choice = this.recompute(node);
    return choice === 'always' || (choice === 'atHand' && this.isAtHand(node));
  }

  /** Whether a node is one function of what a carry becomes: the steps of that stand in memory where those before it do. */
  private isOfCarry(node: Node): boolean {
    if (node.inputs.length !== 1 || !isPointwise(node)) return false;
    const { carries, body } = scanAttributes(this.forward);
    const at = body.outputs.indexOf(node.inputs[0]);
    return at >= 0 && at < carries;
  }

  /** Whether a node can be made again from what enters the backward body anyway. */
  private isAtHand(node: Node): boolean {
    const { carries, body } = scanAttributes(this.forward);
    return node.inputs.every((v) => {
      const position = body.inputs.indexOf(v);
      if (position >= 0) return position >= carries;
      return (
        this.moved.has(v) || v.node.op === 'constant' || (this.recompute(v.node) !== 'never' && this.isAtHand(v.node))
      );
    });
  }

  private enter(value: Value, inner: Value[], outer: Value[], from: Value): Value {
    const ordered = value.node.op === 'input' && value.node.attributes[ORDERED_ROWS] === true;
    const attributes = { name: 'r', ...(ordered && { [ORDERED_ROWS]: true }) };
    const node = { op: 'input', inputs: [], attributes, outputs: [] as Value[], path: value.node.path };
    const input: Value = { type: value.type, node, index: 0 };
    node.outputs.push(input);
    this.graph.nodes.unshift(node);
    inner.push(input);
    outer.push(from);
    this.moved.set(value, input);
    return input;
  }

  /** The stacked output of the forward scan that holds a value of every step. */
  private stack(value: Value): Value {
    const { carries, body, length } = scanAttributes(this.forward);
    const known = body.outputs.indexOf(value, carries);
    if (known >= 0) return this.forward.outputs[known];
    body.outputs.push(value);
    return addOutput(this.forward, { dtype: value.type.dtype, shape: [length, ...value.type.shape] });
  }
}
