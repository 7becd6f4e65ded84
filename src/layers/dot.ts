/** Products of two inputs, sample by sample. */
import { fail } from '../core/errors.ts';
import { formatShape, normalAxis, sizeOf } from '../core/shape.ts';
import { batchMatmulNT } from '../ops/batch-matmul.ts';
import { reshape, transpose } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { unitLength } from './normalization.ts';
import { flag, option } from './options.ts';

const isAxis = (v: unknown) => Number.isInteger(v) && v !== 0;

/** The summed axis of both inputs. Throws SHAPE. */
function axesOfBoth(axes: number | readonly number[], inputs: readonly OpenShape[], path: string): [number, number] {
  if (inputs.length !== 2) fail('SHAPE', path, 'exactly two inputs', String(inputs.length));
  const [a, b] = typeof axes === 'number' ? [axes, axes] : axes;
  const [p, q] = [normalAxis(a, inputs[0].length, path), normalAxis(b, inputs[1].length, path)];
  const [m, n] = [inputs[0][p], inputs[1][q]];
  if (p === 0 || q === 0 || (m !== null && n !== null && m !== n))
    fail(
      'SHAPE',
      path,
      `inputs of the same size along axes ${p} and ${q}, both after the batch`,
      `${formatShape(inputs[0])} and ${formatShape(inputs[1])}`,
      'Name the axes to sum over by `axes: [of the first, of the second]`, or turn one input with `layers.permute`.',
    );
  return [p, q];
}

const without = (shape: OpenShape, axis: number) => shape.filter((_, i) => i !== 0 && i !== axis);

/** [B, all other axes, the summed one] */
function matrices(x: Tensor, axis: number): Tensor {
  const order = [...x.shape.keys()].filter((i) => i !== axis).concat(axis);
  const moved = axis === x.rank - 1 ? x : transpose(x, order);
  return reshape(moved, [x.shape[0], sizeOf(moved.shape.slice(1, -1)), x.shape[axis]]);
}

/**
 * The sum of products along one axis of each input: (B, T, F) and (B, S, F) to (B, T, S) for `axes: -1`; (B, F) and (B, F) to (B, 1).
 * With `normalize` it is the cosine of the angle. A mask ends here, as in Keras. Keras: Dot.
 *
 * @example layers.dot({ axes: [2, 1] })
 */
export const dot = defineLayer({
  className: 'Dot',
  options: {
    /** The axis that is summed, one number for both inputs or one each; the batch is 0 and may not be one. */
    axes: option<number | readonly number[], true>(
      'the number of an axis after the batch, or two of them',
      (v) => isAxis(v) || (Array.isArray(v) && v.length === 2 && v.every(isAxis)),
      undefined,
      true,
    ),
    /** Bring both to length 1 along the axis before. Default false. */
    normalize: flag(false),
  },
  weights: () => [],
  outputs({ axes }, inputs, path) {
    const [p, q] = axesOfBoth(axes, inputs, path);
    const rest = [...without(inputs[0], p), ...without(inputs[1], q)];
    return [[inputs[0][0] ?? inputs[1][0], ...(rest.length ? rest : [1])]];
  },
  call({ axes, normalize }, { inputs, path }) {
    const shapes = inputs.map((x) => x.shape);
    const [p, q] = axesOfBoth(axes, shapes, path);
    const [a, b] = normalize ? [unitLength(inputs[0], [p], 1e-14), unitLength(inputs[1], [q], 1e-14)] : inputs;
    const rest = [...without(shapes[0], p), ...without(shapes[1], q)] as number[];
    const product = batchMatmulNT(matrices(a, p), matrices(b, q));
    return { outputs: [reshape(product, [shapes[0][0], ...(rest.length ? rest : [1])])], masks: [null] };
  },
});
