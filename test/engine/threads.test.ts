/** Whole training steps give the same bits on any number of threads, on every instruction set. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { compileStep } from '../../src/engine/compile.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { candidates } from '../vm/machines.ts';
import { expectSameBits, onThreads, threadCounts } from '../vm/scene.ts';
import { type Sizes, spaceOf, stepCells, trainingStep } from './training-step.ts';

const wave = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(k + i * 1.7));

/** Results and weights after three steps of training. */
async function train(machine: Machine, name: string, sizes: Sizes): Promise<Record<string, ArrayBufferView>> {
  const { batch, time, features, units } = sizes;
  const space = spaceOf(machine, stepCells[name], sizes);
  const step = compileStep(space, name, trainingStep(stepCells[name], sizes));
  const feed = { x: wave(time * batch * features, 1), y: wave(time * batch * units, 2) };
  const results = await step.run([feed, feed, feed]);
  const weights = Object.fromEntries(space.names().map((leaf) => [leaf, space.get(leaf)]));
  return { ...results[2], ...weights };
}

for (const candidate of candidates.filter((c) => !c.missing))
  describe(candidate.name, () => {
    for (const name of Object.keys(stepCells))
      test.each([
        { batch: 32, time: 10, features: 24, units: 48 },
        { batch: 7, time: 5, features: 3, units: 33 },
        { batch: 2, time: 3, features: 16, units: 16 },
        { batch: 1, time: 6, features: 2, units: 20 },
        { batch: 61, time: 2, features: 1, units: 130 },
      ])(`${name}: %o`, async (sizes) => {
        const machine = await candidate.open();
        const one = await onThreads(1, () => train(machine, name, sizes));
        expect(Object.keys(one).sort()).toEqual(['bias', 'kernel', 'last', 'loss', 'recurrent']);
        for (const threads of threadCounts) {
          const shared = await onThreads(threads, () => train(machine, name, sizes));
          for (const [key, values] of Object.entries(one))
            expectSameBits(shared[key], values, `${key} on ${threads} threads`);
        }
      });
  });

/** The processors that each thread of this process may use, by its number. */
function processorsByThread(): Map<string, string> {
  const found = new Map<string, string>();
  for (const thread of readdirSync('/proc/self/task'))
    try {
      const status = readFileSync(`/proc/self/task/${thread}/status`, 'utf8');
      found.set(thread, /Cpus_allowed_list:\s*(\S+)/.exec(status)?.[1] ?? '');
    } catch {
      // It has ended.
    }
  return found;
}

const native = candidates.find(({ host, missing }) => host === 'native' && !missing);

describe.skipIf(process.platform !== 'linux' || !native)('the processors of threads', () => {
  test.each([2, 3])('all threads may go anywhere after a run of %i', async (threads) => {
    const machine = await (native as (typeof candidates)[number]).open();
    await onThreads(threads, () => train(machine, 'lstm', { batch: 32, time: 10, features: 24, units: 48 }));
    const all = processorsByThread();
    const own = all.get(String(process.pid));
    expect([...all].filter(([, processors]) => processors !== own)).toEqual([]);
  });
});
