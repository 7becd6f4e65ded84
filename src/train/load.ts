/** Models out of bundles. */
import { readBundle } from '../formats/bundle.ts';
import { readWhole } from '../formats/file.ts';
import type { KerasConfigOptions } from '../formats/keras-config.ts';
import { Tokenizer } from '../text/tokenizer.ts';
import type { Model, ModelOptions } from './model.ts';
import { modelFromKerasConfig } from './sequential.ts';

export type LoadOptions = Omit<ModelOptions, 'name' | 'seed'> & Pick<KerasConfigOptions, 'cells'>;

export interface LoadedBundle {
  readonly model: Model;
  /** What was saved with the model; null: none. */
  readonly tokenizer: Tokenizer | null;
  /** ISO 8601. */
  readonly savedAt: string;
}

/** Model and tokenizer out of the bytes of a bundle. Throws FORMAT for a damaged file, naming the part. */
export function bundleFromBytes(bytes: Uint8Array, options: LoadOptions = {}, where = 'bundle'): LoadedBundle {
  const { metadata, config, weights, slots, tokenizer } = readBundle(bytes, where);
  const model = modelFromKerasConfig(config, { ...options, generation: 3, seed: metadata.seed });
  const values = (tensors: typeof weights) => new Map([...tensors].map(([name, { data }]) => [name, data instanceof Int32Array ? Float32Array.from(data) : data]));
  model.restore(values(weights), values(slots), metadata.counters);
  return { model, tokenizer: tokenizer === null ? null : Tokenizer.fromJSON(tokenizer), savedAt: String(metadata.savedAt) };
}

/**
 * The model of a bundle that `model.save` wrote, ready to predict, or to go on with the training where it stood.
 *
 * Errors: IO where the file cannot be read, FORMAT where it is damaged.
 *
 * @example const model = await loadModel('runs/reviews.unrolled');
 */
export async function loadModel(path: string, options: LoadOptions = {}): Promise<Model> {
  return (await loadBundle(path, options)).model;
}

/** The model of a bundle with the tokenizer that was saved beside it. */
export async function loadBundle(path: string, options: LoadOptions = {}): Promise<LoadedBundle> {
  return bundleFromBytes(await readWhole(path), options, `'${path}'`);
}
