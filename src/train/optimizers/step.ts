/**
 * One step of an optimizer over all weights, as a trace: gradients are gathered and clipped, every weight is updated by the rule, its average
 * follows, its constraint is applied. The order is that of Keras 3 (`keras/src/optimizers/base_optimizer.py`).
 */
import type { StepBuilder } from '../../engine/compile.ts';
import { add, div, mul, oneMinus, select } from '../../ops/pointwise.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { clipGradients } from './clipping.ts';
import type { OptimizedWeight, Optimizer, Tensors } from './optimizer.ts';
import { sharedLeaf, slotLeaf } from './slots.ts';

/** A weight that trains, with its gradient. */
export interface TrainedWeight extends OptimizedWeight {
  /** Null: the loss does not depend on it. */
  readonly gradient: Tensor | null;
  /** The weight's constraint; null: none. */
  readonly project: ((weight: Tensor) => Tensor) | null;
}

/** The slots of a weight, as they are before the step. */
export function slotsOf(b: StepBuilder, optimizer: Optimizer, weight: OptimizedWeight): Tensors {
  return Object.fromEntries(
    Object.keys(optimizer.slots(weight)).map((slot) => [slot, b.state(slotLeaf(weight.path, slot))]),
  );
}

/**
 * Writes a step.
 *
 * @param scalars the inputs for what `optimizer.scalars` gives
 * @param write takes the next value of a weight or a slot
 */
export function traceOptimizer(
  b: StepBuilder,
  optimizer: Optimizer,
  weights: readonly TrainedWeight[],
  scalars: Tensors,
  write: (leaf: string, next: Tensor) => void,
): void {
  const { gradientAccumulationSteps: gathered, lossScaleFactor, useEma } = optimizer.config;
  const { update } = scalars;
  /** What only an update changes. */
  const updated = (next: Tensor, before: Tensor) => (update ? select(update, next, before) : next);
  const held = weights.filter(({ gradient }) => gradient !== null);
  const means = held.map((weight) => {
    const raw = weight.gradient as Tensor;
    const gradient = lossScaleFactor === null ? raw : div(raw, lossScaleFactor);
    if (!gathered) return gradient;
    const leaf = slotLeaf(weight.path, 'gradientAccumulator');
    const total = add(gradient, b.state(leaf));
    write(leaf, select(update, 0, total));
    return div(total, gathered);
  });
  const clipped = clipGradients(optimizer, means);
  const shared = Object.fromEntries(Object.keys(optimizer.shared).map((name) => [name, b.state(sharedLeaf(name))]));
  const once = optimizer.once(scalars, shared);
  for (const [name, next] of Object.entries(once.shared)) write(sharedLeaf(name), updated(next, shared[name]));
  const known = { ...scalars, ...once.scalars };
  for (const weight of weights) {
    const { path } = weight;
    const k = held.indexOf(weight);
    const before = b.state(path);
    const project = (value: Tensor) => weight.project?.(value) ?? value;
    let next = before;
    const kept: [leaf: string, value: Tensor][] = [];
    if (k >= 0) {
      const slots = slotsOf(b, optimizer, weight);
      const result = optimizer.update({ path, weight: before, gradient: clipped[k], slots, scalars: known, project });
      next = updated(result.weight, before);
      for (const [slot, value] of Object.entries(result.slots))
        kept.push([slotLeaf(path, slot), updated(value, slots[slot])]);
    }
    if (useEma) {
      const leaf = slotLeaf(path, 'average');
      const average = add(mul(b.state(leaf), scalars.averageMomentum), mul(next, oneMinus(scalars.averageMomentum)));
      kept.push([leaf, average]);
      if (scalars.overwrite) next = select(scalars.overwrite, average, next);
    }
    // A weight that the loss does not depend on stays as it is, as in Keras, but for its constraint and average.
    if (next !== before || weight.project) write(path, project(next));
    for (const [leaf, value] of kept) write(leaf, value);
  }
}
