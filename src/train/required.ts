/** What has to be there before a call: said with what to do. */
import { fail } from '../core/errors.ts';
import type { Compilation } from './compilation.ts';
import type { Network } from './network.ts';

/** Throws STATE where the model has not been built. */
export function requireBuilt(network: Network | null, where: string): Network {
  return (
    network ??
    fail(
      'STATE',
      where,
      'a model whose input shape is known',
      'a model that has not seen data',
      'Start it with `layers.input({ shape })`, or call `build`.',
    )
  );
}

/** Throws STATE where the model has not been compiled. */
export function requireCompiled(compilation: Compilation | null, where: string): Compilation {
  return (
    compilation ??
    fail(
      'STATE',
      where,
      'a compiled model',
      'one that is not',
      "Call `model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' })` first.",
    )
  );
}
