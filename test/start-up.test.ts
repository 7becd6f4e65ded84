/**
 * What the import of the package loads, without a clock: its own files and the reader of zip archives, none of a host, and of Node nothing that a plain module does
 * not load too.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The specifiers of static imports that exist at run time. */
function staticImports(path: string): string[] {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest);
  return source.statements.flatMap((node) => {
    if (!ts.isImportDeclaration(node) && !ts.isExportDeclaration(node)) return [];
    const isType = ts.isImportDeclaration(node)
      ? node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
      : node.isTypeOnly;
    const { moduleSpecifier } = node;
    return !isType && moduleSpecifier && ts.isStringLiteral(moduleSpecifier) ? [moduleSpecifier.text] : [];
  });
}

function loadedBy(entry: string): { files: string[]; outside: string[] } {
  const files = new Set<string>();
  const outside: string[] = [];
  const visit = (path: string) => {
    if (files.has(path)) return;
    files.add(path);
    for (const specifier of staticImports(path)) {
      if (specifier.startsWith('.')) visit(resolve(dirname(path), specifier));
      else outside.push(`${relative(root, path)}: ${specifier}`);
    }
  };
  visit(join(root, entry));
  return { files: [...files].map((path) => relative(root, path)), outside };
}

describe('the import of the package', () => {
  const { files, outside } = loadedBy('src/index.ts');

  it('loads one small package and no module of Node', () => {
    expect(files.length).toBeGreaterThan(100);
    expect(outside).toEqual(['src/formats/wire/zip.ts: fflate/browser']);
  });

  it('loads no host of the machine, no worker and no command line', () => {
    expect(files.filter((path) => /^src\/(cli\/|vm\/(node|wasm|wasm-instance|worker)\.ts)/.test(path))).toEqual([]);
  });

  it('is of files that V8 keeps with one byte a character, without the docs', () => {
    const folder = join(root, 'dist/bundle');
    if (!existsSync(folder)) return;
    for (const name of readdirSync(folder)) {
      const text = readFileSync(join(folder, name), 'latin1');
      expect(text.match(/[^\0-\x7f]/)?.index, name).toBeUndefined();
      expect(text.includes('/**'), name).toBe(false);
    }
  });

  it('makes Node load nothing that the import of an empty module does not', () => {
    if (!existsSync(join(root, 'dist/bundle/index.js'))) return;
    const loaded = (specifier: string): string[] => {
      const program = `await import(${JSON.stringify(specifier)}); console.log(JSON.stringify(process.moduleLoadList));`;
      const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { cwd: root });
      expect(stderr.toString()).toBe('');
      return JSON.parse(stdout.toString());
    };
    const plain = new Set(loaded('./dist/core/errors.js'));
    expect(
      loaded('./dist/bundle/index.js').filter((name) => !plain.has(name) && /NativeModule [a-z]/.test(name)),
    ).toEqual([]);
  });
});
