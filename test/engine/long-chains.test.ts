/** Chains of more operations than the machine takes in one instruction. */
import { expect, test } from 'vitest';
import { compileStep } from '../../src/engine/compile.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { add, mul, sin } from '../../src/ops/pointwise.ts';
import { openMachine } from '../../src/vm/open.ts';

test('three hundred operations on as many operands', async () => {
  const machine = await openMachine();
  const count = 150;
  const step = compileStep(new StateSpace(machine), 'long', (b) => {
    let total = b.input('x', [33]);
    for (let i = 0; i < count; i++) total = add(mul(total, 0.9), sin(b.input(`y${i}`, [33])));
    return { outputs: { total } };
  });
  const wave = (k: number) => Float32Array.from({ length: 33 }, (_, i) => Math.sin(k + i));
  const feed: Record<string, Float32Array> = { x: wave(-1) };
  for (let i = 0; i < count; i++) feed[`y${i}`] = wave(i);
  const [{ total }] = step.runSync([feed]);
  for (let j = 0; j < 33; j++) {
    let want = feed.x[j];
    for (let i = 0; i < count; i++) want = want * 0.9 + Math.sin(feed[`y${i}`][j]);
    expect(total[j]).toBeCloseTo(want, 4);
  }
});
