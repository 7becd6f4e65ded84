/**
 * Cuts a graph in two: what follows from the parameters alone, which runs when they change, and the step, which runs again and again and
 * finds the results of the first part in the state. Packed weights are such results.
 */
import { Graph, type Node, type Value } from '../ir/graph.ts';
import type { Groups } from './layouts.ts';
import { copyNode, type Mapping, mapped, usedNodes } from './rewrite.ts';

/** A value that the first part makes and the second reads. */
export interface Kept {
  readonly name: string;
  /** As an output of the first part. */
  readonly made: Value;
  /** As an input of the second. */
  readonly read: Value;
}

export interface Cut {
  /** Null where nothing follows from the parameters. Its inputs are fed. */
  readonly prepare: Graph | null;
  readonly step: Graph;
  readonly kept: readonly Kept[];
}

export const keptName = (i: number) => `kept/${i}`;

/** `groups` learns of the values of the new graphs. The old graph must not be used again. */
export function cutPrepared(graph: Graph, groups: Groups, isParameter: (name: string) => boolean): Cut {
  const isSource = (node: Node) =>
    node.op === 'constant' || (node.op === 'input' && isParameter(node.attributes.name as string));
  const early = new Set<Node>();
  for (const node of graph.nodes)
    if (isSource(node) || (node.inputs.length > 0 && node.inputs.every((v) => early.has(v.node)))) early.add(node);
  const isMade = (v: Value) => early.has(v.node) && !isSource(v.node);

  // What is fed has its place, even where nothing reads it.
  const fed = graph.inputs.map((v) => v.node).filter((node) => !early.has(node));
  const late = new Set([...usedNodes(graph), ...fed].filter((node) => !early.has(node) || isSource(node)));
  const border = new Set<Value>();
  for (const node of graph.nodes) if (late.has(node)) for (const v of node.inputs) if (isMade(v)) border.add(v);
  for (const v of graph.outputs) if (isMade(v)) border.add(v);

  const copyGroups = (from: readonly Value[], to: readonly Value[]) =>
    from.forEach((v, i) => {
      const own = groups.get(v);
      if (own !== undefined) groups.set(to[i], own);
    });
  const copyInto = (target: Graph, map: Mapping, node: Node, attributes = node.attributes) => {
    const copy = copyNode(target, node, map, attributes);
    copyGroups(node.outputs, copy.outputs);
    if (node.op === 'input') target.inputs.push(copy.outputs[0]);
  };

  const prepare = new Graph(`${graph.name} weights`);
  const first: Mapping = new Map();
  const needed = usedNodes(graph, [...border]);
  for (const node of graph.nodes)
    if (needed.has(node))
      copyInto(prepare, first, node, node.op === 'input' ? { ...node.attributes, kind: 'io' } : node.attributes);
  prepare.outputs = [...border].map((v) => mapped(first, v));

  const step = new Graph(graph.name);
  const second: Mapping = new Map();
  const kept = [...border].map((v, i): Kept => {
    const name = keptName(i);
    const read = step.input(name, v.type, { kind: 'kept' });
    copyGroups([v], [read]);
    second.set(v, read);
    return { name, made: mapped(first, v), read };
  });
  const read = new Set(graph.outputs.map((v) => v.node));
  for (const node of late) for (const v of node.inputs) read.add(v.node);
  // Parameters and constants that only the first part reads are not there any more.
  for (const node of graph.nodes)
    if (late.has(node) && (!isSource(node) || read.has(node))) copyInto(step, second, node);
  step.outputs = graph.outputs.map((v) => mapped(second, v));
  return { prepare: border.size ? prepare : null, step, kept };
}
