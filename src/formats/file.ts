/** Files of Node: read whole, written beside the path and renamed, so that a path never holds half a file. */
import { UnrolledError } from '../core/errors.ts';

/** What is used of Node's file system; a test may bring its own. */
export interface FileSystem {
  open(
    path: string,
    flags: string,
  ): Promise<{
    writeFile(bytes: Uint8Array): Promise<void>;
    sync(): Promise<void>;
    close(): Promise<void>;
  }>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { force: boolean }): Promise<void>;
  readFile(path: string): Promise<Uint8Array>;
  readdir(path: string): Promise<string[]>;
}

/** The file system of Node; IO in browsers, which have `toBytes` and `fromBytes` instead. */
async function nodeFileSystem(): Promise<FileSystem> {
  // Not a literal, so that bundlers for browsers leave it alone.
  const specifier = 'node:fs/promises';
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ specifier)) as unknown as FileSystem;
  } catch (error) {
    throw new UnrolledError(
      'IO',
      'file: expected a file system, received a host without one. Use toBytes() and modelFromBytes().',
      { cause: error },
    );
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota of the disk is used up',
  EFBIG: 'the file is larger than the system allows',
  EACCES: 'access is denied',
  EPERM: 'access is denied',
  EROFS: 'the disk is read-only',
  ENOENT: 'there is no such file or folder',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
};

/** IO, with the reason in words. */
export function ioError(what: string, path: string, error: unknown, next: string): UnrolledError {
  const code = (error as { code?: string }).code ?? '';
  const reason = reasons[code] ?? (error instanceof Error ? error.message : String(error));
  return new UnrolledError('IO', `${what} '${path}': ${reason}${code ? ` (${code})` : ''}. ${next}`, { cause: error });
}

/** A write that takes longer is taken to have been killed. */
const abandonedAfter = 10 * 60 * 1000;

/** Removes what writes that were killed have left beside a path. */
async function removeAbandoned(path: string, fs: FileSystem): Promise<void> {
  const name = Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1;
  const [folder, start] = [path.slice(0, name), `${path.slice(name)}.`];
  for (const found of await fs.readdir(folder || '.')) {
    const began = found.startsWith(start) && /^([0-9a-z]{8,9})-[0-9a-z]+\.tmp$/.exec(found.slice(start.length))?.[1];
    if (!began || Date.now() - Number.parseInt(began, 36) < abandonedAfter) continue;
    await fs.rm(`${folder}${found}`, { force: true });
  }
}

/**
 * Writes a file whole, or throws IO and leaves what was at the path.
 *
 * @param single nobody else writes to this path: what an interrupted write left beside it is written over
 */
export async function writeWhole(
  path: string,
  bytes: Uint8Array,
  fileSystem?: FileSystem,
  single = false,
): Promise<void> {
  const fs = fileSystem ?? (await nodeFileSystem());
  const beside = single
    ? `${path}.tmp`
    : `${path}.${Date.now().toString(36)}-${Math.floor(Math.random() * 1e9).toString(36)}.tmp`;
  try {
    const file = await fs.open(beside, single ? 'w' : 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.rename(beside, path);
  } catch (error) {
    await fs.rm(beside, { force: true }).catch(() => undefined);
    throw ioError(
      'cannot write',
      path,
      error,
      `Nothing was lost: what was there before is unchanged. ${(bytes.length / 1024 ** 2).toFixed(1)} MB are needed.`,
    );
  }
  if (!single) await removeAbandoned(path, fs).catch(() => undefined);
}

/** The bytes of a file; null where there is none. Throws IO, with the reason, where it cannot be read. */
export async function readIfThere(path: string, fileSystem?: FileSystem): Promise<Uint8Array | null> {
  const fs = fileSystem ?? (await nodeFileSystem());
  try {
    return new Uint8Array(await fs.readFile(path));
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return null;
    throw ioError('cannot read', path, error, 'Check the path.');
  }
}

/** The bytes of a file. Throws IO, with the reason. */
export async function readWhole(path: string, fileSystem?: FileSystem): Promise<Uint8Array> {
  const fs = fileSystem ?? (await nodeFileSystem());
  try {
    return new Uint8Array(await fs.readFile(path));
  } catch (error) {
    throw ioError('cannot read', path, error, 'Check the path.');
  }
}
