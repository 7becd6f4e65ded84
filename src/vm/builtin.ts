/** Node's own modules, loaded when asked for, so that browsers and bundlers can load the files that use them. */
export const inNode = typeof process !== 'undefined' && !!process.versions?.node;

interface Builtins {
  module: typeof import('node:module');
  os: typeof import('node:os');
  'fs/promises': typeof import('node:fs/promises');
  url: typeof import('node:url');
  worker_threads: typeof import('node:worker_threads');
}

export function builtin<Name extends keyof Builtins>(name: Name): Promise<Builtins[Name]> {
  // Not a literal: bundlers for browsers must not try to resolve it.
  const specifier = `node:${name}`;
  return import(/* @vite-ignore */ /* webpackIgnore: true */ specifier);
}

/** An environment variable; undefined where there is none, or no environment. */
export function environment(name: string): string | undefined {
  return (inNode && process.env[name]) || undefined;
}
