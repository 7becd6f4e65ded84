/** What attention layers with heads share: their projections, what a query may look at, and the step from scores to what was found. */
import { fail } from '../core/errors.ts';
import { formatShape, normalAxis, type Shape, sameShape, sizeOf } from '../core/shape.ts';
import { batchMatmul, batchMatmulNT } from '../ops/batch-matmul.ts';
import { matmul } from '../ops/matmul.ts';
import { add, mul, select, sigmoid } from '../ops/pointwise.ts';
import { broadcastTo, reshape, transpose } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { callOptions, maskedWeights, positionMask } from './attention.ts';
import { type Constraint, constraintOption } from './constraints.ts';
import { dropoutMask } from './dropout-mask.ts';
import { withFans } from './einsum-dense.ts';
import { type Initializer, initializerOption } from './initializers.ts';
import type { LayerCall, LayerResult, OpenShape } from './layer.ts';
import { bothMasks } from './mask.ts';
import { flag, type Option, option, seedOption, showValue } from './options.ts';
import { type Regularizer, regularizerOption } from './regularizers.ts';
import { plainWeight, ruledWeight, type WeightSpec } from './weight.ts';

export const isSize = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v) && v > 0;
export const optionalSize = () =>
  option<number | null>('a positive integer, or null', (v) => v === null || isSize(v), null);

/** Which kernel Keras is to use; what it computes is the same, so that every value is read. */
const kernelChoice = (): Option<boolean | null, null, false> => ({
  required: false,
  fallback: null,
  expected: 'true, false or null',
  parse(value, where) {
    if (value !== null && typeof value !== 'boolean') fail('ARGUMENT', where, this.expected, showValue(value));
    return null;
  },
});

/** Options that both layers have, behind their own. */
export const commonOptions = {
  /** Multiply what a head found with sigmoid of a further projection of the query. Default false. */
  useGate: flag(false),
  /** A query sees keys at a distance below this. Default null: all. */
  slidingWindow: optionalSize(),
  /** Keras's choice between kernels of equal meaning: read, and not written. */
  flashAttention: kernelChoice(),
  /** Default glorotUniform. */
  kernelInitializer: initializerOption('glorotUniform'),
  /** Default zeros. */
  biasInitializer: initializerOption('zeros'),
  kernelRegularizer: regularizerOption(),
  biasRegularizer: regularizerOption(),
  /** Of what every projection gives, divided by the batch size. */
  activityRegularizer: regularizerOption(),
  kernelConstraint: constraintOption(),
  biasConstraint: constraintOption(),
  /** Of the dropout. Default: the model's. */
  seed: seedOption(),
  ...callOptions,
};

export interface Common {
  readonly dropout: number;
  readonly useBias: boolean;
  readonly useGate: boolean;
  readonly slidingWindow: number | null;
  readonly kernelInitializer: Initializer;
  readonly biasInitializer: Initializer;
  readonly kernelRegularizer: Regularizer | null;
  readonly biasRegularizer: Regularizer | null;
  readonly activityRegularizer: Regularizer | null;
  readonly kernelConstraint: Constraint | null;
  readonly biasConstraint: Constraint | null;
  readonly seed: number | null;
  readonly useCausalMask: boolean;
  readonly returnAttentionScores: boolean;
}

/** Older releases of Keras do not know these; they are written only where they say something. */
export function keepOld(json: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { use_gate: gate, sliding_window: window, flash_attention: _kernel, ...rest } = json;
  return { ...rest, ...(gate ? { use_gate: gate } : {}), ...(window === null ? {} : { sliding_window: window }) };
}

export interface Inputs<T> {
  readonly query: T;
  readonly value: T;
  /** The value where none is given. */
  readonly key: T;
  /** Which query may look at which key; null: not given. */
  readonly attentionMask: T | null;
}

/** The inputs of a call by their roles. */
export function rolesOf<T>([query, value, key = value, attentionMask = null as never]: readonly T[]): Inputs<T> {
  return { query, value, key, attentionMask };
}

/** Throws SHAPE where the inputs do not fit each other. */
export function checkRoles(inputs: readonly OpenShape[], path: string): Inputs<OpenShape> {
  const roles = rolesOf(inputs);
  const { query, value, key } = roles;
  if (inputs.length < 2 || inputs.length > 4)
    fail(
      'SHAPE',
      path,
      'query, value and, unless it is the value, key',
      inputs.map((shape) => formatShape(shape)).join(', ') || 'no input',
      'A sequence that attends to itself is given twice: `apply([x, x])`.',
    );
  const rank = query.length;
  for (const [name, shape] of Object.entries({ query, value, key }))
    if (shape.length !== rank || rank < 3)
      fail(
        'SHAPE',
        path,
        rank < 3
          ? 'an input of at least three axes, (batch, time, features)'
          : `a ${name} of ${rank} axes, as the query`,
        formatShape(shape),
      );
  const inner = (shape: OpenShape) => shape.slice(1, -1);
  if (!inner(value).every((d, i) => d === null || key[i + 1] === null || d === key[i + 1]))
    fail('SHAPE', path, 'as many values as keys', `${formatShape(value)} and ${formatShape(key)}`);
  return roles;
}

/** The axes that are attended along, counted from the front: those given, or all between batch and features. Throws SHAPE. */
export function attendedAxes(
  axes: readonly number[] | null,
  { query, value }: Inputs<OpenShape>,
  path: string,
): number[] {
  const rank = query.length;
  const own = (axes ?? Array.from({ length: rank - 2 }, (_, i) => i + 1)).map((axis) =>
    normalAxis(axis, rank, `${path}.attentionAxes`),
  );
  if (own.some((axis) => axis === 0 || axis === rank - 1) || new Set(own).size !== own.length)
    fail('SHAPE', `${path}.attentionAxes`, `different axes between 0 and ${rank - 1}`, `[${own.join(', ')}]`);
  for (let i = 1; i < rank - 1; i++)
    if (!own.includes(i) && query[i] !== null && value[i] !== null && query[i] !== value[i])
      fail(
        'SHAPE',
        path,
        `a value of size ${query[i]} on axis ${i}, along which nothing is attended`,
        formatShape(value),
      );
  return own;
}

/** Throws SHAPE where a mask given by hand, (B, ...queries, ...keys), does not fit what is attended; sizes of 1 are repeated. */
export function checkAttentionMask(axes: readonly number[], roles: Inputs<OpenShape>, path: string): void {
  const { query, key, attentionMask } = roles;
  if (!attentionMask) return;
  const wanted = [...axes.map((i) => query[i]), ...axes.map((i) => key[i])];
  const own = attentionMask.slice(-wanted.length);
  const fits = own.every((d, i) => d === null || d === 1 || wanted[i] === null || d === wanted[i]);
  if (attentionMask.length <= wanted.length || !fits)
    fail(
      'SHAPE',
      `${path}: attentionMask`,
      formatShape([query[0], ...wanted]),
      formatShape(attentionMask),
      'Give 1 for each pair of a query and a key that it may look at, 0 for the others; an axis of size 1 holds for all.',
    );
}

/** Kernel and bias of a projection of `inner` axes to `outer` ones. */
export function projection(
  config: Common,
  name: string,
  inner: readonly number[],
  outer: readonly number[],
): WeightSpec[] {
  const fans = [sizeOf(inner), sizeOf(outer)] as const;
  const kernel = plainWeight(`${name}/kernel`, [...inner, ...outer], withFans(config.kernelInitializer, fans));
  const bias = plainWeight(`${name}/bias`, outer, config.biasInitializer);
  return [
    ruledWeight(kernel, config.kernelRegularizer, config.kernelConstraint),
    ...(config.useBias ? [ruledWeight(bias, config.biasRegularizer, config.biasConstraint)] : []),
  ];
}

/** x[...lead, ...inner] times kernel[...inner, ...outer], plus the bias, for as many inner axes as `inner` says. */
export function project({ weights }: LayerCall, name: string, x: Tensor, inner = 1): Tensor {
  const kernel = weights[`${name}/kernel`];
  const bias = weights[`${name}/bias`];
  const lead = x.shape.slice(0, x.rank - inner);
  const outer = kernel.shape.slice(inner);
  const size = sizeOf(kernel.shape.slice(0, inner));
  const product = matmul(reshape(x, [...lead, size]), reshape(kernel, [size, sizeOf(outer)]));
  const shifted = bias ? add(product, reshape(bias, [sizeOf(outer)])) : product;
  return reshape(shifted, [...lead, ...outer]);
}

/** How a call attends: the sizes of everything by axis. */
interface Plan {
  readonly batch: number;
  /** Axes along which each position attends by itself, and their sizes. */
  readonly free: readonly number[];
  readonly freeSizes: Shape;
  readonly heads: number;
  readonly axes: readonly number[];
  readonly querySizes: Shape;
  readonly keySizes: Shape;
}

function planOf(axes: readonly number[], query: Tensor, key: Tensor): Plan {
  const free = query.shape.flatMap((_, i) => (i > 0 && i < query.rank - 2 && !axes.includes(i) ? [i] : []));
  return {
    batch: query.shape[0],
    free,
    freeSizes: free.map((i) => query.shape[i]),
    heads: query.shape[query.rank - 2],
    axes,
    querySizes: axes.map((i) => query.shape[i]),
    keySizes: axes.map((i) => key.shape[i]),
  };
}

/**
 * 1 where a query may look at a key, or null: of [B, ...free, H, ...queries, ...keys], with 1 for axes that do not matter. A mask of steps
 * speaks of axis 1: where that is not attended along, it says nothing about what is looked at.
 */
function looks(config: Common, plan: Plan, { inputs, masks, path }: LayerCall): Tensor | null {
  const { axes, free, batch } = plan;
  const { query, attentionMask } = rolesOf(inputs);
  const [queryMask, valueMask, keyMask = null] = masks;
  const count = axes.length;
  const lead = free.length + 1;
  const at = axes.indexOf(1);
  /** Sizes at given places behind the batch, 1 elsewhere. */
  const spread = (first: number, sizes: Readonly<Record<number, number>>) => [
    first,
    ...Array.from({ length: lead + 2 * count }, (_, i) => sizes[i] ?? 1),
  ];
  const steps = (mask: Tensor | null, place: number) =>
    mask && at >= 0 ? reshape(mask, spread(batch, { [place]: mask.shape[1] })) : null;
  const positions = (what: string, allowed: (distance: number) => boolean) => {
    if (count > 1)
      fail('UNSUPPORTED', `${path}.${what}`, 'one axis to attend along', `attentionAxes [${axes.join(', ')}]`);
    const mask = positionMask(query, plan.querySizes[0], plan.keySizes[0], allowed);
    return reshape(mask, spread(1, { [lead]: plan.querySizes[0], [lead + 1]: plan.keySizes[0] }));
  };
  const { slidingWindow } = config;
  return [
    steps(queryMask, lead + at),
    steps(valueMask, lead + count + at),
    steps(keyMask, lead + count + at),
    attentionMask && givenMask(attentionMask, plan, path),
    config.useCausalMask ? positions('useCausalMask', (distance) => distance >= 0) : null,
    slidingWindow === null ? null : positions('slidingWindow', (distance) => Math.abs(distance) < slidingWindow),
  ].reduce(bothMasks, null);
}

/** A mask given by hand, [B, ...queries, ...keys], with axes for what lies between in front of the queries where it has more. Throws SHAPE. */
function givenMask(mask: Tensor, { batch, freeSizes, heads, querySizes, keySizes }: Plan, path: string): Tensor {
  const full = [batch, ...freeSizes, heads, ...querySizes, ...keySizes];
  const behind = querySizes.length * 2;
  const own = mask.shape;
  const ones = new Array<number>(Math.max(0, full.length - own.length)).fill(1);
  const shape = [...own.slice(0, own.length - behind), ...ones, ...own.slice(own.length - behind)];
  if (own.length <= behind || shape.length !== full.length || !shape.every((d, i) => d === 1 || d === full[i]))
    fail('SHAPE', `${path}: attentionMask`, formatShape([batch, ...querySizes, ...keySizes]), formatShape(own));
  return reshape(mask, shape);
}

/** A penalty of one output for a sample on average. */
const perSample = (penalty: Regularizer, y: Tensor) => mul(penalty.penalty(y), 1 / Math.max(1, y.shape[0]));

const shapedAs = (x: Tensor, shape: Shape) => (sameShape(x.shape, shape) ? x : reshape(x, shape));

/**
 * From the projections, [B, ...axes, H, D], to the layer's result.
 *
 * @param zeroWithout whether a query that may look nowhere gives zero; else it gives the mean of all values, as Keras's other route
 */
export function attendWithHeads(
  config: Common,
  call: LayerCall,
  axes: readonly number[],
  projected: { readonly query: Tensor; readonly key: Tensor; readonly value: Tensor },
  repeated: (x: Tensor) => Tensor = (x) => x,
): LayerResult {
  const { query } = projected;
  const [key, value] = [repeated(projected.key), repeated(projected.value)];
  const { dropout, seed } = config;
  const plan = planOf(axes, query, key);
  const { batch, free, freeSizes, heads, querySizes, keySizes } = plan;
  const groups = batch * sizeOf(freeSizes);
  const [queries, keys] = [sizeOf(querySizes), sizeOf(keySizes)];
  // [B, ...axes, H, D] to [groups, H, positions, D].
  const order = [0, ...free, query.rank - 2, ...axes, query.rank - 1];
  const gathered = (x: Tensor, count: number) =>
    shapedAs(transpose(x, order), [groups, heads, count, x.shape[x.rank - 1]]);
  const scale = 1 / Math.sqrt(query.shape[query.rank - 1]);
  const scores = batchMatmulNT(gathered(mul(query, scale), queries), gathered(key, keys));
  const allowed = looks(config, plan, call);
  let mask = allowed;
  if (allowed && (free.length || axes.length > 1)) {
    const whole = [batch, ...freeSizes, allowed.shape[free.length + 1], ...querySizes, ...keySizes];
    mask = reshape(broadcastTo(allowed, whole), [groups, allowed.shape[free.length + 1], queries, keys]);
  }
  let weights = maskedWeights(scores, mask);
  // A query that may look nowhere gives the mean of all values; with dropout, with the scores returned or along other axes Keras takes another
  // route, and there it gives zero.
  if (mask && (dropout > 0 || config.returnAttentionScores || query.rank > 4)) weights = select(mask, weights, 0);
  const kept =
    call.training && dropout > 0 ? mul(weights, dropoutMask(call.random, weights.shape, dropout, seed)) : weights;
  const found = batchMatmul(kept, gathered(value, keys));
  const width = value.shape[value.rank - 1];
  const back = order.map((_, i) => order.indexOf(i));
  const placed = transpose(shapedAs(found, [batch, ...freeSizes, heads, ...querySizes, width]), back);
  const gate = config.useGate ? sigmoid(project(call, 'gate', call.inputs[0])) : null;
  const y = project(call, 'attentionOutput', gate ? mul(placed, gate) : placed, 2);
  const { activityRegularizer: penalty } = config;
  const paying = [query, projected.key, projected.value, ...(gate ? [gate] : []), y];
  const losses = penalty ? paying.map((part) => perSample(penalty, part)) : [];
  const mask0 = call.masks[0];
  if (!config.returnAttentionScores) return { outputs: [y], masks: [mask0], losses };
  const returned = shapedAs(weights, [batch, ...freeSizes, heads, ...querySizes, ...keySizes]);
  return { outputs: [y, returned], masks: [mask0, null], losses };
}

/** The shape of the scores that are returned. */
export function scoreShape(
  axes: readonly number[],
  heads: number,
  { query, value }: Inputs<OpenShape>,
): (number | null)[] {
  const free = query.slice(1, -1).filter((_, i) => !axes.includes(i + 1));
  return [query[0], ...free, heads, ...axes.map((i) => query[i]), ...axes.map((i) => value[i])];
}
