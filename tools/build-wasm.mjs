/**
 * Builds build/unrolled.wasm (SIMD128) and build/unrolled-relaxed.wasm (with relaxed FMA) with the LLVM that npm ships (@yowasp/clang),
 * freestanding. Skips what is up to date by the contents of the sources and the command.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const native = join(root, 'native');

const sets = { simd128: 'unrolled.wasm', relaxed: 'unrolled-relaxed.wasm' };
const extra = { simd128: [], relaxed: ['-mrelaxed-simd'] };

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
    .update(JSON.stringify([sources, flags, extra, version]))
    .digest('hex');
  const stampFile = join(build, 'wasm.stamp');
  const targets = Object.values(sets).map((name) => join(build, name));
  if (targets.every(existsSync) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return 'current';
  mkdirSync(build, { recursive: true });

  const { commands, runLLVM } = await import('@yowasp/clang');
  await runLLVM(null, {}, { fetchProgress: () => {} }); // loads the tools, without a line for every part
  for (const [set, file] of Object.entries(sets)) {
    // Compiling and linking are two calls: the driver cannot start the linker here.
    const objects = {};
    for (const source of ['verify', set, 'hosts/wasm']) {
      const object = `${source.replace('/', '-')}.o`;
      const args = [...flags, ...extra[set], `-DUNROLLED_SET=${set}`, '-c', `${source}.cc`, '-o', object];
      const own = source === set ? args.filter((x) => !x.startsWith('-DUNROLLED_SET')) : args;
      const result = await call(commands['clang++'], 'clang++', own, sources);
      objects[object] = result[object];
    }
    const args = [
      '--no-entry',
      '--gc-sections',
      '--strip-all',
      '-z',
      'stack-size=262144',
      ...Object.keys(objects),
      '-o',
      file,
    ];
    const linked = await call(commands['wasm-ld'], 'wasm-ld', args, objects);
    writeFileSync(join(build, file), linked[file]);
  }
  writeFileSync(stampFile, stamp);
  return 'built';
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) await buildWasm();
