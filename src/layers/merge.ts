/**
 * Several inputs made into one, element by element, or beside each other. Where the inputs have different numbers of axes, the smaller ones
 * get axes of size 1 behind the batch. The masks of element-wise layers join to where either is, and end if one input has none, as in Keras.
 */
import { fail } from '../core/errors.ts';
import { formatShape, normalAxis } from '../core/shape.ts';
import { maximum as larger, mul, select, minimum as smaller, sub, add as sumOf } from '../ops/pointwise.ts';
import { broadcastTo, concat, reshape } from '../ops/shape.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { besideMask, eitherMask } from './mask.ts';
import { option } from './options.ts';

type Masks = readonly (Tensor | null)[];

const listShapes = (inputs: readonly OpenShape[]) => inputs.map((shape) => formatShape(shape)).join(' and ');

/** The shape that all broadcast to. Throws SHAPE. */
function mergedShape(inputs: readonly OpenShape[], path: string): OpenShape {
  if (inputs.length < 1) fail('SHAPE', path, 'at least one input', 'none', 'Call the layer with a list of tensors.');
  const rank = Math.max(...inputs.map((shape) => shape.length));
  const padded = inputs.map((shape) => [
    shape[0],
    ...new Array<number>(rank - shape.length).fill(1),
    ...shape.slice(1),
  ]);
  return padded.reduce((a, b) =>
    a.map((d, i) => {
      const e = b[i];
      if (i === 0) {
        if (d !== null && e !== null && d !== e) fail('SHAPE', path, 'inputs of the same batch', listShapes(inputs));
        return d ?? e;
      }
      if (d === null || e === null) return null;
      if (d !== e && d !== 1 && e !== 1)
        fail(
          'SHAPE',
          path,
          'inputs whose shapes broadcast together',
          listShapes(inputs),
          'Bring them to one shape, for instance with a dense layer of as many units.',
        );
      return d === 1 ? e : d;
    }),
  );
}

function alignRanks(inputs: readonly Tensor[]): readonly Tensor[] {
  const rank = Math.max(...inputs.map((x) => x.rank));
  return inputs.map((x) =>
    x.rank === rank ? x : reshape(x, [x.shape[0], ...new Array<number>(rank - x.rank).fill(1), ...x.shape.slice(1)]),
  );
}

function joinedMask(masks: Masks): Tensor | null {
  const known = masks.filter((mask) => mask !== null);
  return known.length === masks.length ? known.reduce(eitherMask) : null;
}

/** A layer class over aligned inputs. */
function mergeLayer(
  className: string,
  merge: (inputs: readonly Tensor[], masks: Masks) => Tensor,
  exactly: number | null = null,
) {
  return defineLayer({
    className,
    options: {},
    weights: () => [],
    outputs(_config, inputs, path) {
      if (exactly !== null && inputs.length !== exactly)
        fail('SHAPE', path, `exactly ${exactly} inputs`, String(inputs.length));
      return [mergedShape(inputs, path)];
    },
    call(_config, { inputs, masks }) {
      return { outputs: [merge(alignRanks(inputs), masks)], masks: [joinedMask(masks)] };
    },
  });
}

const foldAll = (combine: (a: Tensor, b: Tensor) => Tensor) => (inputs: readonly Tensor[]) =>
  inputs.reduce((a, b) => combine(a, b));

/**
 * The sum of its inputs, of shapes (B, ...) that broadcast together. Keras: Add.
 *
 * @example layers.add()
 */
export const add = mergeLayer('Add', foldAll(sumOf));

/**
 * The first input minus the second, of shapes (B, ...) that broadcast together. Keras: Subtract.
 *
 * @example layers.subtract()
 */
export const subtract = mergeLayer('Subtract', foldAll(sub), 2);

/**
 * The mean of its inputs, of shapes (B, ...) that broadcast together. Keras: Average.
 *
 * @example layers.average()
 */
export const average = mergeLayer('Average', (inputs) => mul(foldAll(sumOf)(inputs), 1 / inputs.length));

/**
 * The product of its inputs, of shapes (B, ...) that broadcast together. A masked step counts as 1; steps that are masked in all are 0.
 * Keras: Multiply.
 *
 * @example layers.multiply()
 */
export const multiply = mergeLayer('Multiply', (inputs, masks) => {
  const factors = inputs.map((x, i) => {
    const mask = masks[i];
    return mask ? select(besideMask(mask, x.rank), x, 1) : x;
  });
  const product = foldAll(mul)(factors);
  const joined = joinedMask(masks);
  return joined ? select(besideMask(joined, product.rank), product, 0) : product;
});

/** Masked steps of one input give way to the other's. */
const extreme = (pick: (a: Tensor, b: Tensor) => Tensor) => (inputs: readonly Tensor[], masks: Masks) => {
  let [y] = inputs;
  let [known] = masks;
  inputs.slice(1).forEach((x, i) => {
    const mask = masks[i + 1];
    const now = mask ? select(besideMask(mask, x.rank), x, y) : x;
    const before = known ? select(besideMask(known, y.rank), y, now) : y;
    known = mask && known ? eitherMask(mask, known) : null;
    y = pick(before, now);
  });
  return y;
};

/**
 * The largest of its inputs, of shapes (B, ...) that broadcast together; a masked step of one gives way to the others. Keras: Maximum.
 *
 * @example layers.maximum()
 */
export const maximum = mergeLayer('Maximum', extreme(larger));

/**
 * The smallest of its inputs, of shapes (B, ...) that broadcast together; a masked step of one gives way to the others. Keras: Minimum.
 *
 * @example layers.minimum()
 */
export const minimum = mergeLayer('Minimum', extreme(smaller));

function concatenatedShape(axis: number, inputs: readonly OpenShape[], path: string): OpenShape {
  const [first] = inputs;
  if (!first) fail('SHAPE', path, 'at least one input', 'none', 'Call the layer with a list of tensors.');
  const at = normalAxis(axis, first.length, path);
  const agree = (d: number | null, e: number | null) => d === null || e === null || d === e;
  for (const shape of inputs)
    if (shape.length !== first.length || !shape.every((d, i) => i === at || agree(d, first[i])))
      fail(
        'SHAPE',
        path,
        `inputs of equal shapes but for axis ${at}`,
        listShapes(inputs),
        'Join them along another `axis`, or crop, pad or reshape one of them first.',
      );
  return first.map((d, i) => {
    const sizes = inputs.map((shape) => shape[i]);
    if (i !== at) return d ?? sizes.find((size) => size !== null) ?? null;
    return sizes.reduce((a, b) => (a === null || b === null ? null : a + b));
  });
}

/**
 * Its inputs behind each other along an axis: (B, T, F) and (B, T, G) to (B, T, F + G). Masks join to where either is, an input without
 * one counting as valid; along the time axis they stand behind each other too. Keras: Concatenate.
 *
 * @example layers.concatenate({ axis: 1 })
 */
export const concatenate = defineLayer({
  className: 'Concatenate',
  options: {
    /** Default -1, the last. */
    axis: option<number>('the number of an axis', (v) => Number.isInteger(v), -1),
  },
  weights: () => [],
  outputs: ({ axis }, inputs, path) => [concatenatedShape(axis, inputs, path)],
  call({ axis }, { inputs, masks }) {
    const outputs = [concat(inputs, axis)];
    const known = masks.find((mask) => mask !== null);
    if (!known || inputs[0].rank <= known.rank) return { outputs, masks: [null] };
    const all = masks.map(
      (mask, i) => mask ?? broadcastTo(constant(known.graph, 1), inputs[i].shape.slice(0, known.rank)),
    );
    const at = normalAxis(axis, inputs[0].rank, 'concatenate');
    return { outputs, masks: [at < known.rank ? concat(all, at) : all.reduce(eitherMask)] };
  },
});
