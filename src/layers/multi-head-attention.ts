/**
 * Attention with heads. Vaswani et al., "Attention is all you need" (2017); Ainslie et al., "GQA: training generalized multi-query
 * transformer models from multi-head checkpoints" (2023).
 */
import { fail } from '../core/errors.ts';
import { formatShape, sizeOf } from '../core/shape.ts';
import { batchMatmul, batchMatmulNT } from '../ops/batch-matmul.ts';
import { matmul } from '../ops/matmul.ts';
import { add, mul, select, sigmoid } from '../ops/pointwise.ts';
import { repeat } from '../ops/repeat.ts';
import { expandDims, reshape, transpose } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { callOptions, maskedWeights, positionMask } from './attention.ts';
import { knownSize, needRank } from './axes.ts';
import { type Constraint, constraintOption } from './constraints.ts';
import { dropoutMask } from './dropout-mask.ts';
import { withFans } from './einsum-dense.ts';
import { type Initializer, initializerOption } from './initializers.ts';
import { defineLayer, type LayerCall, type LayerResult, type OpenShape } from './layer.ts';
import { bothMasks } from './mask.ts';
import { absent, flag, fraction, type Option, option, positiveInteger, seedOption, showValue } from './options.ts';
import { type Regularizer, regularizerOption } from './regularizers.ts';
import { plainWeight, ruledWeight, type WeightSpec } from './weight.ts';

const isSize = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v) && v > 0;
const optionalSize = () => option<number | null>('a positive integer, or null', (v) => v === null || isSize(v), null);

/** Options that both layers have, behind their own. */
const commonOptions = {
  /** Multiply what a head found with sigmoid of a further projection of the query. Default false. */
  useGate: flag(false),
  /** A query sees keys at a distance below this. Default null: all. */
  slidingWindow: optionalSize(),
  /** Default glorotUniform. */
  kernelInitializer: initializerOption('glorotUniform'),
  /** Default zeros. */
  biasInitializer: initializerOption('zeros'),
  kernelRegularizer: regularizerOption(),
  biasRegularizer: regularizerOption(),
  activityRegularizer: absent('Activity regularisers here'),
  kernelConstraint: constraintOption(),
  biasConstraint: constraintOption(),
  /** Of the dropout. Default: the model's. */
  seed: seedOption(),
  ...callOptions,
};

interface Common {
  readonly dropout: number;
  readonly useBias: boolean;
  readonly useGate: boolean;
  readonly slidingWindow: number | null;
  readonly kernelInitializer: Initializer;
  readonly biasInitializer: Initializer;
  readonly kernelRegularizer: Regularizer | null;
  readonly biasRegularizer: Regularizer | null;
  readonly kernelConstraint: Constraint | null;
  readonly biasConstraint: Constraint | null;
  readonly seed: number | null;
  readonly useCausalMask: boolean;
  readonly returnAttentionScores: boolean;
}

/** Older releases of Keras do not know these two; they are written only where they say something. */
function keepOld(json: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { use_gate: gate, sliding_window: window, ...rest } = json;
  return { ...rest, ...(gate ? { use_gate: gate } : {}), ...(window === null ? {} : { sliding_window: window }) };
}

interface Inputs {
  readonly query: OpenShape;
  readonly value: OpenShape;
  readonly key: OpenShape;
}

/** The inputs by their roles. Throws SHAPE. */
function rolesOf(inputs: readonly OpenShape[], path: string): Inputs {
  const [query, value, key = value] = inputs;
  if (inputs.length < 2 || inputs.length > 3)
    fail('SHAPE', path, 'query, value and, unless it is the value, key', `${inputs.length} inputs`);
  for (const shape of [query, value, key]) needRank(shape, 3, '(batch, time, features)', path);
  if (value[1] !== key[1])
    fail('SHAPE', path, 'as many values as keys', `${formatShape(value)} and ${formatShape(key)}`);
  return { query, value, key };
}

/** Kernel and bias of a projection of `inner` axes to `outer` ones. */
function projection(config: Common, name: string, inner: readonly number[], outer: readonly number[]): WeightSpec[] {
  const fans = [sizeOf(inner), sizeOf(outer)] as const;
  const kernel = plainWeight(`${name}/kernel`, [...inner, ...outer], withFans(config.kernelInitializer, fans));
  const bias = plainWeight(`${name}/bias`, outer, config.biasInitializer);
  return [
    ruledWeight(kernel, config.kernelRegularizer, config.kernelConstraint),
    ...(config.useBias ? [ruledWeight(bias, config.biasRegularizer, config.biasConstraint)] : []),
  ];
}

/** x[B, T, ...inner] times kernel[...inner, ...outer], plus the bias. */
function project({ weights }: LayerCall, name: string, x: Tensor): Tensor {
  const kernel = weights[`${name}/kernel`];
  const bias = weights[`${name}/bias`];
  const [batch, length, ...inner] = x.shape;
  const outer = kernel.shape.slice(inner.length);
  const product = matmul(reshape(x, [batch, length, sizeOf(inner)]), reshape(kernel, [sizeOf(inner), sizeOf(outer)]));
  const shifted = bias ? add(product, reshape(bias, [sizeOf(outer)])) : product;
  return reshape(shifted, [batch, length, ...outer]);
}

/** 1 where a query may look at a key: (B or 1, T or 1, S), or null. */
function looks(config: Common, { inputs, masks }: LayerCall): Tensor | null {
  const [query, value] = inputs;
  const [queryMask, valueMask, keyMask = null] = masks;
  const sizes = [query.shape[1], value.shape[1]] as const;
  const { slidingWindow } = config;
  return [
    queryMask && expandDims(queryMask, 2),
    valueMask && expandDims(valueMask, 1),
    keyMask && expandDims(keyMask, 1),
    config.useCausalMask ? positionMask(query, ...sizes, (distance) => distance >= 0) : null,
    slidingWindow === null ? null : positionMask(query, ...sizes, (distance) => Math.abs(distance) < slidingWindow),
  ].reduce(bothMasks, null);
}

/** Heads beside the batch: [B, T, H, D] to [B, H, T, D]. */
const headsFirst = (x: Tensor) => transpose(x, [0, 2, 1, 3]);

function attendWithHeads(
  config: Common,
  call: LayerCall,
  heads: { readonly query: Tensor; readonly key: Tensor; readonly value: Tensor },
): LayerResult {
  const { query, key, value } = heads;
  const { dropout, seed } = config;
  const scale = 1 / Math.sqrt(query.shape[3]);
  const allowed = looks(config, call);
  const mask = allowed && expandDims(allowed, 1);
  const scores = batchMatmulNT(headsFirst(mul(query, scale)), headsFirst(key));
  let weights = maskedWeights(scores, mask);
  // A query that may look nowhere gives the mean of all values; with dropout or with the scores returned Keras takes another route, and
  // there it gives zero.
  if (mask && (dropout > 0 || config.returnAttentionScores)) weights = select(mask, weights, 0);
  const kept =
    call.training && dropout > 0 ? mul(weights, dropoutMask(call.random, weights.shape, dropout, seed)) : weights;
  const found = headsFirst(batchMatmul(kept, headsFirst(value)));
  const gated = config.useGate ? mul(found, sigmoid(project(call, 'gate', call.inputs[0]))) : found;
  const y = project(call, 'attentionOutput', gated);
  const mask0 = call.masks[0];
  return config.returnAttentionScores
    ? { outputs: [y, weights], masks: [mask0, null] }
    : { outputs: [y], masks: [mask0] };
}

const sizesOption = (): Option<number | readonly number[] | null, readonly number[] | null, false> => ({
  required: false,
  fallback: null,
  expected: 'a size, a list of sizes, or null',
  parse(value, where) {
    const list = isSize(value) ? [value] : value;
    if (list !== null && !(Array.isArray(list) && list.length > 0 && list.every(isSize)))
      fail('ARGUMENT', where, this.expected, showValue(value));
    return list as readonly number[] | null;
  },
});

/** Attention along other axes than the time is not there. */
const timeAxis = (): Option<number | readonly number[] | null, readonly number[] | null, false> => ({
  required: false,
  fallback: null,
  expected: 'null, or [1], the axis of the steps',
  parse(value, where) {
    const list = typeof value === 'number' ? [value] : value;
    if (list !== null && !(Array.isArray(list) && list.length === 1 && list[0] === 1))
      fail('UNSUPPORTED', where, this.expected, showValue(value));
    return list as readonly number[] | null;
  },
});

/**
 * Heads that each attend by projections of their own, softmax(Q K' / sqrt(keyDim)) V, and a projection of what they found: query (B, T, F),
 * value (B, S, G) and key (B, S, E) to (B, T, F), or (B, T, ...outputShape); the key is the value where only two inputs are given. The masks
 * of all inputs count; the query's goes on. Weights: query/kernel (F, H, keyDim), query/bias (H, keyDim), then key, gate, value and
 * attentionOutput/kernel (H, valueDim, F) and its bias. Keras: MultiHeadAttention.
 *
 * @example layers.multiHeadAttention({ numHeads: 4, keyDim: 16, useCausalMask: true })
 */
export const multiHeadAttention = defineLayer({
  className: 'MultiHeadAttention',
  options: {
    /** H. */
    numHeads: positiveInteger(),
    /** Size of a head's queries and keys. */
    keyDim: positiveInteger(),
    /** Size of a head's values. Default: keyDim. */
    valueDim: optionalSize(),
    /** Share of the weights that is dropped in training. Default 0. */
    dropout: fraction(0),
    /** Default true. */
    useBias: flag(true),
    /** Sizes of the result after (B, T). Default: the query's features. */
    outputShape: sizesOption(),
    /** The axis that is attended along: null or [1]. */
    attentionAxes: timeAxis(),
    ...commonOptions,
  },
  kerasConfig: ({ valueDim, keyDim }, json) => keepOld({ ...json, value_dim: valueDim ?? keyDim }),
  weights(config, inputs, path) {
    const { query, value, key } = rolesOf(inputs, path);
    const { numHeads, keyDim, outputShape } = config;
    const valueDim = config.valueDim ?? keyDim;
    const features = (shape: OpenShape) => [knownSize(shape, -1, path)];
    return [
      ...projection(config, 'query', features(query), [numHeads, keyDim]),
      ...projection(config, 'key', features(key), [numHeads, keyDim]),
      ...(config.useGate ? projection(config, 'gate', features(query), [numHeads, valueDim]) : []),
      ...projection(config, 'value', features(value), [numHeads, valueDim]),
      ...projection(config, 'attentionOutput', [numHeads, valueDim], outputShape ?? features(query)),
    ];
  },
  outputs(config, inputs, path) {
    const { query, value } = rolesOf(inputs, path);
    const y = config.outputShape ? [...query.slice(0, -1), ...config.outputShape] : query;
    return config.returnAttentionScores ? [y, [query[0], config.numHeads, query[1], value[1]]] : [y];
  },
  call(config, call) {
    const [query, value, key = value] = call.inputs;
    return attendWithHeads(config, call, {
      query: project(call, 'query', query),
      key: project(call, 'key', key),
      value: project(call, 'value', value),
    });
  },
});

/**
 * As `multiHeadAttention`, with fewer heads for keys and values than for queries: each serves a group of query heads. Query (B, T, F), value
 * and key (B, S, F) to (B, T, F). Keras: GroupQueryAttention.
 *
 * @example layers.groupQueryAttention({ headDim: 16, numQueryHeads: 8, numKeyValueHeads: 2 })
 */
export const groupQueryAttention = defineLayer({
  className: 'GroupQueryAttention',
  options: {
    /** Size of a head. */
    headDim: positiveInteger(),
    /** A multiple of numKeyValueHeads. */
    numQueryHeads: positiveInteger(),
    /** Number of heads of keys and of values. */
    numKeyValueHeads: positiveInteger(),
    /** Share of the weights that is dropped in training. Default 0. */
    dropout: fraction(0),
    /** Default true. */
    useBias: flag(true),
    ...commonOptions,
  },
  kerasConfig: (_config, json) => keepOld(json),
  check({ numQueryHeads, numKeyValueHeads }, where) {
    if (numQueryHeads % numKeyValueHeads)
      fail('ARGUMENT', where, `numQueryHeads that are a multiple of ${numKeyValueHeads}`, String(numQueryHeads));
  },
  weights(config, inputs, path) {
    const { query, value, key } = rolesOf(inputs, path);
    const features = (shape: OpenShape) => [knownSize(shape, -1, path)];
    const many = [config.numQueryHeads, config.headDim];
    const few = [config.numKeyValueHeads, config.headDim];
    return [
      ...projection(config, 'query', features(query), many),
      ...projection(config, 'key', features(key), few),
      ...(config.useGate ? projection(config, 'gate', features(query), many) : []),
      ...projection(config, 'value', features(value), few),
      ...projection(config, 'attentionOutput', many, features(query)),
    ];
  },
  outputs(config, inputs, path) {
    const { query, value } = rolesOf(inputs, path);
    if (query[2] !== value[2])
      fail(
        'SHAPE',
        path,
        'a query and a value of the same features',
        `${formatShape(query)} and ${formatShape(value)}`,
      );
    return config.returnAttentionScores ? [query, [query[0], config.numQueryHeads, query[1], value[1]]] : [query];
  },
  call(config, call) {
    const [query, value, key = value] = call.inputs;
    const times = config.numQueryHeads / config.numKeyValueHeads;
    return attendWithHeads(config, call, {
      query: project(call, 'query', query),
      key: repeat(project(call, 'key', key), times, 2),
      value: repeat(project(call, 'value', value), times, 2),
    });
  },
});
