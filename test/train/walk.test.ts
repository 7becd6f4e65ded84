/** How batches go through the machine: read ahead while a step runs, in groups that stop where somebody listens, nothing lost by a failure. */
import { describe, expect, it } from 'vitest';
import type { CompiledStep, Result } from '../../src/engine/compile.ts';
import type { ReadyBatch } from '../../src/train/batches.ts';
import type { Session } from '../../src/train/session.ts';
import { Pace, type Walk, walkBatches } from '../../src/train/walk.ts';

/** A machine that takes its time, and says what happens when. */
function machine(events: string[], milliseconds = 4) {
  let runs = 0;
  const step = {
    stage: (feeds: readonly unknown[]) => ({
      run: async (late: readonly unknown[] = []): Promise<Result[]> => {
        const run = runs++;
        events.push(`run ${run}: ${feeds.length}`);
        expect([0, feeds.length]).toContain(late.length);
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
        events.push(`end ${run}`);
        return feeds.map(() => ({}));
      },
      discard: () => void events.push('discard'),
    }),
  } as unknown as CompiledStep;
  const session = {
    runStaged: (staged: ReturnType<CompiledStep['stage']>, late: () => readonly []) => staged.run(late()),
  } as unknown as Session;
  return { session, pace: new Pace(), stepFor: async () => step, stepAhead: () => step };
}

const ready = (key = 'a'): ReadyBatch =>
  ({
    key,
    samples: 1,
    bytes: 4,
    trainer: null,
    rows: null,
    from: 0,
    shapes: {},
    feed: () => ({}),
  }) as unknown as ReadyBatch;

/** Batches with these keys, one after the other. */
function supply(events: string[], keys: readonly string[]): Walk['next'] {
  let at = 0;
  return () => {
    if (at === keys.length) return null;
    events.push(`ask ${at}`);
    return ready(keys[at++]);
  };
}

async function sizes(walk: Walk): Promise<number[]> {
  const found: number[] = [];
  for await (const { batches } of walkBatches(walk)) found.push(batches.length);
  return found;
}

describe('reading ahead', () => {
  it('asks for the next batch while a step runs, and not where somebody listens to each', async () => {
    const [ahead, after]: string[][] = [[], []];
    await sizes({ ...machine(ahead), next: supply(ahead, ['a', 'b']) });
    expect(ahead.indexOf('ask 1')).toBeLessThan(ahead.indexOf('end 0'));
    await sizes({ ...machine(after), next: supply(after, ['a', 'b']), ahead: false, limit: () => 1 });
    expect(after).toEqual(['ask 0', 'run 0: 1', 'end 0', 'ask 1', 'run 1: 1', 'end 1']);
  });
  it('hands out results before it waits for data that is slow', async () => {
    const events: string[] = [];
    let at = 0;
    const next = () =>
      new Promise<ReadyBatch | null>((resolve) => setTimeout(() => resolve(at++ < 2 ? ready() : null), at ? 40 : 0));
    for await (const _handOver of walkBatches({ ...machine(events, 1), next })) events.push(`results, ${at} given`);
    expect(events.filter((event) => event.startsWith('results'))).toEqual(['results, 1 given', 'results, 2 given']);
  });
  it('gives back what was made ready and is not wanted any more', async () => {
    const events: string[] = [];
    for await (const _handOver of walkBatches({ ...machine(events), next: supply(events, ['a', 'b', 'c']) })) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(events.filter((event) => event === 'discard')).toHaveLength(1);
    expect(events.filter((event) => event.startsWith('run'))).toHaveLength(1);
  });
});

describe('groups', () => {
  it('are of one shape, and end where the limit says', async () => {
    const keys = [...'aaaabbaaaa'];
    const found = await sizes({ ...machine([], 0), next: supply([], keys), limit: (done) => 3 - (done % 3) });
    expect(found.reduce((a, b) => a + b)).toBe(10);
    let at = 0;
    for (const size of found) {
      expect(new Set(keys.slice(at, at + size)).size).toBe(1);
      expect(Math.floor(at / 3)).toBe(Math.floor((at + size - 1) / 3));
      at += size;
    }
  });
  it('before a failure of the data are all handed out', async () => {
    for (const slow of [false, true]) {
      let at = 0;
      const next = (): ReadyBatch | Promise<ReadyBatch> => {
        if (at++ === 7) {
          if (slow) return Promise.reject(new Error('torn'));
          throw new Error('torn');
        }
        return slow ? Promise.resolve(ready()) : ready();
      };
      let done = 0;
      const walked = (async () => {
        for await (const { batches } of walkBatches({ ...machine([], 1), next })) done += batches.length;
      })();
      await expect(walked).rejects.toThrow('torn');
      expect(done).toBe(7);
    }
  });
});
