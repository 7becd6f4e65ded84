/**
 * The steps of a model, as traces: predict, evaluate, train, and the derivatives that other programs ask for. Every trace is made for the
 * shapes of one batch; the session keeps the compiled ones by key.
 */
import { UnrolledError } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import type { StepBuilder, TracedStep } from '../engine/compile.ts';
import { gradients } from '../engine/gradients.ts';
import { reduceLoss } from '../layers/losses.ts';
import { reduceMetric } from '../layers/metrics.ts';
import { add, isFinite, mul, oneMinus, select } from '../ops/pointwise.ts';
import { sum } from '../ops/reduce.ts';
import { reshape } from '../ops/shape.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import type { Objective } from './compilation.ts';
import { keyedRandom, type Network, traceNetwork } from './network.ts';
import { clipGradients, type Optimizer } from './optimizers/optimizer.ts';
import { stateLeaf } from './states.ts';

/** What a batch brings: shapes with the batch in front. */
export interface BatchShapes {
  readonly inputs: readonly Shape[];
  /** Which inputs come with a mask, of the first two axes. */
  readonly masks: readonly boolean[];
  /** Axes of the sample weights of every output; 0: none. */
  readonly weightRanks: readonly number[];
  /** The rows come longest first, so that loops leave out their padding. */
  readonly orderedRows?: boolean;
}

/** The state leaf that stops all later steps of a hand-over once a loss or gradient was not finite. */
export const haltedLeaf = 'training/halted';

export const slotLeaf = (path: string, slot: string) => `optimizer/${path}/${slot}`;

/** Names of the inputs of steps. */
export const feedNames = {
  input: (i: number) => `x${i}`,
  mask: (i: number) => `mask${i}`,
  cotangent: (i: number) => `cotangent${i}`,
  target: (i: number) => `target${i}`,
  weight: (i: number) => `weight${i}`,
  key: 'key',
  scalar: (name: string) => `scalar/${name}`,
};

/** The text by which a batch's shapes are told apart. */
export function shapesKey({ inputs, masks, weightRanks, orderedRows }: BatchShapes): string {
  return `${inputs.map((s, i) => s.join('x') + (masks[i] ? 'm' : '')).join(',')} w${weightRanks}${orderedRows ? ' ordered' : ''}`;
}

interface Traced {
  readonly inputs: readonly Tensor[];
  readonly weights: ReadonlyMap<string, Tensor>;
  readonly outputs: readonly Tensor[];
  readonly masks: readonly (Tensor | null)[];
  readonly updates: Readonly<Record<string, Tensor>>;
  /** What stateful layers keep, by the leaf that it goes to. */
  readonly kept: Readonly<Record<string, Tensor>>;
  /** Penalties of layers and of weights in training. */
  readonly losses: readonly Tensor[];
}

/** Penalties of the weights that train. */
function weightLosses({ weights }: Network, tensors: ReadonlyMap<string, Tensor>): Tensor[] {
  return weights.flatMap(({ path, spec, trainable }) => {
    const tensor = tensors.get(path);
    if (!trainable || !spec.regularizer || !tensor) return [];
    tensor.graph.path = path;
    const penalty = spec.regularizer.penalty(tensor);
    tensor.graph.path = '';
    return [penalty];
  });
}

function forward(b: StepBuilder, network: Network, shapes: BatchShapes, training: boolean): Traced {
  const ordered = { orderedRows: shapes.orderedRows ?? false };
  const inputs = network.inputs.map(({ dtype }, i) => {
    // Of a model's input and its mask, the one that tells the padding is ordered.
    return b.input(feedNames.input(i), shapes.inputs[i], dtype, dtype === 'i32' && !shapes.masks[i] ? ordered : {});
  });
  const masks = inputs.map((x, i) =>
    shapes.masks[i] ? b.input(feedNames.mask(i), x.shape.slice(0, 2), 'f32', ordered) : null,
  );
  const key = training ? b.input(feedNames.key, [2], 'i32') : null;
  const weights = new Map<string, Tensor>();
  const weightOf = (path: string) => {
    const weight = weights.get(path) ?? b.state(path);
    weights.set(path, weight);
    return weight;
  };
  const [rows] = shapes.inputs[0];
  const { carried, losses, ...traced } = traceNetwork(network, inputs, masks, weightOf, {
    training,
    random: keyedRandom(key),
    carriedOf: (path) => b.state(stateLeaf(path, rows)),
  });
  return {
    inputs,
    weights,
    ...traced,
    kept: Object.fromEntries(Object.entries(carried).map(([path, value]) => [stateLeaf(path, rows), value])),
    losses: [...losses, ...weightLosses(network, weights)],
  };
}

/** Outputs `y0`, `y1`, ... */
export function tracePredict(network: Network, shapes: BatchShapes) {
  return (b: StepBuilder): TracedStep => {
    const { outputs, kept } = forward(b, network, shapes, false);
    return { outputs: Object.fromEntries(outputs.map((y, i) => [`y${i}`, y])), updates: kept };
  };
}

interface Measured {
  readonly loss: Tensor;
  /** `loss`, and `total/name` and `count/name` of every metric. */
  readonly results: Record<string, Tensor>;
}

function measure(b: StepBuilder, traced: Traced, objective: Objective, shapes: BatchShapes): Measured {
  const { outputs, masks } = traced;
  const batch = shapes.inputs[0][0];
  const results: Record<string, Tensor> = {};
  const report = (name: string, total: Tensor, count: Tensor) => {
    results[`total/${name}`] = total;
    results[`count/${name}`] = count;
  };
  const losses = objective.outputs.map(({ output, loss, lossName, lossWeight, metrics, target }) => {
    const prediction = outputs[output];
    const mask = masks[output];
    const shape = [batch, ...target];
    const y = b.input(feedNames.target(output), shape, loss.targets === 'indices' ? 'i32' : 'f32');
    const rank = shapes.weightRanks[output] ?? 0;
    const weight = rank ? b.input(feedNames.weight(output), shape.slice(0, rank)) : null;
    const mean = reduceLoss(loss.values(y, prediction), weight, mask);
    if (lossName !== null) report(lossName, mul(mean, batch), constant(b.graph, batch));
    for (const { name, metric } of metrics) {
      const { total, count } = reduceMetric(metric.values(targetFor(metric.targets, y, prediction), prediction), mask);
      report(name, total, count);
    }
    return lossWeight === 1 ? mean : mul(mean, lossWeight);
  });
  const loss = [...losses, ...traced.losses].reduce((sum, own) => add(sum, own));
  return { loss, results: { loss, ...results } };
}

/** A target beside a metric that takes another rank than the loss: a trailing axis of 1 more or less. */
function targetFor(targets: 'indices' | 'values', y: Tensor, prediction: Tensor): Tensor {
  const wanted = targets === 'indices' ? prediction.rank - 1 : prediction.rank;
  if (y.rank === wanted + 1 && y.shape[y.rank - 1] === 1) return reshape(y, y.shape.slice(0, -1));
  if (y.rank === wanted - 1 && prediction.shape[prediction.rank - 1] === 1) return reshape(y, [...y.shape, 1]);
  return y;
}

export function traceEvaluate(network: Network, objective: Objective, shapes: BatchShapes) {
  return (b: StepBuilder): TracedStep => {
    const traced = forward(b, network, shapes, false);
    return { outputs: measure(b, traced, objective, shapes).results, updates: traced.kept };
  };
}

/**
 * One step of training. Where the loss or a gradient is not finite, nothing is written and the flag `good` is 0, for this step and for
 * all that follow in the same hand-over; so the weights are those of the last good step.
 */
export function traceTrain(
  network: Network,
  objective: Objective,
  optimizer: Optimizer,
  scalarNames: readonly string[],
  shapes: BatchShapes,
) {
  return (b: StepBuilder): TracedStep => {
    const traced = forward(b, network, shapes, true);
    const { loss, results } = measure(b, traced, objective, shapes);
    const trained = network.weights.filter(({ trainable }) => trainable);
    const tensors = trained.map(({ path }) => traced.weights.get(path) as Tensor);
    const raw = gradients([loss], [constant(b.graph, 1)], tensors);
    const scalars = Object.fromEntries(scalarNames.map((name) => [name, b.input(feedNames.scalar(name), [])]));
    const known = raw.filter((g) => g !== null);

    // One sum over everything: it is finite where all parts are.
    const everything = known.map((g) => sum(g)).reduce((a, g) => add(a, g), loss);
    const good = mul(isFinite(everything), oneMinus(b.state(haltedLeaf)));
    const updates: Record<string, Tensor> = { [haltedLeaf]: oneMinus(good) };
    const write = (name: string, next: Tensor) => {
      updates[name] = select(good, next, b.state(name));
    };
    const clipped = clipGradients(optimizer, known);
    let k = 0;
    trained.forEach(({ path, spec }, i) => {
      const project = (weight: Tensor) => spec.constraint?.project(weight) ?? weight;
      // A weight that the loss does not depend on stays as it is, as in Keras, but for its constraint.
      if (raw[i] === null) {
        if (spec.constraint) write(path, project(tensors[i]));
        return;
      }
      const slots = Object.fromEntries(optimizer.slots.map((slot) => [slot, b.state(slotLeaf(path, slot))]));
      const next = optimizer.update({ weight: tensors[i], gradient: clipped[k++], slots, scalars });
      write(path, project(next.weight));
      for (const [slot, value] of Object.entries(next.slots)) write(slotLeaf(path, slot), value);
    });
    for (const [path, value] of Object.entries({ ...traced.updates, ...traced.kept })) write(path, value);
    return { outputs: { ...results, good }, updates };
  };
}

/** Gradients of all weights and float inputs, as outputs `weight/path` and `input/i`; what nothing flows to is left out. */
function derivatives(
  network: Network,
  traced: Traced,
  outputs: readonly Tensor[],
  cotangents: readonly (Tensor | null)[],
): Record<string, Tensor> {
  const paths = network.weights.map(({ path }) => path);
  const floats = traced.inputs.flatMap((x, i) => (x.dtype === 'f32' ? [i] : []));
  const wrt = [...paths.map((path) => traced.weights.get(path) as Tensor), ...floats.map((i) => traced.inputs[i])];
  const found = gradients(outputs, cotangents, wrt);
  const results: Record<string, Tensor> = {};
  found.forEach((g, i) => {
    if (g) results[i < paths.length ? `weight/${paths[i]}` : `input/${floats[i - paths.length]}`] = g;
  });
  return results;
}

/** Outputs and, for given cotangents of them, gradients of weights and inputs. */
export function traceVjp(network: Network, given: readonly boolean[], training: boolean, shapes: BatchShapes) {
  return (b: StepBuilder): TracedStep => {
    const traced = forward(b, network, shapes, training);
    const cotangents = traced.outputs.map((y, i) => (given[i] ? b.input(feedNames.cotangent(i), y.shape) : null));
    const results: Record<string, Tensor> = Object.fromEntries(traced.outputs.map((y, i) => [`y${i}`, y]));
    return { outputs: { ...results, ...derivatives(network, traced, traced.outputs, cotangents) } };
  };
}

export function traceLossAndGradients(network: Network, objective: Objective, training: boolean, shapes: BatchShapes) {
  return (b: StepBuilder): TracedStep => {
    const traced = forward(b, network, shapes, training);
    const { loss } = measure(b, traced, objective, shapes);
    return { outputs: { loss, ...derivatives(network, traced, [loss], [constant(b.graph, 1)]) } };
  };
}

/** A result that a step promised. */
export function resultOf<T>(result: Readonly<Record<string, T>>, name: string): T {
  const value = result[name];
  if (value === undefined) throw new UnrolledError('INTERNAL', `a step did not return ${name}`);
  return value;
}
