/** Runs the contracts of the machine and of the compiled operations on the addon with sanitizers. Further arguments go to vitest. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler } from './build-addon.mjs';
import { buildSanitized } from './build-sanitize.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const compiler = findCompiler();
if (!compiler || process.platform !== 'linux') {
  console.log('The sanitized suite needs Linux and a C++ compiler; skipped.');
  process.exit(0);
}
await buildSanitized();

/** The runtime has to be loaded before Node's own allocator. */
function library(name) {
  const [command, ...rest] = compiler.split(' ').filter(Boolean);
  return spawnSync(command, [...rest, `-print-file-name=${name}`], { encoding: 'utf8' }).stdout.trim();
}

const suite = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules', 'vitest', 'vitest.mjs'),
    'run',
    'test/vm',
    'test/engine',
    '--pool=forks',
    ...process.argv.slice(2),
  ],
  {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      LD_PRELOAD: [library('libasan.so'), library('libubsan.so')].join(':'),
      UNROLLED_ADDON: join(root, 'build', 'unrolled-sanitized.node'),
      // Node does not free everything at its end.
      ASAN_OPTIONS: 'detect_leaks=0',
      UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    },
  },
);
process.exit(suite.status ?? 1);
