/**
 * Attention with heads. Vaswani et al., "Attention is all you need" (2017); Ainslie et al., "GQA: training generalized multi-query
 * transformer models from multi-head checkpoints" (2023).
 */
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { repeat } from '../ops/repeat.ts';
import { knownSize, optionalAxes } from './axes.ts';
import {
  attendedAxes,
  attendWithHeads,
  checkAttentionMask,
  checkRoles,
  commonOptions,
  isSize,
  keepOld,
  optionalSize,
  project,
  projection,
  rolesOf,
  scoreShape,
} from './heads.ts';
import { defineLayer, type OpenShape } from './layer.ts';
import { flag, fraction, type Option, positiveInteger, showValue } from './options.ts';

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

/** Masks and mask inputs of attention: what a call takes beside query, value and key. */
const types = () => ['f32', 'f32', 'f32', 'any'] as const;

/**
 * Heads that each attend by projections of their own, softmax(Q K' / sqrt(keyDim)) V, and a projection of what they found: query (B, T, F),
 * value (B, S, G) and key (B, S, E) to (B, T, F), or (B, T, ...outputShape); the key is the value where only two inputs are given. The masks
 * of all inputs count; the query's goes on. Inputs may have further axes between batch and features, of which `attentionAxes` says which are
 * attended along. Which query may look at which key is also said by `apply([query, value], { attentionMask })`, (B, T, S). Weights: query/kernel (F, H, keyDim), query/bias (H, keyDim), then key, gate, value and
 * attentionOutput/kernel (H, valueDim, F) and its bias. Keras: MultiHeadAttention.
 *
 * @example layers.multiHeadAttention({ numHeads: 4, keyDim: 16, useCausalMask: true })
 */
export const multiHeadAttention = defineLayer({
  className: 'MultiHeadAttention',
  takesAttentionMask: true,
  ownPenalties: true,
  inputTypes: types,
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
    /** The axes that are attended along. Default: all between batch and features, so [1] for sequences. */
    attentionAxes: optionalAxes(),
    ...commonOptions,
  },
  kerasConfig: ({ valueDim, keyDim }, json) => keepOld({ ...json, value_dim: valueDim ?? keyDim }),
  weights(config, inputs, path) {
    const { query, value, key } = checkRoles(inputs, path);
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
    const roles = checkRoles(inputs, path);
    const axes = attendedAxes(config.attentionAxes, roles, path);
    checkAttentionMask(axes, roles, path);
    const y = config.outputShape ? [...roles.query.slice(0, -1), ...config.outputShape] : roles.query;
    return config.returnAttentionScores ? [y, scoreShape(axes, config.numHeads, roles)] : [y];
  },
  call(config, call) {
    const { query, value, key } = rolesOf(call.inputs);
    const shapes = checkRoles(
      call.inputs.map((x) => x.shape),
      call.path,
    );
    return attendWithHeads(config, call, attendedAxes(config.attentionAxes, shapes, call.path), {
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
  shownName: 'GroupedQueryAttention',
  takesAttentionMask: true,
  inputTypes: types,
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
    const { query, value, key } = checkRoles(inputs, path);
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
    const roles = checkRoles(inputs, path);
    const { query, value } = roles;
    if (query.length !== 3) fail('SHAPE', path, 'inputs of three axes, (batch, time, features)', formatShape(query));
    if (query[2] !== value[2])
      fail(
        'SHAPE',
        path,
        'a query and a value of the same features',
        `${formatShape(query)} and ${formatShape(value)}`,
      );
    return config.returnAttentionScores ? [query, scoreShape([1], config.numQueryHeads, roles)] : [query];
  },
  call(config, call) {
    const { query, value, key } = rolesOf(call.inputs);
    const times = config.numQueryHeads / config.numKeyValueHeads;
    const projected = {
      query: project(call, 'query', query),
      key: project(call, 'key', key),
      value: project(call, 'value', value),
    };
    return attendWithHeads(config, call, [1], projected, (x) => repeat(x, times, 2));
  },
});
