/** Groups of nodes that one node takes the place of. */
import { UnrolledError } from '../core/errors.ts';
import { Graph, type Node, type Value } from '../ir/graph.ts';
import { type Mapping, mapped, moveInputs } from './rewrite.ts';

export interface Cluster {
  readonly isMember: (node: Node) => boolean;
  /** Whether anything but members reads a value. */
  readonly isRead: (value: Value) => boolean;
}

/**
 * A graph with groups of nodes replaced; groups and single nodes come in an order in which all is made before it is used. The old graph must
 * not be used again.
 *
 * @param groups the same list for all of its members
 * @param emit writes what takes the place of a group, and maps its outputs
 */
export function clustered(
  graph: Graph,
  groups: ReadonlyMap<Node, Node[]>,
  emit: (members: Node[], next: Graph, map: Mapping, cluster: Cluster) => void,
): Graph {
  const next = new Graph(graph.name);
  const map: Mapping = new Map();
  // What is read by others than the members of its own group.
  const read = new Set(graph.outputs);
  for (const node of graph.nodes)
    for (const v of node.inputs) {
      const maker = groups.get(v.node);
      if (maker && maker !== groups.get(node)) read.add(v);
    }
  const done = new Set<Node>();
  const open = new Set<Node>();
  const replace = (members: Node[]) => {
    if (open.has(members[0]))
      throw new UnrolledError('INTERNAL', `fusion made a cycle at ${members[0].op} (${members[0].path})`);
    open.add(members[0]);
    const isMember = (node: Node) => groups.get(node) === members;
    for (const m of members) for (const v of m.inputs) if (!isMember(v.node)) visit(v.node);
    next.path = members[0].path;
    emit(members, next, map, { isMember, isRead: (v) => read.has(v) });
    for (const m of members) done.add(m);
  };
  const visit = (node: Node): void => {
    if (done.has(node)) return;
    const members = groups.get(node);
    if (members) return replace(members);
    for (const v of node.inputs) visit(v.node);
    moveInputs(node, map);
    next.nodes.push(node);
    done.add(node);
  };
  for (const node of graph.nodes) if (node.op === 'input') visit(node);
  for (const node of graph.nodes) visit(node);
  next.path = '';
  next.inputs.push(...graph.inputs);
  next.outputs = graph.outputs.map((v) => mapped(map, v));
  return next;
}
