/**
 * Attention without heads: every query takes the mean of the values, weighted by how well its key fits. Luong et al., "Effective approaches
 * to attention-based neural machine translation" (2015); Bahdanau et al., "Neural machine translation by jointly learning to align and
 * translate" (2015).
 */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { batchMatmul, batchMatmulNT } from '../ops/batch-matmul.ts';
import { add, mul, select, tanh } from '../ops/pointwise.ts';
import { sum } from '../ops/reduce.ts';
import { expandDims } from '../ops/shape.ts';
import { softmax } from '../ops/softmax.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import { dropoutMask } from './dropout-mask.ts';
import { initializerOf } from './initializers.ts';
import { defineLayer, type LayerCall, type LayerResult, type OpenShape } from './layer.ts';
import { besideMask } from './mask.ts';
import { observerOf } from './observer.ts';
import { beyondKeras, choice, flag, fraction, seedOption } from './options.ts';
import { plainWeight } from './weight.ts';

/** Scores of what may not be looked at; its exponential is 0 beside any other, and a row of them gives equal weights. */
const never = -1e9;

/** 1 where a query may look at a key: (1, T, S), by the distance of the two. */
export function positionMask(x: Tensor, queries: number, keys: number, allowed: (distance: number) => boolean): Tensor {
  const values = new Float64Array(queries * keys);
  for (let t = 0; t < queries; t++) for (let s = 0; s < keys; s++) if (allowed(t - s)) values[t * keys + s] = 1;
  return constant(x.graph, values, [1, queries, keys]);
}

/**
 * Options of all attention layers that Keras takes at the call instead: in its files they stand under the same words among the arguments of
 * the call. In a configuration of the layer they are written only where they are used.
 */
export const callOptions = {
  /** A step sees itself and earlier ones only. Default false. */
  useCausalMask: beyondKeras(flag(false)),
  /** Return the weights after the output. Default false. */
  returnAttentionScores: beyondKeras(flag(false)),
};

/** The softmax of scores[..., S] over the keys that a mask allows. */
export function maskedWeights(scores: Tensor, mask: Tensor | null): Tensor {
  const weights = softmax(mask ? select(mask, scores, never) : scores);
  observerOf(weights.graph)?.attention(weights.graph.path, weights);
  return weights;
}

interface Config {
  readonly dropout: number;
  readonly seed: number | null;
  readonly useCausalMask: boolean;
  readonly returnAttentionScores: boolean;
}

function attentionShapes(config: Config, inputs: readonly OpenShape[], path: string): OpenShape[] {
  const [query, value, key = value] = inputs;
  const last = (shape: OpenShape) => shape[shape.length - 1];
  const fits = [query, value, key].every((shape) => shape?.length === 3) && last(query) === last(key);
  if (inputs.length < 2 || inputs.length > 3 || !fits)
    fail(
      'SHAPE',
      path,
      'query (B, T, F), value (B, S, G) and, unless it is the value, key (B, S, F)',
      inputs.map((shape) => formatShape(shape)).join(', ') || 'no input',
      'Call it with `apply([query, value])`; a dense layer brings query and key to the same number of features.',
    );
  const y = [...query.slice(0, -1), last(value)];
  return config.returnAttentionScores ? [y, [query[0], query[1], key[1]]] : [y];
}

function attend(config: Config, call: LayerCall, scoresOf: (query: Tensor, key: Tensor) => Tensor): LayerResult {
  const { inputs, masks, training, random } = call;
  const [query, value, key = value] = inputs;
  const [queryMask, valueMask] = masks;
  let mask = valueMask ? expandDims(valueMask, 1) : null;
  if (config.useCausalMask) {
    const causal = positionMask(query, query.shape[1], key.shape[1], (distance) => distance >= 0);
    mask = mask ? mul(mask, causal) : causal;
  }
  const weights = maskedWeights(scoresOf(query, key), mask);
  const { dropout, seed } = config;
  const kept = training && dropout > 0 ? mul(weights, dropoutMask(random, weights.shape, dropout, seed)) : weights;
  const mixed = batchMatmul(kept, value);
  const y = queryMask ? select(besideMask(queryMask, 3), mixed, 0) : mixed;
  return config.returnAttentionScores
    ? { outputs: [y, kept], masks: [queryMask, null] }
    : { outputs: [y], masks: [queryMask] };
}

/** The scores of additive forms: [B, T, S] from a sum over the features of tanh of query and key together. */
function pairs(query: Tensor, key: Tensor): Tensor {
  return add(expandDims(query, 2), expandDims(key, 1));
}

const lastAxis = { axes: [-1] };

/**
 * Weights softmax(query key'), output weights value: query (B, T, F), value (B, S, G) and key (B, S, F) to (B, T, G); the key is the value
 * where only two inputs are given. Masked values are not looked at; masked queries give 0, and their mask goes on. Keras: Attention.
 *
 * @example layers.attention({ useScale: true, useCausalMask: true })
 */
export const attention = defineLayer({
  className: 'Attention',
  options: {
    /** Multiply the scores with a learnt number. Default false. */
    useScale: flag(false),
    /** dot: query key'; concat: c sum(tanh(scale (query + key))), with a learnt c. Default dot. */
    scoreMode: choice(['dot', 'concat'], 'dot'),
    /** Share of the weights that is dropped in training. Default 0. */
    dropout: fraction(0),
    /** Default: the model's. */
    seed: seedOption(),
    ...callOptions,
  },
  weights({ useScale, scoreMode }, _inputs, path) {
    const ones = initializerOf('ones', path);
    return [
      ...(useScale ? [plainWeight('scale', [], ones)] : []),
      ...(scoreMode === 'concat' ? [plainWeight('concatScoreWeight', [], ones)] : []),
    ];
  },
  outputs: (config, inputs, path) => attentionShapes(config, inputs, path),
  call: (config, call) =>
    attend(config, call, (query, key) => {
      const { scale, concatScoreWeight } = call.weights;
      if (config.scoreMode === 'dot') {
        const scores = batchMatmulNT(query, key);
        return scale ? mul(scores, scale) : scores;
      }
      const both = pairs(query, key);
      return mul(sum(tanh(scale ? mul(both, scale) : both), lastAxis), concatScoreWeight);
    }),
});

/**
 * As `attention`, with the scores sum(scale tanh(query + key)) over the features, and a learnt scale per feature: query (B, T, F), value
 * (B, S, G) and, where it is not the value, key (B, S, F) to (B, T, G). Parameters: F. Bahdanau, Cho, Bengio (2015). Keras: AdditiveAttention.
 *
 * @example layers.additiveAttention()
 */
export const additiveAttention = defineLayer({
  className: 'AdditiveAttention',
  options: {
    /** Weigh the features by a learnt scale. Default true. */
    useScale: flag(true),
    /** Share of the weights that is dropped in training. Default 0. */
    dropout: fraction(0),
    /** Default: the model's. */
    seed: seedOption(),
    ...callOptions,
  },
  weights({ useScale }, inputs, path) {
    if (!useScale) return [];
    const [query] = inputs;
    const features = query?.[query.length - 1];
    if (typeof features !== 'number')
      fail('SHAPE', path, 'a query with known features', query ? formatShape(query) : 'no input');
    return [plainWeight('scale', [features], initializerOf('glorotUniform', path))];
  },
  outputs: (config, inputs, path) => attentionShapes(config, inputs, path),
  call: (config, call) =>
    attend(config, call, (query, key) => {
      const fit = tanh(pairs(query, key));
      return sum(call.weights.scale ? mul(fit, call.weights.scale) : fit, lastAxis);
    }),
});
