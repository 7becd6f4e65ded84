/**
 * Builds build/unrolled.node with the machine's C++ compiler and the headers of the npm package node-api-headers: one object for each
 * instruction set, the same source. Skips what is up to date (by the contents of the sources and the command). Without a compiler it says so
 * in one line, and the library runs on WebAssembly.
 *
 * In the published package this file runs alone, as the install script; a compile that fails there is a line too, not an error.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const native = join(root, 'native');

/** Flags of each instruction set; the common file comes first. */
const sets = {
  x64: {
    avx512bf16: ['-mavx512f', '-mavx512dq', '-mavx512bw', '-mavx512vl', '-mavx512bf16', '-mavx2', '-mfma'],
    avx512: ['-mavx512f', '-mavx512dq', '-mavx512bw', '-mavx512vl', '-mavx2', '-mfma'],
    avx2: ['-mavx2', '-mfma'],
    sse: [],
  },
  arm64: { neon: [] },
};

const common = [
  '-std=c++17',
  '-O3',
  '-fPIC',
  '-fvisibility=hidden',
  '-fno-math-errno',
  '-ffp-contract=fast',
  '-fno-strict-aliasing',
  '-fno-exceptions',
  '-fno-rtti',
  '-Wall',
  '-Wextra',
  '-Wno-ignored-attributes',
  '-Wno-unknown-pragmas',
  '-Wno-psabi',
  '-Wno-unused-function',
];

/** The first C++ compiler that answers: CXX alone where it is set. */
export function findCompiler() {
  const names = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  return names.find((name) => {
    const [command, ...rest] = name.split(' ').filter(Boolean);
    return command && spawnSync(command, [...rest, '--version'], { stdio: 'ignore' }).status === 0;
  });
}

/** Whether a compiler knows a flag: GCC before 10 has no bfloat16. */
function knows([command, ...prefix], flag) {
  return (
    spawnSync(command, [...prefix, flag, '-E', '-x', 'c++', '-'], { input: '', stdio: ['pipe', 'ignore', 'ignore'] })
      .status === 0
  );
}

function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (x) => (output += x));
    child.stderr.on('data', (x) => (output += x));
    child.on('error', (error) => resolve({ ok: false, output: String(error) }));
    child.on('close', (code) => resolve({ ok: code === 0, output }));
  });
}

function filesUnder(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesUnder(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

function digest(parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

/**
 * @param {{ target?: string, flags?: string[], linkFlags?: string[] }} [options] `flags` are added to the common ones
 * @returns {Promise<'built' | 'current' | 'no compiler' | 'unsupported'>} throws with the compiler's output where it fails
 */
export async function buildAddon({ target = 'unrolled.node', flags = [], linkFlags = [] } = {}) {
  const build = join(root, 'build');
  const compiler = findCompiler();
  if (!compiler) {
    console.log('unrolled: no C++ compiler found; the library will run on WebAssembly, which is slower.');
    return 'no compiler';
  }
  if (!sets[process.arch] || process.platform === 'win32') {
    console.log(
      `unrolled: no addon for ${process.platform} ${process.arch}; the library will run on WebAssembly, which is slower.`,
    );
    return 'unsupported';
  }
  const headers = join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include');
  const [command, ...prefix] = compiler.split(' ').filter(Boolean);
  const { avx512bf16, ...others } = sets[process.arch];
  const hasBfloat16 = avx512bf16 && knows([command, ...prefix], '-mavx512bf16');
  const flagsOf = {
    ...(hasBfloat16 ? { avx512bf16 } : {}),
    ...others,
    verify: [],
    share: [],
    dispatch: hasBfloat16 ? [] : ['-DUNROLLED_WITHOUT_BFLOAT16'],
    'hosts/threads': ['-pthread'],
    'hosts/node': [`-I${headers}`],
  };
  const sources = filesUnder(native).filter((file) => /\.(cc|h)$/.test(file));
  const stamp = digest([
    ...sources.sort().flatMap((file) => [file.slice(root.length), readFileSync(file)]),
    JSON.stringify([compiler, common, flags, linkFlags, flagsOf, process.platform]),
    spawnSync(command, [...prefix, '--version']).stdout,
  ]);
  const output = join(build, target);
  const stampFile = `${output}.stamp`;
  if (existsSync(output) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return 'current';

  const objects = join(build, `${target}.objects`);
  mkdirSync(join(objects, 'hosts'), { recursive: true });
  const jobs = Object.entries(flagsOf).map(([name, own]) => async () => {
    const object = join(objects, `${name}.o`);
    const args = [
      ...prefix,
      ...common,
      ...own,
      ...flags,
      `-I${native}`,
      '-c',
      join(native, `${name}.cc`),
      '-o',
      object,
    ];
    const { ok, output: text } = await run(command, args);
    if (!ok) throw new Error(`unrolled: ${command} ${args.join(' ')} failed.\n${text}`);
    if (text.trim()) console.log(text.trim());
    return object;
  });
  const built = [];
  // Two at a time: each takes a core and some hundred megabytes.
  await Promise.all(
    [0, 1].map(async () => {
      for (let job = jobs.shift(); job; job = jobs.shift()) built.push(await job());
    }),
  );
  const link = process.platform === 'darwin' ? ['-bundle', '-undefined', 'dynamic_lookup'] : ['-shared', '-pthread'];
  const temporary = `${output}.${process.pid}`;
  const args = [...prefix, ...link, ...linkFlags, ...built.sort(), '-o', temporary];
  const { ok, output: text } = await run(command, args);
  if (!ok) throw new Error(`unrolled: ${command} ${args.join(' ')} failed.\n${text}`);
  renameSync(temporary, output);
  writeFileSync(stampFile, stamp);
  rmSync(objects, { recursive: true });
  return 'built';
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  const published = !existsSync(join(root, 'tsconfig.build.json'));
  // In the repository, the treaty is written by the build, which runs after this and builds the addon itself.
  if (existsSync(join(native, 'generated', 'treaty.h')) && (published || !process.env.npm_lifecycle_event)) {
    try {
      await buildAddon();
    } catch (error) {
      if (!published) throw error;
      console.log(
        'unrolled: the addon could not be built; the library will run on WebAssembly, which is slower. The reason:',
      );
      console.log(error instanceof Error ? error.message : error);
    }
  }
}
