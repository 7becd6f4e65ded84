/** Sums of outer products of interleaved operands. */
import { expect, test } from 'vitest';
import { compileStep } from '../../src/engine/compile.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { matmulTN } from '../../src/ops/matmul.ts';
import { openMachine } from '../../src/vm/open.ts';

test.each([
  [3, 6, 3],
  [5, 40, 4],
  [2, 64, 4],
  [4, 51, 3],
])('a^T a and a^T b with a[%i, %i] of %i groups', async (rows, cols, groups) => {
  const machines = [await openMachine(), await openMachine({ host: 'oracle' })];
  const [got, want] = machines.map((machine) => {
    const space = new StateSpace(machine);
    space.declare('a', [rows, cols], { groups });
    space.declare('b', [rows, 5]);
    for (const name of space.names()) {
      const size = space.get(name).length;
      space.set(
        name,
        Float32Array.from({ length: size }, (_, i) => Math.sin(i + name.length)),
      );
    }
    const step = compileStep(space, 'outer', (b) => {
      const [a, c] = [b.state('a'), b.state('b')];
      return { outputs: { aa: matmulTN(a, a), ab: matmulTN(a, c), ba: matmulTN(c, a) } };
    });
    return step.runSync([{}])[0];
  });
  for (const name of ['aa', 'ab', 'ba'])
    want[name].forEach((v, i) => expect(got[name][i], `${name}[${i}]`).toBeCloseTo(v, 4));
});
