/**
 * Builds build/unrolled.wasm (SIMD128) and build/unrolled-relaxed.wasm (with relaxed FMA), and both once more for threads on a shared memory,
 * with the LLVM that npm ships (@yowasp/clang), freestanding. Skips what is up to date by the contents of the sources and the command.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const native = join(root, 'native');

/** What the compiler is told for an instruction set, and its two files: alone, and with threads. */
const sets = {
  simd128: { flags: [], alone: 'unrolled.wasm', threads: 'unrolled-threads.wasm' },
  relaxed: { flags: ['-mrelaxed-simd'], alone: 'unrolled-relaxed.wasm', threads: 'unrolled-relaxed-threads.wasm' },
};

const linkFlags = ['--no-entry', '--gc-sections', '-z', 'stack-size=262144'];
// The host gives every instance the same memory, and each thread a stack of its own.
const threadLinkFlags = ['--shared-memory', '--import-memory', '--max-memory=4294967296'];

const flags = [
  '--target=wasm32',
  '-std=c++17',
  '-O3',
  '-ffreestanding',
  '-nostdlib',
  '-fno-exceptions',
  '-fno-rtti',
  '-fno-math-errno',
  '-fno-strict-aliasing',
  '-fvisibility=hidden',
  '-msimd128',
  '-mbulk-memory',
  // Objects that may be linked with threads may also be linked without.
  '-matomics',
  '-Wall',
  '-Wextra',
  '-Wno-unused-function',
  '-I.',
];

/** The sources as the compiler's file system wants them: nested objects of texts. */
function tree(folder) {
  const out = {};
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) out[entry.name] = tree(join(folder, entry.name));
    else if (/\.(cc|h)$/.test(entry.name)) out[entry.name] = readFileSync(join(folder, entry.name), 'utf8');
  }
  return out;
}

/** Runs one tool; throws with its output where it fails. */
async function call(command, name, args, files) {
  const decoder = new TextDecoder();
  let output = '';
  const collect = (bytes) => {
    if (bytes) output += decoder.decode(bytes, { stream: true });
  };
  try {
    const result = await command(args, files, { stdout: collect, stderr: collect });
    if (output.trim()) console.log(output.trim());
    return result;
  } catch (error) {
    throw new Error(`unrolled: ${name} ${args.join(' ')} failed.\n${output || error}`);
  }
}

/** @returns {Promise<'built' | 'current'>} */
export async function buildWasm() {
  const build = join(root, 'build');
  const sources = tree(native);
  const version = JSON.parse(
    readFileSync(join(root, 'node_modules', '@yowasp', 'clang', 'package.json'), 'utf8'),
  ).version;
  const stamp = createHash('sha256')
    .update(JSON.stringify([sources, flags, sets, linkFlags, threadLinkFlags, version]))
    .digest('hex');
  const stampFile = join(build, 'wasm.stamp');
  const targets = Object.values(sets).flatMap(({ alone, threads }) => [join(build, alone), join(build, threads)]);
  if (targets.every(existsSync) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return 'current';
  mkdirSync(build, { recursive: true });

  const { commands, runLLVM } = await import('@yowasp/clang');
  await runLLVM(null, {}, { fetchProgress: () => {} }); // loads the tools, without a line for every part
  // Compiling and linking are two calls: the driver cannot start the linker here.
  const compile = async (source, options, object) => {
    const args = [...flags, ...options, '-c', `${source}.cc`, '-o', object];
    return { [object]: (await call(commands['clang++'], 'clang++', args, sources))[object] };
  };
  const link = async (objects, options, file) => {
    const args = [...linkFlags, ...options, ...Object.keys(objects), '-o', file];
    writeFileSync(join(build, file), (await call(commands['wasm-ld'], 'wasm-ld', args, objects))[file]);
  };
  const verify = await compile('verify', [], 'verify.o');
  const share = await compile('share', [], 'share.o');
  for (const [set, { flags: own, alone, threads }] of Object.entries(sets)) {
    const kernels = await compile(set, own, 'kernels.o');
    const host = [...own, `-DUNROLLED_SET=${set}`];
    await link({ ...verify, ...kernels, ...(await compile('hosts/wasm', host, 'host.o')) }, [], alone);
    const shared = await compile('hosts/wasm', [...host, '-DUNROLLED_SHARED_MEMORY'], 'host.o');
    await link({ ...verify, ...share, ...kernels, ...shared }, threadLinkFlags, threads);
  }
  writeFileSync(stampFile, stamp);
  return 'built';
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) await buildWasm();
