/**
 * An optimizer is a rule over one weight, its gradient and slots, written with plain operations, so that it becomes one chain over each
 * weight. Numbers that change from step to step (learning rate, bias corrections) are computed outside, in float64, and fed to the step.
 * What all optimizers share (clipping, decay, averages, accumulation) stands in `step.ts`.
 */
import '../schedules/all.ts';
import { fail } from '../../core/errors.ts';
import type { Shape } from '../../core/shape.ts';
import type { Described } from '../../layers/described.ts';
import {
  beyondKeras,
  flag,
  type OptionsIn,
  type OptionsOut,
  type OptionTable,
  option,
  optionalPositive,
  parseOptions,
} from '../../layers/options.ts';
import { mul, sub } from '../../ops/pointwise.ts';
import type { Tensor } from '../../ops/tensor.ts';
import { learningRateOption } from '../schedules/schedule.ts';
import { decaysWeight, type Exclusion, exclusionsOption } from './decay.ts';

export type Tensors = Readonly<Record<string, Tensor>>;

/** A weight as an optimizer sees it. */
export interface OptimizedWeight {
  readonly path: string;
  readonly shape: Shape;
  /** How many gates stand beside each other along the last axis (`WeightSpec`). */
  readonly groups: number;
}

/** A value kept for a weight from step to step. */
export interface Slot {
  readonly shape: Shape;
  readonly groups: number;
  /** What it starts with: a number everywhere, or what the weight is when training starts. */
  readonly initial: number | 'weight';
}

export interface UpdateContext {
  readonly path: string;
  /** As stored, after decay. */
  readonly weight: Tensor;
  /** After clipping. */
  readonly gradient: Tensor;
  readonly slots: Tensors;
  /** What `scalars` and `once` gave for this step. */
  readonly scalars: Tensors;
  /** The weight decay that this rule applies by itself; 0: none. */
  readonly decay: number;
  /** The weight's constraint. It is applied to the new weight anyway; rules need it for slots that are weights too. */
  project(weight: Tensor): Tensor;
}

export interface Update {
  readonly weight: Tensor;
  readonly slots: Tensors;
}

/** Scalars of one step that need values of the step before. */
export interface Once {
  /** Beside those that were fed. */
  readonly scalars: Tensors;
  /** The next `shared` values. */
  readonly shared: Tensors;
}

export interface Optimizer extends Described {
  readonly config: OptionsOut<typeof commonOptions> & Readonly<Record<string, unknown>>;
  /** Values kept for a weight, by name. */
  slots(weight: OptimizedWeight): Readonly<Record<string, Slot>>;
  /** In which order Keras saves them: slots of one list alternate over the weights, lists follow each other. Null: all in one list. */
  readonly kerasOrder: readonly (readonly string[])[] | null;
  /** Shapes of what Keras keeps for a weight without ever reading it. */
  kerasUnread(weight: OptimizedWeight): Readonly<Record<string, Shape>>;
  /** Single numbers kept for all weights together, and what they start with. */
  readonly shared: Readonly<Record<string, number>>;
  /** Numbers of one step. @param iteration steps done before it, those that only gathered gradients among them */
  scalars(iteration: number, learningRate: number): Readonly<Record<string, number>>;
  /** What is computed once for all weights. */
  once(scalars: Tensors, shared: Tensors): Once;
  /** Where the gradient of a weight is taken; null: at the weight itself. */
  readonly point: ((weight: Tensor, slots: Tensors) => Tensor) | null;
  update(context: Omit<UpdateContext, 'decay'>): Update;
}

const accumulationSteps = option<number | null>(
  'a whole number from 2 on, or null',
  (v) => v === null || (typeof v === 'number' && Number.isInteger(v) && v >= 2),
  null,
);

const overwriteFrequency = option<number | null>(
  'a whole number from 1 on, or null',
  (v) => v === null || (typeof v === 'number' && Number.isInteger(v) && v >= 1),
  null,
);

export const weightDecayOption = (fallback: number | null) =>
  option<number | null>(
    'a number from 0 on, or null',
    (v) => v === null || (typeof v === 'number' && Number.isFinite(v) && v >= 0),
    fallback,
  );

/** Options of every optimizer. Defaults are Keras's. */
export const commonOptions = {
  name: option<string | null>('a name', (v) => v === null || typeof v === 'string', null),
  /** A number from 0 on, one of `schedules`, or a function of the iteration, counted from 0. Default 0.001. */
  learningRate: learningRateOption(0.001),
  /** Decoupled decay: every step, weight -= weight * weightDecay * learningRate. Default none. */
  weightDecay: weightDecayOption(null),
  /**
   * Weights that do not decay: whole paths (`lstm/bias`), layers (`lstm`), regular expressions as strings, searched in a weight's own name as
   * in Keras's `exclude_from_weight_decay` (`bias`), or as RegExp, searched in its path. Default none.
   */
  excludeFromWeightDecay: beyondKeras(exclusionsOption()),
  /** Scale each weight's gradient down to this norm. */
  clipnorm: optionalPositive(),
  /** Scale all gradients together down to this norm. */
  globalClipnorm: optionalPositive(),
  /** Cut gradients at plus and minus this value. */
  clipvalue: optionalPositive(),
  /**
   * Keep a moving average of every weight: average = emaMomentum * average + (1 - emaMomentum) * weight, the first one being the weight
   * itself. `fit` replaces the weights by it when it ends; `model.averagedWeights()` reads it before. Default false.
   */
  useEma: flag(false),
  /** Default 0.99. */
  emaMomentum: option<number>('a number from 0 to 1', (v) => typeof v === 'number' && v >= 0 && v <= 1, 0.99),
  /** Replace the weights by their averages every so many steps of the optimizer. Default null: only when fit ends. */
  emaOverwriteFrequency: overwriteFrequency,
  /** Multiplies the loss before the gradients are computed, and divides the gradients after. Default none. */
  lossScaleFactor: optionalPositive(),
  /**
   * Update only every so many batches, with the mean of their gradients. Schedules count batches, bias corrections and
   * `model.iterations` count updates, as in Keras. Default none.
   */
  gradientAccumulationSteps: accumulationSteps,
};

type Common = typeof commonOptions;

/** Slots by name: where they differ from the weight. */
type Slots = { readonly [name: string]: Partial<Slot> };

interface Rule<T extends OptionTable> {
  readonly className: string;
  readonly options: T;
  /** Refuses options that do not go together. */
  check?(config: OptionsOut<T>, where: string): void;
  /** A slot is like its weight and starts with zeros, but for what is said otherwise. */
  slots(config: OptionsOut<T>, weight: OptimizedWeight): Slots;
  /** Default: all slots of a weight beside each other. */
  readonly kerasOrder?: readonly (readonly string[])[];
  kerasUnread?(weight: OptimizedWeight): { readonly [name: string]: Shape };
  readonly shared?: Readonly<Record<string, number>>;
  /** Beside `learningRate`, which every rule gets. @param step updates done before */
  scalars?(config: OptionsOut<T>, step: number, learningRate: number): Readonly<Record<string, number>>;
  once?(config: OptionsOut<T>, scalars: Tensors, shared: Tensors): Once;
  /** Weights with a decay of their own. */
  decay?(config: OptionsOut<T>, weight: Pick<OptimizedWeight, 'path' | 'shape'>, common: number | null): number | null;
  /** The rule applies the decay by itself. */
  readonly ownDecay?: boolean;
  point?(config: OptionsOut<T>, weight: Tensor, slots: Tensors): Tensor;
  update(config: OptionsOut<T>, context: UpdateContext): Update;
}

/** Makes the factory of an optimizer from its rule. */
export function defineOptimizer<const T extends OptionTable>(rule: Rule<T>) {
  const options = { ...commonOptions, ...rule.options };
  return (given?: OptionsIn<Omit<Common, keyof T> & T>): Optimizer => {
    const where = `optimizers.${rule.className}`;
    const config = parseOptions(options, given, where) as unknown as OptionsOut<T> & Optimizer['config'];
    const clipping = (['clipnorm', 'globalClipnorm', 'clipvalue'] as const).filter((key) => config[key] !== null);
    if (clipping.length > 1) fail('ARGUMENT', where, 'one way of clipping', clipping.join(' and '));
    rule.check?.(config, where);
    const { gradientAccumulationSteps: gathered, useEma, emaMomentum, emaOverwriteFrequency } = config;
    const { point } = rule;
    return {
      className: rule.className,
      options,
      config,
      kerasOrder: rule.kerasOrder ?? null,
      kerasUnread: (weight) => rule.kerasUnread?.(weight) ?? {},
      shared: rule.shared ?? {},
      slots(weight) {
        const { shape, groups } = weight;
        const like = { shape, groups, initial: 0 };
        return {
          ...(useEma && { average: like }),
          ...(gathered && { gradientAccumulator: like }),
          ...Object.fromEntries(
            Object.entries(rule.slots(config, weight)).map(([name, own]) => [name, { ...like, ...own }]),
          ),
        };
      },
      scalars(iteration, learningRate) {
        const step = gathered ? Math.floor(iteration / gathered) : iteration;
        return {
          learningRate,
          ...rule.scalars?.(config, step, learningRate),
          ...(gathered && { update: (iteration + 1) % gathered === 0 ? 1 : 0 }),
          ...(useEma && { averageMomentum: step === 0 ? 0 : emaMomentum }),
          ...(useEma && emaOverwriteFrequency && { overwrite: (step + 1) % emaOverwriteFrequency === 0 ? 1 : 0 }),
        };
      },
      once: (scalars, shared) => rule.once?.(config, scalars, shared) ?? { scalars: {}, shared: {} },
      point: point ? (weight, slots) => point(config, weight, slots) : null,
      update(context) {
        const { path, weight, scalars } = context;
        const excluded = config.excludeFromWeightDecay as readonly Exclusion[];
        const common = config.weightDecay;
        const decay = decaysWeight(excluded, path)
          ? rule.decay
            ? rule.decay(config, { path, shape: weight.shape }, common)
            : common
          : null;
        if (!decay || rule.ownDecay) return rule.update(config, { ...context, decay: decay ?? 0 });
        const decayed = sub(weight, mul(weight, mul(scalars.learningRate, decay)));
        return rule.update(config, { ...context, weight: decayed, decay: 0 });
      },
    };
  };
}
