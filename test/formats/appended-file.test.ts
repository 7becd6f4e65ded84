import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { makeFolderOf } from '../../src/formats/appended-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'unrolled-'));
const before = process.cwd();

afterEach(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true, force: true });
});

it('makes the folders that a path needs, and none for a name alone', async () => {
  process.chdir(folder);
  await makeFolderOf('model.keras');
  await makeFolderOf('/model.keras');
  expect(readdirSync('.')).toEqual([]);
  await makeFolderOf('a/b/model.keras');
  expect(readdirSync('a')).toEqual(['b']);
});
