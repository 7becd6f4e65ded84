/**
 * Gathers nodes into what the machine has instructions for:
 *   product    a sum of matrix products and its start (a bias, or a matrix that stands in memory): `init + A1 B1 + A2 B2 + ...`
 *   pack       the right-hand sides of a product in the order of the micro-kernel; constant in a loop, so it is made before it
 *   productTN  products `A1^T B, A2^T B, ...` that share B, with the sums of B's columns (weight and bias gradients)
 *   chain      pointwise operations of one shape that hang together, as a sub-graph, with the rows of tables that they take and replace
 * Everything else stays as it is.
 */
import { UnrolledError } from '../core/errors.ts';
import { sameShape, sizeOf } from '../core/shape.ts';
import { type Attributes, Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { countsOfReaders, countsOfStack, countsOfZeros } from './active-rows.ts';
import { hoistInvariants, terms } from './loops.ts';
import { isChained, isElementwise, isPointwise, iterationShape, operandKind } from './operands.ts';
import {
  copyNode,
  joinScan,
  type Mapping,
  mapped,
  Numbering,
  readersOf,
  rebuild,
  scanParts,
  useCounts,
} from './rewrite.ts';

/** Gives a new graph; the bodies of the old one's scans must not be used again. */
export function fuse(graph: Graph, isBody = false): Graph {
  const products = formSums(formProducts(graph, isBody));
  return packsOutside(formChains(isBody ? storeByChains(products) : products));
}

// ---- products

const isProduct = (v: Value) => v.node.op === 'matmul' && v.node.attributes.form !== 'tn';

interface ProductPlan {
  readonly root: Value;
  readonly factors: Value[];
  readonly init: Value | null;
  readonly kind: 'zero' | 'row' | 'matrix';
  readonly rest: Value[];
  /** Valid rows of every step, where the others are not needed or zero. */
  readonly counts: Value | null;
  readonly fill: boolean;
}

/** The largest sums around every product; inner ones are marked as absorbed. */
function planProducts(graph: Graph, isBody: boolean): { plans: Map<Value, ProductPlan>; absorbed: Set<Value> } {
  const uses = useCounts(graph);
  const readers = readersOf(graph.nodes);
  const plans = new Map<Value, ProductPlan>();
  const absorbed = new Set<Value>();
  for (const node of [...graph.nodes].reverse()) {
    const root = node.outputs[0];
    if (!root || absorbed.has(root) || (node.op !== 'add' && !isProduct(root))) continue;
    const list = terms(root, uses);
    const single = (v: Value) => v === root || uses.get(v) === 1;
    const products = list.filter((v) => isProduct(v) && single(v) && sameShape(v.type.shape, root.type.shape));
    if (!products.length) continue;
    const { form, precision } = products[0].node.attributes;
    // Turned weights are packed with one distance between their rows: only whole ones of equal rows stand together.
    const right = (v: Value) => v.node.inputs[1];
    const fitsFirst = (v: Value) =>
      v === products[0] ||
      ([v, products[0]].every((p) => right(p).node.op === 'input') &&
        right(v).type.shape[1] === right(products[0]).type.shape[1]);
    const isLike = ({ node: { attributes } }: Value) => attributes.form === form && attributes.precision === precision;
    const factors = products.filter((v) => isLike(v) && (form === 'nn' || fitsFirst(v)));
    const cols = root.type.shape[root.type.shape.length - 1];
    const others = list.filter((v) => !factors.includes(v));
    const row = others.find((v) => v.type.shape.length === 1 && v.type.shape[0] === cols && root.type.shape.length > 1);
    // A carry that is made of a product and of what the chain before it computes starts from that.
    const carried = isBody && graph.outputs.includes(root) && uses.get(root) === 1;
    const isStart = (v: Value) => v.node.op === 'input' || (carried && isPointwise(v.node));
    const matrix = others.find((v) => isStart(v) && sameShape(v.type.shape, root.type.shape));
    const init = row ?? matrix ?? null;
    const kind = row ? 'row' : matrix ? 'matrix' : 'zero';
    // The same value may be added several times; it starts the sum once.
    const rest = others.filter((v, i) => v !== init || i !== others.indexOf(v));
    const zeros = factors.map((v) => countsOfStack(v.node.inputs[0]));
    const zero = kind === 'zero' && !rest.length && zeros.every((counts) => counts === zeros[0]) ? zeros[0] : null;
    const unread = rest.length || graph.outputs.includes(root) ? null : countsOfReaders(root, readers.get(root) ?? []);
    const wide = cols > 1 && root.type.shape.length === 3;
    plans.set(root, { root, factors, init, kind, rest, counts: wide ? (unread ?? zero) : null, fill: !unread });
    const absorb = (v: Value) => {
      if (v !== root) absorbed.add(v);
      if (v.node.op === 'add' && (v === root || uses.get(v) === 1))
        for (const x of v.node.inputs)
          if (uses.get(x) === 1 && !others.includes(x) && sameShape(x.type.shape, v.type.shape)) absorb(x);
    };
    absorb(root);
  }
  return { plans, absorbed };
}

function formProducts(graph: Graph, isBody: boolean): Graph {
  const { plans, absorbed } = planProducts(graph, isBody);
  return rebuild(graph, (node, next, map) => {
    if (node.op === 'scan') return fuseScan(node, next, map);
    const plan = plans.get(node.outputs[0]);
    if (plan) map.set(plan.root, emitProduct(plan, next, map));
    else if (!absorbed.has(node.outputs[0])) copyNode(next, node, map);
  });
}

function fuseScan(node: Node, graph: Graph, map: Mapping): void {
  const body = fuse(scanAttributes(node).body, true);
  const parts = scanParts({ ...node, attributes: { ...node.attributes, body } }, (v) => mapped(map, v));
  joinScan(graph, parts, map, node.path);
}

function emitProduct(
  { root, factors, init, kind, rest, counts, fill }: ProductPlan,
  graph: Graph,
  map: Mapping,
): Value {
  const { shape } = root.type;
  const { form } = factors[0].node.attributes;
  const rounds: Attributes = factors[0].node.attributes.precision ? { precision: 'bfloat16' } : {};
  const rows = sizeOf(shape.slice(0, -1));
  const [left, right] = [0, 1].map((i) => factors.map((v) => mapped(map, v.node.inputs[i])));
  const total = right.reduce((sum, v) => sum + v.type.shape[form === 'nn' ? 0 : 1], 0);
  const packedType = { dtype: 'f32', shape: [total, shape[shape.length - 1]] } as const;
  const packed = graph.add('pack', right, { form, rows, ...rounds }, [packedType], root.node.path).outputs[0];
  const rowsOfSteps = counts ? map.get(counts) : undefined;
  const inputs = [...left, packed, ...(init ? [mapped(map, init)] : []), ...(rowsOfSteps ? [rowsOfSteps] : [])];
  const counted = rowsOfSteps && { counted: fill ? 'zero' : 'unread' };
  const attributes = { segments: left.length, init: kind, ...counted, ...rounds };
  let result = graph.add('product', inputs, attributes, [root.type], root.node.path).outputs[0];
  for (const v of rest) result = graph.add('add', [result, mapped(map, v)], {}, [root.type], root.node.path).outputs[0];
  return result;
}

// ---- sums of outer products

const isOuter = (node: Node) => node.op === 'matmul' && node.attributes.form === 'tn';

/** The sum of all columns over all rows, as the gradient of a bias. */
function isColumnSum(node: Node): boolean {
  if (node.op !== 'sum' || node.attributes.keepDims) return false;
  const rank = node.inputs[0].type.shape.length;
  const axes = node.attributes.axes as readonly number[];
  return rank > 1 && axes.length === rank - 1 && axes.every((a, i) => a === i);
}

function formSums(graph: Graph): Graph {
  const shared = new Map<Value, Node[]>();
  const rightOf = (node: Node) => node.inputs[isOuter(node) ? 1 : 0];
  for (const node of graph.nodes)
    if (isOuter(node) || isColumnSum(node)) shared.set(rightOf(node), [...(shared.get(rightOf(node)) ?? []), node]);
  const groups = new Map<Node, Node[]>();
  for (const members of shared.values()) {
    // Those of one precision together; sums are in float32 and go with the first.
    const outer = members.filter(isOuter);
    if (!outer.length) continue;
    const isLike = (a: Node, b: Node) => a.attributes.precision === b.attributes.precision;
    const first = members.filter((node) => !isOuter(node) || isLike(node, outer[0]));
    const others = outer.filter((node) => !isLike(node, outer[0]));
    for (const together of [first, others]) for (const node of together) groups.set(node, together);
  }
  if (!groups.size) return graph;
  return clustered(
    graph,
    (node) => groups.get(node) ?? null,
    (members, next, map) => {
      const outer = members.filter(isOuter);
      const sums = members.filter((n) => !isOuter(n));
      const right = rightOf(members[0]);
      const { shape } = right.type;
      const left = outer.map((n) => n.inputs[0]);
      const counts = shape.length === 3 && shape[2] > 1 ? countsOfZeros(right, left) : null;
      const inputs = [right, ...left, ...(counts ? [counts] : [])].map((v) => mapped(map, v));
      const types = [...outer.map((n) => n.outputs[0].type), ...(sums.length ? [sums[0].outputs[0].type] : [])];
      const made = next.add(
        'productTN',
        inputs,
        {
          sums: sums.length > 0,
          ...(counts && { counted: true }),
          ...(outer[0].attributes.precision && { precision: 'bfloat16' }),
        },
        types,
        members[0].path,
      );
      outer.forEach((n, i) => map.set(n.outputs[0], made.outputs[i]));
      for (const n of sums) map.set(n.outputs[0], made.outputs[outer.length]);
    },
  );
}

// ---- stores

/**
 * What a loop must store a second time, or store although it is a view, is stored by the chain that works on it: parts of a second
 * concatenation, and outputs of the body that are parts of another value.
 */
function storeByChains(graph: Graph): Graph {
  const stored = new Set<Value>();
  const isView = (v: Value) => v.type.dtype === 'f32' && (v.node.op === 'split' || v.node.op === 'slice');
  const next = rebuild(graph, (node, target, map) => {
    const copy = copyNode(target, node, map);
    if (node.op !== 'concat' || node.attributes.axis !== node.outputs[0].type.shape.length - 1) return;
    target.nodes.pop();
    copy.inputs = copy.inputs.map((v) => {
      const again = stored.has(v) || (v.type.dtype === 'f32' && !isPointwise(v.node));
      stored.add(v);
      return again && v.type.dtype === 'f32' ? target.add('identity', [v], {}, [v.type], node.path).outputs[0] : v;
    });
    target.nodes.push(copy);
  });
  next.outputs = next.outputs.map((v) =>
    isView(v) ? next.add('identity', [v], {}, [v.type], v.node.path).outputs[0] : v,
  );
  return next;
}

// ---- chains

/** Operations of a chain: with three operands each they stay within the 256 of the machine. */
const MOST_OPERATIONS = 60;

function formChains(graph: Graph): Graph {
  const broadcast = materialize(graph);
  const groups = groupPointwise(broadcast);
  return clustered(broadcast, (node) => groups.get(node) ?? null, emitChain);
}

/** Operands that a chain cannot read where they stand are broadcast in memory. */
function materialize(graph: Graph): Graph {
  return rebuild(graph, (node, next, map) => {
    const copy = copyNode(next, node, map);
    if (!isPointwise(node)) return;
    const shape = node.outputs[0].type.shape;
    next.nodes.pop();
    copy.inputs = copy.inputs.map((v) => {
      if (operandKind(v.type.shape, shape) !== 'other') return v;
      const last = v.type.shape[v.type.shape.length - 1] ?? 1;
      const full = [...shape.slice(0, -1), last];
      return next.add('broadcast', [v], { shape: full }, [{ dtype: v.type.dtype, shape: full }], node.path).outputs[0];
    });
    next.nodes.push(copy);
  });
}

function groupPointwise(graph: Graph): Map<Node, Node[]> {
  const level = new Map<Node, number>();
  const shapeKeys = new Map<Node, string>();
  const shapeKey = (node: Node) => {
    let known = shapeKeys.get(node);
    if (known === undefined) {
      known = iterationShape(node).join();
      shapeKeys.set(node, known);
    }
    return known;
  };
  const together = (a: Node, b: Node) =>
    isChained(a) &&
    isChained(b) &&
    a.op !== 'putRows' &&
    shapeKey(a) === shapeKey(b) &&
    b.inputs.every((v, i) => v.node !== a || isElementwise(b, i));
  for (const node of graph.nodes) {
    let at = 0;
    for (const { node: source } of node.inputs)
      at = Math.max(at, (level.get(source) as number) + (together(source, node) ? 0 : 1));
    level.set(node, at);
  }
  // What only later operations of the same shape read is computed with them.
  const readers = new Map<Node, Node[]>();
  for (const node of graph.nodes)
    for (const v of node.inputs) {
      const list = readers.get(v.node);
      if (list) list.push(node);
      else readers.set(v.node, [node]);
    }
  const results = new Set(graph.outputs.map((v) => v.node));
  for (const node of [...graph.nodes].reverse()) {
    const later = readers.get(node);
    if (!later || !isChained(node) || results.has(node) || !later.every((r) => together(node, r))) continue;
    level.set(node, Math.min(...later.map((r) => level.get(r) as number)));
  }
  // Connected parts of equal shape and level.
  const parent = new Map<Node, Node>();
  const find = (n: Node): Node => {
    const p = parent.get(n) ?? n;
    if (p === n) return n;
    const root = find(p);
    parent.set(n, root);
    return root;
  };
  const key = (n: Node) => `${level.get(n)}:${shapeKey(n)}`;
  const firstReader = new Map<string, Node>();
  const numbering = new Numbering();
  for (const node of graph.nodes) {
    if (!isChained(node)) continue;
    for (const v of node.inputs) {
      if (together(v.node, node) && key(v.node) === key(node)) parent.set(find(node), find(v.node));
      if (sizeOf(v.type.shape) <= 1) continue;
      const share = `${key(node)}:${numbering.of(v)}`;
      const other = firstReader.get(share);
      if (other) parent.set(find(node), find(other));
      else firstReader.set(share, node);
    }
  }
  const members = new Map<Node, Node[]>();
  const groups = new Map<Node, Node[]>();
  for (const node of graph.nodes) {
    if (!isChained(node)) continue;
    const root = find(node);
    let list = members.get(root);
    // The machine takes so many operands in a chain; what comes later in the order of the graph may stand in a chain of its own.
    if (!list || list.length === MOST_OPERATIONS) {
      list = [];
      members.set(root, list);
    }
    list.push(node);
    groups.set(node, list);
  }
  return groups;
}

function emitChain(
  members: Node[],
  graph: Graph,
  map: Mapping,
  isRead: (v: Value, by: readonly Node[]) => boolean,
): void {
  const body = new Graph('chain');
  const inside: Mapping = new Map();
  const outer: Value[] = [];
  const isOperandOf = (node: Node) => (v: Value, i: number) => v === inside.get(node.inputs[i]);
  for (const node of members)
    for (const [i, v] of node.inputs.entries()) {
      if (inside.has(v) || members.includes(v.node)) continue;
      if (v.node.op === 'constant' && sizeOf(v.type.shape) === 1 && isElementwise(node, i)) {
        const { op, attributes } = v.node;
        inside.set(v, body.add(op, [], attributes, [v.type]).outputs[0]);
        continue;
      }
      inside.set(v, body.input(`x${outer.length}`, v.type));
      outer.push(v);
    }
  for (const node of members) {
    const same =
      node.op === 'pickRows' && body.nodes.find((n) => n.op === node.op && n.inputs.every(isOperandOf(node)));
    if (same) inside.set(node.outputs[0], same.outputs[0]);
    else copyNode(body, node, inside);
  }
  const results = members.map((n) => n.outputs[0]).filter((v) => isRead(v, members));
  body.outputs = results.map((v) => mapped(inside, v));
  contract(body);
  // Where rows of tables are replaced, the list tells how many.
  const list = members.find((n) => n.op === 'putRows')?.inputs[1].node;
  const count = list?.op === 'distinct' ? [list.outputs[2]] : [];
  const made = graph.add(
    'chain',
    [...outer, ...count].map((v) => mapped(map, v)),
    { body, ...(count.length && { counted: true }) },
    results.map((v) => v.type),
    members[0].path,
  );
  results.forEach((v, i) => map.set(v, made.outputs[i]));
}

/** a*b + c -> fma, c - a*b -> fnma, where nothing else reads the product. */
function contract(body: Graph): void {
  const uses = useCounts(body);
  const removed = new Set<Node>();
  const loneProduct = (v: Value, like: Value) =>
    v.node.op === 'mul' && uses.get(v) === 1 && !removed.has(v.node) && sameShape(v.type.shape, like.type.shape);
  const change = (node: Node, product: Value, rest: Value, op: string) => {
    removed.add(product.node);
    body.nodes[body.nodes.indexOf(node)] = Object.assign(node, { op, inputs: [...product.node.inputs, rest] });
  };
  for (const node of body.nodes) {
    const [a, b] = node.inputs;
    if (node.op === 'add') {
      if (loneProduct(a, node.outputs[0])) change(node, a, b, 'fma');
      else if (loneProduct(b, node.outputs[0])) change(node, b, a, 'fma');
    } else if (node.op === 'sub' && loneProduct(b, node.outputs[0])) change(node, b, a, 'fnma');
  }
  const kept = body.nodes.filter((n) => !removed.has(n));
  body.nodes.length = 0;
  body.nodes.push(...kept);
}

// ---- clusters

/** Rebuilds a graph with groups of nodes replaced; groups and single nodes come in an order in which all is made before it is used. */
function clustered(
  graph: Graph,
  groupOf: (node: Node) => Node[] | null,
  emit: (members: Node[], next: Graph, map: Mapping, isRead: (v: Value, by: readonly Node[]) => boolean) => void,
): Graph {
  const next = new Graph(graph.name);
  const map: Mapping = new Map();
  const readers = new Map<Value, Set<Node>>();
  for (const node of graph.nodes) for (const v of node.inputs) readers.set(v, (readers.get(v) ?? new Set()).add(node));
  const results = new Set(graph.outputs);
  const isRead = (v: Value, members: readonly Node[]) =>
    results.has(v) || [...(readers.get(v) ?? [])].some((n) => !members.includes(n));
  const done = new Set<Node>();
  const open = new Set<Node>();
  const visit = (node: Node): void => {
    if (done.has(node)) return;
    const members = groupOf(node) ?? [node];
    if (open.has(node)) throw new UnrolledError('INTERNAL', `fusion made a cycle at ${node.op} (${node.path})`);
    for (const m of members) open.add(m);
    for (const m of members) for (const v of m.inputs) if (!members.includes(v.node)) visit(v.node);
    next.path = node.path;
    if (groupOf(node)) emit(members, next, map, isRead);
    else {
      const copy = copyNode(next, node, map);
      if (graph.inputs.includes(node.outputs[0])) next.inputs.push(copy.outputs[0]);
    }
    for (const m of members) done.add(m);
  };
  for (const node of graph.nodes) if (node.op === 'input') visit(node);
  for (const node of graph.nodes) visit(node);
  next.inputs.sort((a, b) => position(graph, map, a) - position(graph, map, b));
  next.outputs = graph.outputs.map((v) => mapped(map, v));
  return next;
}

function position(graph: Graph, map: Mapping, value: Value): number {
  return graph.inputs.findIndex((v) => map.get(v) === value);
}

// ---- packs

/** What a loop packs of its constants is packed before it. */
function packsOutside(graph: Graph): Graph {
  return rebuild(graph, (node, next, map) => {
    if (node.op !== 'scan') {
      copyNode(next, node, map);
      return;
    }
    const parts = scanParts(node, (v) => mapped(map, v));
    const alone = { isUsed: () => true, readersOf: () => [], isSame: () => false };
    hoistInvariants({ graph: next, parts, after: [], aliases: [], ...alone });
    joinScan(next, parts, map, node.path);
  });
}
