/** The code of docs/layers.md type-checks and runs, and the tables name every layer that there is. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { layers } from '../src/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = readFileSync(join(root, 'docs', 'layers.md'), 'utf8');
const blocks = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]);

/** Imports of all blocks come first, from the sources. */
function program(): string {
  const names = new Set<string>();
  const body = blocks.map((code) =>
    code.replace(/^import \{([^}]*)\} from 'unrolled';$/gm, (_all, list: string) => {
      for (const name of list.split(',')) names.add(name.trim());
      return '';
    }),
  );
  const ends = 'export { translator, encoder, decoder, autoencoder, own, same, inputs, streamed };';
  return `import { ${[...names].join(', ')} } from '../../src/index.ts';\n${body.join('\n')}\n${ends}\n`;
}

describe('docs/layers.md', () => {
  const folder = join(root, 'build', 'snippets');
  const path = join(folder, 'layers-page.ts');
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, program());

  it('has code that type-checks', () => {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
    const { options } = ts.parseJsonConfigFileContent({ ...config, files: [path], include: [] }, ts.sys, root);
    const compiled = ts.createProgram([path], { ...options, noUnusedLocals: false });
    const source = compiled.getSourceFile(path);
    const found = [...compiled.getSyntacticDiagnostics(source), ...compiled.getSemanticDiagnostics(source)];
    expect(found.map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'))).toEqual([]);
  }, 120_000);

  it('has code that runs: a cell of under fifteen lines trains, streams, saves and loads, and models share layers', async () => {
    const made = await import(/* @vite-ignore */ pathToFileURL(path).href);
    const own = await made.own.predict(made.inputs);
    expect(Array.from(made.same.data as Float32Array)).toEqual(Array.from(own.data as Float32Array));
    const step = blocks.join('\n').split('const leakyCell')[1].split('\n});')[0].split('\n');
    // The line that closes it counts.
    expect(step.length + 1).toBeLessThan(15);
    made.streamed.forEach((y: number, t: number) => expect(y).toBeCloseTo(own.data[t], 6));
    const kernel = made.autoencoder.weights[0].path;
    expect(made.encoder.getWeight(kernel).data).toEqual(made.autoencoder.getWeight(kernel).data);
    expect(made.translator.outputShapes).toEqual([
      [null, null, 16],
      [null, 2, null, null],
    ]);
  });

  it('names every layer', () => {
    const missing = Object.keys(layers).filter((name) => !page.includes(`\`${name}\``));
    expect(missing).toEqual([]);
  });
});
