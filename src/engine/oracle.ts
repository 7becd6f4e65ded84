/**
 * The oracle: walks a graph node by node in float64, in TypeScript. It is the meaning that every kernel on every host is held against;
 * slow, and short enough to be read. Indices (i32) are held as float64 too, which is exact.
 */
import { UnrolledError } from '../core/errors.ts';
import { formatShape, sizeOf } from '../core/shape.ts';
import { type Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import '../ops/all.ts';
import { type Dense, operationOf } from '../ops/op.ts';

/**
 * Every value of the graph, outputs included.
 *
 * @param inputs one dense array for each of `graph.inputs`
 */
export function evaluateGraph(graph: Graph, inputs: ReadonlyMap<Value, Dense>): Map<Value, Dense> {
  const values = new Map<Value, Dense>();
  const get = (value: Value): Dense => {
    const found = values.get(value);
    if (!found)
      throw new UnrolledError('INTERNAL', `graph ${graph.name}: a value of ${value.node.op} is used before it is made`);
    return found;
  };
  for (const node of graph.nodes) {
    if (node.op === 'input') {
      values.set(node.outputs[0], inputOf(graph, node.outputs[0], inputs));
      continue;
    }
    const operands = node.inputs.map(get);
    const results =
      node.op === 'scan' ? evaluateScan(node, operands) : operationOf(node.op).evaluate(operands, node.attributes);
    node.outputs.forEach((value, i) => values.set(value, results[i]));
  }
  return values;
}

function inputOf(graph: Graph, value: Value, inputs: ReadonlyMap<Value, Dense>): Dense {
  const dense = inputs.get(value);
  if (!dense || dense.data.length !== sizeOf(value.type.shape))
    throw new UnrolledError(
      'INTERNAL',
      `graph ${graph.name}: input ${value.node.attributes.name} of ${formatShape(value.type.shape)} got ${dense ? `${dense.data.length} elements` : 'nothing'}`,
    );
  return dense;
}

function evaluateScan(node: Node, operands: readonly Dense[]): Dense[] {
  const { body, length, reverse, carries, sequences } = scanAttributes(node);
  let carry = operands.slice(0, carries);
  const stacked = node.outputs
    .slice(carries)
    .map(({ type }): Dense => ({ shape: type.shape, data: new Float64Array(sizeOf(type.shape)) }));
  for (let step = 0; step < length; step++) {
    const t = reverse ? length - 1 - step : step;
    const given = new Map<Value, Dense>();
    body.inputs.forEach((value, i) => {
      const { shape } = value.type;
      const size = sizeOf(shape);
      if (i < carries) given.set(value, carry[i]);
      else if (i < carries + sequences)
        given.set(value, { shape, data: operands[i].data.subarray(t * size, (t + 1) * size) });
      else given.set(value, operands[i]);
    });
    const values = evaluateGraph(body, given);
    const results = body.outputs.map((value) => values.get(value) as Dense);
    carry = results.slice(0, carries);
    results.slice(carries).forEach((y, i) => stacked[i].data.set(y.data, t * y.data.length));
  }
  return [...carry, ...stacked];
}
