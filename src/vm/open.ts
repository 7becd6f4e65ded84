/** The choice of the host. */
import { fail, UnrolledError } from '../core/errors.ts';
import { environment, inNode } from './builtin.ts';
import type { HostName, Machine } from './vm.ts';

export interface MachineOptions {
  /** Forces a host. Default: UNROLLED_HOST, else native where the addon loads, else wasm. */
  readonly host?: HostName;
  /** Forces an instruction set: avx512bf16, avx512, avx2, sse, neon (native), simd128 or relaxed (wasm). Default: UNROLLED_ISA, else the fastest. */
  readonly isa?: string;
  /** The folder of unrolled.wasm and unrolled-relaxed.wasm. Default: beside the package's code. */
  readonly wasmFolder?: string | URL;
}

/** Walks graphs in float64 and runs no programs; the engine knows it by its traits. */
const oracle: Machine = {
  traits: { host: 'oracle', isa: 'float64', vector: 16 },
  allocate: (floats) => new Float32Array(floats),
  load: refuse,
  run: async () => refuse(),
  runSync: refuse,
  bind: refuse,
};

function refuse(): never {
  fail(
    'UNSUPPORTED',
    'the oracle',
    'a graph',
    'a program',
    'The oracle walks graphs; programs run on the hosts native and wasm.',
  );
}

let warned = false;

/**
 * Opens the machine that programs run on.
 *
 * Errors: ARGUMENT for an unknown host or an instruction set that this machine does not have; a forced host that cannot be loaded rejects
 * with the reason.
 *
 * @example const machine = await openMachine({ host: 'wasm' });
 */
export async function openMachine(options: MachineOptions = {}): Promise<Machine> {
  const host = options.host ?? environment('UNROLLED_HOST');
  const isa = options.isa ?? environment('UNROLLED_ISA');
  switch (host) {
    case 'oracle':
      if (options.isa !== undefined && options.isa !== oracle.traits.isa)
        fail('ARGUMENT', 'openMachine: isa', 'float64 on the oracle', `'${options.isa}'`);
      return oracle;
    case 'native':
      return openNativeHost(isa);
    case 'wasm':
      return openWasmHost(isa, options.wasmFolder);
    case undefined:
      break;
    default:
      fail('ARGUMENT', 'UNROLLED_HOST', 'native, wasm or oracle', `'${host}'`);
  }
  const wasmSet = isa === 'simd128' || isa === 'relaxed';
  if (inNode && !wasmSet) {
    try {
      return await openNativeHost(isa);
    } catch (error) {
      if (isa !== undefined || (error instanceof UnrolledError && error.code === 'ARGUMENT')) throw error;
      if (!warned)
        console.warn(
          `unrolled: running on WebAssembly, which is slower (${firstLine(error)}). With a C++ compiler, 'node tools/build-addon.mjs' in the package's folder builds the faster addon.`,
        );
      warned = true;
    }
  }
  return openWasmHost(isa, options.wasmFolder);
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0];
}

async function openNativeHost(isa?: string): Promise<Machine> {
  if (!inNode) fail('UNSUPPORTED', 'UNROLLED_HOST', 'wasm or oracle outside of Node', 'native');
  const { openNative } = await import('./node.ts');
  try {
    return await openNative(isa);
  } catch (error) {
    if (error instanceof UnrolledError) throw error;
    throw new UnrolledError('UNSUPPORTED', `the addon cannot be loaded: ${firstLine(error)}`, { cause: error });
  }
}

async function openWasmHost(isa?: string, folder?: string | URL): Promise<Machine> {
  const { openWasm } = await import('./wasm.ts');
  return openWasm(isa, folder);
}
