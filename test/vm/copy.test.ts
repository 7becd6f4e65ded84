/** Copies of boxes by the host's own means equal those of a plain loop, and leave everything else as it was. */
import { describe, expect, test } from 'vitest';
import { copyBlocks } from '../../src/engine/packing.ts';
import { surelyFinite } from '../../src/vm/finite.ts';
import { openMachine } from '../../src/vm/open.ts';
import type { BlockCopy, Machine } from '../../src/vm/vm.ts';

const machine = await openMachine();
const plain = { ...machine, copy: undefined } as Machine;

const permutation = (count: number, step: number) =>
  Int32Array.from({ length: count }, (_, i) => (i * step + 1) % count);

/** [samples, outer, inner] boxes of a run, outer axis first in memory on one side: what a batch in order of time is copied by. */
function transposed(counts: BlockCopy['counts'], run: number, pitch: number, rows: Int32Array | null): BlockCopy {
  const [samples, outer, inner] = counts;
  const box = inner * pitch;
  return {
    counts,
    run,
    toAt: 3,
    fromAt: 0,
    toStrides: [box, samples * box, pitch],
    fromStrides: [outer * inner * run, inner * run, run],
    leaves: false,
    toRows: null,
    fromRows: rows,
  };
}

describe.skipIf(!machine.copy)('copies between arrays', () => {
  const cases: readonly [name: string, copy: BlockCopy][] = [
    ['single elements', transposed([64, 40, 1], 1, 1, null)],
    ['short runs', transposed([16, 50, 1], 8, 16, permutation(16, 5))],
    ['runs of 512 bytes', transposed([5, 12, 1], 128, 128, permutation(5, 2))],
    ['runs that are no whole number of pieces', transposed([7, 9, 1], 203, 208, permutation(7, 3))],
    ['one long run a sample', transposed([9, 1, 1], 1301, 1301, permutation(9, 4))],
    ['boxes of several runs', transposed([6, 10, 7], 19, 32, permutation(6, 5))],
  ];
  test.each(cases)('%s', (_, copy) => {
    const [samples, outer, inner] = copy.counts;
    const from = Float32Array.from({ length: samples * outer * inner * copy.run }, (_x, i) => i + 1);
    const room = 3 + outer * copy.toStrides[1] + 5;
    const [own, expected] = [new Float32Array(room).fill(-1), new Float32Array(room).fill(-1)];
    copyBlocks(machine, own, from, copy);
    copyBlocks(plain, expected, from, copy);
    expect(own).toEqual(expected);
    // and back
    const back = { ...copy, toAt: 0, fromAt: copy.toAt, toStrides: copy.fromStrides, fromStrides: copy.toStrides };
    const returned = new Float32Array(from.length);
    copyBlocks(machine, returned, own, { ...back, toRows: copy.fromRows, fromRows: null });
    expect(returned).toEqual(from);
  });

  // Pieces that begin and end at multiples of 16 bytes, and ones that do not.
  test.each([
    [0, 128],
    [4, 128],
    [1, 128],
    [4, 203],
  ])('what leaves the cache: from element %i, runs of %i', (toAt, run) => {
    const [samples, outer] = [40, Math.ceil(2 ** 21 / 40 / run)];
    const size = outer * run;
    const from = Float32Array.from({ length: samples * size }, (_, i) => i % 8191);
    const rows = permutation(samples, 5);
    const [own, expected] = [new Float32Array(samples * size + 9), new Float32Array(samples * size + 9)];
    const copy: BlockCopy = {
      counts: [samples, outer, 1],
      run,
      toAt,
      fromAt: 0,
      toStrides: [size, run, run],
      fromStrides: [run, samples * run, run],
      leaves: true,
      toRows: rows,
      fromRows: null,
    };
    copyBlocks(machine, own, from, copy);
    copyBlocks(plain, expected, from, copy);
    expect(own.every((v, i) => v === expected[i])).toBe(true);
  });

  test('what leaves the arrays is refused, and nothing is copied', () => {
    const copy = transposed([8, 40, 1], 32, 32, null);
    const from = new Float32Array(8 * 40 * 32).fill(1);
    const to = new Float32Array(8 * 40 * 32 + 2);
    expect(() => copyBlocks(machine, to, from, copy)).toThrow('leaves its arrays');
    expect(to.every((x) => x === 0)).toBe(true);
  });
});

describe.skipIf(machine.traits.host !== 'native')('a look for what is not finite', () => {
  test.each([0, 1, 15, 16, 17, 1000])('finds it at every place of the array but the end (%i)', (at) => {
    const fine = Float32Array.from({ length: 1003 }, (_, i) => [3.4e38, -3.4e38, 1e-45, -0, 1][i % 5]);
    expect(surelyFinite(fine)).toBe(true);
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      fine[at] = wrong;
      expect(surelyFinite(fine)).toBe(false);
      expect(surelyFinite(fine.subarray(at + 1))).toBe(true);
    }
  });
});
