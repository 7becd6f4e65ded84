/** The handle that layers, cells and user code write with: a value of a graph under construction. */
import { fail, UnrolledError } from '../core/errors.ts';
import { formatShape, type Shape } from '../core/shape.ts';
import type { Attributes, DType, Graph, Type, Value } from '../ir/graph.ts';
import { defineOperation, type Operation } from './op.ts';

export class Tensor {
  readonly graph: Graph;
  readonly value: Value;
  constructor(graph: Graph, value: Value) {
    this.graph = graph;
    this.value = value;
  }
  get shape(): Shape {
    return this.value.type.shape;
  }
  get dtype(): DType {
    return this.value.type.dtype;
  }
  get rank(): number {
    return this.value.type.shape.length;
  }
  toString(): string {
    return `Tensor ${this.dtype}${formatShape(this.shape)}`;
  }
}

export type TensorLike = Tensor | number;

/** Adds a node for an operation to the graph of its operands; numbers become scalar constants. */
export function apply(operation: Operation, operands: readonly TensorLike[], attributes: Attributes = {}): Tensor[] {
  const first = operands.find((x): x is Tensor => x instanceof Tensor);
  if (!first) fail('ARGUMENT', operation.name, 'at least one tensor among the operands', 'numbers alone');
  const { graph } = first;
  const inputs: Value[] = [];
  const types: Type[] = [];
  for (const x of operands) {
    const tensor = x instanceof Tensor ? x : constant(graph, x);
    if (tensor.graph !== graph)
      fail(
        'ARGUMENT',
        `${operation.name}${graph.path ? ` in ${graph.path}` : ''}`,
        'tensors of one graph',
        'tensors of two graphs',
        'Values from outside a scan enter its body as constants.',
      );
    inputs.push(tensor.value);
    types.push(tensor.value.type);
  }
  const results = inferAt(graph, operation, types, attributes);
  return graph.add(operation.name, inputs, attributes, results).outputs.map((v) => new Tensor(graph, v));
}

/** The types of the results; an error also names the layer under which the graph is being written. */
function inferAt(graph: Graph, operation: Operation, inputs: readonly Type[], attributes: Attributes): readonly Type[] {
  try {
    return operation.infer(inputs, attributes);
  } catch (error) {
    if (!graph.path || !(error instanceof UnrolledError)) throw error;
    throw new UnrolledError(error.code, `${graph.path}: ${error.message}`, { cause: error });
  }
}

/** A graph input is made by `graph.input`; its op has no rules of its own. */
const constantOperation = defineOperation({
  name: 'constant',
  infer: (_inputs, attributes) => [{ dtype: attributes.dtype as DType, shape: attributes.shape as Shape }],
  evaluate: (_inputs, attributes) => [
    { shape: attributes.shape as Shape, data: Float64Array.from(attributes.data as Float64Array) },
  ],
});

/** A constant: a number, or values of a shape. */
export function constant(
  graph: Graph,
  data: number | ArrayLike<number>,
  shape: Shape = [],
  dtype: DType = 'f32',
): Tensor {
  const values = typeof data === 'number' ? Float64Array.of(data) : Float64Array.from(data);
  const attributes: Attributes = { data: values, shape, dtype };
  const types = constantOperation.infer([], attributes);
  return new Tensor(graph, graph.add('constant', [], attributes, types).outputs[0]);
}
