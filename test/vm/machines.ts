/** Every machine that can be opened here, and why the others cannot. */
import { nativeSets } from '../../src/vm/node.ts';
import { openMachine } from '../../src/vm/open.ts';
import type { HostName, Machine } from '../../src/vm/vm.ts';
import { wasmSets } from '../../src/vm/wasm.ts';

export interface Candidate {
  readonly name: string;
  readonly host: HostName;
  readonly isa: string;
  readonly open: () => Promise<Machine>;
  /** Why it cannot run here. */
  readonly missing?: string;
}

const native = await nativeSets().catch((error: Error) => error);
const wasm = wasmSets();

function candidate(host: HostName, isa: string, missing?: string): Candidate {
  return { name: `${host} ${isa}`, host, isa, missing, open: () => openMachine({ host, isa }) };
}

// An addon with sanitizers is tested alone: UNROLLED_ADDON names it.
const onlyNative = !!process.env.UNROLLED_ADDON;

export const candidates: readonly Candidate[] = [
  ...(process.arch === 'arm64' ? ['neon'] : ['avx512bf16', 'avx512', 'avx2', 'sse']).map((isa) =>
    candidate(
      'native',
      isa,
      native instanceof Error
        ? `no addon: ${native.message}`
        : native.includes(isa)
          ? undefined
          : 'not on this processor',
    ),
  ),
  ...(onlyNative ? [] : ['simd128', 'relaxed']).map((isa) =>
    candidate('wasm', isa, wasm.includes(isa) ? undefined : 'WebAssembly.validate refuses it in this engine'),
  ),
];
