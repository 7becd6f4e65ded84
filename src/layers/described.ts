/**
 * Things that a user names or makes with options, and that Keras writes as `{ class_name, config }`: losses, metrics, optimizers.
 */
import { fail } from '../core/errors.ts';
import { closestName, plainName } from './names.ts';
import { type KerasReading, type OptionTable, optionsFromKeras, optionsToKeras, showValue } from './options.ts';

export interface Described {
  /** Keras's class name. */
  readonly className: string;
  readonly options: OptionTable;
  readonly config: Readonly<Record<string, unknown>>;
}

// biome-ignore lint/suspicious/noExplicitAny: factories differ in their options
export type Factories<T extends Described> = Readonly<Record<string, (given?: any) => T>>;

/** Reading a file is the only time when a generation matters; losses, metrics and optimizers hold no layers. */
const plainReading: KerasReading = {
  generation: 3,
  layer: (_json, where) => fail('FORMAT', where, 'no layer here', 'a layer'),
  cell: (_json, where) => fail('FORMAT', where, 'no cell here', 'a cell'),
};

/**
 * A thing from a name in any spelling, from one made by a factory, or from Keras's `{ class_name, config }`.
 *
 * @param aliases further plain names: `{ mse: 'meanSquaredError' }`
 */
export function describedOf<T extends Described>(
  value: unknown,
  factories: Factories<T>,
  aliases: Readonly<Record<string, string>>,
  what: string,
  where: string,
): T {
  if (typeof value === 'object' && value !== null) {
    if ('className' in value && 'options' in value) return value as T;
    if ('class_name' in value) {
      const { class_name: name, config } = value as { class_name?: unknown; config?: unknown };
      // {class_name: 'function', config: 'mse'} stands for a name.
      if (name === 'function') return describedOf(config, factories, aliases, what, where);
      const factory = factoryOf(String(name), factories, aliases, what, where);
      // A factory with options that must be given carries its table; the others are asked for it.
      const table = (factory as { readonly options?: OptionTable }).options ?? factory().options;
      return factory(optionsFromKeras(table, (config ?? {}) as Record<string, unknown>, plainReading, where));
    }
  }
  if (typeof value !== 'string')
    fail('ARGUMENT', where, `${what} by name, or one made by its factory`, showValue(value));
  return factoryOf(value, factories, aliases, what, where)();
}

function factoryOf<T extends Described>(
  name: string,
  factories: Factories<T>,
  aliases: Readonly<Record<string, string>>,
  what: string,
  where: string,
) {
  const plain = plainName(name);
  const wanted = aliases[plain] ?? plain;
  for (const [key, factory] of Object.entries(factories)) if (plainName(key) === plainName(wanted)) return factory;
  const near = closestName(name, [...Object.keys(factories), ...Object.keys(aliases)]);
  fail(
    'ARGUMENT',
    where,
    `${what} among ${Object.keys(factories).join(', ')}`,
    `'${name}'`,
    near ? `Did you mean '${near}'?` : undefined,
  );
}

/** Keras's object. */
export function describedToKeras({ className, options, config }: Described, module: string): Record<string, unknown> {
  return { module, class_name: className, config: optionsToKeras(options, config, className), registered_name: null };
}
