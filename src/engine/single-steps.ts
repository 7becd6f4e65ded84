/** Loops of one step are no loops: their body stands in the graph around them. */
import { type Graph, scanAttributes } from '../ir/graph.ts';
import { reshape } from '../ops/shape.ts';
import { copyNode, type Mapping, mapped, rebuild, tensorOf } from './rewrite.ts';

/** Gives a new graph in which the bodies of scans of length 1 stand in place of the scans. */
export function inlineSingleSteps(graph: Graph): Graph {
  return rebuild(graph, (node, next, map) => {
    const scan = node.op === 'scan' ? scanAttributes(node) : null;
    if (scan?.length !== 1 || scan.active) {
      copyNode(next, node, map);
      return;
    }
    const body = inlineSingleSteps(scan.body);
    const inside: Mapping = new Map();
    const isSlice = (i: number) => i >= scan.carries && i < scan.carries + scan.sequences;
    body.inputs.forEach((v, i) => {
      const outer = mapped(map, node.inputs[i]);
      inside.set(v, isSlice(i) ? reshape(tensorOf(next, outer), v.type.shape).value : outer);
    });
    for (const inner of body.nodes) if (inner.op !== 'input') copyNode(next, inner, inside);
    body.outputs.forEach((v, i) => {
      const result = mapped(inside, v);
      const isStacked = i >= scan.carries;
      map.set(node.outputs[i], isStacked ? reshape(tensorOf(next, result), node.outputs[i].type.shape).value : result);
    });
  });
}
