/**
 * The gradient of a table as the rows that a batch has touched. What `gather` reads of a table [V, D] gives a gradient that is zero but for the
 * rows whose ids the batch holds. Instead of V rows, those alone are kept: the distinct ids, and for each the sum of its gradients.
 *   - Where the new table is the old one for a row without gradient, as the update's own formula shows (SGD, Adagrad), the touched rows are
 *     updated where they stand, and nothing has a cost of V.
 *   - All else stays the pass over the whole table that it was (momentum, decay, averages), and reads the gradient by row, or zeros.
 *   - Sums over the table (norms, the search for what is not finite) are sums over the touched rows.
 * Numbers are those of the whole gradient to the bit, but for the order of such sums. The operands of an update are taken to be finite and its
 * divisors not zero: where they are not, the whole pass makes NaN of rows that nothing touched, and this one does not.
 */
import { type Shape, sameShape, sizeOf } from '../core/shape.ts';
import type { Graph, Node, Value } from '../ir/graph.ts';
import { scatterAdd } from '../ops/gather.ts';
import { operationOf } from '../ops/op.ts';
import { type Distinct, distinct, pickRows, putRows } from '../ops/rows.ts';
import { broadcastTo, concat, reshape, slice } from '../ops/shape.ts';
import { apply, type Tensor } from '../ops/tensor.ts';
import { isPointwise } from './operands.ts';
import { copyNode, type Mapping, mapped, readersOf, rebuild, tensorOf, usedNodes } from './rewrite.ts';
import { UntouchedRow } from './untouched-row.ts';

/** Rows of a table for each one that a batch may touch, from which the touched ones are kept apart. */
const ROWS_PER_ID = 2;

/** Gradients by `scatterAdd` that the same operations read, all for tables of one shape. */
interface Group {
  readonly shape: Shape;
  readonly sources: readonly Node[];
  /** The operations element by element that depend on them, and have the shape of the table. */
  readonly cone: ReadonlySet<Node>;
  readonly row: UntouchedRow;
}

/** Gives the same graph where no gradient comes from ids. */
export function keepTouchedRows(graph: Graph): Graph {
  const sums = graph.nodes.filter((node) => node.op === 'scatterAdd');
  if (!sums.length) return graph;
  const used = usedNodes(graph);
  const sources = sums.filter((node) => used.has(node));
  if (!sources.length) return graph;
  const readers = readersOf(graph.nodes.filter((node) => used.has(node)));
  const groups = groupSources(graph, sources, (v) => readers.get(v) ?? []);
  if (!groups.length) return graph;
  const rewrites = groups.map((group) => new Rewrite(graph, group, (v) => readers.get(v) ?? []));
  return rebuild(graph, (node, next, map) => {
    if (!rewrites.some((rewrite) => rewrite.visit(node, next, map))) copyNode(next, node, map);
  });
}

const hasShape = (v: Value, shape: Shape) => v.type.dtype === 'f32' && sameShape(v.type.shape, shape);

/** Whether a node adds up the rows of a table, whatever else it adds up. */
const sumsRows = (node: Node) => node.op === 'sum' && (node.attributes.axes as readonly number[])[0] === 0;

function groupSources(graph: Graph, sources: readonly Node[], readersOf: (v: Value) => readonly Node[]): Group[] {
  const results = new Set(graph.outputs);
  const coneOf = (source: Node): Set<Node> | null => {
    const [gradient] = source.outputs;
    const { shape } = gradient.type;
    const isInside = (node: Node) => isPointwise(node) && hasShape(node.outputs[0], shape);
    if (shape[1] < 2 || results.has(gradient)) return null;
    if (!readersOf(gradient).every((node) => isInside(node) || sumsRows(node))) return null;
    const cone = new Set<Node>();
    const open = [gradient];
    for (let v = open.pop(); v; v = open.pop())
      for (const node of readersOf(v))
        if (isInside(node) && !cone.has(node)) {
          cone.add(node);
          open.push(node.outputs[0]);
        }
    return cone;
  };
  let joined: { sources: Node[]; cone: Set<Node> }[] = [];
  for (const source of sources) {
    const cone = coneOf(source);
    if (!cone) continue;
    const meets = (other: { cone: Set<Node> }) => [...cone].some((node) => other.cone.has(node));
    const own = joined.filter(meets);
    joined = joined.filter((other) => !own.includes(other));
    joined.push({
      sources: [...own.flatMap((other) => other.sources), source],
      cone: new Set([...own.flatMap((other) => [...other.cone]), ...cone]),
    });
  }
  const position = new Map(graph.nodes.map((node, i) => [node, i]));
  return joined.flatMap((group) => {
    const { shape } = group.sources[0].outputs[0].type;
    const ids = new Set(group.sources.map((node) => node.inputs[0]));
    const count = [...ids].reduce((n, v) => n + sizeOf(v.type.shape), 0);
    // The list of all their ids stands before the first of them.
    const first = Math.min(...group.sources.map((node) => position.get(node) as number));
    const known = [...ids].every(({ node }) => (position.get(node) as number) < first);
    if (!known || !count || count * ROWS_PER_ID > shape[0]) return [];
    return [{ ...group, shape, row: new UntouchedRow(group.sources.map((node) => node.outputs[0])) }];
  });
}

/** The rewriting of one group while its graph is made anew. */
class Rewrite {
  private readonly group: Group;
  private readonly graph: Graph;
  private readonly readersOf: (v: Value) => readonly Node[];
  /** The leaf of the state that an operation updates, where its touched rows are all that changes; null: the whole table is passed over. */
  private readonly updates: ReadonlyMap<Node, Value> | null;
  private names: Distinct | null = null;
  private readonly placesOf = new Map<Value, Tensor>();
  /** Values for the touched rows alone. */
  private readonly rows = new Map<Value, Tensor>();

  constructor(graph: Graph, group: Group, readersOf: (v: Value) => readonly Node[]) {
    this.graph = graph;
    this.group = group;
    this.readersOf = readersOf;
    this.updates = this.findUpdates();
  }

  /** What the updates of the group change, where that is the touched rows of leaves alone. */
  private findUpdates(): Map<Node, Value> | null {
    const { graph, group } = this;
    const updates = new Map<Node, Value>();
    for (const node of group.cone) {
      const [value] = node.outputs;
      if (!this.readersOf(value).every((reader) => group.cone.has(reader) || this.isSum(reader, value))) return null;
      if (!graph.outputs.includes(value)) continue;
      const leaf = group.row.unchanged(value);
      // Which leaf an output is written to is not known here. Another one than this would be copied as a whole, and be right.
      if (leaf?.node.attributes.kind !== 'state' || !hasShape(leaf, group.shape) || !this.hasRows(value)) return null;
      updates.set(node, leaf);
    }
    return updates.size ? updates : null;
  }

  /** Whether a reader of a value of the group only needs its sum over the rows, which the untouched ones add nothing to. */
  private isSum(reader: Node, value: Value): boolean {
    return sumsRows(reader) && this.group.row.isZero(value) && this.hasRows(value, false);
  }

  private isSource(v: Value): boolean {
    return this.group.sources.includes(v.node);
  }

  /**
   * Whether a value can be made for some rows of the table alone.
   *
   * @param tables whether it may take rows of other tables, which are zeros where the list of touched rows has ended
   */
  private hasRows(value: Value, tables = true): boolean {
    const { shape } = this.group;
    if (!hasShape(value, shape)) return sizeOf(value.type.shape) === 1 || sameShape(value.type.shape, [shape[1]]);
    if (this.isSource(value)) return true;
    return this.isMadeByRow(value) ? value.node.inputs.every((v) => this.hasRows(v, tables)) : tables;
  }

  private isMadeByRow({ node }: Value): boolean {
    return isPointwise(node) || (node.op === 'broadcast' && this.hasRows(node.inputs[0]));
  }

  /** Whether it has written what takes the place of a node. */
  visit(node: Node, next: Graph, map: Mapping): boolean {
    const { cone, sources, row } = this.group;
    const [value] = node.outputs;
    if (sources.includes(node)) {
      this.keep(node, next, map);
      return true;
    }
    if (cone.has(node)) {
      if (!this.updates) this.pass(node, next, map);
      const leaf = this.updates?.get(node);
      if (leaf)
        map.set(
          value,
          putRows(tensorOf(next, mapped(map, leaf)), this.list().names, this.whole(value, next, map)).value,
        );
      return true;
    }
    const [first] = node.inputs;
    const mayStandFor = first && (cone.has(first.node) || this.isSource(first));
    if (!mayStandFor || !this.isSum(node, first) || !row.isZero(first)) return false;
    const total = apply(operationOf('sum'), [this.whole(first, next, map)], node.attributes)[0];
    map.set(value, total.value);
    return true;
  }

  /** A node that passes over the whole table: the gradient is read by row. */
  private pass(node: Node, next: Graph, map: Mapping): void {
    const before = new Map(map);
    for (const v of node.inputs)
      if (this.isSource(v)) before.set(v, pickRows(this.rows.get(v) as Tensor, this.list().table).value);
    copyNode(next, node, before);
    map.set(node.outputs[0], mapped(before, node.outputs[0]));
  }

  private list(): Distinct {
    return this.names as Distinct;
  }

  /** The sums of a gradient for the distinct ids. */
  private keep(source: Node, next: Graph, map: Mapping): void {
    if (!this.names) this.findNames(next, map);
    const [ids, values] = source.inputs.map((v) => tensorOf(next, mapped(map, v)));
    const places = this.placesOf.get(source.inputs[0]) as Tensor;
    const flat = sameShape(places.shape, ids.shape)
      ? values
      : reshape(values, [...places.shape, values.shape[values.rank - 1]]);
    this.rows.set(source.outputs[0], scatterAdd(places, flat, this.list().names.shape[0]));
  }

  private findNames(next: Graph, map: Mapping): void {
    const lists = [...new Set(this.group.sources.map((node) => node.inputs[0]))];
    const [rows] = this.group.shape;
    const inverse = !this.updates && this.group.cone.size > 0;
    const given = lists.map((v) => tensorOf(next, mapped(map, v)));
    if (given.length === 1 && given[0].rank) {
      this.names = distinct(given[0], rows, inverse);
      this.placesOf.set(lists[0], this.names.places);
      return;
    }
    const flat = given.map((ids) => reshape(ids, [sizeOf(ids.shape)]));
    this.names = distinct(flat.length > 1 ? concat(flat, 0) : flat[0], rows, inverse);
    let at = 0;
    lists.forEach((v, i) => {
      const size = flat[i].shape[0];
      this.placesOf.set(v, slice(this.list().places, [at], [size]));
      at += size;
    });
  }

  /** A value for the touched rows, of their shape. */
  private whole(value: Value, next: Graph, map: Mapping): Tensor {
    const rows = this.rowsOf(value, next, map);
    return broadcastTo(rows, [this.list().names.shape[0], this.group.shape[1]]);
  }

  /** A value for the touched rows; numbers and row vectors are the same for all rows. */
  private rowsOf(value: Value, next: Graph, map: Mapping): Tensor {
    if (!hasShape(value, this.group.shape)) return tensorOf(next, mapped(map, value));
    let rows = this.rows.get(value);
    if (!rows) {
      const { op, attributes, inputs } = value.node;
      if (this.isMadeByRow(value)) {
        const operands = inputs.map((v) => this.rowsOf(v, next, map));
        rows = op === 'broadcast' ? operands[0] : apply(operationOf(op), operands, attributes)[0];
      } else rows = pickRows(tensorOf(next, mapped(map, value)), this.list().names);
      this.rows.set(value, rows);
    }
    return rows;
  }
}
