/** The contract of the machine, on every host and instruction set that this computer has. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Machine } from '../../src/vm/vm.ts';
import { chainContract } from './contract-chain.ts';
import { memoryContract } from './contract-memory.ts';
import { productContract } from './contract-product.ts';
import { runContract } from './contract-runs.ts';
import { candidates } from './machines.ts';

for (const candidate of candidates) {
  if (candidate.missing) {
    test.skip(`${candidate.name}: ${candidate.missing}`, () => {});
    continue;
  }
  describe(candidate.name, () => {
    let machine: Machine;
    beforeAll(async () => {
      machine = await candidate.open();
    });
    test('is the machine that was asked for', () => {
      expect(machine.traits).toMatchObject({ host: candidate.host, isa: candidate.isa });
    });
    chainContract(() => machine);
    productContract(() => machine);
    memoryContract(() => machine);
    runContract(() => machine);
  });
}
