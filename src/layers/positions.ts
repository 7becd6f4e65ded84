/**
 * Vectors that tell where in a sequence a step stands, to be added to its features. Vaswani et al., "Attention is all you need" (2017).
 */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { gather } from '../ops/gather.ts';
import { add, floor, mul, select, sub, toInt } from '../ops/pointwise.ts';
import { broadcastTo, reshape, slice } from '../ops/shape.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import { knownSize, needRank } from './axes.ts';
import { initializerOption } from './initializers.ts';
import { defineLayer } from './layer.ts';
import { positiveInteger, positiveNumber } from './options.ts';
import { plainWeight } from './weight.ts';

const words = '(batch, time, features)';

/** Steps of each place of a position in a number system of so many digits, for `sineAt`. */
const DIGITS = 64;
const PLACES = 3;

/**
 * The vectors of positions (B) below 64^3: (B, F). The angle is the sum of those of three digits, whose sines and cosines stand in tables and are
 * brought together by the addition theorem; the angle itself would lose its last bits in float32 as the position grows.
 */
function sineAt(position: Tensor, maxWavelength: number, features: number): Tensor {
  const table = (place: number, f: (angle: number) => number) =>
    constant(
      position.graph,
      Float64Array.from({ length: DIGITS * features }, (_, k) => {
        const i = k % features;
        return f(Math.floor(k / features) * DIGITS ** place * maxWavelength ** (-(2 * Math.floor(i / 2)) / features));
      }),
      [DIGITS, features],
    );
  let rest = position;
  let sine: Tensor | null = null;
  let cosine: Tensor | null = null;
  for (let place = PLACES - 1; place >= 0; place--) {
    const digit = floor(mul(rest, 1 / DIGITS ** place));
    rest = sub(rest, mul(digit, DIGITS ** place));
    const [s, c] = [Math.sin, Math.cos].map((f) => gather(table(place, f), toInt(digit)));
    [sine, cosine] = sine && cosine ? [add(mul(sine, c), mul(cosine, s)), sub(mul(cosine, c), mul(sine, s))] : [s, c];
  }
  const odd = Float64Array.from({ length: features }, (_, i) => i % 2);
  return select(constant(position.graph, odd, [features]), cosine as Tensor, sine as Tensor);
}

/**
 * The sine of position / maxWavelength^(2 floor(i / 2) / F) for even features i, the cosine for odd ones: (B, T, F) to (B, T, F), whatever
 * the values. A mask goes on. KerasHub: SinePositionEncoding.
 *
 * @example layers.sinePositionEncoding({ maxWavelength: 10_000 })
 */
export const sinePositionEncoding = defineLayer({
  className: 'SinePositionEncoding',
  keras: {
    module: 'keras_hub.src.layers.modeling.sine_position_encoding',
    registeredName: 'keras_hub>SinePositionEncoding',
  },
  options: {
    /** Default 10,000. */
    maxWavelength: positiveNumber(10_000),
  },
  weights: () => [],
  outputs: (_config, [shape], path) => [needRank(shape, 3, words, path)],
  inTime(_config, { inputs, limit }) {
    if (inputs.includes('steps')) limit(DIGITS ** PLACES);
    return inputs;
  },
  call({ maxWavelength }, { inputs: [x], masks, memory }) {
    const [, length, features] = x.shape;
    if (memory) return { outputs: [reshape(sineAt(memory.position(), maxWavelength, features), x.shape)], masks };
    const values = new Float64Array(length * features);
    for (let t = 0; t < length; t++)
      for (let i = 0; i < features; i++) {
        const angle = t * maxWavelength ** (-(2 * Math.floor(i / 2)) / features);
        values[t * features + i] = i % 2 ? Math.cos(angle) : Math.sin(angle);
      }
    return { outputs: [broadcastTo(constant(x.graph, values, [length, features]), x.shape)], masks };
  },
});

/**
 * A learnt vector for every position: (B, T, F) to (B, T, F), whatever the values, for T up to `sequenceLength`. A mask goes on.
 * Parameters: sequenceLength F. KerasHub: PositionEmbedding.
 *
 * @example layers.positionEmbedding({ sequenceLength: 512 })
 */
export const positionEmbedding = defineLayer({
  className: 'PositionEmbedding',
  keras: { module: 'keras_hub.src.layers.modeling.position_embedding', registeredName: 'keras_hub>PositionEmbedding' },
  options: {
    /** The longest sequence. */
    sequenceLength: positiveInteger(),
    /** Default glorotUniform. */
    initializer: initializerOption('glorotUniform'),
  },
  weights({ sequenceLength, initializer }, [shape], path) {
    const features = knownSize(needRank(shape, 3, words, path), 2, path);
    return [plainWeight('positionEmbeddings', [sequenceLength, features], initializer)];
  },
  outputs({ sequenceLength }, [shape], path) {
    const length = needRank(shape, 3, words, path)[1];
    if (length !== null && length > sequenceLength)
      fail('SHAPE', path, `at most ${sequenceLength} steps`, formatShape(shape), 'Give a larger sequenceLength.');
    return [shape];
  },
  inTime({ sequenceLength }, { inputs, limit }) {
    if (inputs.includes('steps')) limit(sequenceLength);
    return inputs;
  },
  call({ sequenceLength }, { inputs: [x], masks, weights, memory, path }) {
    const [, length, features] = x.shape;
    if (memory)
      return { outputs: [reshape(gather(weights.positionEmbeddings, toInt(memory.position())), x.shape)], masks };
    if (length > sequenceLength)
      fail('SHAPE', path, `at most ${sequenceLength} steps`, formatShape(x.shape), 'Give a larger sequenceLength.');
    const rows = slice(weights.positionEmbeddings, [0, 0], [length, features]);
    return { outputs: [broadcastTo(rows, x.shape)], masks };
  },
});
