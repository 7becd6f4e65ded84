/** Every `ts` block of docs/looking-inside.md runs, one after the other in one program, and prints what its comments say; its pictures are there. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import * as unrolled from '../../src/index.ts';

const path = fileURLToPath(new URL('../../docs/looking-inside.md', import.meta.url));
const text = readFileSync(path, 'utf8');
const blocks = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]);

describe('docs/looking-inside.md', () => {
  it('has code that runs and says what it says', async () => {
    const names = new Set<string>();
    const body = blocks.join('\n').replace(/^import \{([^}]*)\} from 'unrolled';$/gm, (_all, list: string) => {
      for (const name of list.split(',')) names.add(name.trim());
      return '';
    });
    for (const name of names) expect(Object.keys(unrolled)).toContain(name);
    const { outputText } = ts.transpileModule(`async function page() {\n${body}\n}`, {
      compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
    });
    const said: unknown[][] = [];
    const print = { ...console, log: (...values: unknown[]) => void said.push(values) };
    const list = [...names];
    const run = new Function('console', ...list, `${outputText}\nreturn page();`);
    await run(print, ...list.map((name) => (unrolled as Record<string, unknown>)[name]));
    expect(said[0]).toEqual([[1, 6, 12]]);
    expect(said[1]).toEqual([['h', 'c']]);
    expect(said[2]).toEqual([['input', 'forget', 'candidate', 'output']]);
    expect(said[3][0]).toContain('gate forget');
    expect(said[4]).toEqual([6]);
    expect(said).toContainEqual([
      { layer: 'explosive', kind: 'state', name: 'h', is: 'infinite', step: 2, samples: [0] },
    ]);
    expect(String(said.at(-1))).toMatch(/explosive: state h is infinite from step 2 on \(sample 0\)/);
  }, 60_000);

  it('has no link to a file that is not there', () => {
    const links = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1]);
    expect(links.length).toBeGreaterThan(0);
    for (const link of links) expect(existsSync(join(dirname(path), link)), link).toBe(true);
  });
});
