/**
 * Zip archives: written stored, so that the bytes of arrays stay as they are; read stored or deflated, every entry held against its
 * checksum. Source: APPNOTE.TXT 6.3 of PKWARE. Not read: encryption, several disks, archives or entries of 4 GB and more.
 */
// The build without Node's threads, which would be loaded with it.
import { inflateSync, zipSync } from 'fflate/browser';
import { fail } from '../../core/errors.ts';

export interface ZipLimits {
  /** Entries at most. */
  readonly entries: number;
  /** Bytes of all entries together, unpacked, at most. */
  readonly bytes: number;
}

const endSignature = 0x06054b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;

let table: Uint32Array | null = null;

/** CRC-32 with the polynomial 0xedb88320. */
export function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    return c;
  });
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** An archive of stored entries, in the order of the map. The same entries give the same bytes. */
export function writeZip(entries: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const mtime = new Date(1980, 0, 1);
  return zipSync(
    Object.fromEntries(
      [...entries].map(([name, bytes]) => [name, [bytes, { level: 0, mtime }] as const]),
    ) as Parameters<typeof zipSync>[0],
  );
}

/** The entries of an archive by name. Throws FORMAT for anything that is not a whole, undamaged archive within the limits. */
export function readZip(bytes: Uint8Array, limits: ZipLimits, where: string): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const broken = (received: string): never =>
    fail(
      'FORMAT',
      where,
      'a whole zip archive',
      received,
      'The file is damaged or cut short; take a copy that is not.',
    );
  const end = findEnd(view);
  if (end < 0) return broken(bytes.length ? `${bytes.length} bytes without the end of an archive` : 'an empty file');
  const count = view.getUint16(end + 10, true);
  if (count > limits.entries) fail('FORMAT', where, `at most ${limits.entries} entries`, String(count));
  const entries = new Map<string, Uint8Array>();
  let at = view.getUint32(end + 16, true);
  let total = 0;
  for (let k = 0; k < count; k++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== centralSignature)
      return broken(`a directory that breaks off at entry ${k}`);
    const [flags, method] = [view.getUint16(at + 8, true), view.getUint16(at + 10, true)];
    const [crc, packed, size] = [
      view.getUint32(at + 16, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 24, true),
    ];
    const [nameLength, extra, comment] = [
      view.getUint16(at + 28, true),
      view.getUint16(at + 30, true),
      view.getUint16(at + 32, true),
    ];
    const local = view.getUint32(at + 42, true);
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    at += 46 + nameLength + extra + comment;
    total += size;
    if (total > limits.bytes) fail('FORMAT', where, `at most ${limits.bytes} bytes unpacked`, `${total} and more`);
    if (flags & 1) fail('UNSUPPORTED', `${where}: ${name}`, 'an entry that is not encrypted', 'an encrypted one');
    if (local + 30 > bytes.length || view.getUint32(local, true) !== localSignature)
      return broken(`no entry '${name}' at its place`);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    if (start + packed > bytes.length) return broken(`an entry '${name}' that goes beyond the end`);
    if (entries.has(name)) return broken(`two entries '${name}'`);
    const content = unpack(bytes.subarray(start, start + packed), method, size, `${where}: ${name}`);
    if (content.length !== size || crc32(content) !== crc) return broken(`an entry '${name}' with a wrong checksum`);
    if (!name.endsWith('/')) entries.set(name, content);
  }
  return entries;
}

/** Where the end record stands; -1: nowhere. A comment of up to 64 KB may follow it. */
function findEnd(view: DataView): number {
  for (let at = view.byteLength - 22; at >= Math.max(0, view.byteLength - 22 - 0xffff); at--)
    if (view.getUint32(at, true) === endSignature && view.getUint16(at + 20, true) === view.byteLength - at - 22)
      return at;
  return -1;
}

function unpack(packed: Uint8Array, method: number, size: number, where: string): Uint8Array {
  if (method === 0) return packed;
  if (method !== 8) fail('UNSUPPORTED', where, 'a stored or deflated entry', `compression method ${method}`);
  try {
    return inflateSync(packed, { out: new Uint8Array(size) });
  } catch (error) {
    fail('FORMAT', where, 'deflated data', error instanceof Error ? error.message : String(error));
  }
}
