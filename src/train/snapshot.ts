/**
 * A run of `fit` as bytes, to go on with in another process to the same bits: a zip archive of
 *
 * | entry | content |
 * |---|---|
 * | snapshot.json | format, version, counters, place in the data, averages, history, what the callbacks keep |
 * | values.safetensors | weights, the optimizer's values, recurrent states, by name |
 *
 * Numbers in the JSON that JSON cannot hold are written as `{ "$number": "NaN" }`. Nothing in it can run code.
 */
import { fail, UnrolledError } from '../core/errors.ts';
import { type NamedTensor, readSafetensors, writeSafetensors } from '../formats/wire/safetensors.ts';
import { readZip, writeZip } from '../formats/wire/zip.ts';
import type { AveragesState } from './averages.ts';
import type { History } from './history.ts';
import type { CallbackState } from './hooks.ts';
import type { PassPosition } from './source.ts';
import type { Counters } from './trainer.ts';
import type { Truncation } from './truncation.ts';

const format = 'unrolled-snapshot';
const version = 1;
const limits = { entries: 8, bytes: 16 * 1024 ** 3 };

/** Where a run stands. */
export interface RunPosition {
  /** The epoch that runs or comes next, counted from 0. */
  readonly epoch: number;
  /** Its steps that are done. */
  readonly batch: number;
  /** In the data; null: the epoch starts a pass. */
  readonly pass: PassPosition | null;
  /** In data for validation that can be read once; null: it is read anew. */
  readonly validation: PassPosition | null;
  /** Whether somebody has stopped it. */
  readonly stopped: boolean;
}

/** How the data is cut and ordered; it has to be the same for the place in it to mean the same. */
export interface DataSettings {
  readonly samples: number | null;
  readonly batchSize: number | null;
  readonly shuffle: boolean;
  readonly stepsPerEpoch: number | null;
  /** Where sequences are trained on in windows. */
  readonly tbptt?: Required<Truncation>;
}

export interface SnapshotParts {
  readonly seed: number;
  readonly optimizer: string;
  readonly counters: Counters;
  /** Rows whose recurrent states are kept; null: none. */
  readonly stateRows: number | null;
  readonly position: RunPosition;
  readonly data: DataSettings;
  /** Of the epoch that runs; null between two. */
  readonly averages: AveragesState | null;
  readonly history: Parameters<History['restore']>[0];
  readonly callbacks: readonly CallbackState[];
  readonly values: ReadonlyMap<string, NamedTensor>;
}

const numberKey = '$number';

function plain(_key: string, value: unknown): unknown {
  return typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
    ? { [numberKey]: Object.is(value, -0) ? '-0' : String(value) }
    : value;
}

function revived(_key: string, value: unknown): unknown {
  return typeof value === 'object' && value !== null && numberKey in value
    ? Number((value as Record<string, unknown>)[numberKey])
    : value;
}

export function encodeSnapshot({ values, ...rest }: SnapshotParts): Uint8Array {
  const json = JSON.stringify({ format, version, ...rest }, plain, 2);
  return writeZip(
    new Map([
      ['snapshot.json', new TextEncoder().encode(json)],
      ['values.safetensors', writeSafetensors(values)],
    ]),
  );
}

/** Throws FORMAT for what is no whole snapshot, or one of a later version. */
export function decodeSnapshot(bytes: Uint8Array, where: string): SnapshotParts {
  const entries = readZip(bytes, limits, where);
  const entry = (name: string) =>
    entries.get(name) ??
    fail(
      'FORMAT',
      where,
      `an entry '${name}'`,
      [...entries.keys()].join(', ') || 'none',
      'This is not a snapshot of fit.',
    );
  const json = parse(entry('snapshot.json'), `${where}: snapshot.json`);
  if (json.format !== format) fail('FORMAT', where, `format '${format}'`, String(json.format));
  if (json.version !== version)
    fail(
      'FORMAT',
      where,
      `version ${version}`,
      String(json.version),
      'A later version of this library wrote it; update.',
    );
  const { position, counters, history, data, callbacks } = json as unknown as Partial<SnapshotParts>;
  const isCount = (n: unknown) => Number.isSafeInteger(n) && (n as number) >= 0;
  if (
    !isCount(position?.epoch) ||
    !isCount(position?.batch) ||
    !isCount(counters?.iteration) ||
    !history ||
    !data ||
    !Array.isArray(callbacks)
  )
    fail('FORMAT', where, 'position, counters, history, data and callbacks', 'a file without one of them');
  return {
    ...(json as unknown as SnapshotParts),
    values: readSafetensors(entry('values.safetensors'), `${where}: values.safetensors`),
  };
}

function parse(bytes: Uint8Array, where: string): Record<string, unknown> {
  const text = new TextDecoder().decode(bytes);
  try {
    const value: unknown = JSON.parse(text, revived);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new UnrolledError('FORMAT', `${where}: expected JSON, received ${JSON.stringify(text.slice(0, 40))}.`, {
      cause: error,
    });
  }
  return fail('FORMAT', where, 'an object', text.slice(0, 40));
}
