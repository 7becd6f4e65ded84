/**
 * Looking into layers while they are traced: what is asked for is written into the graph beside the rest. A graph that nobody observes is
 * traced as if this file were not there.
 */
import type { Tensor } from '../ops/tensor.ts';

type Graph = Tensor['graph'];

/** A value at every step of a walk. */
export interface ObservedSteps {
  /** `h`, `c`, `[0].h`: the path of a state; or the name of a gate. */
  readonly name: string;
  /** [B, T, ...], step t at index t in both directions. */
  readonly values: Tensor;
  /** Between which values it lies, where its last operation squeezes it. */
  readonly range: readonly [low: number, high: number] | null;
}

/** A cell that was walked over a sequence. */
export interface ObservedWalk {
  /** Of the layer, or the part of it, that walks: `encoder/bidirectional/forward`. */
  readonly path: string;
  readonly className: string;
  /** Whether the walk begins at the last step. */
  readonly goBackwards: boolean;
  /** [B, T], or null. */
  readonly mask: Tensor | null;
  /** After every step, as the next one gets them: a masked step has the carried values. */
  readonly states: readonly ObservedSteps[];
  /** What the step calls its gates, also where it is masked. */
  readonly gates: readonly ObservedSteps[];
  /** Zeros that were added to the new states, [T, B, ...]: their cotangents are those of the states. In the order of `states`. */
  readonly nudges: readonly Tensor[] | null;
}

/** A layer that was called. */
export interface ObservedCall {
  readonly path: string;
  readonly className: string;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly masks: readonly (Tensor | null)[];
  /** By path. */
  readonly weights: Readonly<Record<string, Tensor>>;
}

export interface Observer {
  /** Whether states get zeros added, so that cotangents of every step can be asked for. */
  readonly nudges: boolean;
  walk(walk: ObservedWalk): void;
  /** Weights of attention, [B, ..., T, S]. */
  attention(path: string, weights: Tensor): void;
  /** Called after the layers within it. */
  call(call: ObservedCall): void;
}

const observers = new WeakMap<Graph, Observer>();

/** Lets an observer see what is traced into a graph from now on. */
export function observe(graph: Graph, observer: Observer): void {
  observers.set(graph, observer);
}

/** Who observes a graph. */
export function observerOf(graph: Graph): Observer | undefined {
  return observers.get(graph);
}
