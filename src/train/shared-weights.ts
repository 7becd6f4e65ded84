/**
 * Weights that several models hold: a layer that has been applied to symbolic tensors is one layer, and every model that contains it has its
 * weights, as in Keras. Each model keeps a copy in its own memory; who wrote last owns the values, and the others fetch them before they use
 * them (`session.ts`).
 */
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape } from '../core/shape.ts';
import type { Layer } from '../layers/layer.ts';
import type { Network } from './network.ts';

/** Where values are read; a session. */
export interface ValueHolder {
  /** Grows whenever values may have changed. */
  readonly version: number;
  shapeOf(name: string): Shape;
  get(name: string): Float32Array | Float64Array;
}

/** One weight, in all models that have it. */
export interface SharedValue {
  /** Who wrote last, and what it calls the weight. */
  owner: ValueHolder;
  name: string;
}

/** By layer and name of the weight within it. */
const held = new WeakMap<Layer, Map<string, SharedValue>>();

interface Sharing extends ValueHolder {
  share(name: string, value: SharedValue): void;
  readonly shared: ReadonlyMap<string, SharedValue>;
}

function heldBy(layer: Layer): Map<string, SharedValue> {
  const own = held.get(layer) ?? new Map<string, SharedValue>();
  held.set(layer, own);
  return own;
}

/** Joins the weights of a model, which have been declared, to those of other models with the same layers. Throws SHAPE. */
export function shareWeights(session: Sharing, { layers, weights }: Network): void {
  for (const { path, layer, spec } of weights) {
    const own = heldBy(layers[layer].layer);
    const there = own.get(spec.name);
    const shape = there?.owner.shapeOf(there.name);
    if (shape && !sameShape(shape, spec.shape))
      fail(
        'SHAPE',
        path,
        `inputs that need ${formatShape(shape)}, as in the other model with this layer`,
        formatShape(spec.shape),
        'A layer that is applied in two models shares its weights: give both the same features, or make two layers.',
      );
    const value = there ?? { owner: session, name: path };
    own.set(spec.name, value);
    session.share(path, value);
  }
}

/** The same for a model that stands as a layer in others. */
export function shareNested(session: Sharing, layer: Layer, { weights }: Network): void {
  const own = heldBy(layer);
  for (const { path } of weights) {
    const value = own.get(path) ?? session.shared.get(path) ?? { owner: session, name: path };
    own.set(path, value);
    session.share(path, value);
  }
}
