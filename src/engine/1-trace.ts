/** From a function on handles to a graph, and what the rest of the engine must know of its inputs and outputs. */
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape } from '../core/shape.ts';
import { type DType, Graph, type Precision, type Type, type Value } from '../ir/graph.ts';
import { constant, Tensor } from '../ops/tensor.ts';

/** What a trace builds with. */
export interface StepBuilder {
  readonly graph: Graph;
  /** What the products of a model round their operands to. */
  readonly precision: Precision;
  /** The present value of a leaf of the state. */
  state(name: string): Tensor;
  /**
   * A value that is fed at each step. `orderedRows`: a mask [B, T] or ids whose padding is 0, with the rows so ordered that at each time the
   * rows that are not zero stand first; loops then leave out the others.
   */
  input(name: string, shape: Shape, dtype?: DType, options?: { orderedRows?: boolean; padding?: number }): Tensor;
  constant(data: number | ArrayLike<number>, shape?: Shape, dtype?: DType): Tensor;
}

/** What a trace gives back: named results, and new values of leaves of the state. */
export interface TracedStep {
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly updates?: Readonly<Record<string, Tensor>>;
}

export interface Trace {
  readonly graph: Graph;
  readonly states: ReadonlyMap<string, Value>;
  readonly inputs: ReadonlyMap<string, Value>;
  /** Names of the graph's outputs, in order: results first, then updates. */
  readonly outputs: readonly string[];
  readonly updates: readonly string[];
}

export function traceStep(
  name: string,
  leafOf: (name: string) => { type: Type; groups: number },
  step: (builder: StepBuilder) => TracedStep,
  precision: Precision = 'float32',
): Trace {
  const graph = new Graph(name);
  const states = new Map<string, Value>();
  const inputs = new Map<string, Value>();
  const { outputs, updates = {} } = step({
    graph,
    precision,
    state(key) {
      let value = states.get(key);
      if (!value) {
        const { type, groups } = leafOf(key);
        value = graph.input(key, type, { kind: 'state', groups });
        states.set(key, value);
      }
      return new Tensor(graph, value);
    },
    input(key, shape, dtype = 'f32', { orderedRows = false, padding = 0 } = {}) {
      if (inputs.has(key)) fail('ARGUMENT', name, 'one input of each name', `a second ${key}`);
      const value = graph.input(key, { dtype, shape }, { kind: 'io', ...(orderedRows && { orderedRows, padding }) });
      inputs.set(key, value);
      return new Tensor(graph, value);
    },
    constant: (data, shape, dtype) => constant(graph, data, shape, dtype),
  });
  for (const [key, tensor] of [...Object.entries(outputs), ...Object.entries(updates)])
    if (tensor.graph !== graph)
      fail('ARGUMENT', `${name}: ${key}`, 'a tensor of the graph of the step', 'one of another graph');
  for (const [key, tensor] of Object.entries(updates)) {
    const { type } = leafOf(key);
    if (!sameShape(type.shape, tensor.shape))
      fail('SHAPE', `${name}: update of ${key}`, formatShape(type.shape), formatShape(tensor.shape));
  }
  graph.outputs = [...Object.values(outputs), ...Object.values(updates)].map((t) => t.value);
  return { graph, states, inputs, outputs: Object.keys(outputs), updates: Object.keys(updates) };
}
