/**
 * Files of Node that grow: logs and event files. What `append` has returned from is in the hands of the system, so that it outlives the process;
 * what `mark` has returned from is on the disk, and a later run can go on from there.
 */
import { UnrolledError } from '../core/errors.ts';
import { ioError } from './file.ts';

/** What is used of `node:fs`. */
interface Files {
  openSync(path: string, flags: string): number;
  writeSync(file: number, bytes: Uint8Array, offset: number, length: number, position: number): number;
  fsyncSync(file: number): void;
  closeSync(file: number): void;
  ftruncateSync(file: number, length: number): void;
  fstatSync(file: number): { readonly size: number };
  mkdirSync(path: string, options: { recursive: boolean }): unknown;
  rmSync(path: string, options: { force: boolean }): void;
}

/** IO in browsers. */
async function nodeFiles(what: string): Promise<Files> {
  // Not a literal, so that bundlers for browsers leave it alone.
  const specifier = 'node:fs';
  try {
    return (await import(/* @vite-ignore */ /* webpackIgnore: true */ specifier)) as unknown as Files;
  } catch (error) {
    throw new UnrolledError(
      'IO',
      `${what}: expected a file system, received a host without one. Write a callback that keeps the numbers.`,
      { cause: error },
    );
  }
}

/** Empty for a name alone, and for what stands in the root. */
function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'), path.lastIndexOf('\\')));
}

function orError<T>(what: string, path: string, next: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw ioError(what, path, error, next);
  }
}

/** Makes the folders that a path needs. */
export async function makeFolderOf(path: string): Promise<void> {
  const folder = folderOf(path);
  if (!folder) return;
  const files = await nodeFiles(`'${path}'`);
  orError('cannot make the folder of', path, 'Choose another path.', () =>
    files.mkdirSync(folder, { recursive: true }),
  );
}

/** Removes a file, if it is there. */
export async function removeFile(path: string): Promise<void> {
  const files = await nodeFiles(`'${path}'`);
  orError('cannot remove', path, 'Remove it by hand.', () => files.rmSync(path, { force: true }));
}

/** Where to begin: an empty file, behind what is there, or after so many of its bytes. */
export type Beginning = 'empty' | 'end' | number;

export class AppendedFile {
  readonly path: string;
  private readonly files: Files;
  private readonly file: number;
  private position: number;
  private open = true;

  private constructor(path: string, files: Files, file: number, position: number) {
    this.path = path;
    this.files = files;
    this.file = file;
    this.position = position;
  }

  /** Opens a file, and makes it and its folder where there is none. Throws IO, also for a file that is shorter than where it is to begin. */
  static async open(path: string, beginning: Beginning): Promise<AppendedFile> {
    const files = await nodeFiles(`'${path}'`);
    await makeFolderOf(path);
    return orError('cannot write', path, 'Choose another path.', () => {
      // Opened for appending first, because that makes a file and leaves one that is there.
      if (typeof beginning === 'string' || beginning === 0) files.closeSync(files.openSync(path, 'a'));
      const file = files.openSync(path, 'r+');
      const { size } = files.fstatSync(file);
      const position = beginning === 'empty' ? 0 : beginning === 'end' ? size : beginning;
      if (position > size) {
        files.closeSync(file);
        throw new Error(`it has ${size} bytes, and ${position} were written before the run was interrupted`);
      }
      files.ftruncateSync(file, position);
      return new AppendedFile(path, files, file, position);
    });
  }

  /** Bytes so far. */
  get size(): number {
    return this.position;
  }

  append(content: Uint8Array | string): void {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    const next = 'What was written before is whole.';
    orError('cannot write', this.path, next, () => {
      let done = 0;
      try {
        while (done < bytes.length)
          done += this.files.writeSync(this.file, bytes, done, bytes.length - done, this.position + done);
      } catch (error) {
        this.files.ftruncateSync(this.file, this.position);
        throw error;
      }
      this.position += bytes.length;
    });
  }

  /** Bytes that are safe on the disk: where a resumed run goes on. */
  mark(): number {
    if (this.open) orError('cannot write', this.path, '', () => this.files.fsyncSync(this.file));
    return this.position;
  }

  close(): void {
    if (this.open) this.files.closeSync(this.file);
    this.open = false;
  }
}
