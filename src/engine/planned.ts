/** A graph with a place for every value: what `6-plan` gives and `7-emit` takes. */
import type { Graph, Node, Value } from '../ir/graph.ts';
import type { Place } from './places.ts';

/** Where an output must go, and what lives there until it is overwritten. */
export interface Target {
  readonly place: Place;
  readonly occupant: Value | null;
}

export interface Copy {
  readonly from: Place;
  readonly to: Place;
}

export interface PlannedScan {
  readonly loop: object;
  readonly body: PlannedGraph;
  /** Starts of the carries. */
  readonly inits: readonly { value: Value; to: Place }[];
  /** Where the outputs of the body go. */
  readonly targets: readonly (Target | null)[];
}

export interface PlannedGraph {
  readonly graph: Graph;
  readonly places: ReadonlyMap<Value, Place>;
  readonly scans: ReadonlyMap<Node, PlannedScan>;
  /** Outputs that could not be made in their targets, copied at the end in this order. */
  readonly finals: readonly Copy[];
  readonly scratch: ReadonlyMap<Node, Place>;
}
