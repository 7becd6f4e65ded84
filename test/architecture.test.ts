/**
 * The import law of the house (ARCHITECTURE.md), no cycles between files, and no file over 600 lines without a written reason.
 * Imports are read by TypeScript's own parser. The law holds for type imports too: a module may not even know the types of one above it.
 * Cycles are those that exist at run time: two files of one module may name each other's types.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** module -> modules of the house that its files may import, besides themselves. Order: lowest first. */
const law: Record<string, readonly string[]> = {
  core: [],
  data: ['core'],
  ir: ['core'],
  'formats/wire': ['core'],
  text: ['core', 'data'],
  series: ['core', 'data'],
  ops: ['core', 'ir'],
  vm: ['core', 'ir'],
  engine: ['core', 'ir', 'ops', 'vm'],
  layers: ['core', 'ops'],
  formats: ['core', 'ir', 'layers', 'formats/wire'],
  train: ['core', 'data', 'ir', 'formats/wire', 'text', 'series', 'ops', 'vm', 'engine', 'layers', 'formats'],
  inspect: ['core', 'data', 'ir', 'text', 'series', 'ops', 'vm', 'engine', 'layers', 'formats', 'train'],
  generate: ['core', 'data', 'ir', 'text', 'ops', 'vm', 'engine', 'layers', 'formats', 'train'],
  index: [
    'core',
    'data',
    'ir',
    'text',
    'series',
    'ops',
    'vm',
    'engine',
    'layers',
    'formats',
    'train',
    'generate',
    'inspect',
  ],
  cli: ['index'],
  bench: ['index'],
  examples: ['index'],
};

/** Single files that may import more, with the reason. */
const exceptions: Record<string, { readonly may: readonly string[]; readonly reason: string }> = {};

/** Files that may have more than 600 lines, with the reason. */
const longFiles: Record<string, string> = {};

const lineLimit = 600;

function filesUnder(folder: string, endings: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !/node_modules|\.venv|results|generated/.test(path));
}

function moduleOf(path: string): string {
  if (path === 'src/index.ts') return 'index';
  if (path.startsWith('src/formats/wire/')) return 'formats/wire';
  const parts = path.split('/');
  return parts[0] === 'src' ? parts[1] : parts[0];
}

interface Import {
  readonly target: string;
  /** Gone at run time. */
  readonly typeOnly: boolean;
}

/** Whether a declaration imports or exports types alone. */
function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) {
    const named = node.exportClause && ts.isNamedExports(node.exportClause) ? node.exportClause.elements : null;
    return node.isTypeOnly || (named?.every((e) => e.isTypeOnly) ?? false);
  }
  const clause = node.importClause;
  if (!clause) return false;
  const named = clause.namedBindings && ts.isNamedImports(clause.namedBindings) ? clause.namedBindings.elements : null;
  return (
    clause.phaseModifier === ts.SyntaxKind.TypeKeyword || (!clause.name && (named?.every((e) => e.isTypeOnly) ?? false))
  );
}

/** Files of the house that a file imports, statically or dynamically. */
function importsOf(path: string): Import[] {
  const source = ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.Latest);
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined, typeOnly: boolean): void => {
    if (specifier && ts.isStringLiteral(specifier) && specifier.text.startsWith('.'))
      found.push({ target: relative(root, resolve(root, dirname(path), specifier.text)), typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node));
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const sources = [...filesUnder('src', /\.ts$/), ...filesUnder('bench', /\.ts$/), ...filesUnder('examples', /\.ts$/)];
const graph = new Map(sources.map((path) => [path, importsOf(path)]));

describe('architecture', () => {
  it('knows every module', () => {
    expect(sources.filter((path) => !(moduleOf(path) in law))).toEqual([]);
  });

  it('imports only what the law allows', () => {
    const broken: string[] = [];
    for (const [path, imports] of graph)
      for (const { target } of imports) {
        const from = moduleOf(path);
        const to = moduleOf(target);
        const allowed = from === to || law[from]?.includes(to) || exceptions[path]?.may.includes(to);
        if (!allowed) broken.push(`${path} (${from}) imports ${target} (${to})`);
      }
    expect(broken).toEqual([]);
  });

  it('lets no phase of the engine import another', () => {
    const phase = /^src\/engine\/(\d)-/;
    const broken: string[] = [];
    for (const [path, imports] of graph) {
      const own = phase.exec(path)?.[1];
      for (const { target } of imports) {
        const other = phase.exec(target)?.[1];
        if (own && other && own !== other) broken.push(`${path} imports ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('has no import cycles at run time', () => {
    const state = new Map<string, 'open' | 'done'>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (state.get(path) === 'done') return;
      if (state.get(path) === 'open') {
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
        return;
      }
      state.set(path, 'open');
      for (const { target, typeOnly } of graph.get(path) ?? []) if (!typeOnly) visit(target, [...trail, path]);
      state.set(path, 'done');
    };
    for (const path of graph.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  it(`has no file over ${lineLimit} lines without a written reason`, () => {
    const all = ['src', 'native', 'tools', 'bench', 'test', 'examples'].flatMap((folder) =>
      filesUnder(folder, /\.(ts|mjs|cc|h)$/),
    );
    const long = all
      .map((path) => ({ path, lines: readFileSync(join(root, path), 'utf8').split('\n').length }))
      .filter(({ path, lines }) => lines > lineLimit && !longFiles[path])
      .map(({ path, lines }) => `${path}: ${lines} lines`);
    expect(long).toEqual([]);
  });

  it('has no exception without need or reason', () => {
    for (const [path, { may, reason }] of Object.entries(exceptions)) {
      expect(reason.length, path).toBeGreaterThan(20);
      const used = (graph.get(path) ?? []).map(({ target }) => moduleOf(target));
      expect(
        may.filter((m) => !used.includes(m)),
        path,
      ).toEqual([]);
    }
    for (const path of Object.keys(longFiles))
      expect(readFileSync(join(root, path), 'utf8').split('\n').length, path).toBeGreaterThan(lineLimit);
  });
});
