/**
 * A learning-rate schedule: a rule that gives the learning rate of every step. It is evaluated in float64 outside of the step and fed to
 * it, so that it costs nothing and follows from the iteration alone: a run that is resumed goes on with the same rates.
 */
import { fail } from '../../core/errors.ts';
import type { Described } from '../../layers/described.ts';
import { closestName, plainName } from '../../layers/names.ts';
import {
  type KerasReading,
  type Option,
  type OptionsIn,
  type OptionsOut,
  type OptionTable,
  option,
  optionsFromKeras,
  optionsToKeras,
  parseOptions,
  showValue,
} from '../../layers/options.ts';

/** What `schedules` makes: a rule with its options. */
export interface LearningRateSchedule extends Described {
  /** Null: Keras has no such schedule. */
  readonly module: string | null;
  /** The learning rate of the step that comes after `iteration` others. */
  value(iteration: number): number;
}

/** What may stand for a learning rate: a number from 0 on, a schedule, or a function of the iteration (counted from 0). */
export type LearningRateLike = number | LearningRateSchedule | ((iteration: number) => number);

export interface ScheduleFactory {
  // biome-ignore lint/suspicious/noExplicitAny: factories differ in their options
  (given?: any): LearningRateSchedule;
  readonly className: string;
  readonly options: OptionTable;
}

interface ScheduleRule<T extends OptionTable> {
  /** The name in files: Keras's, or one's own. */
  readonly className: string;
  readonly options: T;
  /** Refuses options that do not go together. */
  check?(config: OptionsOut<T>, where: string): void;
  value(config: OptionsOut<T>, iteration: number): number;
}

export interface MadeFactory<T extends OptionTable> {
  (given: OptionsIn<T>): LearningRateSchedule;
  readonly className: string;
  readonly options: T;
}

const kerasModule = 'keras.optimizers.schedules';

/**
 * Makes the factory of a schedule from its rule: for schedules of one's own. To find one again in files, give it to `registerSchedule`.
 *
 * @example
 * const halving = defineSchedule({
 *   className: 'Halving',
 *   options: { first: { required: false, fallback: 0.1 as number, expected: 'a number', parse: Number } },
 *   value: ({ first }, iteration) => first * 0.5 ** Math.floor(iteration / 100),
 * });
 * model.compile({ optimizer: optimizers.sgd({ learningRate: halving({ first: 0.2 }) }), loss: 'mse' });
 */
export function defineSchedule<const T extends OptionTable>(rule: ScheduleRule<T>): MadeFactory<T> {
  return makeFactory(rule, null);
}

/** The factory of a schedule that Keras has. */
export function defineKerasSchedule<const T extends OptionTable>(rule: ScheduleRule<T>): MadeFactory<T> {
  return makeFactory(rule, kerasModule);
}

function makeFactory<const T extends OptionTable>(rule: ScheduleRule<T>, module: string | null): MadeFactory<T> {
  const { className, options } = rule;
  const make = (given?: OptionsIn<T>): LearningRateSchedule => {
    const where = `schedules.${className}`;
    const config = parseOptions(options, given, where);
    rule.check?.(config, where);
    return Object.freeze({
      className,
      options,
      config,
      module,
      value(iteration: number) {
        const rate = rule.value(config, iteration);
        if (typeof rate !== 'number' || !Number.isFinite(rate))
          fail('NUMERIC', `${where}: iteration ${iteration}`, 'a finite learning rate', showValue(rate));
        return rate;
      },
    });
  };
  return Object.assign(make, { className, options });
}

/** The learning rate of a step. */
export function rateAt(rate: LearningRateLike, iteration: number): number {
  if (typeof rate === 'number') return rate;
  if (typeof rate !== 'function') return rate.value(iteration);
  const value = rate(iteration);
  if (typeof value !== 'number' || !Number.isFinite(value))
    fail('NUMERIC', `learningRate: iteration ${iteration}`, 'a finite number from the function', showValue(value));
  return value;
}

// ---- options

/**
 * A number that Keras reads as a float. JSON has no 1.0, and Keras refuses the integer 1 as a learning rate, or computes with integers from
 * there on; so whole numbers are written a rounding larger, which float32 does not see, and read back as what they were.
 */
export function floatToKeras(value: number): number {
  if (!Number.isInteger(value)) return value;
  return value === 0 ? Number.MIN_VALUE : value * (1 + Number.EPSILON);
}

/** What `floatToKeras` wrote, or any other number. */
export function floatFromKeras(json: unknown): unknown {
  if (typeof json !== 'number') return json;
  const whole = Math.round(json);
  return floatToKeras(whole) === json ? whole : json;
}

/** A number that must be given. */
export const requiredRate = (): Option<number, number, true> => ({
  ...option<number, true>('a finite number', (v) => typeof v === 'number' && Number.isFinite(v), undefined, true),
  toKeras: floatToKeras,
  fromKeras: floatFromKeras,
});

/** A count of steps that must be given; it need not be whole. */
export const requiredSteps = () =>
  option<number, true>(
    'a number of steps above 0',
    (v) => typeof v === 'number' && Number.isFinite(v) && v > 0,
    undefined,
    true,
  );

/** A number of steps from 0 on. */
export const optionalSteps = (fallback: number) =>
  option<number>('a number of steps from 0 on', (v) => typeof v === 'number' && Number.isFinite(v) && v >= 0, fallback);

/** Keras's name of the schedule; only written to files. Files of Keras 2 may hold null. */
export const scheduleName = (fallback: string): Option<string | null, string, false> => ({
  required: false,
  fallback,
  expected: 'a name',
  parse(value, where) {
    if (value === null) return fallback;
    if (typeof value !== 'string') fail('ARGUMENT', where, 'a name', showValue(value));
    return value;
  },
});

// ---- from and to files

const builtIn = new Map<string, ScheduleFactory>();
const registered = new Map<string, ScheduleFactory>();

/** Makes the schedules of this library known to readers; called once, by the table of the folder. */
export function knowSchedules(factories: Iterable<ScheduleFactory>): void {
  for (const factory of factories) builtIn.set(factory.className, factory);
}

/**
 * Makes a schedule of one's own known to readers of configurations and bundles, under its class name. Throws ARGUMENT for the name of a
 * schedule of this library.
 *
 * @param factory what `defineSchedule` gave
 */
export function registerSchedule(factory: ScheduleFactory): void {
  const { className } = factory;
  if (builtIn.has(className))
    fail('ARGUMENT', 'registerSchedule', 'a class name of its own', `'${className}', which is a built-in schedule`);
  registered.set(className, factory);
}

/** Keras's object, or the like for schedules that Keras does not have. Throws UNSUPPORTED for a function: no file can hold one. */
export function rateToKeras(rate: LearningRateLike, where: string): unknown {
  if (typeof rate === 'number') return floatToKeras(rate);
  if (typeof rate === 'function')
    fail('UNSUPPORTED', where, 'a number or a schedule', 'a function', 'Write it with `defineSchedule`.');
  const { className, module, options, config } = rate;
  return {
    module: module ?? 'unrolled',
    class_name: className,
    config: optionsToKeras(options, config, where),
    registered_name: module ? null : `unrolled>${className}`,
  };
}

/** Whether no file can hold this rate, because a function is in it. */
export function holdsFunction(rate: unknown): boolean {
  if (typeof rate === 'function') return true;
  return isSchedule(rate) && Object.values(rate.config).some(holdsFunction);
}

function isSchedule(value: unknown): value is LearningRateSchedule {
  return typeof value === 'object' && value !== null && 'className' in value && 'value' in value;
}

/** Only schedules stand within schedules. */
const reading: KerasReading = {
  generation: 3,
  layer: (_json, where) => fail('FORMAT', where, 'no layer here', 'a layer'),
  cell: (_json, where) => fail('FORMAT', where, 'no cell here', 'a cell'),
};

/** A learning rate from what a user or a file gives. */
export function learningRateOf(value: unknown, where: string): LearningRateLike {
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value;
  if (typeof value === 'function') {
    if ('className' in value)
      fail('ARGUMENT', where, 'a schedule', 'the factory of one', `Call it: \`${String(value.className)}({ ... })\`.`);
    return value as (iteration: number) => number;
  }
  if (isSchedule(value)) return value;
  if (typeof value === 'object' && value !== null && 'class_name' in value) {
    const { class_name: name, config } = value as { class_name: unknown; config?: unknown };
    const plain = plainName(String(name));
    const names = [...builtIn.keys(), ...registered.keys()];
    const own = names.find((className) => plainName(className) === plain) ?? '';
    const factory = builtIn.get(own) ?? registered.get(own);
    if (!factory) {
      const near = closestName(String(name), names);
      fail(
        'UNSUPPORTED',
        where,
        `a schedule among ${names.join(', ')}`,
        `'${name}'`,
        `${near ? `The nearest is ${near}. ` : ''}Define it with \`defineSchedule\`, and give it to \`registerSchedule\` before reading.`,
      );
    }
    return factory(optionsFromKeras(factory.options, (config ?? {}) as Record<string, unknown>, reading, where));
  }
  return fail(
    'ARGUMENT',
    where,
    'a number from 0 on, one of `schedules`, or a function of the iteration',
    showValue(value),
  );
}

/** The kind of option that takes a learning rate. */
export const learningRateOption = (fallback: number): Option<LearningRateLike, LearningRateLike, false> => ({
  required: false,
  fallback,
  expected: 'a number from 0 on, a schedule, or a function',
  parse: (value, where) => learningRateOf(value, where),
  toKeras: rateToKeras,
  fromKeras: floatFromKeras,
});
