/**
 * An optimizer is a rule over one weight, its gradient and slots, written with plain operations, so that it becomes one chain over each
 * weight. Numbers that change from step to step (learning rate, bias corrections) are computed outside, in float64, and fed to the step.
 */
import { fail } from '../../core/errors.ts';
import type { Described } from '../../layers/described.ts';
import {
  absent,
  type OptionsIn,
  type OptionsOut,
  type OptionTable,
  only,
  option,
  optionalPositive,
  parseOptions,
  positiveNumber,
} from '../../layers/options.ts';
import { add, div, maximum, minimum, mul, sqrt, square, sub } from '../../ops/pointwise.ts';
import { sum } from '../../ops/reduce.ts';
import type { Tensor } from '../../ops/tensor.ts';

type Tensors = Readonly<Record<string, Tensor>>;

export interface UpdateContext {
  readonly weight: Tensor;
  /** After clipping. */
  readonly gradient: Tensor;
  readonly slots: Tensors;
  /** What `scalars` gave for this step. */
  readonly scalars: Tensors;
}

export interface Update {
  readonly weight: Tensor;
  readonly slots: Tensors;
}

export interface Optimizer extends Described {
  readonly config: OptionsOut<typeof commonOptions> & Readonly<Record<string, unknown>>;
  /** Values kept for every weight, of its shape, zero at the start; in the order in which Keras saves them. */
  readonly slots: readonly string[];
  /** Numbers of one step. @param iteration steps done before it */
  scalars(iteration: number, learningRate: number): Readonly<Record<string, number>>;
  update(context: UpdateContext): Update;
}

/** Options of every optimizer. Defaults are Keras's. */
export const commonOptions = {
  name: option<string | null>('a name', (v) => v === null || typeof v === 'string', null),
  learningRate: positiveNumber(0.001),
  /** Decoupled decay: every step, weight -= weight * weightDecay * learningRate. Default none. */
  weightDecay: option<number | null>(
    'a number from 0 on, or null',
    (v) => v === null || (typeof v === 'number' && v >= 0),
    null,
  ),
  /** Scale each weight's gradient down to this norm. */
  clipnorm: optionalPositive(),
  /** Scale all gradients together down to this norm. */
  globalClipnorm: optionalPositive(),
  /** Cut gradients at plus and minus this value. */
  clipvalue: optionalPositive(),
  useEma: only(false, 'Moving averages of weights are not supported by this version.'),
  emaMomentum: option<number>('a number', (v) => typeof v === 'number', 0.99),
  emaOverwriteFrequency: option<number | null>('a number, or null', (v) => v === null || typeof v === 'number', null),
  lossScaleFactor: absent('Scaled losses'),
  gradientAccumulationSteps: absent('Accumulated gradients'),
};

interface Rule<T extends OptionTable> {
  readonly className: string;
  readonly options: T;
  slots(config: OptionsOut<T>): readonly string[];
  /** Beside `learningRate`, which every rule gets. */
  scalars?(config: OptionsOut<T>, iteration: number, learningRate: number): Readonly<Record<string, number>>;
  update(config: OptionsOut<T>, context: UpdateContext): Update;
}

type Common = typeof commonOptions;

/** Makes the factory of an optimizer from its rule. */
export function defineOptimizer<const T extends OptionTable>(rule: Rule<T>) {
  const options = { ...commonOptions, ...rule.options };
  return (given?: OptionsIn<Omit<Common, keyof T> & T>): Optimizer => {
    const where = `optimizers.${rule.className}`;
    const config = parseOptions(options, given, where) as unknown as OptionsOut<T> & Optimizer['config'];
    const clipping = (['clipnorm', 'globalClipnorm', 'clipvalue'] as const).filter((key) => config[key] !== null);
    if (clipping.length > 1) fail('ARGUMENT', where, 'one way of clipping', clipping.join(' and '));
    return {
      className: rule.className,
      options,
      config,
      slots: rule.slots(config),
      scalars: (iteration, learningRate) => ({ learningRate, ...rule.scalars?.(config, iteration, learningRate) }),
      update(context) {
        const { weightDecay } = config;
        if (!weightDecay) return rule.update(config, context);
        const { weight, scalars } = context;
        return rule.update(config, {
          ...context,
          weight: sub(weight, mul(weight, mul(scalars.learningRate, weightDecay))),
        });
      },
    };
  };
}

/** Clips by the optimizer's option. Keras's formulas. */
export function clipGradients({ config }: Optimizer, gradients: readonly Tensor[]): readonly Tensor[] {
  const { clipnorm, globalClipnorm, clipvalue } = config;
  if (clipvalue !== null) return gradients.map((g) => minimum(maximum(g, -clipvalue), clipvalue));
  if (clipnorm !== null) return gradients.map((g) => div(mul(g, clipnorm), maximum(sqrt(sum(square(g))), clipnorm)));
  if (globalClipnorm !== null && gradients.length) {
    const norm = sqrt(gradients.map((g) => sum(square(g))).reduce((a, b) => add(a, b)));
    const scale = div(globalClipnorm, maximum(norm, globalClipnorm));
    return gradients.map((g) => mul(g, scale));
  }
  return gradients;
}
