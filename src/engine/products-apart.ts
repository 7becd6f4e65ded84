/**
 * One product for a step whose gates add what comes of the input and of the state, but for one part that the two give apart, as the
 * candidate of a GRU: `[x Wz + h Uz | x Wr + h Ur | x Wh | h Uh]`. The sums of the parts that are added stay in registers, and the step reads
 * four parts where two products gave six.
 */
import { sameShape } from '../core/shape.ts';
import type { Graph, Node, Value } from '../ir/graph.ts';
import { add } from '../ops/pointwise.ts';
import { concat, split } from '../ops/shape.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import { type Mapping, mapped, readersOf, rework, tensorOf } from './rewrite.ts';

/** A product that is only read part by part. */
interface Divided {
  readonly split: Node;
  readonly product: Node;
  readonly pack: Node;
}

interface Pair {
  readonly first: Divided;
  readonly second: Divided;
  readonly adds: readonly Node[];
}

/** Gives the body of a loop with the pairs of products that can be one. */
export function joinProductsApart(body: Graph): Graph {
  const pairs = findPairs(body);
  if (!pairs.length) return body;
  const made = new Map(pairs.map((pair) => [pair.first.product, pair]));
  const replaced = new Set(
    pairs.flatMap(({ first, second, adds }) => [
      ...adds,
      ...[first, second].flatMap((d) => [d.split, d.product, d.pack]),
    ]),
  );
  return rework(body, (node, next, map) => {
    const pair = made.get(node);
    if (pair) join(pair, next, map);
    return !replaced.has(node);
  });
}

function findPairs(body: Graph): Pair[] {
  const readers = readersOf(body.nodes);
  const results = new Set(body.outputs);
  const readerOf = (v: Value) => {
    const list = readers.get(v) ?? [];
    return list.length === 1 && !results.has(v) ? list[0] : null;
  };
  const position = new Map(body.nodes.map((node, i) => [node, i]));
  const at = (node: Node) => position.get(node) as number;
  const divided: Divided[] = [];
  for (const node of body.nodes) {
    const product = node.op === 'split' ? node.inputs[0].node : null;
    if (product?.op !== 'product' || node.attributes.axis !== 1 || readerOf(product.outputs[0]) !== node) continue;
    const pack = product.inputs[product.attributes.segments as number].node;
    const { init, precision, counted } = product.attributes;
    const isPlain = init !== 'matrix' && !precision && !counted && pack.op === 'pack' && pack.attributes.form === 'nn';
    if (isPlain && readerOf(pack.outputs[0]) === product) divided.push({ split: node, product, pack });
  }
  const taken = new Set<Divided>();
  return divided.flatMap((first, i) =>
    divided.slice(i + 1).flatMap((second) => {
      const { outputs } = first.split;
      if (taken.has(first) || taken.has(second) || outputs.length !== second.split.outputs.length) return [];
      // Columns of one element have no groups.
      if (outputs[0].type.shape[1] < 2 || !sameShape(outputs[0].type.shape, second.split.outputs[0].type.shape))
        return [];
      const adds = outputs.slice(0, -1).map((v, k) => {
        const reader = readerOf(v);
        return reader?.op === 'add' && reader === readerOf(second.split.outputs[k]) ? reader : null;
      });
      if (!adds.every((node) => node !== null)) return [];
      // Both are made where the first one is.
      const [early, late] = at(first.product) < at(second.product) ? [first, second] : [second, first];
      const needed = [...late.product.inputs, ...late.pack.inputs].filter((v) => v.node !== late.pack);
      if (needed.some((v) => at(v.node) > at(early.product))) return [];
      taken.add(first).add(second);
      return [{ first: early, second: late, adds }];
    }),
  );
}

function join({ first, second, adds }: Pair, graph: Graph, map: Mapping): void {
  const both = [first, second];
  const parts = first.split.outputs.length;
  const [rows, units] = first.split.outputs[0].type.shape;
  const inputs = (node: Node) => node.inputs.map((v) => mapped(map, v));
  const lefts = both.map(({ product }) => inputs(product).slice(0, product.attributes.segments as number));
  const total = both.reduce((n, { pack }) => n + pack.outputs[0].type.shape[0], 0);
  const { attributes, path } = first.pack;
  const packed = graph.add(
    'pack',
    both.flatMap(({ pack }) => inputs(pack)),
    { ...attributes, period: parts },
    [{ dtype: 'f32', shape: [total, parts * units] }],
    path,
  ).outputs[0];
  const starts = both.map(({ product }) =>
    product.attributes.init === 'row' ? inputs(product)[(product.attributes.segments as number) + 1] : null,
  );
  const row = startOf(graph, starts, parts, units);
  const product = graph.add(
    'product',
    [...lefts.flat(), packed, ...(row ? [row] : [])],
    { segments: lefts.flat().length, init: row ? 'row' : 'zero', period: parts, apart: lefts[0].length },
    [{ dtype: 'f32', shape: [rows, (parts + 1) * units] }],
    first.product.path,
  ).outputs[0];
  const results = split(tensorOf(graph, product), parts + 1);
  adds.forEach((node, i) => map.set(node.outputs[0], results[i].value));
  both.forEach((d, i) => map.set(d.split.outputs[parts - 1], results[parts - 1 + i].value));
}

/** The rows that two products start from as one: what is added is added here too. */
function startOf(graph: Graph, rows: readonly (Value | null)[], parts: number, units: number): Value | null {
  const cut = rows.map((row) => row && split(tensorOf(graph, row), parts));
  if (!cut.some((row) => row)) return null;
  const none = () => constant(graph, new Float64Array(units), [units]);
  const shared = Array.from({ length: parts - 1 }, (_, i) => {
    const given = cut.flatMap((row) => (row ? [row[i]] : []));
    return given.reduce((a: Tensor, b) => add(a, b));
  });
  const row = concat([...shared, ...cut.map((row) => row?.[parts - 1] ?? none())]).value;
  return graph.add('relayout', [row], { groups: parts + 1 }, [row.type]).outputs[0];
}
