/** Which weights decay: the list of those that do not, and how it is written to files. */
import { fail } from '../../core/errors.ts';
import { camelToSnake } from '../../layers/names.ts';
import { type Option, showValue } from '../../layers/options.ts';

/** A path, a layer, a regular expression for names as text, or one for paths. */
export type Exclusion = string | RegExp;

/** A RegExp in a file: its source between slashes, then its flags. */
const written = /^\/(.+)\/([dgimsuvy]*)$/s;

function exclusionOf(value: unknown, where: string): Exclusion {
  if (value instanceof RegExp) return value;
  if (typeof value !== 'string' || !value)
    fail('ARGUMENT', where, 'texts and regular expressions', showValue(value), "Write `['bias', /norm/]`.");
  const [, source, flags] = written.exec(value) ?? [];
  try {
    const pattern = new RegExp(source ?? value, flags);
    return source === undefined ? value : pattern;
  } catch {
    return fail('ARGUMENT', where, 'a regular expression', showValue(value));
  }
}

export const exclusionsOption = (): Option<readonly Exclusion[], readonly Exclusion[], false> => ({
  required: false,
  fallback: none,
  expected: 'a list of texts and regular expressions',
  parse(value, where) {
    if (value === none || value === null) return none;
    if (!Array.isArray(value)) fail('ARGUMENT', where, 'a list of texts and regular expressions', showValue(value));
    return value.length ? value.map((one) => exclusionOf(one, where)) : none;
  },
  toKeras: (value) => value.map((one) => (typeof one === 'string' ? one : `/${one.source}/${one.flags}`)),
});

/** One object, by which a configuration sees that nothing was given. */
const none: readonly Exclusion[] = Object.freeze([]);

/** Whether a weight decays. */
export function decaysWeight(excluded: readonly Exclusion[], path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return !excluded.some((one) => {
    // A flag `g` would make the answer depend on the question before.
    if (typeof one !== 'string') return path.search(one) >= 0;
    if (one === path || path.startsWith(`${one}/`)) return true;
    const pattern = new RegExp(one);
    return pattern.test(name) || pattern.test(camelToSnake(name));
  });
}
