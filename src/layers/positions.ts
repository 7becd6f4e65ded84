/**
 * Vectors that tell where in a sequence a step stands, to be added to its features. Vaswani et al., "Attention is all you need" (2017).
 */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { broadcastTo, slice } from '../ops/shape.ts';
import { constant } from '../ops/tensor.ts';
import { knownSize, needRank } from './axes.ts';
import { initializerOption } from './initializers.ts';
import { defineLayer } from './layer.ts';
import { positiveInteger, positiveNumber } from './options.ts';
import { plainWeight } from './weight.ts';

const words = '(batch, time, features)';

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
  call({ maxWavelength }, { inputs: [x], masks }) {
    const [, length, features] = x.shape;
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
  call({ sequenceLength }, { inputs: [x], masks, weights, path }) {
    const [, length, features] = x.shape;
    if (length > sequenceLength)
      fail('SHAPE', path, `at most ${sequenceLength} steps`, formatShape(x.shape), 'Give a larger sequenceLength.');
    const rows = slice(weights.positionEmbeddings, [0, 0], [length, features]);
    return { outputs: [broadcastTo(rows, x.shape)], masks };
  },
});
