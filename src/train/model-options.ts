/** What the calls of a model take. */
import { fail } from '../core/errors.ts';
import type { OpenShape } from '../layers/layer.ts';
import type { Machine } from '../vm/vm.ts';
import type { ClassWeight, ModelData } from './data.ts';
import type { Verbosity } from './fit.ts';
import type { Network, PlacedLayer } from './network.ts';

export interface ModelOptions {
  /** Default `sequential`. */
  readonly name?: string;
  /** From which all starting values, draws and orders follow: the same seed, the same run. Default 0. */
  readonly seed?: number;
  /** Bytes that a step may take; a larger plan is refused before it runs. Default: what the machine has free. */
  readonly memoryLimit?: number;
  /** The machine to run on. Default: one for the process, chosen by UNROLLED_HOST and what is there. */
  readonly machine?: Machine;
}

/** How a kind of model arranges its layers; null where the shape of the input is needed first. */
export interface Architecture {
  readonly className: 'Sequential' | 'Functional';
  readonly layers: readonly PlacedLayer[];
  arrange(input: OpenShape | null): Network | null;
}

export interface DerivativeOptions {
  /** Whether dropout draws. Default false. */
  readonly training?: boolean;
  /** (N, T), 0 or 1: which steps of the input count. */
  readonly mask?: ModelData;
}

export interface PredictOptions {
  /** Default 32. Does not change the result. */
  readonly batchSize?: number;
  /** (N, T), 0 or 1: which steps of the input count. */
  readonly mask?: ModelData;
  /** Default 0. */
  readonly verbose?: Verbosity;
}

export interface WeightOptions {
  /** (N), or one for every entry of the loss: (N, T). */
  readonly sampleWeight?: ModelData;
  /** A weight for each label, such as `{ 0: 1, 1: 3.5 }`. */
  readonly classWeight?: ClassWeight;
  /** (N, T), 0 or 1: which steps of the input count. */
  readonly mask?: ModelData;
}

export type EvaluateOptions = WeightOptions & Pick<PredictOptions, 'batchSize' | 'verbose'>;

/** Refuses options that a call does not know, so that none is ignored. */
export function refuseUnknown(given: object, names: readonly string[], where: string): void {
  for (const key of Object.keys(given))
    if (!names.includes(key)) fail('ARGUMENT', where, `options among ${names.join(', ')}`, `'${key}'`);
}
