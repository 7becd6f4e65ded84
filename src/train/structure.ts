/** What a model is made of, for pictures: its calls and what flows between them. */
import { sizeOf } from '../core/shape.ts';
import type { OpenShape } from '../layers/layer.ts';
import type { Network } from './network.ts';

export interface StructureNode {
  /** The layer; several nodes have one name where a layer is called several times. */
  readonly name: string;
  readonly className: string;
  /** One per output. */
  readonly shapes: readonly OpenShape[];
  /** Of the layer. */
  readonly parameters: number;
  /** Whether training changes the layer. */
  readonly trainable: boolean;
}

export interface StructureEdge {
  /** Indices of nodes; `from` comes before `to`. */
  readonly from: number;
  readonly to: number;
  /** Whether it is a mask that is given by hand. */
  readonly mask: boolean;
}

export interface ModelStructure {
  readonly name: string;
  readonly nodes: readonly StructureNode[];
  readonly edges: readonly StructureEdge[];
}

export function structureOf(name: string, { layers, calls, weights }: Network): ModelStructure {
  return {
    name,
    nodes: calls.map(({ layer, shapes }) => ({
      name: layers[layer].name,
      className: layers[layer].layer.className,
      shapes,
      parameters: weights.reduce((n, w) => (w.layer === layer ? n + sizeOf(w.spec.shape) : n), 0),
      trainable: layers[layer].layer.trainable,
    })),
    edges: calls.flatMap(({ inputs, masks = [] }, to) => [
      ...[...new Set(inputs.map((r) => r.call))].map((from) => ({ from, to, mask: false })),
      ...masks.flatMap((r) => (r ? [{ from: r.call, to, mask: true }] : [])),
    ]),
  };
}
