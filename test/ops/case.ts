/** What a case of an operation is, and the words that the tables of cases are written in. */
import type { Shape } from '../../src/core/shape.ts';
import { type DType, Graph } from '../../src/ir/graph.ts';
import { Tensor } from '../../src/ops/tensor.ts';

/** How the numbers of an input are drawn; `ids:N` are whole numbers in 0..N-1, `special` has NaN, infinities and extremes among them. */
export type Values = 'normal' | 'positive' | `ids:${number}` | 'special' | 'zeroOne';

export interface CaseInput {
  readonly shape: Shape;
  readonly dtype: DType;
  /** Default: normal. */
  readonly values?: Values;
}

export interface Case {
  /** The operation that the case is for; compositions say `composite`. */
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly CaseInput[];
  readonly build: (tensors: Tensor[]) => Tensor | Tensor[];
  /** Inputs whose gradient is compared with central differences. Default: all f32 inputs without special values, if the operation has a vjp. */
  readonly differentiable?: readonly boolean[];
  /** For gradients against central differences, relative to the larger of 1 and the gradient. Default: 1e-8. */
  readonly tolerance?: number;
  /** For float32 kernels against the oracle, relative to the larger of 1 and the value. Default: 2e-6. */
  readonly kernelTolerance?: number;
}

export interface BuiltCase {
  readonly graph: Graph;
  readonly inputs: Tensor[];
  readonly outputs: Tensor[];
}

/** The graph of a case; its outputs are set. */
export function buildCase(entry: Case): BuiltCase {
  const graph = new Graph(`${entry.op}: ${entry.name}`);
  const inputs = entry.inputs.map(
    ({ shape, dtype }, i) => new Tensor(graph, graph.input(`input${i}`, { shape, dtype })),
  );
  const built = entry.build(inputs);
  const outputs = Array.isArray(built) ? built : [built];
  graph.outputs = outputs.map((t) => t.value);
  return { graph, inputs, outputs };
}

export const f = (...shape: number[]): CaseInput => ({ shape, dtype: 'f32' });
export const positive = (...shape: number[]): CaseInput => ({ shape, dtype: 'f32', values: 'positive' });
export const zeroOne = (...shape: number[]): CaseInput => ({ shape, dtype: 'f32', values: 'zeroOne' });
export const special = (...shape: number[]): CaseInput => ({ shape, dtype: 'f32', values: 'special' });
export const ids = (below: number, ...shape: number[]): CaseInput => ({ shape, dtype: 'i32', values: `ids:${below}` });

export type Build = Case['build'];
export type Extra = Partial<Case>;
export const entry = (op: string, name: string, inputs: CaseInput[], build: Build, extra: Extra = {}): Case => ({
  op,
  name,
  inputs,
  build,
  ...extra,
});
export const still: Extra = { differentiable: [] };
