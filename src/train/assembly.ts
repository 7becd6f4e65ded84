/** From what users hand in to what steps are fed with: columns for the model's inputs, targets and weights, and the trainer that fits them. */
import type { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { RandomKey } from '../core/random.ts';
import type { Shape } from '../core/shape.ts';
import { type Compilation, type OutputShape, objectiveOf } from './compilation.ts';
import {
  arrayOf,
  type Column,
  inputArrays,
  inputColumns,
  listOf,
  type Samples,
  targetColumn,
  weightColumn,
} from './data.ts';
import type { WeightOptions } from './model-options.ts';
import type { Network } from './network.ts';
import type { Session } from './session.ts';
import { type Counters, Trainer } from './trainer.ts';

/** What the model lends to those that bring its data into form. */
export interface Owner {
  readonly session: Session;
  readonly counters: Counters;
  readonly seed: number;
  /** null: not built. */
  network(): Network | null;
  /** Builds from the shape of the first input where there is no network yet. */
  buildFor(shape: Shape): Network;
  compiled(where: string): Compilation;
}

/** Trainers that are kept: one for each shape of targets, such as the lengths of a bucketed data set. */
const keptTrainers = 256;

export class Assembly {
  private readonly owner: Owner;
  private readonly trainers = new Map<string, Trainer>();
  private last: Trainer | null = null;

  constructor(owner: Owner) {
    this.owner = owner;
  }

  /** After `compile`. */
  forget(): void {
    this.trainers.clear();
    this.last = null;
  }

  /** The trainer of the last data; null before the first. */
  get latest(): Trainer | null {
    return this.last;
  }

  /** Checked inputs alone. */
  inputs(x: unknown, mask: unknown, where: string): { set: Samples; network: Network } {
    const arrays = inputArrays(x, this.owner.network(), where);
    const network = this.owner.buildFor(arrays[0].shape);
    return { set: inputColumns(network, arrays, mask, where), network };
  }

  /** Checked data with targets and weights, and the trainer for it. */
  objective(
    x: unknown,
    y: unknown,
    { sampleWeight, classWeight, mask }: WeightOptions,
    where: string,
  ): { set: Samples; trainer: Trainer } {
    const compilation = this.owner.compiled(where);
    const { set: inputs, network } = this.inputs(x, mask, where);
    const count = network.outputs.length;
    const named = (what: string, i: number) => (count === 1 ? `${where}: ${what}` : `${where}: ${what}[${i}]`);
    const shapes = outputShapes(network);
    const names = shapes.map(({ name }) => name);
    const targets = listOf(y, names, `${where}: y`, 'output', true).map((value, i) => {
      if (count > 1 && (value === null || value === undefined)) return null;
      const target = arrayOf(value, named('y', i));
      if (target.rank === 0) fail('SHAPE', named('y', i), 'targets along the first axis', 'a single number');
      return target;
    });
    const trainer = this.trainerFor(compilation, network, targets, where);
    this.last = trainer;
    const { outputs } = trainer.objective;
    if (classWeight && outputs.length > 1)
      fail(
        'UNSUPPORTED',
        `${where}: classWeight`,
        'a model of one output',
        `${outputs.length} outputs`,
        'Use sampleWeight.',
      );
    const weightsGiven = isPerOutput(sampleWeight, count)
      ? listOf(sampleWeight, names, `${where}: sampleWeight`, 'output', true)
      : names.map(() => sampleWeight);
    const columns = targets.map((): Column | null => null);
    const weights = targets.map((): Column | null => null);
    for (const objective of outputs) {
      const i = objective.output;
      const { shape } = shapes[i];
      const axis = objective.loss.classAxis ?? -1;
      const classes = shape[axis < 0 ? shape.length + axis : axis] ?? 1;
      const column = targetColumn(targets[i] as NdArray, objective, classes, inputs.count, named('y', i));
      columns[i] = column;
      weights[i] = weightColumn(weightsGiven[i], classWeight, objective, column, inputs.count, where);
    }
    return { set: { ...inputs, targets: columns, weights }, trainer };
  }

  /** Checked data for a look inside: with targets and their trainer, where there are targets. */
  inspected(
    x: unknown,
    options: WeightOptions & { readonly y?: unknown },
  ): { set: Samples; network: Network; trainer: Trainer | null } {
    const { set: inputs, network } = this.inputs(x, options.mask, 'inspect');
    if (options.y === undefined) {
      if (options.sampleWeight !== undefined || options.classWeight !== undefined)
        fail('ARGUMENT', 'inspect', '`y` beside weights of samples', 'no `y`');
      return { set: inputs, network, trainer: null };
    }
    return { network, ...this.objective(x, options.y, options, 'inspect') };
  }

  private trainerFor(
    compilation: Compilation,
    network: Network,
    targets: readonly (NdArray | null)[],
    where: string,
  ): Trainer {
    const shapes = targets.map((target) => target?.shape.slice(1) ?? null);
    const key = shapes.map((shape) => shape?.join('x') ?? '-').join(';');
    const known = this.trainers.get(key);
    if (known) return known;
    const { session, counters, seed } = this.owner;
    const objective = objectiveOf(compilation, shapes, outputShapes(network), `${where}: y`);
    const random = RandomKey.from(seed).split('training');
    const trainer = new Trainer(session, network, compilation.optimizer, objective, counters, random);
    for (const oldest of this.trainers.keys()) {
      if (this.trainers.size < keptTrainers) break;
      this.trainers.delete(oldest);
    }
    this.trainers.set(key, trainer);
    return trainer;
  }
}

/** The outputs with their names: those of the layers that they come from. */
export function outputShapes(network: Network): OutputShape[] {
  const names = network.outputs.map((r) => network.layers[network.calls[r.call].layer].name);
  return network.outputs.map((r, i) => {
    const before = names.slice(0, i).filter((name) => name === names[i]).length;
    return { name: before ? `${names[i]}_${before}` : names[i], shape: network.calls[r.call].shapes[r.output] };
  });
}

/** Whether weights are given for each output: a list with an array or null for every one, or an object by their names. */
function isPerOutput(value: unknown, count: number): boolean {
  if (Array.isArray(value))
    return count > 1 && value.length === count && value.every((own) => own === null || typeof own === 'object');
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
