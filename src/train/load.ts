/** Models out of bundles. */
import { NdArray } from '../core/array.ts';
import { readBundle } from '../formats/bundle.ts';
import { readWhole } from '../formats/file.ts';
import type { KerasConfigOptions } from '../formats/keras-config.ts';
import { Tokenizer } from '../text/tokenizer.ts';
import { modelFromKerasConfig } from './from-keras.ts';
import type { Model } from './model.ts';
import type { ModelOptions } from './model-options.ts';

export type LoadOptions = Omit<ModelOptions, 'name' | 'seed'> & Pick<KerasConfigOptions, 'cells'>;

export interface LoadedModel {
  readonly model: Model;
  /** What was saved with the model; null: none. */
  readonly tokenizer: Tokenizer | null;
  /** What was given to `save` as notes; null: nothing. */
  readonly notes: unknown;
  /** ISO 8601. */
  readonly savedAt: string;
}

/** What `loadModel` gives, out of bytes: for browsers. Throws FORMAT for a damaged file, naming the part. */
export function modelFromBytes(bytes: Uint8Array, options: LoadOptions = {}, where = 'bundle'): LoadedModel {
  const { metadata, config, weights, slots, states, tokenizer } = readBundle(bytes, where);
  const model = modelFromKerasConfig(config, { ...options, generation: 3, seed: metadata.seed });
  const values = (tensors: typeof weights) =>
    new Map(
      [...tensors].map(([name, { data }]) => [name, data instanceof Int32Array ? Float32Array.from(data) : data]),
    );
  model.restore(values(weights), values(slots), metadata.counters);
  if (states.size)
    model.setStates(
      Object.fromEntries([...states].map(([path, { shape, data }]) => [path, NdArray.from(data, shape)])),
    );
  return {
    model,
    tokenizer: tokenizer === null ? null : Tokenizer.fromJSON(tokenizer),
    notes: metadata.notes ?? null,
    savedAt: String(metadata.savedAt),
  };
}

/**
 * Reads what `model.save` wrote: the model, ready to predict or to go on with the training where it stood, and what was saved with it.
 *
 * Errors: IO where the file cannot be read, FORMAT where it is damaged.
 *
 * @example const { model, tokenizer } = await loadModel('runs/reviews.unrolled');
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<LoadedModel> {
  return modelFromBytes(await readWhole(path), options, `'${path}'`);
}
