/** Random numbers inside a graph: counter-based, so that the same key and stream give the same numbers on every host. */
import { fail } from '../core/errors.ts';
import { philoxUniform } from '../core/random.ts';
import { formatShape, type Shape, sizeOf } from '../core/shape.ts';
import { defineOperation } from './op.ts';
import { apply, type Tensor } from './tensor.ts';

const uniformOperation = defineOperation({
  name: 'uniform',
  infer([key], attributes) {
    if (key.dtype !== 'i32' || key.shape.length !== 1 || key.shape[0] !== 2)
      fail('SHAPE', 'uniform', 'a key i32(2,)', `${key.dtype}${formatShape(key.shape)}`);
    return [{ dtype: 'f32', shape: attributes.shape as Shape }];
  },
  evaluate([key], attributes) {
    const shape = attributes.shape as Shape;
    const values = new Float32Array(sizeOf(shape));
    philoxUniform(key.data[0], key.data[1], attributes.stream as number, values);
    return [{ shape, data: Float64Array.from(values) }];
  },
  lower({ attributes, inputs: [key], outputs: [y], emit }) {
    const { rows, cols, pitch } = y.layout;
    emit('RANDOM', { rows, cols, key: key.at, stream: attributes.stream as number, dst: y.at, pitch });
  },
});

/**
 * Numbers from 0 (included) to 1 (excluded), multiples of 2^-24. Element i in row-major order is word i % 4 of Philox4x32-10 with the key
 * and the counter (floor(i / 4), 0, stream, 0).
 *
 * @param key i32 (2,)
 * @param stream keeps several draws under one key apart
 */
export function uniform(key: Tensor, shape: Shape, stream = 0): Tensor {
  return apply(uniformOperation, [key], { shape, stream })[0];
}
