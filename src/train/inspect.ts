/**
 * Looking inside a model: what its layers make of a batch, step by step, and, with targets, what the loss asks of every one of these values.
 */
import type { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { feedOf, shapesOf } from './batches.ts';
import type { ModelData, NamedData, OutputData, Samples } from './data.ts';
import { gradientAt, type Looked, runLook, valuesAt } from './inspect-run.ts';
import type { Found, FoundPart } from './inspect-trace.ts';
import { refuseUnknown, type WeightOptions } from './model-options.ts';
import type { Network } from './network.ts';
import type { Session } from './session.ts';
import { prepareStates } from './states.ts';
import { feedNames, shapesKey } from './steps.ts';
import type { Trainer } from './trainer.ts';

export interface InspectOptions extends WeightOptions {
  /** Targets: with them there is a loss, and gradients. The model must be compiled. */
  readonly y?: OutputData;
  /** Names of layers, with what is within them: `lstm`, `encoder`, `bidirectional/forward`. Default: all. */
  readonly layers?: readonly string[];
  /** Whether dropout draws. Default false. */
  readonly training?: boolean;
}

/** Norms of gradients at every step, over rows and units together: sqrt(sum of squares). */
export type StepNorms = Readonly<Record<string, Float64Array>>;

/** What was found in a layer, or in a part of it that walks over time. B rows, T steps. */
export interface InspectedLayer {
  /** `lstm`, `encoder/lstm`, `bidirectional/forward`; the second call of a shared layer is `lstm#2`. */
  readonly path: string;
  readonly className: string;
  /** Which steps count, (B, T); null: all. */
  readonly mask: NdArray | null;
  /** Whether the walk begins at the last step. Step t stands at index t all the same. */
  readonly goBackwards: boolean;
  /** What the layer returns; none for a part of a layer. Indices are left out. */
  readonly outputs: readonly NdArray[];
  /** (B, T, ...) by name, `h` and `c`: the state after every step. A masked step has the carried one. Empty for layers that do not walk. */
  readonly states: Readonly<Record<string, NdArray>>;
  /** (B, T, ...) by name, such as `input`, `forget`, `candidate`, `output`. A masked step has values that nobody uses. */
  readonly gates: Readonly<Record<string, NdArray>>;
  /** Between which values a gate or a state lies, by name, where its last operation squeezes it: [0, 1] for a sigmoid. */
  readonly ranges: Readonly<Record<string, readonly [low: number, high: number] | null>>;
  /** Weights of attention, (B, T, S) or (B, heads, T, S): how much step t takes of step s. */
  readonly attention: readonly NdArray[];
  /** Of the loss for the outputs, in the shapes of `outputs`; null where nothing flows, or without `y`. */
  readonly outputGradients: readonly (NdArray | null)[];
  /** Of the loss for the state that a step hands to the next one (and returns), by name, (B, T, ...). Zero at masked steps. Empty without `y`. */
  readonly stateGradients: Readonly<Record<string, NdArray>>;
  /** The norms of `stateGradients` at every step; for other layers with an output over time those of `output`. Empty without `y`. */
  readonly gradientNorms: StepNorms;
}

export interface InspectedWeight {
  readonly path: string;
  readonly trainable: boolean;
  /** Of its gradient; 0 where nothing flows. */
  readonly gradientNorm: number;
}

/** What `inspect` found. */
export class Inspection {
  /** In the order in which they are computed. */
  readonly layers: readonly InspectedLayer[];
  /** null without `y`. */
  readonly loss: number | null;
  /** Before the reduction, (B) or (B, T), for every output that has a loss. Empty without `y`. */
  readonly losses: readonly NdArray[];
  /** Of the whole model. Empty without `y`. */
  readonly weights: readonly InspectedWeight[];

  constructor(parts: Pick<Inspection, 'layers' | 'loss' | 'losses' | 'weights'>) {
    this.layers = parts.layers;
    this.loss = parts.loss;
    this.losses = parts.losses;
    this.weights = parts.weights;
  }

  /** A layer by its path. Throws ARGUMENT, with the paths that there are. */
  layer(path: string): InspectedLayer {
    return (
      this.layers.find((layer) => layer.path === path) ??
      fail('ARGUMENT', 'inspection.layer', `one of ${this.layers.map((layer) => layer.path).join(', ')}`, `'${path}'`)
    );
  }

  /** The layers that walk over time. */
  get recurrent(): readonly InspectedLayer[] {
    return this.layers.filter(({ states }) => Object.keys(states).length > 0);
  }

  /** The norm of all weights' gradients together. NaN without `y`. */
  get gradientNorm(): number {
    if (this.loss === null) return Number.NaN;
    return Math.sqrt(this.weights.reduce((sum, { gradientNorm }) => sum + gradientNorm ** 2, 0));
  }
}

const norm = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return Math.sqrt(sum);
};

/** The norm at every step of a gradient (B, T, ...). */
function stepNorms({ data, shape: [batch, length, ...rest] }: NdArray): Float64Array {
  const size = rest.reduce((a, b) => a * b, 1);
  const sums = new Float64Array(length);
  for (let b = 0; b < batch; b++)
    for (let t = 0; t < length; t++) for (let k = 0; k < size; k++) sums[t] += data[(b * length + t) * size + k] ** 2;
  return sums.map(Math.sqrt);
}

const byName = <V>(found: readonly Found[], value: (one: Found) => V): Record<string, V> =>
  Object.fromEntries(found.map((one) => [one.name, value(one)]));

/** A layer from its parts: the walk of its cell, and its call. */
function layerOf(looked: Looked, parts: readonly FoundPart[]): InspectedLayer {
  const { result } = looked;
  const call = parts.find(({ kind }) => kind === 'call');
  const walk = parts.find(({ kind }) => kind === 'walk');
  const [first] = parts;
  const masked = walk ?? first;
  const all = walk ?? { states: [], gates: [] };
  const outputs = call?.outputs ?? [];
  const outputGradients = outputs.map((one) => gradientAt(looked, one));
  const stateGradients: Record<string, NdArray> = {};
  for (const one of all.states) {
    const gradient = gradientAt(looked, one);
    if (gradient) stateGradients[one.name] = gradient;
  }
  const norms: Record<string, Float64Array> = {};
  for (const [name, gradient] of Object.entries(stateGradients)) norms[name] = stepNorms(gradient);
  const [outputGradient] = outputGradients;
  if (!walk && outputGradient && outputGradient.rank >= 3) norms.output = stepNorms(outputGradient);
  return {
    path: first.path,
    className: call?.className ?? first.className,
    mask: masked.mask && valuesAt(looked, masked.mask),
    goBackwards: masked.goBackwards,
    outputs: outputs.map((one) => valuesAt(looked, one)),
    states: byName(all.states, (one) => valuesAt(looked, one)),
    gates: byName(all.gates, (one) => valuesAt(looked, one)),
    ranges: byName([...all.states, ...all.gates], ({ range }) => range ?? null),
    attention: (call?.attention ?? []).map((one) => valuesAt(looked, one)),
    outputGradients: result.loss ? outputGradients : outputs.map(() => null),
    stateGradients,
    gradientNorms: norms,
  };
}

/** What a step that was looked at holds, as users get it. */
export function inspectionOf(looked: Looked): Inspection {
  const { look, result } = looked;
  const paths = [...new Set(look.parts.map(({ path }) => path))];
  return new Inspection({
    layers: paths.map((path) =>
      layerOf(
        looked,
        look.parts.filter((part) => part.path === path),
      ),
    ),
    loss: look.hasLoss ? result.loss[0] : null,
    losses: look.losses.map((one) => valuesAt(looked, one)),
    weights: look.weights.map(({ name, gradient, trainable }) => ({
      path: name,
      trainable,
      gradientNorm: gradient ? norm(result[gradient]) : 0,
    })),
  });
}

/** Whether a part is among those asked for: itself, or within one of them. */
const within = (names: readonly string[]) => (path: string) =>
  names.some((name) => path === name || path.startsWith(`${name}/`) || path.startsWith(`${name}#`));

/** What `inspect` works on. */
export interface InspectRun {
  readonly session: Session;
  readonly network: Network;
  readonly set: Samples;
  /** null: without `y`. */
  readonly trainer: Trainer | null;
  /** From which dropout draws in training; null: it does not. */
  readonly key: Int32Array | null;
}

/** Looks at all samples as one batch; changes nothing. */
export async function runInspect(run: InspectRun, layers: readonly string[] | undefined): Promise<Inspection> {
  const { session, network, set, trainer, key } = run;
  const range = { from: 0, to: set.count };
  const shapes = shapesOf(set, range);
  const options = {
    network,
    shapes,
    training: key !== null,
    objective: trainer?.objective ?? null,
    optimizer: null,
    ...(layers && { wants: within(layers) }),
  };
  prepareStates(session, network, set.count, false);
  const feed = feedOf(set, null, range);
  const id = `${shapesKey(shapes)} ${trainer?.objectiveKey ?? ''} ${key !== null} ${layers?.join(' ') ?? '*'}`;
  const looked = await runLook(session, id, options, key ? { ...feed, [feedNames.key]: key } : feed);
  if (layers && !looked.look.parts.length)
    fail(
      'ARGUMENT',
      'inspect: layers',
      `names among ${network.layers.map(({ name }) => name).join(', ')}`,
      layers.join(', '),
    );
  return inspectionOf(looked);
}

const known = ['y', 'sampleWeight', 'classWeight', 'mask', 'layers', 'training'];

/** Checks the options of `inspect`. */
export function inspectOptions(options: InspectOptions): InspectOptions {
  refuseUnknown(options, known, 'inspect');
  const { layers } = options;
  if (layers !== undefined && !(Array.isArray(layers) && layers.every((name) => typeof name === 'string')))
    fail('ARGUMENT', 'inspect: layers', 'a list of names', String(layers));
  return options;
}

/** A model that can be looked into. */
export interface Inspectable {
  inspect(x: ModelData | NamedData, options?: InspectOptions): Promise<Inspection>;
}

/**
 * Looks inside a model at work: hidden states and gates of every layer over time at every step, outputs of the others, weights of attention;
 * with `y` also the gradients of the loss for all of them. All samples are one batch. Nothing changes: no weight, no state of a stateful layer.
 *
 * @example
 * const { layers } = await inspect(model, x, { y });
 * console.log(layers.map(({ path, gradientNorms }) => [path, gradientNorms.h?.[0]]));
 */
export function inspect(
  model: Inspectable,
  x: ModelData | NamedData,
  options: InspectOptions = {},
): Promise<Inspection> {
  if (typeof model?.inspect !== 'function') fail('ARGUMENT', 'inspect', 'a model', String(model));
  return model.inspect(x, options);
}
