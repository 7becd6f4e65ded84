/** The names of the hooks, and the check that a callback has no others: one that is misspelt would never be called. */
import { fail } from '../../core/errors.ts';
import { closestName, snakeToCamel } from '../../layers/names.ts';
import { showValue } from '../../layers/options.ts';
import type { Callback } from './callback.ts';

export const hookNames = [
  'onTrainBegin',
  'onTrainEnd',
  'onTrainError',
  'onEpochBegin',
  'onEpochEnd',
  'onBatchBegin',
  'onBatchEnd',
  'onTestBegin',
  'onTestEnd',
  'onNonFinite',
] as const satisfies readonly (keyof Callback)[];

/** What is called of a callback, where it is there. */
const callable = [...hookNames, 'state', 'restore', 'resume'] as const satisfies readonly (keyof Callback)[];

/** Of the object and of its classes. */
function methodsOf(callback: object): string[] {
  const names: string[] = [];
  for (let at: object = callback; at && at !== Object.prototype; at = Object.getPrototypeOf(at))
    names.push(...Object.getOwnPropertyNames(at));
  return names;
}

/** Throws ARGUMENT for what is no callback, for hooks of other names, and for hooks that cannot be called. */
export function checkCallback(callback: unknown, where: string): void {
  if (typeof callback !== 'object' || callback === null)
    fail(
      'ARGUMENT',
      where,
      'an object with hooks',
      typeof callback === 'function' ? `the function ${callback.name || 'without a name'}` : showValue(callback),
      typeof callback === 'function' ? 'Call it, or write `{ onEpochEnd: function }`.' : undefined,
    );
  for (const name of callable) {
    const value = (callback as Record<string, unknown>)[name];
    if (value !== undefined && typeof value !== 'function')
      fail('ARGUMENT', `${where}.${name}`, 'a function', showValue(value));
  }
  for (const name of methodsOf(callback)) {
    if (!/^on[A-Z_]/.test(name) || (hookNames as readonly string[]).includes(name)) continue;
    // Keras's names of the hooks of a step.
    const plain = snakeToCamel(name).replace(/^onTrainBatch/, 'onBatch');
    const near = closestName(plain, [...hookNames]);
    fail(
      'ARGUMENT',
      where,
      `hooks among ${hookNames.join(', ')}`,
      `'${name}'`,
      near ? `Did you mean \`${near}\`?` : 'Methods of your own must not begin with `on`.',
    );
  }
}
