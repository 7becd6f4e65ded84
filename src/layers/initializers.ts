/**
 * Starting values of weights, with Keras's names, formulas and defaults, drawn from keys: the same key and shape give the same values on
 * every host. Source: Keras 3, `keras/src/initializers`; orthogonal: Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics
 * of learning in deep linear neural networks" (2014); the limits: Glorot and Bengio (2010), He et al. (2015), LeCun et al. (1998).
 */
import { fail } from '../core/errors.ts';
import { RandomKey } from '../core/random.ts';
import { ownRoom, type Room } from '../core/room.ts';
import { formatShape, type Shape, sizeOf } from '../core/shape.ts';
import { closestName, plainName } from './names.ts';
import {
  choice,
  finiteNumber,
  type KerasReading,
  type Option,
  type OptionsIn,
  type OptionsOut,
  type OptionTable,
  optionsFromKeras,
  optionsToKeras,
  parseOptions,
  positiveNumber,
  seedOption,
  showValue,
} from './options.ts';
import { orthogonalMatrix } from './orthogonal.ts';

export interface Initializer {
  /** Keras's class name. */
  readonly className: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Row-major values. A seed among the options stands for the key. @param room where they, and what is needed for them, may stand */
  values(shape: Shape, key: RandomKey, room?: Room): Float32Array;
  /**
   * Throws SHAPE for a shape that it has no values for. Where there is this check, values follow from shape and key alone, and are drawn when
   * they are first needed; without it, when the weight is made.
   */
  readonly check?: (shape: Shape) => void;
  readonly options: OptionTable;
}

/** Sizes that a weight maps from and to: of a matrix its rows and columns; further leading axes are a receptive field. */
export function fansOf(shape: Shape): { fanIn: number; fanOut: number } {
  if (shape.length === 0) return { fanIn: 1, fanOut: 1 };
  if (shape.length === 1) return { fanIn: shape[0], fanOut: shape[0] };
  const field = sizeOf(shape.slice(0, -2));
  return { fanIn: shape[shape.length - 2] * field, fanOut: shape[shape.length - 1] * field };
}

type Values<T extends OptionTable> = (config: OptionsOut<T>, shape: Shape, key: RandomKey, room: Room) => Float32Array;

const anyShape = () => {};

function define<const T extends OptionTable>(
  className: string,
  options: T,
  values: Values<T>,
  check: (shape: Shape) => void = anyShape,
) {
  return (given?: OptionsIn<T>): Initializer => {
    const config = parseOptions(options, given, `initializers.${className}`);
    return {
      className,
      config,
      options,
      check,
      values(shape, key, room = ownRoom) {
        check(shape);
        const seed = (config as { seed?: number | null }).seed;
        return values(config, shape, typeof seed === 'number' ? RandomKey.from(seed) : key, room);
      },
    };
  };
}

const seeded = { seed: seedOption() };

function scaled(values: Float32Array, factor: number, offset = 0): Float32Array {
  for (let i = 0; i < values.length; i++) values[i] = values[i] * factor + offset;
  return values;
}

type Mode = 'fanIn' | 'fanOut' | 'fanAvg';
type Distribution = 'truncatedNormal' | 'untruncatedNormal' | 'uniform';

/** The standard deviation of a normal draw after cutting it at two deviations. */
const truncatedDeviation = 0.87962566103423978;

function varianceScaled(
  scale: number,
  mode: Mode,
  distribution: Distribution,
  shape: Shape,
  key: RandomKey,
  room: Room,
): Float32Array {
  const { fanIn, fanOut } = fansOf(shape);
  const fan = mode === 'fanIn' ? fanIn : mode === 'fanOut' ? fanOut : (fanIn + fanOut) / 2;
  const variance = scale / Math.max(1, fan);
  const count = sizeOf(shape);
  const values = room(count);
  if (distribution === 'truncatedNormal')
    return scaled(key.truncatedNormal(count, values), Math.sqrt(variance) / truncatedDeviation);
  if (distribution === 'untruncatedNormal') return scaled(key.normal(count, values), Math.sqrt(variance));
  const limit = Math.sqrt(3 * variance);
  return scaled(key.uniform(count, 0, values), 2 * limit, -limit);
}

const scaling = (className: string, scale: number, mode: Mode, distribution: Distribution) =>
  define(className, seeded, (_config, shape, key, room) => varianceScaled(scale, mode, distribution, shape, key, room));

/** A kind of option whose words Keras writes in snake case. */
const snakeChoice = <const T extends string>(
  words: Readonly<Record<T, string>>,
  fallback: NoInfer<T>,
): Option<T, T, false> => ({
  ...choice(Object.keys(words) as T[], fallback),
  toKeras: (value) => words[value],
  fromKeras: (json) =>
    (Object.keys(words) as T[]).find((k) => words[k] === json) ?? (json === 'normal' ? 'truncatedNormal' : json),
});

/** Every initialiser by its factory: `initializers.glorotUniform({ seed: 1 })`. */
export const initializers = {
  /** All 0. */
  zeros: define('Zeros', {}, (_config, shape, _key, room) => room(sizeOf(shape))),
  /** All 1. */
  ones: define('Ones', {}, (_config, shape, _key, room) => room(sizeOf(shape)).fill(1)),
  /** All `value` (default 0). */
  constant: define('Constant', { value: finiteNumber(0) }, ({ value }, shape, _key, room) =>
    room(sizeOf(shape)).fill(value),
  ),
  /** `gain` on the diagonal of a matrix, else 0. */
  identity: define(
    'Identity',
    { gain: finiteNumber(1) },
    ({ gain }, shape, _key, room) => {
      const values = room(sizeOf(shape));
      for (let i = 0; i < Math.min(shape[0], shape[1]); i++) values[i * shape[1] + i] = gain;
      return values;
    },
    (shape) => {
      if (shape.length !== 2) fail('SHAPE', 'initializers.identity', 'a matrix', formatShape(shape));
    },
  ),
  /** Uniform from `minval` (-0.05) to `maxval` (0.05). */
  randomUniform: define(
    'RandomUniform',
    { ...seeded, minval: finiteNumber(-0.05), maxval: finiteNumber(0.05) },
    ({ minval, maxval }, shape, key, room) => {
      const count = sizeOf(shape);
      return scaled(key.uniform(count, 0, room(count)), maxval - minval, minval);
    },
  ),
  /** Normal with `mean` (0) and `stddev` (0.05). */
  randomNormal: define(
    'RandomNormal',
    { ...seeded, mean: finiteNumber(0), stddev: finiteNumber(0.05) },
    ({ mean, stddev }, shape, key, room) => {
      const count = sizeOf(shape);
      return scaled(key.normal(count, room(count)), stddev, mean);
    },
  ),
  /** Normal, values beyond two deviations drawn again; `mean` (0), `stddev` (0.05) before the cut. */
  truncatedNormal: define(
    'TruncatedNormal',
    { ...seeded, mean: finiteNumber(0), stddev: finiteNumber(0.05) },
    ({ mean, stddev }, shape, key, room) => {
      const count = sizeOf(shape);
      return scaled(key.truncatedNormal(count, room(count)), stddev, mean);
    },
  ),
  /** Uniform within sqrt(6 / (fanIn + fanOut)). */
  glorotUniform: scaling('GlorotUniform', 1, 'fanAvg', 'uniform'),
  /** Truncated normal of deviation sqrt(2 / (fanIn + fanOut)). */
  glorotNormal: scaling('GlorotNormal', 1, 'fanAvg', 'truncatedNormal'),
  /** Uniform within sqrt(6 / fanIn). */
  heUniform: scaling('HeUniform', 2, 'fanIn', 'uniform'),
  /** Truncated normal of deviation sqrt(2 / fanIn). */
  heNormal: scaling('HeNormal', 2, 'fanIn', 'truncatedNormal'),
  /** Uniform within sqrt(3 / fanIn). */
  lecunUniform: scaling('LecunUniform', 1, 'fanIn', 'uniform'),
  /** Truncated normal of deviation sqrt(1 / fanIn). */
  lecunNormal: scaling('LecunNormal', 1, 'fanIn', 'truncatedNormal'),
  /** The family of the six above: `scale`, `mode`, `distribution`. */
  varianceScaling: define(
    'VarianceScaling',
    {
      scale: positiveNumber(1),
      mode: snakeChoice({ fanIn: 'fan_in', fanOut: 'fan_out', fanAvg: 'fan_avg' }, 'fanIn'),
      distribution: snakeChoice(
        { truncatedNormal: 'truncated_normal', untruncatedNormal: 'untruncated_normal', uniform: 'uniform' },
        'truncatedNormal',
      ),
      ...seeded,
    },
    ({ scale, mode, distribution }, shape, key, room) => varianceScaled(scale, mode, distribution, shape, key, room),
  ),
  /** Orthonormal rows or columns, times `gain`: QR of a normal draw with the signs of R's diagonal. */
  orthogonal: define(
    'Orthogonal',
    { ...seeded, gain: finiteNumber(1) },
    ({ gain }, shape, key, room) => {
      const columns = shape[shape.length - 1];
      const rows = sizeOf(shape) / (columns || 1);
      return orthogonalMatrix(rows, columns, gain, (count, into) => key.normal(count, into), room);
    },
    (shape) => {
      if (shape.length < 2)
        fail('SHAPE', 'initializers.orthogonal', 'a weight of at least two axes', formatShape(shape));
    },
  ),
};

// biome-ignore lint/suspicious/noExplicitAny: factories differ in their options
const factories = new Map<string, (given?: any) => Initializer>(
  Object.entries(initializers).map(([name, factory]) => [plainName(name), factory]),
);
const aliases: Record<string, string> = {
  zero: 'zeros',
  one: 'ones',
  uniform: 'randomuniform',
  normal: 'randomnormal',
  identityinitializer: 'identity',
};

/** What may stand for an initialiser: a name in any spelling, or what a factory of `initializers` returned. */
export type InitializerLike = keyof typeof initializers | (string & {}) | Initializer;

/** The initialiser of a name, with its defaults. Throws ARGUMENT for an unknown name, with the nearest one. */
export function initializerOf(value: unknown, where: string): Initializer {
  if (typeof value === 'object' && value !== null && 'values' in value && 'className' in value)
    return value as Initializer;
  if (typeof value !== 'string')
    fail('ARGUMENT', where, 'the name of an initialiser, or one made by `initializers`', showValue(value));
  return factoryOf(value, where)();
}

function factoryOf(name: string, where: string) {
  const plain = plainName(name);
  const found = factories.get(aliases[plain] ?? plain);
  if (found) return found;
  const near = closestName(name, Object.keys(initializers));
  fail(
    'ARGUMENT',
    where,
    `one of ${Object.keys(initializers).join(', ')}`,
    `'${name}'`,
    near ? `Did you mean '${near}'?` : undefined,
  );
}

/** Keras's object for an initialiser. */
export function initializerToKeras(initializer: Initializer): unknown {
  return {
    module: 'keras.initializers',
    class_name: initializer.className,
    config: optionsToKeras(initializer.options, initializer.config, initializer.className),
    registered_name: null,
  };
}

/** Reads a name or an object `{ class_name, config }` of any generation. */
export function initializerFromKeras(json: unknown, reading: KerasReading, where: string): Initializer {
  if (json === null || typeof json === 'string') return initializerOf(json ?? 'zeros', where);
  const { class_name: className, config } = json as { class_name?: unknown; config?: unknown };
  if (typeof className !== 'string') fail('FORMAT', where, 'an object with class_name', showValue(json));
  const factory = factoryOf(className, where);
  const { dtype: _dtype, ...rest } = (config ?? {}) as Record<string, unknown>;
  return factory(optionsFromKeras(factory().options, rest, reading, where));
}

/** The kind of option that takes an initialiser. */
export const initializerOption = (
  fallback: keyof typeof initializers,
): Option<InitializerLike, Initializer, false> => ({
  required: false,
  fallback,
  expected: 'the name of an initialiser, or one made by `initializers`',
  parse: initializerOf,
  toKeras: initializerToKeras,
  fromKeras: initializerFromKeras,
});
