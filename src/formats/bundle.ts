/**
 * The project's own file of a model: a zip archive of
 *
 * | entry | content |
 * |---|---|
 * | metadata.json | format, version, date, counters |
 * | config.json | the model in Keras 3's form, with compile_config |
 * | weights.safetensors | weights by path |
 * | optimizer.safetensors | slots of the optimizer by path; may be missing |
 * | states.safetensors | what stateful layers keep, by path; may be missing |
 * | tokenizer.json | what the tokenizer wrote; may be missing |
 *
 * Nothing in it can run code. Reading has limits, and every entry is held against its checksum.
 */
import { fail, UnrolledError } from '../core/errors.ts';
import { type NamedTensor, readSafetensors, writeSafetensors } from './wire/safetensors.ts';
import { readZip, writeZip } from './wire/zip.ts';

export const bundleFormat = 'unrolled-bundle';
export const bundleVersion = 1;

const limits = { entries: 64, bytes: 16 * 1024 ** 3 };
/** Deeper configurations are no models. */
const nestingLimit = 200;

export interface BundleMetadata {
  readonly format: typeof bundleFormat;
  readonly version: number;
  /** ISO 8601. */
  readonly savedAt: string;
  readonly seed: number;
  /** Where training stood; null: the model was not compiled. */
  readonly counters: { readonly iteration: number; readonly learningRate: number } | null;
  /** What the program that saved it wants to find again; JSON. */
  readonly notes?: unknown;
}

export interface BundleParts {
  readonly metadata: BundleMetadata;
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: ReadonlyMap<string, NamedTensor>;
  readonly slots: ReadonlyMap<string, NamedTensor>;
  readonly states: ReadonlyMap<string, NamedTensor>;
  /** JSON text. */
  readonly tokenizer: string | null;
}

const text = (value: unknown) =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value, null, 2));

export function writeBundle(parts: BundleParts): Uint8Array {
  const entries = new Map<string, Uint8Array>([
    ['metadata.json', text(parts.metadata)],
    ['config.json', text(parts.config)],
    ['weights.safetensors', writeSafetensors(parts.weights)],
  ]);
  if (parts.slots.size) entries.set('optimizer.safetensors', writeSafetensors(parts.slots));
  if (parts.states.size) entries.set('states.safetensors', writeSafetensors(parts.states));
  if (parts.tokenizer !== null) entries.set('tokenizer.json', text(parts.tokenizer));
  return writeZip(entries);
}

/** Throws FORMAT for a file that is not a whole bundle, or of a later version. */
export function readBundle(bytes: Uint8Array, where: string): BundleParts {
  const entries = readZip(bytes, limits, where);
  const entry = (name: string) =>
    entries.get(name) ??
    fail(
      'FORMAT',
      where,
      `an entry '${name}'`,
      [...entries.keys()].join(', ') || 'none',
      'This is not a bundle of this library.',
    );
  const metadata = parseJson(entry('metadata.json'), `${where}: metadata.json`) as Partial<BundleMetadata> | null;
  if (metadata?.format !== bundleFormat)
    fail('FORMAT', `${where}: metadata.json`, `format '${bundleFormat}'`, JSON.stringify(metadata?.format) ?? 'none');
  if (metadata.version !== bundleVersion)
    fail(
      'FORMAT',
      `${where}: metadata.json`,
      `version ${bundleVersion}`,
      String(metadata.version),
      'A later version of this library wrote it; update.',
    );
  const config = parseJson(entry('config.json'), `${where}: config.json`);
  if (typeof config !== 'object' || config === null || Array.isArray(config))
    fail('FORMAT', `${where}: config.json`, 'an object', typeof config);
  const slots = entries.get('optimizer.safetensors');
  const states = entries.get('states.safetensors');
  const tokenizer = entries.get('tokenizer.json');
  return {
    metadata: {
      ...metadata,
      seed: Number.isSafeInteger(metadata.seed) ? metadata.seed : 0,
      counters: readCounters(metadata.counters, where),
    } as BundleMetadata,
    config: config as Record<string, unknown>,
    weights: readSafetensors(entry('weights.safetensors'), `${where}: weights.safetensors`),
    slots: slots ? readSafetensors(slots, `${where}: optimizer.safetensors`) : new Map(),
    states: states ? readSafetensors(states, `${where}: states.safetensors`) : new Map(),
    tokenizer: tokenizer ? new TextDecoder().decode(tokenizer) : null,
  };
}

function readCounters(value: unknown, where: string): BundleMetadata['counters'] {
  if (value === null || value === undefined) return null;
  const { iteration, learningRate } = value as { iteration?: unknown; learningRate?: unknown };
  if (
    !Number.isSafeInteger(iteration) ||
    (iteration as number) < 0 ||
    typeof learningRate !== 'number' ||
    !(learningRate >= 0)
  )
    fail('FORMAT', `${where}: metadata.json`, 'counters { iteration, learningRate }', JSON.stringify(value));
  return { iteration: iteration as number, learningRate };
}

function parseJson(bytes: Uint8Array, where: string): unknown {
  const source = new TextDecoder().decode(bytes);
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < source.length; i++) {
    const c = source[i];
    if (c === '"') quoted = !quoted;
    else if (c === '\\' && quoted) i++;
    else if (!quoted && (c === '{' || c === '[') && ++depth > nestingLimit)
      fail('FORMAT', where, `nesting of at most ${nestingLimit}`, 'deeper');
    else if (!quoted && (c === '}' || c === ']')) depth--;
  }
  try {
    return JSON.parse(source);
  } catch (error) {
    throw new UnrolledError('FORMAT', `${where}: expected JSON, received ${JSON.stringify(source.slice(0, 40))}.`, {
      cause: error,
    });
  }
}
