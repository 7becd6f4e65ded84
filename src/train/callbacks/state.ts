/** Numbers, arrays and checks of what callbacks keep in a snapshot, which is JSON. */
import { NdArray } from '../../core/array.ts';
import { fail } from '../../core/errors.ts';
import type { Shape } from '../../core/shape.ts';
import { showValue } from '../../layers/options.ts';

/** JSON has no NaN and no infinity. */
export type StoredNumber = number | string | null;

export const storeNumber = (value: number | null): StoredNumber =>
  value === null || Number.isFinite(value) ? value : String(value);

export const readNumber = (value: StoredNumber): number | null => (value === null ? null : Number(value));

const arrays = { float32: Float32Array, float64: Float64Array, int32: Int32Array } as const;

export interface StoredArray {
  readonly shape: Shape;
  readonly dtype: keyof typeof arrays;
  /** Little-endian, in base64. */
  readonly data: string;
}

const chunk = 0x8000;

export function storeArray({ shape, dtype, data }: NdArray): StoredArray {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = '';
  for (let i = 0; i < bytes.length; i += chunk) text += String.fromCharCode(...bytes.subarray(i, i + chunk));
  return { shape, dtype, data: btoa(text) };
}

export function readArray({ shape, dtype, data }: StoredArray): NdArray {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  return NdArray.from(new arrays[dtype](bytes.buffer), shape);
}

/** What `state` gave, as an object with the keys that it had. Throws FORMAT for another one. */
export function checkState<T extends object>(state: unknown, keys: readonly (keyof T & string)[], where: string): T {
  const missing = keys.filter((key) => typeof state !== 'object' || state === null || !Object.hasOwn(state, key));
  if (missing.length)
    fail(
      'FORMAT',
      `${where}: state`,
      `an object with ${keys.join(', ')}`,
      showValue(state),
      'Give the callbacks in the order in which the snapshot was written.',
    );
  return state as T;
}
