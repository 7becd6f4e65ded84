/**
 * The rewrites of a scan, for any body:
 *   prune            carries, sequences, constants and outputs that nothing needs
 *   hoistInvariants  what is the same in every step is made once, before the loop
 *   hoistSums        sums that are carried through all steps, such as gradients of weights (`carried-sums.ts`)
 *   hoistInputs      a product of a sequence with a constant (`x_t W`) is made for all steps before the loop
 *   hoistOutputs     a product that only leaves the loop (`dg_t W'`) is made for all steps after it
 * Each works on a scan taken apart (`ScanParts`) whose operands stand in the graph under construction; what comes after the loop is
 * put into `after`.
 */
import type { Graph, Node, Value } from '../ir/graph.ts';
import { matmul, matmulNT, precisionOf } from '../ops/matmul.ts';
import { add } from '../ops/pointwise.ts';
import { Tensor } from '../ops/tensor.ts';
import { type Mapping, mapped, useCounts, usedNodes } from './rewrite.ts';
import type { ScanParts } from './scan-parts.ts';

export interface LoopContext {
  readonly graph: Graph;
  readonly parts: ScanParts;
  /** Run once the scan stands in the graph, with the map from the parts' result values. */
  readonly after: ((map: Mapping) => void)[];
  /** Run last: results that are other results under another name. */
  readonly aliases: ((map: Mapping) => void)[];
  readonly isUsed: (result: Value) => boolean;
  /** Nodes of the graph before that read a result. */
  readonly readersOf: (result: Value) => readonly Node[];
  /** Whether a value of the graph before has become one of the graph under construction. */
  readonly isSame: (before: Value, now: Value) => boolean;
}

function substitute(body: Graph, from: Value, to: Value): void {
  for (const node of body.nodes)
    if (node.inputs.includes(from)) node.inputs = node.inputs.map((v) => (v === from ? to : v));
  body.outputs = body.outputs.map((v) => (v === from ? to : v));
}

/** Puts one value of a body in the place of another one. */
export function substituteParts(parts: ScanParts, from: Value, to: Value): void {
  substitute(parts.body, from, to);
  for (const carry of parts.carries) if (carry.next === from) carry.next = to;
  for (const stacked of parts.stacked) if (stacked.inner === from) stacked.inner = to;
  for (const part of [...parts.carries, ...parts.stacked])
    if (part.held?.includes(from)) part.held = part.held.map((v) => (v === from ? to : v));
}

/** What the new carries and the stacked outputs are made of. */
function results({ carries, stacked }: Pick<ScanParts, 'carries' | 'stacked'>): Value[] {
  const values: Value[] = [];
  for (const { next, held } of carries) {
    values.push(next);
    if (held) values.push(...held);
  }
  for (const { inner, held } of stacked) {
    values.push(inner);
    if (held) values.push(...held);
  }
  return values;
}

export function prune(context: LoopContext): void {
  const { parts, aliases, isUsed } = context;
  const alias = (result: Value, same: () => Value) => aliases.push((map) => map.set(result, same()));
  for (const part of [...parts.carries, ...parts.stacked]) if (part.result && !isUsed(part.result)) part.result = null;

  // A carry that never changes is a constant.
  parts.carries = parts.carries.filter((carry) => {
    if (carry.next !== carry.inner || carry.held?.length) return true;
    parts.constants.push({ outer: carry.init, inner: carry.inner });
    if (carry.result) alias(carry.result, () => carry.init);
    return false;
  });
  // Outputs that repeat another output or a sequence.
  const first = new Map<Value, ScanParts['stacked'][number]>();
  parts.stacked = parts.stacked.filter((stacked) => {
    const { inner, result } = stacked;
    if (!result) return false;
    const sequence = parts.sequences.find((s) => s.inner === inner);
    if (sequence && !parts.active) {
      alias(result, () => sequence.outer);
      return false;
    }
    const same = first.get(inner);
    if (same?.result && !same.held?.length && !stacked.held?.length) {
      const kept = same.result;
      aliases.push((map) => map.set(result, mapped(map, kept)));
      return false;
    }
    first.set(inner, stacked);
    return true;
  });
  // Carries that no output needs, also not through other carries.
  // A stack of a carry repeats it in rows that an active loop leaves out, also where no step needs it.
  const isStacked = (value: Value) => parts.active !== null && parts.stacked.some((s) => s.inner === value);
  const live = new Set(parts.carries.filter((c) => c.result || isStacked(c.next)));
  let used: Set<Node>;
  for (;;) {
    used = usedNodes(parts.body, results({ carries: [...live], stacked: parts.stacked }));
    const before = live.size;
    for (const carry of parts.carries) if (used.has(carry.inner.node)) live.add(carry);
    if (live.size === before) break;
  }
  parts.carries = parts.carries.filter((c) => live.has(c));
  const merge = <P extends { outer: Value; inner: Value }>(list: P[]): P[] => {
    const byOuter = new Map<Value, P>();
    return list.filter((part) => {
      const same = byOuter.get(part.outer);
      if (same) substituteParts(parts, part.inner, same.inner);
      else byOuter.set(part.outer, part);
      return !same;
    });
  };
  const before = parts.sequences.length + parts.constants.length;
  parts.sequences = merge(parts.sequences);
  parts.constants = merge(parts.constants);
  if (parts.sequences.length + parts.constants.length < before) used = usedNodes(parts.body, results(parts));
  parts.sequences = parts.sequences.filter((s) => used.has(s.inner.node));
  parts.constants = parts.constants.filter((c) => used.has(c.inner.node) && !inlineScalar(parts, c, used));
  closeBody(parts, used);
}

/** A number is better known inside the body. */
function inlineScalar(parts: ScanParts, { outer, inner }: ScanParts['constants'][number], used: Set<Node>): boolean {
  if (outer.node.op !== 'constant' || outer.type.shape.length) return false;
  const { op, attributes, path } = outer.node;
  const node: Node = { op, inputs: [], attributes, outputs: [], path };
  node.outputs.push({ type: outer.type, node, index: 0 });
  parts.body.nodes.unshift(node);
  used.add(node);
  substituteParts(parts, inner, node.outputs[0]);
  return true;
}

/** Makes the body's inputs, outputs and nodes agree with the parts. */
function closeBody(parts: ScanParts, used: ReadonlySet<Node>): void {
  const { body, carries, sequences, constants, stacked } = parts;
  body.outputs = [...carries.map((c) => c.next), ...stacked.map((s) => s.inner)];
  const inputs = new Set<Node>();
  for (const list of [carries, sequences, constants]) for (const { inner } of list) inputs.add(inner.node);
  const kept = body.nodes.filter((node) => (node.op === 'input' ? inputs : used).has(node));
  if (kept.length === body.nodes.length) return;
  body.nodes.length = 0;
  body.nodes.push(...kept);
}

/** Moves nodes whose inputs are all constants of the loop in front of it. Constants themselves stay, so that chains see them. */
export function hoistInvariants({ graph, parts }: LoopContext): boolean {
  const outside = new Map<Value, Value>(parts.constants.map((c) => [c.inner, c.outer]));
  const moved: Node[] = [];
  const known = (v: Value) => outside.has(v) || (v.node.op === 'constant' && !v.node.inputs.length);
  for (const node of parts.body.nodes) {
    if (node.op === 'input' || node.op === 'constant' || !node.inputs.length) continue;
    // A broadcast is no work where a chain reads it, and a large value if it is made.
    if (node.op === 'broadcast' || node.op === 'scan' || !node.inputs.every(known)) continue;
    const inputs = node.inputs.map((v) => outside.get(v) ?? copyConstant(graph, v));
    const copy = graph.add(
      node.op,
      inputs,
      node.attributes,
      node.outputs.map((v) => v.type),
      node.path,
    );
    node.outputs.forEach((v, i) => outside.set(v, copy.outputs[i]));
    moved.push(node);
  }
  for (const node of moved)
    for (const value of node.outputs) {
      const input: Node = { op: 'input', inputs: [], attributes: { name: 'k' }, outputs: [], path: node.path };
      const inner: Value = { type: value.type, node: input, index: 0 };
      input.outputs.push(inner);
      parts.body.nodes.unshift(input);
      substituteParts(parts, value, inner);
      parts.constants.push({ outer: outside.get(value) as Value, inner });
    }
  if (moved.length) dropUnused(parts);
  return moved.length > 0;
}

function copyConstant(graph: Graph, v: Value): Value {
  return graph.add('constant', [], v.node.attributes, [v.type], v.node.path).outputs[0];
}

/** Without the sequences, constants and nodes that nothing needs any more. */
export function dropUnused(parts: ScanParts): void {
  const used = usedNodes(parts.body, results(parts));
  parts.sequences = parts.sequences.filter((s) => used.has(s.inner.node));
  parts.constants = parts.constants.filter((c) => used.has(c.inner.node));
  closeBody(parts, used);
}

/** The terms of a sum, seen through additions that nothing else reads. */
export function terms(value: Value, uses: ReadonlyMap<Value, number>): Value[] {
  const { node } = value;
  if (node.op !== 'add') return [value];
  return node.inputs.flatMap((v) => {
    const same =
      v.type.shape.length === value.type.shape.length && v.type.shape.every((d, i) => d === value.type.shape[i]);
    return same && (uses.get(v) ?? 0) === 1 ? terms(v, uses) : [v];
  });
}

/** The values of all steps of a body value: a sequence as it is, else a stacked output. Gives null for constants. */
export function stackOf(context: LoopContext, value: Value): ((map: Mapping) => Value) | null {
  const { parts } = context;
  const sequence = parts.sequences.find((s) => s.inner === value);
  if (sequence) return () => sequence.outer;
  if (parts.constants.some((c) => c.inner === value) || value.node.op === 'constant') return null;
  let stacked = parts.stacked.find((s) => s.inner === value && s.result);
  if (!stacked) {
    // A result of no node: it names the stack until the scan is put together.
    const result: Value = {
      type: { dtype: value.type.dtype, shape: [parts.length, ...value.type.shape] },
      node: value.node,
      index: -1,
    };
    stacked = { inner: value, result };
    parts.stacked.push(stacked);
  }
  const { result } = stacked;
  return (map) => mapped(map, result as Value);
}

/**
 * Products of a sequence with a constant, together with what is added to them that is also known before the loop (the bias). Where the
 * step has another product that cannot leave the loop, and the batch is large enough, they stay: contracted with that one, or beside it,
 * where what they give never leaves the cache.
 */
export function hoistInputs(context: LoopContext, contractFrom: number): boolean {
  const { graph, parts } = context;
  const isProduct = ({ node }: Value) => node.op === 'matmul' && node.attributes.form !== 'tn';
  if (!parts.body.nodes.some((n) => n.op === 'matmul' && isProduct(n.outputs[0]))) return false;
  const outerOf = new Map<Value, Value>(parts.sequences.map((s) => [s.inner, s.outer]));
  const constantOf = new Map<Value, Value>(parts.constants.map((c) => [c.inner, c.outer]));
  const isEarly = (v: Value) => isProduct(v) && outerOf.has(v.node.inputs[0]) && constantOf.has(v.node.inputs[1]);
  if (!parts.body.nodes.some((n) => n.op === 'matmul' && isEarly(n.outputs[0]))) return false;
  const uses = useCounts(parts.body);
  // A product of the carry must be made in every step anyway.
  const recurs = parts.body.nodes.some((n) => n.outputs.some(isProduct) && !outerOf.has(n.inputs[0]));
  let changed = false;
  const seen = new Set<Value>();
  for (const node of [...parts.body.nodes].reverse()) {
    const value = node.outputs[0];
    if (!value || seen.has(value)) continue;
    const list = terms(value, uses);
    const mark = (v: Value) => {
      seen.add(v);
      if (v.node.op === 'add') v.node.inputs.forEach((x) => (uses.get(x) === 1 ? mark(x) : undefined));
    };
    mark(value);
    const early = list.filter(isEarly);
    if (!early.length) continue;
    const rows = value.type.shape.slice(0, -1).reduce((a, b) => a * b, 1);
    const others = list.filter((v) => isProduct(v) && !early.includes(v));
    if ((others.length || recurs) && rows >= contractFrom) continue;
    const vectors = list.filter((v) => v.type.shape.length === 1 && constantOf.has(v) && value.type.shape.length > 1);
    let total: Tensor | null = null;
    for (const v of early) {
      const [a, b] = v.node.inputs;
      const product = (v.node.attributes.form === 'nn' ? matmul : matmulNT)(
        new Tensor(graph, outerOf.get(a) as Value),
        new Tensor(graph, constantOf.get(b) as Value),
        precisionOf(v.node.attributes),
      );
      total = total ? add(total, product) : product;
    }
    for (const v of vectors) total = add(total as Tensor, new Tensor(graph, constantOf.get(v) as Value));
    const inner = enterSequence(parts, value, (total as Tensor).value);
    const rest = list.filter((v) => !early.includes(v) && !vectors.includes(v));
    const replacement = addInBody(parts.body, node, inner, rest);
    substituteParts(parts, value, replacement);
    changed = true;
  }
  if (changed) dropUnused(parts);
  return changed;
}

function enterSequence(parts: ScanParts, like: Value, outer: Value): Value {
  const input: Node = { op: 'input', inputs: [], attributes: { name: 'z' }, outputs: [], path: like.node.path };
  const inner: Value = { type: like.type, node: input, index: 0 };
  input.outputs.push(inner);
  parts.body.nodes.unshift(input);
  parts.sequences.push({ outer, inner });
  return inner;
}

/** Adds `first + rest...` to a body, right after a node. */
function addInBody(body: Graph, at: Node, first: Value, rest: readonly Value[]): Value {
  let total = first;
  let position = body.nodes.indexOf(at) + 1;
  for (const v of rest) {
    const node: Node = { op: 'add', inputs: [total, v], attributes: {}, outputs: [], path: at.path };
    total = { type: first.type, node, index: 0 };
    node.outputs.push(total);
    body.nodes.splice(position++, 0, node);
  }
  return total;
}

export function hoistOutputs(context: LoopContext): boolean {
  const { graph, parts, after } = context;
  const isProduct = ({ node }: Value) => node.op === 'matmul' && node.attributes.form !== 'tn';
  const products = parts.stacked.filter(({ inner, result, held }) => isProduct(inner) && result && !held?.length);
  if (!products.length) return false;
  const uses = useCounts(parts.body);
  const constantOf = new Map<Value, Value>(parts.constants.map((c) => [c.inner, c.outer]));
  let changed = false;
  for (const stacked of products) {
    const { node } = stacked.inner;
    if (uses.get(stacked.inner) !== 1) continue;
    const weight = constantOf.get(node.inputs[1]);
    if (!weight) continue;
    const rows = stackOf(context, node.inputs[0]);
    if (!rows) continue;
    const { result } = stacked;
    const product = node.attributes.form === 'nn' ? matmul : matmulNT;
    const precision = precisionOf(node.attributes);
    after.push((map) =>
      map.set(result as Value, product(new Tensor(graph, rows(map)), new Tensor(graph, weight), precision).value),
    );
    parts.stacked = parts.stacked.filter((s) => s !== stacked);
    changed = true;
  }
  if (changed) dropUnused(parts);
  return changed;
}
