/** Every `ts` block of these pages runs, those of a page one after the other in one program, and prints what its comments say; links lead to files. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, describe, expect, it } from 'vitest';
import * as unrolled from '../src/index.ts';

const fileOf = (name: string) => fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
const textOf = (name: string) => readFileSync(fileOf(name), 'utf8');
const home = process.cwd();

const folder = mkdtempSync(join(tmpdir(), 'pages-'));

afterAll(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true });
});

/** What the program of a page prints. */
async function said(page: string): Promise<unknown[][]> {
  const blocks = [...textOf(page).matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]);
  const names = new Set<string>();
  const body = blocks.join('\n').replace(/^import \{([^}]*)\} from 'unrolled';$/gm, (_all, list: string) => {
    for (const name of list.split(',')) names.add(name.trim());
    return '';
  });
  for (const name of names) expect(Object.keys(unrolled)).toContain(name);
  const { outputText } = ts.transpileModule(`async function page() {\n${body}\n}`, {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
  });
  const lines: unknown[][] = [];
  const print = { ...console, log: (...values: unknown[]) => void lines.push(values) };
  const list = [...names];
  const run = new Function('console', ...list, `${outputText}\nreturn page();`);
  await run(print, ...list.map((name) => (unrolled as Record<string, unknown>)[name]));
  return lines;
}

describe('the code runs and says what it says', () => {
  it('looking-inside.md', async () => {
    const lines = await said('looking-inside.md');
    expect(lines[0]).toEqual([[1, 6, 12]]);
    expect(lines[1]).toEqual([['h', 'c']]);
    expect(lines[2]).toEqual([['input', 'forget', 'candidate', 'output']]);
    expect(lines[3][0]).toContain('gate forget');
    expect(lines[4]).toEqual([6]);
    expect(lines).toContainEqual([
      { layer: 'explosive', kind: 'state', name: 'h', is: 'infinite', step: 2, samples: [0] },
    ]);
    expect(String(lines.at(-1))).toMatch(/explosive: state h is infinite from step 2 on \(sample 0\)/);
  }, 60_000);

  it('training.md', async () => {
    process.chdir(folder);
    expect(await said('training.md')).toEqual([
      [textOf('training.md').match(/console\.log\(error\.message\); \/\/ (.*)/)?.[1]],
    ]);
    expect(readFileSync('runs/log.csv', 'utf8').trim().split('\n')).toHaveLength(5);
    expect(existsSync('runs/backup')).toBe(false);
  }, 60_000);
});

it.each(['looking-inside.md', 'training.md'])('%s has no link to a file that is not there', (page) => {
  const links = [...textOf(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1]);
  for (const link of links) expect(existsSync(join(dirname(fileOf(page)), link)), link).toBe(true);
});
