/**
 * The safetensors format: 8 bytes with the length of a JSON header, the header, then the numbers. Source: the format's description in
 * github.com/huggingface/safetensors. Types: F32, F64, I32.
 */
import { fail } from '../../core/errors.ts';
import { type Shape, sizeOf } from '../../core/shape.ts';

export type TensorData = Float32Array | Float64Array | Int32Array;

export interface NamedTensor {
  readonly shape: Shape;
  readonly data: TensorData;
}

const types = {
  F32: { bytes: 4, array: Float32Array },
  F64: { bytes: 8, array: Float64Array },
  I32: { bytes: 4, array: Int32Array },
} as const;
type TypeName = keyof typeof types;

/** Longer headers belong to no model of this library. */
const headerLimit = 64 * 1024 * 1024;
const rankLimit = 32;

function typeOf(data: TensorData): TypeName {
  return data instanceof Float32Array ? 'F32' : data instanceof Float64Array ? 'F64' : 'I32';
}

/** Numbers are little-endian, as on every machine that this library runs on. */
function bytesOf(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The file, tensors in the order of the map. */
export function writeSafetensors(
  tensors: ReadonlyMap<string, NamedTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const header: Record<string, unknown> = Object.keys(metadata).length ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    if (sizeOf(shape) !== data.length)
      fail('ARGUMENT', `safetensors: ${name}`, `${sizeOf(shape)} numbers`, String(data.length));
    header[name] = { dtype: typeOf(data), shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  let text = JSON.stringify(header);
  // The numbers start at a multiple of 8.
  text = text.padEnd(
    Math.ceil(new TextEncoder().encode(text).length / 8) * 8 - new TextEncoder().encode(text).length + text.length,
  );
  const head = new TextEncoder().encode(text);
  const file = new Uint8Array(8 + head.length + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(head.length), true);
  file.set(head, 8);
  let at = 8 + head.length;
  for (const { data } of tensors.values()) {
    file.set(bytesOf(data), at);
    at += data.byteLength;
  }
  return file;
}

/** The tensors of a file by name. Throws FORMAT, naming the tensor, for anything that is not whole. */
export function readSafetensors(file: Uint8Array, where: string): Map<string, NamedTensor> {
  if (file.length < 8) fail('FORMAT', where, 'a header', `${file.length} bytes`);
  const length = Number(new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true));
  if (length > headerLimit || 8 + length > file.length)
    fail('FORMAT', where, `a header within ${Math.min(headerLimit, file.length - 8)} bytes`, `${length}`);
  const header = parseHeader(new TextDecoder().decode(file.subarray(8, 8 + length)), where);
  const body = file.subarray(8 + length);
  const tensors = new Map<string, NamedTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    tensors.set(name, readTensor(entry, body, `${where}: ${name}`));
  }
  const end = Object.entries(header).reduce(
    (most, [name, e]) =>
      name === '__metadata__' ? most : Math.max(most, (e as { data_offsets: number[] }).data_offsets[1]),
    0,
  );
  if (end !== body.length) fail('FORMAT', where, `${end} bytes of numbers`, String(body.length));
  return tensors;
}

function parseHeader(text: string, where: string): Record<string, unknown> {
  try {
    const header: unknown = JSON.parse(text);
    if (typeof header === 'object' && header !== null && !Array.isArray(header))
      return header as Record<string, unknown>;
  } catch {
    // Reported below.
  }
  fail('FORMAT', where, 'a header of JSON', JSON.stringify(text.slice(0, 40)));
}

function readTensor(entry: unknown, body: Uint8Array, where: string): NamedTensor {
  const {
    dtype,
    shape,
    data_offsets: offsets,
  } = (entry ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  const isCount = (n: unknown): n is number => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0;
  if (typeof dtype !== 'string' || !Object.hasOwn(types, dtype))
    fail('UNSUPPORTED', where, `a type among ${Object.keys(types).join(', ')}`, String(dtype));
  if (!Array.isArray(shape) || shape.length > rankLimit || !shape.every(isCount))
    fail('FORMAT', where, 'a shape', JSON.stringify(shape) ?? 'none');
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    fail('FORMAT', where, 'two offsets', JSON.stringify(offsets) ?? 'none');
  const { bytes, array } = types[dtype as TypeName];
  const [from, to] = offsets as [number, number];
  const size = sizeOf(shape);
  if (to - from !== size * bytes || to > body.length)
    fail('FORMAT', where, `${size * bytes} bytes within ${body.length}`, `${from} to ${to}`);
  const data = new array(size);
  bytesOf(data).set(body.subarray(from, to));
  return { shape, data };
}
