/**
 * What an operation of the graph is: all its rules in one object. `infer` gives the types of the outputs, `evaluate` the exact meaning
 * in float64 (the oracle), `vjp` the derivative, `lower` the instructions (after fusion).
 */
import { UnrolledError } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import type { Attributes, Type } from '../ir/graph.ts';
import type { LowerContext } from '../ir/lower.ts';
import type { Tensor } from './tensor.ts';

/** A dense row-major array in float64, as the oracle holds it (indices too). */
export interface Dense {
  readonly shape: Shape;
  readonly data: Float64Array;
}

/** What a derivative rule sees: the node as tensors of the graph that is being extended. */
export interface VjpContext {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly attributes: Attributes;
  /** Which inputs need a gradient; others may be given null. */
  readonly needed: readonly boolean[];
}

export interface Operation {
  readonly name: string;
  /** Pointwise operations broadcast by NumPy's rule and become parts of chains. */
  readonly pointwise?: {
    /** Name in `chainOperations`. */
    readonly chain: string;
    readonly formula: (a: number, b: number, c: number) => number;
  };
  /** Between which values its results lie, where it squeezes what it gets: near them it has nearly no slope. */
  readonly range?: readonly [low: number, high: number];
  infer(inputs: readonly Type[], attributes: Attributes): readonly Type[];
  evaluate(inputs: readonly Dense[], attributes: Attributes): readonly Dense[];
  /** One cotangent per input (null: none), given one per output (null: zero). Missing: not differentiable, the gradient is zero. */
  vjp?(context: VjpContext, cotangents: readonly (Tensor | null)[]): readonly (Tensor | null)[];
  /** Writes the instructions. Missing for pointwise ops (chains), views and scans, which the engine knows. */
  lower?(context: LowerContext): void;
}

const registry = new Map<string, Operation>();

export function defineOperation<T extends Operation>(operation: T): T {
  if (registry.has(operation.name)) throw new UnrolledError('INTERNAL', `operation ${operation.name} is defined twice`);
  registry.set(operation.name, operation);
  return operation;
}

export function operationOf(name: string): Operation {
  const found = registry.get(name);
  if (!found) throw new UnrolledError('INTERNAL', `operation ${name} is not defined`);
  return found;
}

/** The range of the operation that made a tensor; null: it has none. */
export function rangeOf({ value }: Tensor): readonly [low: number, high: number] | null {
  return registry.get(value.node.op)?.range ?? null;
}

export function definedOperations(): readonly Operation[] {
  return [...registry.values()];
}
