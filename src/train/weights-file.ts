/**
 * Weights alone as a file: safetensors, by path, with the optimizer's values where the model is compiled, as Keras's `.weights.h5` has them.
 */
import { fail } from '../core/errors.ts';
import { readWhole, writeWhole } from '../formats/file.ts';
import { type NamedTensor, readSafetensors, writeSafetensors } from '../formats/wire/safetensors.ts';
import type { Bundled } from './bundling.ts';
import type { Values } from './session.ts';
import type { Counters } from './trainer.ts';

const ending = '.safetensors';
/** Names of what is no weight: none of a layer's begins like this, because a layer's name holds no dot. */
const counterPrefix = '.counters/';
const slotPrefix = 'optimizer/';

/** Throws ARGUMENT for a path that ends otherwise than `.safetensors`, IO where the disk refuses. */
export async function writeWeightsFile(path: string, { weights, slots, counters }: Bundled): Promise<void> {
  if (!path.endsWith(ending)) fail('ARGUMENT', 'saveWeights', `a path that ends with ${ending}`, `'${path}'`);
  const counted = Object.entries(counters ?? {}).map(([name, value]): [string, NamedTensor] => [
    `${counterPrefix}${name}`,
    { shape: [], data: Float64Array.of(value) },
  ]);
  await writeWhole(path, writeSafetensors(new Map([...weights, ...slots, ...counted])));
}

export interface WeightsFile {
  readonly weights: ReadonlyMap<string, Values>;
  readonly slots: ReadonlyMap<string, Values>;
  /** null: the model was not compiled. */
  readonly counters: Counters | null;
}

/** Throws IO and FORMAT. */
export async function readWeightsFile(path: string): Promise<WeightsFile> {
  const tensors = readSafetensors(await readWhole(path), `'${path}'`);
  const weights = new Map<string, Values>();
  const slots = new Map<string, Values>();
  const counters: Record<string, number> = {};
  for (const [name, { data }] of tensors) {
    const values = data instanceof Int32Array ? Float64Array.from(data) : data;
    if (name.startsWith(counterPrefix)) counters[name.slice(counterPrefix.length)] = values[0];
    else (name.startsWith(slotPrefix) ? slots : weights).set(name, values);
  }
  const { iteration, learningRate } = counters;
  const counted = Number.isSafeInteger(iteration) && iteration >= 0 && learningRate >= 0;
  if (Object.keys(counters).length && !counted)
    fail('FORMAT', `'${path}'`, 'an iteration and a learning rate', JSON.stringify(counters));
  return { weights, slots, counters: counted ? (counters as unknown as Counters) : null };
}
