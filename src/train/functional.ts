/** Models of any shape: what lies between symbolic inputs and outputs. */
import type { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { input as inputLayer } from '../layers/input.ts';
import { type SymbolicInput, type SymbolicTensor, symbolicList } from '../layers/symbolic.ts';
import { arrangeCalls } from './arrange.ts';
import { Model } from './model.ts';
import { type Architecture, type ModelOptions, refuseUnknown } from './model-options.ts';

/**
 * What stands for the data of a model: layers are applied to it.
 *
 * @param options `shape` of one sample, null for sizes that may vary; `dtype`, `name`, `batchSize`, or `batchShape` in place of shape
 * @example const x = input({ shape: [null, 8], name: 'features' });
 */
export function input(options: Parameters<typeof inputLayer>[0]): SymbolicTensor {
  return inputLayer(options).apply([]);
}

export interface FunctionalOptions extends ModelOptions {
  /** What `input` gave, one or a list; data is handed in in this order. */
  readonly inputs: SymbolicInput;
  /** What layers made of them, one or a list; `predict` returns them in this order. */
  readonly outputs: SymbolicInput;
}

/**
 * The model between inputs and outputs. A layer that was applied several times is in it once, with one set of weights; other functional models
 * with this layer have the same weights, so that what one learns all have learnt (an encoder, and the autoencoder around it). Such models are
 * trained one at a time. Inputs may also be tensors in the middle of a graph: the model starts there.
 *
 * Errors: ARGUMENT for an input that reaches no output, one that is missing, and a name used twice; SHAPE for a shared layer whose calls need
 * different weights.
 *
 * @template Output what `predict` gives: `NdArray[]` for several outputs
 * @example
 * const x = input({ shape: [null, 8] });
 * const [y, h, c] = layers.lstm({ units: 16, returnState: true, returnSequences: true }).apply<SymbolicTensor[]>(x);
 * const label = layers.dense({ units: 3, activation: 'softmax' }).apply(h);
 * const both = model<NdArray[]>({ inputs: x, outputs: [y, label], name: 'tagger' });
 */
export function model<Output extends NdArray | NdArray[] = NdArray>(options: FunctionalOptions): Model<Output> {
  const { inputs, outputs, ...own } = options;
  refuseUnknown(own, ['name', 'seed', 'memoryLimit', 'memory', 'precision', 'machine'], 'model');
  return new Model<Output>(functionalArchitecture(inputs, outputs, own.name ?? 'model'), {
    name: 'functional',
    ...own,
  });
}

/** The arrangement of a model between inputs and outputs. */
export function functionalArchitecture(inputs: SymbolicInput, outputs: SymbolicInput, where: string): Architecture {
  const ends = {
    inputs: symbolicList(inputs, `${where}: inputs`),
    outputs: symbolicList(outputs, `${where}: outputs`),
  };
  for (const [name, list] of Object.entries(ends))
    if (!list.length) fail('ARGUMENT', `${where}: ${name}`, 'at least one symbolic tensor', 'none');
  const network = arrangeCalls(ends.inputs, ends.outputs, where);
  return { className: 'Functional', layers: network.layers, arrange: () => network };
}
