/**
 * Gathers nodes into what the machine has instructions for:
 *   product    a sum of matrix products and its start (a bias, or a matrix that stands in memory): `init + A1 B1 + A2 B2 + ...`
 *   pack       the right-hand sides of a product in the order of the micro-kernel; constant in a loop, so it is made before it
 *   productTN  products `A1^T B, A2^T B, ...` that share B, with the sums of B's columns (weight and bias gradients)
 *   chain      pointwise operations of one shape that hang together, as a sub-graph, with the rows of tables that they take and replace
 * Everything else stays as it is.
 */
import { sameShape, sizeOf } from '../core/shape.ts';
import { type Attributes, Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { concat, split } from '../ops/shape.ts';
import { countsOfReaders, countsOfStack, countsOfZeros } from './active-rows.ts';
import { groupPointwise } from './chain-groups.ts';
import { type Cluster, clustered } from './clusters.ts';
import { hoistInvariants, terms } from './loops.ts';
import { isColumnSum, isElementwise, isOuter, isPointwise, operandKind } from './operands.ts';
import { joinProductsApart } from './products-apart.ts';
import { type Mapping, mapped, moveInputs, readersOf, rework, tensorOf, useCounts } from './rewrite.ts';
import { joinScan, scanParts } from './scan-parts.ts';
import { mostTogether, wholeOf } from './shared-parts.ts';

/** Gives a new graph; the bodies of the old one's scans must not be used again. */
export function fuse(graph: Graph, isBody = false): Graph {
  const products = dropViews(formSums(formProducts(graph, isBody)));
  return packsOutside(formChains(isBody ? storeByChains(joinProductsApart(products)) : products));
}

/** Without the parts of a whole that products have read through. */
function dropViews(graph: Graph): Graph {
  return graph.nodes.some((node) => node.op === 'without') ? rework(graph, () => true) : graph;
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

/** Products, and additions of which some term is one. */
function sumsOfProducts(graph: Graph): Set<Node> {
  const sums = new Set<Node>();
  for (const node of graph.nodes) {
    const isSum = node.op === 'add' && node.inputs.some((v) => sums.has(v.node));
    if (isSum || (node.op === 'matmul' && isProduct(node.outputs[0]))) sums.add(node);
  }
  return sums;
}

/** The largest sums around every product; inner ones are marked as absorbed. */
function planProducts(graph: Graph, isBody: boolean): { plans: Map<Value, ProductPlan>; absorbed: Set<Value> } {
  const uses = useCounts(graph);
  let readers: Map<Value, Node[]> | null = null;
  const readersOfSum = (v: Value) => {
    readers ??= readersOf(graph.nodes, ({ node }) => sums.has(node));
    return readers.get(v) ?? [];
  };
  const sums = sumsOfProducts(graph);
  const plans = new Map<Value, ProductPlan>();
  const absorbed = new Set<Value>();
  for (const node of [...graph.nodes].reverse()) {
    const root = node.outputs[0];
    if (!sums.has(node) || absorbed.has(root)) continue;
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
    const partsOf = ({ node }: Value) => wholeOf(node.inputs[0]).parts;
    const isLike = (v: Value) => {
      const { attributes } = v.node;
      return attributes.form === form && attributes.precision === precision && partsOf(v) === partsOf(products[0]);
    };
    const alike = products.filter((v) => isLike(v) && (form === 'nn' || fitsFirst(v)));
    const factors = alike.slice(0, mostTogether(alike.map((v) => v.node.inputs[0])));
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
    const zeros = factors.map((v) => countsOfStack(wholeOf(v.node.inputs[0]).whole));
    const zero = kind === 'zero' && !rest.length && zeros.every((counts) => counts === zeros[0]) ? zeros[0] : null;
    const unread = rest.length || graph.outputs.includes(root) ? null : countsOfReaders(root, readersOfSum(root));
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
  return rework(graph, (node, next, map) => {
    if (node.op === 'scan') {
      node.attributes = { ...node.attributes, body: fuse(scanAttributes(node).body, true) };
      return true;
    }
    const plan = plans.get(node.outputs[0]);
    if (plan) map.set(plan.root, emitProduct(plan, next, map));
    return !plan && !absorbed.has(node.outputs[0]);
  });
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
  const wholes = left.map(wholeOf);
  const [{ parts }] = wholes;
  // The right-hand side has its rows in the order of what is multiplied with it.
  const along = parts && { along: parts - 1 };
  const packing = { form, rows, ...rounds, ...along };
  const packed = graph.add('pack', right, packing, [packedType], root.node.path).outputs[0];
  const rowsOfSteps = counts && graph.nodes.includes(mapped(map, counts).node) ? mapped(map, counts) : null;
  const inputs = [
    ...wholes.map((w) => w.whole),
    packed,
    ...(init ? [mapped(map, init)] : []),
    ...(rowsOfSteps ? [rowsOfSteps] : []),
  ];
  const counted = rowsOfSteps && { counted: fill ? 'zero' : 'unread' };
  const attributes = {
    segments: left.length,
    init: kind,
    ...counted,
    ...rounds,
    ...(parts && { without: wholes.map((w) => w.left) }),
  };
  let result = graph.add('product', inputs, attributes, [root.type], root.node.path).outputs[0];
  for (const v of rest) result = graph.add('add', [result, mapped(map, v)], {}, [root.type], root.node.path).outputs[0];
  return result;
}

// ---- sums of outer products

function formSums(graph: Graph): Graph {
  const shared = new Map<Value, Node[]>();
  const readBy = (node: Node) => node.inputs[isOuter(node) ? 1 : 0];
  const rightOf = (node: Node) => wholeOf(readBy(node)).whole;
  for (const node of graph.nodes) {
    if (!isOuter(node) && !isColumnSum(node)) continue;
    const members = shared.get(rightOf(node));
    if (members) members.push(node);
    else shared.set(rightOf(node), [node]);
  }
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
  return clustered(graph, groups, (members, next, map) => {
    const outer = members.filter(isOuter);
    const sums = members.filter((n) => !isOuter(n));
    const right = rightOf(members[0]);
    const { shape } = right.type;
    const left = outer.map((n) => n.inputs[0]);
    const counts = shape.length === 3 && shape[2] > 1 ? countsOfZeros(right, left) : null;
    const inputs = [right, ...left, ...(counts ? [counts] : [])].map((v) => mapped(map, v));
    const total = { dtype: 'f32', shape: shape.slice(-1) } as const;
    const types = [...outer.map((n) => n.outputs[0].type), ...(sums.length ? [total] : [])];
    // Parts of what the members share, where they leave out one of them.
    const parts = Math.max(...members.map((n) => wholeOf(readBy(n)).parts));
    const made = next.add(
      'productTN',
      inputs,
      {
        sums: sums.length > 0,
        ...(counts && { counted: true }),
        ...(outer[0].attributes.precision && { precision: 'bfloat16' }),
        ...(parts && { period: parts, without: outer.map((n) => wholeOf(readBy(n)).left) }),
      },
      types,
      members[0].path,
    );
    outer.forEach((n, i) => map.set(n.outputs[0], made.outputs[i]));
    for (const n of sums) {
      const total = made.outputs[outer.length];
      const { left: part } = wholeOf(readBy(n));
      const pieces = () => split(tensorOf(next, total), parts).filter((_, i) => i !== part);
      map.set(n.outputs[0], part < 0 ? total : concat(pieces()).value);
    }
  });
}

// ---- stores

/**
 * What a loop must store a second time, or store although it is a view, is stored by the chain that works on it: parts of a second
 * concatenation, and outputs of the body that are parts of another value.
 */
function storeByChains(graph: Graph): Graph {
  const stored = new Set<Value>();
  const isView = (v: Value) => v.type.dtype === 'f32' && (v.node.op === 'split' || v.node.op === 'slice');
  const next = rework(graph, (node, target) => {
    if (node.op !== 'concat' || node.attributes.axis !== node.outputs[0].type.shape.length - 1) return true;
    node.inputs = node.inputs.map((v) => {
      const again = stored.has(v) || (v.type.dtype === 'f32' && !isPointwise(v.node));
      stored.add(v);
      return again && v.type.dtype === 'f32' ? target.add('identity', [v], {}, [v.type], node.path).outputs[0] : v;
    });
    return true;
  });
  next.outputs = next.outputs.map((v) =>
    isView(v) ? next.add('identity', [v], {}, [v.type], v.node.path).outputs[0] : v,
  );
  return next;
}

// ---- chains

function formChains(graph: Graph): Graph {
  const broadcast = materialize(graph);
  return clustered(broadcast, groupPointwise(broadcast), emitChain);
}

/** Operands that a chain cannot read where they stand are broadcast in memory. */
function materialize(graph: Graph): Graph {
  const isOther = (v: Value, node: Node) => operandKind(v.type.shape, node.outputs[0].type.shape) === 'other';
  const hasOther = (node: Node) => isPointwise(node) && node.inputs.some((v) => isOther(v, node));
  if (!graph.nodes.some(hasOther)) return graph;
  return rework(graph, (node, next) => {
    if (!isPointwise(node)) return true;
    const shape = node.outputs[0].type.shape;
    node.inputs = node.inputs.map((v) => {
      if (!isOther(v, node)) return v;
      const last = v.type.shape[v.type.shape.length - 1] ?? 1;
      const full = [...shape.slice(0, -1), last];
      return next.add('broadcast', [v], { shape: full }, [{ dtype: v.type.dtype, shape: full }], node.path).outputs[0];
    });
    return true;
  });
}

function emitChain(members: Node[], graph: Graph, map: Mapping, { isMember, isRead }: Cluster): void {
  const body = new Graph('chain');
  const inside: Mapping = new Map();
  const outer: Value[] = [];
  for (const node of members)
    node.inputs.forEach((v, i) => {
      if (inside.has(v) || isMember(v.node)) return;
      if (v.node.op === 'constant' && sizeOf(v.type.shape) === 1 && isElementwise(node, i)) {
        const { op, attributes } = v.node;
        inside.set(v, body.add(op, [], attributes, [v.type]).outputs[0]);
        return;
      }
      inside.set(v, body.input(`x${outer.length}`, v.type));
      outer.push(v);
    });
  // Where rows of tables are replaced, the list tells how many.
  const list = members.find((n) => n.op === 'putRows')?.inputs[1].node;
  const count = list?.op === 'distinct' ? [list.outputs[2]] : [];
  for (const node of members) {
    moveInputs(node, inside);
    const isOperand = (v: Value, i: number) => v === node.inputs[i];
    const same = node.op === 'pickRows' && body.nodes.find((n) => n.op === node.op && n.inputs.every(isOperand));
    if (same) inside.set(node.outputs[0], same.outputs[0]);
    else body.nodes.push(node);
  }
  const results = members.map((n) => n.outputs[0]).filter(isRead);
  body.outputs = results.map((v) => mapped(inside, v));
  contract(body);
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
    Object.assign(node, { op, inputs: [...product.node.inputs, rest] });
  };
  for (const node of body.nodes) {
    const [a, b] = node.inputs;
    if (node.op === 'add') {
      if (loneProduct(a, node.outputs[0])) change(node, a, b, 'fma');
      else if (loneProduct(b, node.outputs[0])) change(node, b, a, 'fma');
    } else if (node.op === 'sub' && loneProduct(b, node.outputs[0])) change(node, b, a, 'fnma');
  }
  if (!removed.size) return;
  const kept = body.nodes.filter((n) => !removed.has(n));
  body.nodes.length = 0;
  body.nodes.push(...kept);
}

// ---- packs

/** What a loop packs of its constants is packed before it. */
function packsOutside(graph: Graph): Graph {
  return rework(graph, (node, next, map) => {
    if (node.op !== 'scan') return true;
    const parts = scanParts(node);
    const alone = { isUsed: () => true, readersOf: () => [], isSame: () => false };
    if (!hoistInvariants({ graph: next, parts, after: [], aliases: [], ...alone })) return true;
    joinScan(next, parts, map, node.path);
    return false;
  });
}
