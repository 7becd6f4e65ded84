/**
 * The steps of a model, as traces: predict, evaluate, train, and the derivatives that other programs ask for. Every trace is made for the
 * shapes of one batch; the session keeps the compiled ones by key.
 */
import { UnrolledError } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import type { StepBuilder, TracedStep } from '../engine/compile.ts';
import { gradients, type TimeMemory } from '../engine/gradients.ts';
import { totalLoss } from '../layers/losses/loss.ts';
import { metricTarget } from '../layers/metrics/target.ts';
import { add, isFinite, mul, oneMinus, select } from '../ops/pointwise.ts';
import { sum } from '../ops/reduce.ts';
import { broadcastTo } from '../ops/shape.ts';
import { constant, type Tensor } from '../ops/tensor.ts';
import type { Objective } from './compilation.ts';
import type { InTimePlan } from './in-time.ts';
import { keyedRandom, type Network, traceNetwork } from './network.ts';
import type { Optimizer } from './optimizers/optimizer.ts';
import { optimizedWeight } from './optimizers/slots.ts';
import { slotsOf, traceOptimizer } from './optimizers/step.ts';
import type { OrderedRows } from './ordering.ts';
import { stateLeaf } from './states.ts';
import { freshSteps, type WindowShape, windowMemory, windowObjective } from './windows.ts';

/** What a batch brings: shapes with the batch in front. */
export interface BatchShapes {
  readonly inputs: readonly Shape[];
  /** Which inputs come with a mask, of the first two axes. */
  readonly masks: readonly boolean[];
  /** Axes of the sample weights of every output; 0: none. */
  readonly weightRanks: readonly number[];
  /** Which inputs and masks come with their rows so ordered that loops leave out their padding. Missing: none. */
  readonly orderedRows?: OrderedRows | null;
  /** What the loops over time keep for their derivative. Default `full`. */
  readonly memory?: TimeMemory;
  /** The sequences are a window of longer ones. */
  readonly window?: WindowShape;
}

/** The state leaf that stops all later steps of a hand-over once a loss or gradient was not finite. */
export const haltedLeaf = 'training/halted';

/** Names of the inputs of steps. */
export const feedNames = {
  input: (i: number) => `x${i}`,
  mask: (i: number) => `mask${i}`,
  cotangent: (i: number) => `cotangent${i}`,
  target: (i: number) => `target${i}`,
  weight: (i: number) => `weight${i}`,
  key: 'key',
  scalar: (name: string) => `scalar/${name}`,
  /** 1 where the sequences begin with this window, else 0. */
  begins: 'window/begins',
};

/** The text by which a batch's shapes are told apart. */
export function shapesKey({ inputs, masks, weightRanks, orderedRows, memory = 'full', window }: BatchShapes): string {
  const part = window ? ` window ${window.fresh}/${window.kept}` : '';
  const kept = memory === 'full' ? '' : ` memory ${memory}`;
  const rows = orderedRows ? ` ordered ${orderedRows.key}` : '';
  return `${inputs.map((s, i) => s.join('x') + (masks[i] ? 'm' : '')).join(',')} w${weightRanks}${rows}${kept}${part}`;
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
  /** What the layer of every output hands to a loss of its own, by name. */
  readonly beside: readonly Readonly<Record<string, Tensor>>[];
  readonly training: boolean;
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

/**
 * @param point the value of a weight, where it is not the stored one
 * @param windows how the network is cut into windows, where it is
 */
export function forward(
  b: StepBuilder,
  network: Network,
  shapes: BatchShapes,
  training: boolean,
  point: (path: string) => Tensor | null = () => null,
  windows: InTimePlan | null = null,
): Traced {
  const ordered = (which: 'inputs' | 'masks', i: number) => shapes.orderedRows?.[which][i] ?? false;
  const inputs = network.inputs.map(({ dtype, padding }, i) =>
    b.input(feedNames.input(i), shapes.inputs[i], dtype, {
      orderedRows: ordered('inputs', i),
      ...(padding !== null && { padding }),
    }),
  );
  const masks = inputs.map((x, i) =>
    shapes.masks[i]
      ? b.input(feedNames.mask(i), x.shape.slice(0, 2), 'f32', { orderedRows: ordered('masks', i) })
      : null,
  );
  const key = training ? b.input(feedNames.key, [2], 'i32') : null;
  const weights = new Map<string, Tensor>();
  const weightOf = (path: string) => {
    const weight = weights.get(path) ?? point(path) ?? b.state(path);
    weights.set(path, weight);
    return weight;
  };
  const [rows] = shapes.inputs[0];
  const { window } = shapes;
  const windowed =
    window && windows ? windowMemory(b, b.input(feedNames.begins, []), network, windows, rows, window) : null;
  // The layers alone: the loss and the optimizer stay in float32.
  b.graph.precision = b.precision;
  const { carried, losses, ...traced } = traceNetwork(network, inputs, masks, weightOf, {
    training,
    random: keyedRandom(key),
    carriedOf: (path) => b.state(stateLeaf(path, rows)),
    ...(windowed && { memoryOf: windowed.memoryOf }),
  });
  b.graph.precision = 'float32';
  return {
    inputs,
    weights,
    training,
    ...traced,
    ...(window && {
      outputs: traced.outputs.map((y, i) => (windows?.outputs[i] === 'steps' ? freshSteps(y, window) : y)),
      masks: traced.masks.map((mask, i) => mask && (windows?.outputs[i] === 'steps' ? freshSteps(mask, window) : mask)),
    }),
    kept: {
      ...Object.fromEntries(Object.entries(carried).map(([path, value]) => [stateLeaf(path, rows), value])),
      ...windowed?.kept(),
    },
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

/** The name of a total of a metric among the results of a step. */
export const totalKey = (metric: string, total: string) => `total/${metric}/${total}`;

interface Measured {
  readonly loss: Tensor;
  /** `loss`, and the totals of every metric by `totalKey`. */
  readonly results: Record<string, Tensor>;
}

/** @param look told the values of a loss before they are reduced */
export function measure(
  b: StepBuilder,
  traced: Traced,
  objective: Objective,
  shapes: BatchShapes,
  look?: (output: number, values: Tensor) => void,
): Measured {
  const { outputs, masks } = traced;
  const batch = shapes.inputs[0][0];
  // The losses of outputs are averaged like the whole one: over samples, and over the steps of windows.
  const counted = batch * (shapes.window?.fresh ?? 1);
  const results: Record<string, Tensor> = {};
  const report = (name: string, totals: Record<string, Tensor>) => {
    for (const [key, total] of Object.entries(totals)) results[totalKey(name, key)] = total;
  };
  const losses = objective.outputs.map(({ output, loss, lossName, lossWeight, metrics, target, entries }) => {
    const prediction = outputs[output];
    const mask = masks[output];
    const shape = [batch, ...target];
    const y = b.input(feedNames.target(output), shape, loss.targets === 'indices' ? 'i32' : 'f32');
    const rank = shapes.weightRanks[output] ?? 0;
    const weight = rank ? b.input(feedNames.weight(output), [batch, ...entries].slice(0, rank)) : null;
    const call = { mask, beside: traced.beside[output], training: traced.training };
    look?.(output, loss.values(y, prediction, call));
    const mean = totalLoss(loss, y, prediction, weight, call);
    if (lossName !== null) report(lossName, { total: mul(mean, counted), count: constant(b.graph, counted) });
    // Windows may differ in length: metrics count their steps, not their samples.
    const steps = shapes.window && broadcastTo(constant(b.graph, 1), [batch, shapes.window.fresh]);
    for (const { name, metric, weighted } of metrics) {
      const given = { weight: weighted ? weight : null, mask: mask ?? steps ?? null };
      report(name, metric.accumulate(metricTarget(metric, y, prediction, name), prediction, given));
    }
    return lossWeight === 1 ? mean : mul(mean, lossWeight);
  });
  const loss = [...losses, ...traced.losses].reduce((sum, own) => add(sum, own));
  return { loss, results: { loss, ...results } };
}

export function traceEvaluate(network: Network, objective: Objective, shapes: BatchShapes) {
  return (b: StepBuilder): TracedStep => {
    const traced = forward(b, network, shapes, false);
    return { outputs: measure(b, traced, objective, shapes).results, updates: traced.kept };
  };
}

/** Where the gradient of a weight is taken, for optimizers that take it beside the weight. */
export function trainingPoint(b: StepBuilder, optimizer: Optimizer, weight: Network['weights'][number]): Tensor | null {
  return optimizer.point?.(b.state(weight.path), slotsOf(b, optimizer, optimizedWeight(weight))) ?? null;
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
  windows: InTimePlan | null = null,
) {
  const { window } = shapes;
  return (b: StepBuilder): TracedStep => {
    const trained = network.weights.filter(({ trainable }) => trainable);
    const point = (path: string) => {
      const weight = optimizer.point && trained.find((one) => one.path === path);
      return weight ? trainingPoint(b, optimizer, weight) : null;
    };
    const traced = forward(b, network, shapes, true, point, windows);
    const measured = window ? windowObjective(objective, window) : objective;
    const { loss, results } = measure(b, traced, measured, shapes);
    const tensors = trained.map(({ path }) => traced.weights.get(path) as Tensor);
    const scale = constant(b.graph, optimizer.config.lossScaleFactor ?? 1);
    const raw = gradients([loss], [scale], tensors, { memory: shapes.memory });
    const scalars = Object.fromEntries(scalarNames.map((name) => [name, b.input(feedNames.scalar(name), [])]));
    const known = raw.filter((g) => g !== null);

    // One sum over everything: it is finite where all parts are.
    const everything = known.map((g) => sum(g)).reduce((a, g) => add(a, g), loss);
    const good = mul(isFinite(everything), oneMinus(b.state(haltedLeaf)));
    const updates: Record<string, Tensor> = { [haltedLeaf]: oneMinus(good) };
    const write = (name: string, next: Tensor) => {
      updates[name] = select(good, next, b.state(name));
    };
    const weights = trained.map((weight, i) => {
      const { constraint } = weight.spec;
      const project = constraint ? (value: Tensor) => constraint.project(value) : null;
      return { ...optimizedWeight(weight), gradient: raw[i], project };
    });
    traceOptimizer(b, optimizer, weights, scalars, write);
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
  memory: TimeMemory | undefined,
): Record<string, Tensor> {
  const paths = network.weights.map(({ path }) => path);
  const floats = traced.inputs.flatMap((x, i) => (x.dtype === 'f32' ? [i] : []));
  const wrt = [...paths.map((path) => traced.weights.get(path) as Tensor), ...floats.map((i) => traced.inputs[i])];
  const found = gradients(outputs, cotangents, wrt, { memory });
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
    return { outputs: { ...results, ...derivatives(network, traced, traced.outputs, cotangents, shapes.memory) } };
  };
}

export function traceLossAndGradients(network: Network, objective: Objective, training: boolean, shapes: BatchShapes) {
  return (b: StepBuilder): TracedStep => {
    const traced = forward(b, network, shapes, training);
    const { loss } = measure(b, traced, objective, shapes);
    return { outputs: { loss, ...derivatives(network, traced, [loss], [constant(b.graph, 1)], shapes.memory) } };
  };
}

/** A result that a step promised. */
export function resultOf<T>(result: Readonly<Record<string, T>>, name: string): T {
  const value = result[name];
  if (value === undefined) throw new UnrolledError('INTERNAL', `a step did not return ${name}`);
  return value;
}
