/**
 * Builds everything: TypeScript to dist, the few files in dist/bundle that are published (hundreds of modules take longer to load than to
 * compile a model), the treaty for C++, the addon, and the WebAssembly. `npm ci` runs it.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { buildAddon } from './build-addon.mjs';
import { buildWasm } from './build-wasm.mjs';
import { generateTreaty } from './generate-treaty.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
const types = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
/** The package and the threads that it starts, each by its own name; other packages stay imports. */
async function bundle() {
  const at = (file) => join(root, 'dist', file);
  const input = {
    index: at('index.js'),
    main: at('cli/main.js'),
    worker: at('vm/worker.js'),
    member: at('vm/member.js'),
  };
  const result = await rolldown({ input, platform: 'neutral', external: [/^[^./]/] });
  await result.write({
    dir: at('bundle'),
    format: 'esm',
    chunkFileNames: '[name].js',
    cleanDir: true,
    // One character beyond Latin-1 would make V8 keep and scan all of the source with two bytes a character.
    charset: 'ascii',
    // Docs stand in the types; other bundlers read the annotations.
    comments: { legal: true, annotation: true, jsdoc: false },
  });
  await result.close();
}

try {
  await bundle();
  await generateTreaty();
  await buildAddon();
  await buildWasm();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
process.exit(types.status ?? 1);
