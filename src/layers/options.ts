/**
 * Options are declared once, as a table of kinds. From the table come the defaults, the checks with their messages, the types that an
 * editor shows, and Keras's snake_case configuration in both directions. Layers, cells, initialisers, losses, metrics and optimizers
 * all use it.
 */
import { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape } from '../core/shape.ts';
import { camelToSnake, closestName, snakeToCamel } from './names.ts';

/** What reading a Keras configuration needs beside the value: who makes nested layers, and which generation of Keras wrote it. */
export interface KerasReading {
  /** Keras's major version: hardSigmoid and some defaults differ between 2 and 3. */
  readonly generation: 2 | 3;
  layer(json: unknown, where: string): unknown;
  cell(json: unknown, where: string): unknown;
  /** Makes the layer that stands for a model within a model. Missing: there are none. */
  model?(json: unknown, where: string): unknown;
  /** Whether the class of a layer is there. */
  knows?(json: unknown): boolean;
}

/** One option: what a user may give (`In`), what is stored (`Out`), and whether it must be given. */
export interface Option<In, Out, Required extends boolean> {
  readonly required: Required;
  /** What stands for an option that is not given; passed through `parse`. */
  readonly fallback: In | undefined;
  /** Words for messages: `a positive integer`. */
  readonly expected: string;
  /** Checks a value and brings it into its stored form. */
  parse(value: unknown, where: string): Out;
  toKeras?(value: Out, where: string): unknown;
  fromKeras?(json: unknown, reading: KerasReading, where: string): unknown;
  /** Keras's key where it is not the snake case of ours; null: Keras has none. */
  readonly key?: string | null;
  /** Keras does not have it: written only where it is not the default. */
  readonly beyond?: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds options of every type
export type OptionTable = Readonly<Record<string, Option<any, any, boolean>>>;

type InOf<O> = O extends Option<infer In, infer _Out, boolean> ? In : never;
type OutOf<O> = O extends Option<infer _In, infer Out, boolean> ? Out : never;

type Simplify<T> = { [K in keyof T]: T[K] };

/** The type of the object that a user writes for a table. */
export type OptionsIn<T extends OptionTable> = Simplify<
  { [K in keyof T as T[K]['required'] extends true ? K : never]: InOf<T[K]> } & {
    [K in keyof T as T[K]['required'] extends true ? never : K]?: InOf<T[K]>;
  }
>;

/** The type of the checked, complete configuration. */
export type OptionsOut<T extends OptionTable> = { readonly [K in keyof T]: OutOf<T[K]> };

/** How a value is shown in a message. */
export function showValue(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  if (typeof value === 'function') return `a function`;
  if (value === undefined) return 'nothing';
  if (typeof value === 'object' && value !== null && 'definition' in value && 'className' in value)
    return `a ${'trainable' in value ? 'layer' : 'cell'}, ${String(value.className)}`;
  if (typeof value === 'number' || value === null || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  if (value instanceof NdArray) return `an array ${formatShape(value.shape)}`;
  if (Array.isArray(value) && value.some((v) => typeof v === 'object' && v !== null && 'definition' in v))
    return `[${value.map(showValue).join('; ')}]`;
  try {
    const text = JSON.stringify(value);
    return text.length > 80 ? `${text.slice(0, 77)}...` : text;
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/** An option of a kind that is checked by a test on the value. */
export function option<T, Required extends boolean = false>(
  expected: string,
  test: (value: unknown) => boolean,
  fallback: T | undefined,
  required?: Required,
): Option<T, T, Required> {
  return {
    required: (required ?? false) as Required,
    fallback,
    expected,
    parse(value, where) {
      if (!test(value)) fail('ARGUMENT', where, expected, showValue(value));
      return value as T;
    },
  };
}

const isInteger = (v: unknown): v is number => typeof v === 'number' && Number.isInteger(v);
const isNumber = (v: unknown): v is number => typeof v === 'number' && Number.isFinite(v);

/** A count that must be given: `units`, `inputDim`. */
export const positiveInteger = () =>
  option<number, true>('a positive integer', (v) => isInteger(v) && v > 0, undefined, true);

export const flag = (fallback: boolean) => option<boolean>('true or false', (v) => typeof v === 'boolean', fallback);

/** A share from 0 up to, and not including, 1. */
export const fraction = (fallback: number) =>
  option<number>('a number from 0 to below 1', (v) => isNumber(v) && v >= 0 && v < 1, fallback);

export const finiteNumber = (fallback: number) => option<number>('a finite number', isNumber, fallback);

export const positiveNumber = (fallback: number) =>
  option<number>('a number above 0', (v) => isNumber(v) && v > 0, fallback);

/** A number above 0, or null for none. */
export const optionalPositive = () =>
  option<number | null>('a number above 0, or null', (v) => v === null || (isNumber(v) && v > 0), null);

/** A seed, or null to take the model's. */
export const seedOption = () =>
  option<number | null>('an integer seed, or null', (v) => v === null || isInteger(v), null);

export const choice = <const T extends string | null>(values: readonly T[], fallback: T) =>
  option<T>(`one of ${values.map(showValue).join(', ')}`, (v) => (values as readonly unknown[]).includes(v), fallback);

/** A name, or null to have one given. */
export const nameOption = () =>
  option<string | null>(
    "a name without '/'",
    (v) => v === null || (typeof v === 'string' && v.length > 0 && v.length <= 200 && !v.includes('/')),
    null,
  );

/** An option that Keras has and this library does not: null passes, all else is refused. */
export const absent = (what: string): Option<null, null, false> => ({
  required: false,
  fallback: null,
  expected: 'null',
  parse(value, where) {
    if (value !== null)
      fail('UNSUPPORTED', where, 'null', showValue(value), `${what} are not supported by this version.`);
    return null;
  },
});

/** An option that Keras does not have: written to a configuration only where it is used. */
export const beyondKeras = <In, Out, Required extends boolean>(
  kind: Option<In, Out, Required>,
): Option<In, Out, Required> => ({ ...kind, beyond: true });

/** An option that only has one supported value. */
export const only = <const T>(value: T, next: string): Option<T, T, false> => ({
  required: false,
  fallback: value,
  expected: showValue(value),
  parse(given, where) {
    if (given !== value) fail('UNSUPPORTED', where, showValue(value), showValue(given), next);
    return value;
  },
});

/** Keras's dtype policies, of which this library has float32. */
export const dtypeOption = (): Option<'float32', 'float32', false> => ({
  ...only('float32', 'Computation is in float32.'),
  toKeras: (value) => ({ module: 'keras', class_name: 'DTypePolicy', config: { name: value }, registered_name: null }),
  fromKeras: (json) => {
    const config = (json as { config?: { name?: unknown } } | null)?.config;
    return config?.name ?? json ?? 'float32';
  },
});

/** Checks what a user gave against a table and fills in the defaults. */
export function parseOptions<T extends OptionTable>(table: T, given: object | undefined, where: string): OptionsOut<T> {
  const source = (given ?? {}) as Record<string, unknown>;
  if (typeof source !== 'object' || Array.isArray(source))
    fail('ARGUMENT', where, 'an object of options', showValue(given));
  for (const key of Object.keys(source)) {
    if (key in table) continue;
    const camel = snakeToCamel(key);
    const near = camel in table ? camel : closestName(key, Object.keys(table));
    const next = near ? `Did you mean \`${near}: ${showValue(source[key])}\`?` : undefined;
    fail('ARGUMENT', where, `options among ${Object.keys(table).join(', ')}`, `'${key}'`, next);
  }
  const config: Record<string, unknown> = {};
  for (const [key, kind] of Object.entries(table)) {
    const value = source[key] === undefined ? kind.fallback : source[key];
    if (value === undefined && kind.required)
      fail('ARGUMENT', where, `\`${key}\`, ${kind.expected}`, 'no such option', `Write \`{ ${key}: ... }\`.`);
    config[key] = kind.parse(value, `${where}.${key}`);
  }
  return Object.freeze(config) as OptionsOut<T>;
}

/** A configuration in Keras's keys. */
export function optionsToKeras(
  table: OptionTable,
  config: Readonly<Record<string, unknown>>,
  where: string,
): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries(table)) {
    if (kind.key === null || (kind.beyond && config[name] === kind.fallback)) continue;
    json[kind.key ?? camelToSnake(name)] = kind.toKeras ? kind.toKeras(config[name], `${where}.${name}`) : config[name];
  }
  return json;
}

/** Keys that some generation of Keras writes and that do not change what a layer computes. */
const meaningless = new Set([
  'implementation',
  'unroll',
  'input_length',
  'batch_input_shape',
  'batch_shape',
  'input_shape',
  'input_dtype',
  'use_cudnn',
  'quantization_config',
  'optional',
  'input_axes',
  'output_axes',
  'jit_compile',
  'is_legacy_optimizer',
  'build_config',
]);

/** Reads Keras's keys into what `parseOptions` takes. Keys that are not in the table must be null, false, 0 or without meaning. */
export function optionsFromKeras(
  table: OptionTable,
  json: Readonly<Record<string, unknown>>,
  reading: KerasReading,
  where: string,
): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  const known = new Set<string>();
  for (const [name, kind] of Object.entries(table)) {
    if (kind.key === null) continue;
    const key = kind.key ?? camelToSnake(name);
    known.add(key);
    if (json[key] === undefined) continue;
    given[name] = kind.fromKeras ? kind.fromKeras(json[key], reading, `${where}.${key}`) : json[key];
  }
  for (const [key, value] of Object.entries(json))
    if (!known.has(key) && !meaningless.has(key) && value !== null && value !== false && value !== 0)
      fail('UNSUPPORTED', where, `options among ${[...known].join(', ')}`, `'${key}': ${showValue(value)}`);
  return given;
}
