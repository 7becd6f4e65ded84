/** The choice of the host and of the instruction set. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { openMachine } from '../../src/vm/open.ts';
import { candidates } from './machines.ts';

afterEach(() => vi.unstubAllEnvs());

describe('openMachine', () => {
  for (const { name, host, isa, missing } of candidates) {
    const title = `UNROLLED_HOST and UNROLLED_ISA force ${name}`;
    if (missing) {
      test(`${title}; here it is refused: ${missing}`, async () => {
        vi.stubEnv('UNROLLED_HOST', host);
        vi.stubEnv('UNROLLED_ISA', isa);
        await expect(openMachine()).rejects.toMatchObject({ code: expect.stringMatching(/ARGUMENT|UNSUPPORTED/) });
      });
      continue;
    }
    test(title, async () => {
      vi.stubEnv('UNROLLED_HOST', host);
      vi.stubEnv('UNROLLED_ISA', isa);
      expect((await openMachine()).traits).toMatchObject({ host, isa });
    });
  }

  test('without a choice, the fastest that there is', async () => {
    vi.stubEnv('UNROLLED_HOST', '');
    vi.stubEnv('UNROLLED_ISA', '');
    const best = candidates.find((c) => !c.missing);
    expect((await openMachine()).traits).toMatchObject({ host: best?.host, isa: best?.isa });
  });

  test('the oracle runs no programs', async () => {
    const machine = await openMachine({ host: 'oracle' });
    expect(machine.traits).toEqual({ host: 'oracle', isa: 'float64', vector: 16 });
    expect(() => machine.load(new Int32Array(8))).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  });

  test('an unknown host or instruction set is an error that lists the known ones', async () => {
    await expect(openMachine({ host: 'gpu' as 'wasm' })).rejects.toThrow(/native, wasm or oracle.*'gpu'/);
    await expect(openMachine({ host: 'wasm', isa: 'avx2' })).rejects.toThrow(/simd128.*'avx2'/);
    await expect(openMachine({ isa: 'mmx' })).rejects.toMatchObject({
      code: expect.stringMatching(/ARGUMENT|UNSUPPORTED/),
    });
  });

  test('without the addon, WebAssembly and one line that says so', async () => {
    vi.resetModules();
    vi.stubEnv('UNROLLED_HOST', '');
    vi.stubEnv('UNROLLED_ISA', '');
    vi.stubEnv('UNROLLED_ADDON', '/nowhere/unrolled.node');
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const fresh = await import('../../src/vm/open.ts');
    expect((await fresh.openMachine()).traits.host).toBe('wasm');
    expect((await fresh.openMachine()).traits.host).toBe('wasm');
    expect(warn.mock.calls.map((c) => String(c[0]))).toEqual([expect.stringContaining('WebAssembly')]);
    await expect(fresh.openMachine({ host: 'native' })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    warn.mockRestore();
  });
});
