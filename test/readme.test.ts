/**
 * Every code block of README.md: `ts` blocks are type-checked and run against the built package (`npm run build` first), one after the
 * other in one program, as a reader would paste them; commands in `sh` blocks must be ones of package.json; other languages are output.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build', 'snippets');

interface Block {
  language: string;
  code: string;
  line: number;
}

function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = [];
  for (const match of markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm))
    blocks.push({ language: match[1], code: match[2], line: markdown.slice(0, match.index).split('\n').length });
  return blocks;
}

/** Imports of all blocks come first, each name once. */
function program(blocks: Block[]): string {
  const names = new Set<string>();
  const bodies = blocks.map(({ code, line }) => {
    const body = code.replace(/^import \{([^}]*)\} from 'unrolled';$/gm, (_all, list: string) => {
      for (const name of list.split(',')) if (name.trim()) names.add(name.trim());
      return '';
    });
    return `// README.md line ${line}\n${body}`;
  });
  return `import { ${[...names].join(', ')} } from 'unrolled';\n${bodies.join('\n')}`;
}

function typeErrors(path: string): string[] {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, files: [path], include: [] }, ts.sys, root);
  const compiled = ts.createProgram([path], { ...options, noUnusedLocals: false });
  return ts.getPreEmitDiagnostics(compiled).map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'));
}

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const blocks = blocksOf(readme);
const scripts = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts as Record<string, string>;

describe('README.md', () => {
  it('has code that type-checks and runs', () => {
    const code = program(blocks.filter((b) => b.language === 'ts'));
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const path = join(folder, 'readme.ts');
    writeFileSync(path, code);
    expect(typeErrors(path)).toEqual([]);
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
    });
    writeFileSync(join(folder, 'readme.mjs'), outputText);
    const output = execFileSync(process.execPath, ['readme.mjs'], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(output.length).toBeGreaterThan(0);
  }, 120_000);

  it('names only commands that exist', () => {
    const commands = blocks
      .filter((b) => b.language === 'sh')
      .flatMap((b) => b.code.split('\n').filter((line) => line.trim() && !line.startsWith('#')));
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) {
      const words = command.split(/\s+/).filter((word) => !/^[A-Z_]+=/.test(word));
      if (words[0] !== 'npm') continue;
      const script = words[1] === 'run' ? words[2] : words[1];
      if (!['ci', 'install', 'pack'].includes(script)) expect(Object.keys(scripts), command).toContain(script);
    }
  });

  it('has no link to a file that is not there', () => {
    const links = [...readme.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((m) => m[1]);
    expect(links.length).toBeGreaterThan(0);
    for (const link of links) expect(() => readFileSync(join(root, link)), link).not.toThrow();
  });
});
