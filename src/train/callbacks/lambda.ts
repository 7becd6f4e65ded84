/** A callback of functions. Source: Keras 3, `keras/src/callbacks/lambda_callback.py`. */
import { option, parseOptions } from '../../layers/options.ts';
import type { Callback } from './callback.ts';
import { hookNames } from './hook-names.ts';

const hook = () => option<unknown>('a function', (v) => v === null || typeof v === 'function', null);
type Hook = ReturnType<typeof hook>;

const hooks = {
  ...(Object.fromEntries(hookNames.map((name) => [name, hook()])) as Record<(typeof hookNames)[number], Hook>),
  state: hook(),
  restore: hook(),
};

const others = {
  name: option<string>('a name', (v) => typeof v === 'string' && v.length > 0, 'lambda'),
  batchFrequency: option<number | null>(
    'a number from 1 on',
    (v) => v === null || (typeof v === 'number' && v >= 1),
    null,
  ),
};

/**
 * The same as an object with these hooks, with a check that they are hooks: a misspelt one is refused instead of never called.
 *
 * @example callbacks.lambda({ onEpochEnd: (epoch, logs) => console.log(epoch, logs.loss) })
 */
export function lambda(given: Callback): Callback {
  const config: Record<string, unknown> = parseOptions({ ...hooks, ...others }, given, 'callbacks.lambda');
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== null)) as Callback;
}
