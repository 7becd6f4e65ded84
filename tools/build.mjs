/** Builds everything: TypeScript to dist, the treaty for C++, the addon, and the WebAssembly. `npm ci` runs it. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAddon } from './build-addon.mjs';
import { buildWasm } from './build-wasm.mjs';
import { generateTreaty } from './generate-treaty.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
const types = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
try {
  await generateTreaty();
  await buildAddon();
  await buildWasm();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
process.exit(types.status ?? 1);
