/** What the calls of a model take. */
import type { NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { checkTimeMemory, type TimeMemory } from '../engine/gradients.ts';
import type { OpenShape } from '../layers/layer.ts';
import { closestName, snakeToCamel } from '../layers/names.ts';
import type { Machine } from '../vm/vm.ts';
import type { ClassWeight, ModelData, NamedData, OutputData } from './data.ts';
import type { Verbosity } from './fit.ts';
import type { Network, PlacedLayer } from './network.ts';
import { checkPrecision, type Precision } from './precision.ts';

export interface ModelOptions {
  /** Default `sequential`. */
  readonly name?: string;
  /** From which all starting values, draws and orders follow: the same seed, the same run. Default 0. */
  readonly seed?: number;
  /** Bytes that a step may take; a larger plan is refused before it runs. Default: what the machine has free. */
  readonly memoryLimit?: number;
  /** What training keeps of the steps of a sequence: see `TimeMemory`. Default `full`; `compile` may choose otherwise. */
  readonly memory?: TimeMemory;
  /**
   * What matrix products of the layers round their operands to. With `bfloat16` training is 1.6 to 1.8 times as fast with 128 and 256
   * units on processors with AVX-512 BF16, and not faster on others; results agree with float32 to about two digits. They are summed in float32; weights, states,
   * gradients, the loss and the optimizer stay float32, and so do products that give one column. Where the model is saved, it is not part
   * of the file. Default `float32`; `compile` may choose otherwise.
   *
   * @example sequential([layers.lstm({ units: 256 }), layers.dense({ units: 10 })], { precision: 'bfloat16' });
   */
  readonly precision?: Precision;
  /** The machine to run on. Default: one for the process, chosen by UNROLLED_HOST and what is there. */
  readonly machine?: Machine;
}

/** What `compile` may choose otherwise. */
export interface RunDefaults {
  readonly timeMemory: TimeMemory;
  readonly precision: Precision;
}

export const runDefaults = ({ memory = 'full', precision = 'float32' }: ModelOptions): RunDefaults => ({
  timeMemory: checkTimeMemory(memory, 'model: memory'),
  precision: checkPrecision(precision, 'model: precision'),
});

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

/** @template Output what `predict` gives: one array, or a list for models of several outputs */
export interface PredictOptions<Output = NdArray | readonly NdArray[]> {
  /** Default 32. Does not change the result. */
  readonly batchSize?: number;
  /** (N, T), 0 or 1: which steps of the input count. */
  readonly mask?: ModelData | NamedData;
  /**
   * Where the results are written and returned: arrays of their shape, of type float32 (or float64; int32 for indices). Predicting again and
   * again into the same ones takes no new memory and leaves none to be collected. Default: new arrays.
   */
  readonly out?: Output;
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
  for (const key of Object.keys(given)) {
    if (names.includes(key)) continue;
    const camel = snakeToCamel(key);
    const near = names.includes(camel) ? camel : closestName(key, [...names]);
    const next = near ? `Did you mean '${near}'?` : undefined;
    fail('ARGUMENT', where, `options among ${names.join(', ')}`, `'${key}'`, next);
  }
}
