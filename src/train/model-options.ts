/** What the calls of a model take. */
import { fail } from '../core/errors.ts';
import type { TimeMemory } from '../engine/gradients.ts';
import type { OpenShape } from '../layers/layer.ts';
import type { Machine } from '../vm/vm.ts';
import type { ClassWeight, ModelData, NamedData, OutputData } from './data.ts';
import type { Verbosity } from './fit.ts';
import type { Network, PlacedLayer } from './network.ts';

export interface ModelOptions {
  /** Default `sequential`. */
  readonly name?: string;
  /** From which all starting values, draws and orders follow: the same seed, the same run. Default 0. */
  readonly seed?: number;
  /** Bytes that a step may take; a larger plan is refused before it runs. Default: what the machine has free. */
  readonly memoryLimit?: number;
  /** What training keeps of the steps of a sequence: see `TimeMemory`. Default `full`; `compile` may choose otherwise. */
  readonly memory?: TimeMemory;
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
  readonly mask?: ModelData | NamedData;
}

export interface PredictOptions {
  /** Default 32. Does not change the result. */
  readonly batchSize?: number;
  /** (N, T), 0 or 1: which steps of the input count. */
  readonly mask?: ModelData | NamedData;
  /** Batches at most. Default: all. */
  readonly steps?: number;
  /** Default 0. */
  readonly verbose?: Verbosity;
}

export interface WeightOptions {
  /** (N), or one for every entry of the loss: (N, T). For several outputs a list, or an object by their names. */
  readonly sampleWeight?: OutputData;
  /** A weight for each label, such as `{ 0: 1, 1: 3.5 }`. */
  readonly classWeight?: ClassWeight;
  /** (N, T), 0 or 1: which steps of the input count. */
  readonly mask?: ModelData | NamedData;
}

export type EvaluateOptions = WeightOptions & Pick<PredictOptions, 'batchSize' | 'steps' | 'verbose'>;

/** Refuses options that a call does not know, so that none is ignored. */
export function refuseUnknown(given: object, names: readonly string[], where: string): void {
  for (const key of Object.keys(given))
    if (!names.includes(key)) fail('ARGUMENT', where, `options among ${names.join(', ')}`, `'${key}'`);
}
