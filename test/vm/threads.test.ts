/** Threads: how many, what they do when a run fails, and what must not be shared out. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Init, Reduction, Segment } from '../../src/ir/kernels.ts';
import { encodeProgram, ProgramBuilder, type Reference } from '../../src/ir/program.ts';
import { getThreads, setThreads } from '../../src/vm/threads.ts';
import { opFields, view } from './contract-chain.ts';
import { candidates } from './machines.ts';
import { expectSameBits, Scene } from './scene.ts';

afterEach(() => {
  setThreads(1);
  vi.unstubAllEnvs();
});

describe('setThreads', () => {
  test('one thread where nothing is said', () => expect(getThreads()).toBe(1));

  test.each([0, -1, 1.5, 257, Number.NaN])('%s is refused', (count) => {
    expect(() => setThreads(count)).toThrow(/setThreads.*1 to 256/);
    expect(getThreads()).toBe(1);
  });

  test('a smallest share that is no whole number is refused', () => {
    expect(() => setThreads(2, { smallestShare: 0.5 })).toThrow(/smallestShare.*0\.5/);
    expect(getThreads()).toBe(1);
  });

  test('UNROLLED_THREADS', async () => {
    vi.stubEnv('UNROLLED_THREADS', '3');
    vi.resetModules();
    expect((await import('../../src/vm/threads.ts')).getThreads()).toBe(3);
    vi.stubEnv('UNROLLED_THREADS', 'many');
    vi.resetModules();
    const fresh = await import('../../src/vm/threads.ts');
    expect(() => fresh.getThreads()).toThrow(/UNROLLED_THREADS.*'many'/);
  });
});

const once = { ioStride: 0, steps: 1, writesState: true };

/** A loop that adds to each row of a matrix what `from` has beside it, again and again. */
function loopOfRows(scene: Scene, rows: number, at: Reference, from: Reference, passes: number): void {
  scene.builder.emit('LOOP', { count: passes, body: 0 }, { moves: [] });
  scene.builder.emit(
    'CHAIN',
    { vectors: rows * 2, perRow: 2, block: 3, registers: 0, scratch: scene.scratch(0) },
    { views: [view(at), view(from)], ops: [opFields('ADD', 0, 0, 1)] },
  );
  scene.builder.emit('NEXT');
}

for (const candidate of candidates.filter((c) => !c.missing))
  describe(candidate.name, async () => {
    const machine = await candidate.open();

    test.each([
      ['rows of their own', 0],
      ['rows that another thread writes', 32],
    ])('a loop over %s', (_, shift) => {
      const rows = 12;
      const scene = new Scene(3);
      const at = scene.put(new Array(rows * 32 + 32).fill(2 ** -20));
      const from = shift
        ? { slot: at.slot, offset: at.offset + shift }
        : scene.put(new Array(rows * 32).fill(2 ** -22));
      loopOfRows(scene, rows, at, from, 20);
      scene.check(machine);
    });

    test('rows of several values in the same memory: what one thread needs, another must not write', () => {
      const rows = 10;
      const scene = new Scene(4);
      const source = scene.put(scene.numbers(rows * 32));
      const total = scene.put(new Array(rows * 32).fill(0));
      const shared = scene.scratch(rows * 64);
      const fields = { vectors: rows * 2, perRow: 2, block: 4, registers: 0, scratch: scene.scratch(0) };
      const wide = view(shared, 32);
      scene.builder.emit('LOOP', { count: 50, body: 0 }, { moves: [] });
      // Rows of 32 floats, then rows of 64 at the same place.
      scene.builder.emit('CHAIN', fields, { views: [view(shared), view(source)], ops: [opFields('MOVE', 0, 1)] });
      scene.builder.emit('CHAIN', fields, {
        views: [view(total), view(shared)],
        ops: [opFields('MUL', 0, 0, 1), opFields('ADD', 0, 0, 1)],
      });
      scene.builder.emit('CHAIN', fields, { views: [wide, view(source)], ops: [opFields('NEG', 0, 1)] });
      scene.builder.emit('NEXT');
      scene.check(machine, (x) => 1e-6 * Math.max(1, Math.abs(x)));
    });

    // Passes whose results stand apart, in one place, and over one another; results of a row beside each other and with a pitch.
    test.each([
      [16, 10, 0],
      [-16, 10, 0],
      [0, 10, 0],
      [7, 10, 0],
      [48, 1, 4],
      [-20, 1, 3],
      [16, 5, 8],
    ])('sums of the rows of a loop, moved by %i, %i beside each other', (stride, inner, dstPitch) => {
      const [rows, passes] = [10, 6];
      const scene = new Scene(7);
      const values = scene.put(scene.numbers(rows * 32));
      const total = scene.put(new Array(rows * 32).fill(0.5));
      const room = scene.room(400);
      const dst = scene.moving({ slot: room.slot, offset: room.offset + (stride < 0 ? 150 : 0) });
      scene.builder.emit('LOOP', { count: passes, body: 0 }, { moves: [{ slot: dst.slot, stride }] });
      scene.builder.emit(
        'CHAIN',
        { vectors: rows * 2, perRow: 2, block: 3, registers: 0, scratch: scene.scratch(0) },
        { views: [view(total), view(values)], ops: [opFields('ADD', 0, 0, 1)] },
      );
      const sums = { kind: Reduction.sum, rows, cols: 31, src: total, pitch: 32, dst, inner, dstPitch };
      scene.builder.emit('REDUCE_LAST', sums);
      scene.builder.emit('NEXT');
      scene.check(machine, (x) => 1e-5 * Math.max(1, Math.abs(x)));
    });

    /** Gathers rows and doubles them in a loop; the second step has a bad id. */
    function gatherProgram(rows: number) {
      const b = new ProgramBuilder();
      const state = b.slot(Segment.state, 0);
      const ids = { slot: b.slot(Segment.io, 0), offset: 0 };
      const dst = { slot: state, offset: 64 };
      b.emit('GATHER', {
        rows,
        ids,
        inner: rows,
        idsPitch: rows,
        table: { slot: state, offset: 0 },
        tablePitch: 16,
        vocabulary: 4,
        blocks: 1,
        dst,
        dstPitch: 16,
      });
      b.emit('LOOP', { count: 3, body: 0 }, { moves: [] });
      b.emit(
        'CHAIN',
        { vectors: rows, perRow: 1, block: 2, registers: 0, scratch: dst },
        { views: [view(dst)], ops: [opFields('ADD', 0, 0, 0)] },
      );
      b.emit('NEXT');
      return machine.load(encodeProgram(b.finish({ arena: 0, state: 64 + rows * 16, io: rows })));
    }

    test.each([1, 2, 3, 5])(
      'an id out of range ends the run of all of %i threads, and the next run goes well',
      async (threads) => {
        setThreads(threads, { smallestShare: 0 });
        const rows = 9;
        const program = gatherProgram(rows);
        const state = machine.allocate(64 + rows * 16);
        const ids = machine.allocate(rows * 3);
        state.fill(1, 0, 64);
        new Int32Array(ids.buffer)[rows + 7] = 4;
        for (let n = 0; n < 20; n++) {
          await expect(machine.run(program, state, ids, { ...once, ioStride: rows, steps: 3 })).rejects.toThrow(
            expect.objectContaining({ code: 'DATA', message: expect.stringMatching(/4/) }),
          );
          await machine.run(program, state, ids, once);
          expect([...new Set(state.subarray(64))]).toEqual([8]);
        }
      },
    );

    test('runs that overlap: one has the threads, the others do without, all give the same', async () => {
      const n = 48;
      const b = new ProgramBuilder();
      const at = { slot: b.slot(Segment.state, 0), offset: 0 };
      const dst = { slot: at.slot, offset: n * n };
      const product = {
        rows: n,
        blocks: n / 16,
        dst,
        dstPitch: n,
        init: Init.zero,
        initAt: at,
        initPitch: 0,
        packed: at,
        panel: 2,
        total: n,
      };
      b.emit('LOOP', { count: 40, body: 0 }, { moves: [] });
      b.emit('PRODUCT', product, { segments: [{ at, pitch: n, step: 1, count: n }] });
      b.emit('NEXT');
      const program = machine.load(encodeProgram(b.finish({ arena: 0, state: 2 * n * n, io: 0 })));
      const fresh = () => {
        const state = machine.allocate(2 * n * n);
        for (let i = 0; i < n * n; i++) state[i] = Math.sin(i);
        return state;
      };
      const io = machine.allocate(0);
      const one = fresh();
      machine.runSync(program, one, io, once);
      setThreads(3, { smallestShare: 0 });
      const states = Array.from({ length: 8 }, fresh);
      const runs = states.map((state) => machine.run(program, state, io, once));
      const beside = fresh();
      machine.runSync(program, beside, io, once);
      await Promise.all(runs);
      for (const state of [...states, beside]) expectSameBits(state, one, 'state');
    });
  });
