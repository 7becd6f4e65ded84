/** Loading, running and refusing: what a machine does around its instructions. */
import { describe, expect, test } from 'vitest';
import { chainOpcodeOf, Init, Segment } from '../../src/ir/kernels.ts';
import { encodeProgram, type Fields, type Program, ProgramBuilder } from '../../src/ir/program.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { opFields, view } from './contract-chain.ts';
import { generator } from './scene.ts';

/** state += io, 16 floats; io = the new state. */
function accumulator(): Program {
  const b = new ProgramBuilder();
  const state = { slot: b.slot(Segment.state, 0), offset: 0 };
  const io = { slot: b.slot(Segment.io, 0), offset: 0 };
  const scratch = { slot: b.slot(Segment.arena, 0), offset: 0 };
  b.emit(
    'CHAIN',
    { vectors: 1, perRow: 1, block: 1, registers: 0, scratch },
    { views: [view(state), view(io)], ops: [opFields('ADD', 0, 0, 1), opFields('MOVE', 1, 0)] },
  );
  return b.finish({ arena: 0, state: 16, io: 16 });
}

/** A product of n x n, `times` over. */
function longProgram(n: number, times: number): Program {
  const b = new ProgramBuilder();
  const at = { slot: b.slot(Segment.arena, 0), offset: 0 };
  b.emit('FILL', { dst: at, count: 2 * n * n, value: 0 });
  b.emit('LOOP', { count: times, body: 0 }, { moves: [] });
  const segments = [{ at, pitch: n, step: 1, count: n }];
  const dst = { slot: at.slot, offset: n * n };
  b.emit(
    'PRODUCT',
    {
      rows: n,
      blocks: n / 16,
      dst,
      dstPitch: n,
      init: Init.zero,
      initAt: at,
      initPitch: 0,
      packed: at,
      panel: 1,
      total: n,
    },
    { segments },
  );
  b.emit('NEXT');
  return b.finish({ arena: 2 * n * n, state: 0, io: 0 });
}

/** The distinct ids of a list, the rows of a table that they name changed in place, and one-hot rows. */
function rowsByIndex(): Program {
  const b = new ProgramBuilder();
  const [state, io, arena] = [Segment.state, Segment.io, Segment.arena].map((segment) => b.slot(segment, 0));
  const at = (slot: number, offset: number) => ({ slot, offset });
  const names = at(io, 16);
  b.emit('DISTINCT', {
    rows: 6,
    ids: at(io, 0),
    inner: 3,
    idsPitch: 4,
    vocabulary: 5,
    table: at(arena, 0),
    clear: 0,
    most: 5,
    list: names,
    places: at(arena, 8),
    placesPitch: 4,
    number: at(arena, 16),
  });
  const view = { step: 16, pitch: 32, cols: 5 };
  b.emit(
    'CHAIN',
    { vectors: 10, perRow: 2, block: 4, registers: 1, scratch: at(arena, 32) },
    {
      views: [
        { at: at(state, 0), ...view },
        { at: names, step: 0, pitch: 1, cols: 0 },
      ],
      ops: ['LOAD_INDEXED', 'STORE_INDEXED'].map((name, i) => ({
        op: chainOpcodeOf.get(name) as number,
        d: i ? 0 : 2,
        a: i ? 2 : 0,
        b: 1,
        c: 0,
      })),
    },
  );
  const oneHot = { rows: 3, ids: at(io, 0), inner: 3, idsPitch: 3, depth: 20, blocks: 2 };
  b.emit('ONE_HOT', { ...oneHot, dst: at(io, 32), dstPitch: 32 });
  return b.finish({ arena: 96, state: 160, io: 128 });
}

const once = { ioStride: 0, steps: 1, writesState: true };

/** The sum of x as a machine of this vector width forms it in MATVEC (native/kernels/product.inl.h, dot): the order shows in the bits. */
function sumByWidth(x: readonly number[], width: number): number {
  const f = Math.fround;
  const parts = [0, 1, 2, 3].map(() => new Array(width).fill(0));
  let k = 0;
  for (; k + 4 * width <= x.length; k += 4 * width)
    for (let q = 0; q < 4; q++) for (let i = 0; i < width; i++) parts[q][i] = f(parts[q][i] + x[k + q * width + i]);
  for (; k + width <= x.length; k += width) for (let i = 0; i < width; i++) parts[0][i] = f(parts[0][i] + x[k + i]);
  const lanes = parts[0].map((_, i) => f(f(parts[0][i] + parts[1][i]) + f(parts[2][i] + parts[3][i])));
  for (let half = width / 2; half >= 1; half /= 2)
    for (let i = 0; i < half; i++) lanes[i] = f(lanes[i] + lanes[i + half]);
  let sum = lanes[0];
  for (; k < x.length; k++) sum = f(sum + x[k]);
  return sum;
}

/** Width of the vectors, and whether a multiply-add rounds once. The relaxed one is free to do either. */
const fingerprints: Readonly<Record<string, readonly [width: number, fused: boolean | undefined]>> = {
  avx512bf16: [16, true],
  avx512: [16, true],
  avx2: [8, true],
  sse: [4, false],
  neon: [4, true],
  simd128: [4, false],
  relaxed: [4, undefined],
};

export function runContract(open: () => Machine): void {
  describe('runs', () => {
    test('the code of the instruction set that was asked for is what runs: its rounding shows it', () => {
      const machine = open();
      const random = generator(95);
      const count = 201;
      const x = Array.from({ length: count }, () => Math.fround((random() - 0.5) * 2 ** Math.floor(random() * 20)));
      const b = new ProgramBuilder();
      const state = b.slot(Segment.state, 0);
      const io = b.slot(Segment.io, 0);
      const at = (offset: number) => ({ slot: state, offset });
      const ones = 256;
      b.emit(
        'MATVEC',
        { rows: 1, dst: { slot: io, offset: 0 }, init: Init.zero, initAt: at(0), w: at(ones) },
        { segments: [{ at: at(0), pitch: 0, step: 1, count }] },
      );
      b.emit(
        'CHAIN',
        { vectors: 1, perRow: 1, block: 1, registers: 0, scratch: { slot: io, offset: 0 } },
        {
          views: [view(at(512)), view(at(528)), view({ slot: io, offset: 16 })],
          ops: [opFields('FMA', 2, 0, 0, 1)],
        },
      );
      const program = machine.load(encodeProgram(b.finish({ arena: 0, state: 544, io: 32 })));
      const memory = machine.allocate(544);
      memory.set(x);
      memory.fill(1, ones, ones + count);
      memory.fill(1 + 2 ** -12, 512, 528);
      memory.fill(-(1 + 2 ** -11), 528, 544);
      const out = machine.allocate(32);
      machine.runSync(program, memory, out, once);
      const [width, fused] = fingerprints[machine.traits.isa];
      expect(machine.traits.vector).toBe(width);
      const sums = [4, 8, 16].map((w) => sumByWidth(x, w));
      expect(new Set(sums).size).toBe(3);
      expect(out[0]).toBe(sumByWidth(x, width));
      // The sanitizers' checks stand between the product and the sum.
      if (fused !== undefined && !process.env.UNROLLED_ADDON) expect(out[16]).toBe(fused ? 2 ** -24 : 0);
    });

    test('memory that was discarded can be written again, and what stands beside it stays', () => {
      const machine = open();
      // Pages go back; an array need not begin or end with one.
      const memory = machine.allocate(300_000).fill(1);
      const middle = memory.subarray(1001, 290_003);
      for (const array of [middle, machine.allocate(0), machine.allocate(3), new Float32Array(100_000).fill(2)]) {
        machine.discard?.(array);
        array.fill(5);
        expect(array.every((x) => x === 5)).toBe(true);
      }
      memory.forEach((x, i) => {
        if (x !== (i >= 1001 && i < 290_003 ? 5 : 1)) throw new Error(`element ${i} is ${x}`);
      });
    });

    test.each(['run', 'runSync'] as const)('%s: many steps, each on its own io', async (how) => {
      const machine = open();
      const program = machine.load(encodeProgram(accumulator()));
      const state = machine.allocate(16);
      const io = machine.allocate(16 + 4 * 20);
      for (let n = 0; n < 5; n++) io.fill(n + 1, n * 20, n * 20 + 16);
      state.fill(0.5);
      await machine[how](program, state, io, { ioStride: 20, steps: 5, writesState: true });
      expect([...state]).toEqual(new Array(16).fill(15.5));
      expect([0, 20, 40, 60, 80].map((i) => io[i])).toEqual([1.5, 3.5, 6.5, 10.5, 15.5]);
      expect(io[16]).toBe(0);
      // The caller's changes count in the next run.
      state.fill(100);
      await machine[how](program, state, io, once);
      expect(state[15]).toBe(101.5);
      await machine[how](program, state, io, { ...once, steps: 0 });
      expect(state[15]).toBe(101.5);
      program.release();
    });

    test('runs that overlap, of programs with arenas of their own, give the same as one after the other', async () => {
      const machine = open();
      const program = machine.load(encodeProgram(accumulator()));
      const states = [1, 2, 3, 4, 5, 6].map((x) => machine.allocate(16).fill(x));
      await Promise.all(states.map((state, i) => machine.run(program, state, machine.allocate(16).fill(10 * i), once)));
      expect(states.map((s) => s[7])).toEqual([1, 12, 23, 34, 45, 56]);
    });

    test('the same program gives the same bits again', () => {
      const machine = open();
      const results = [0, 1].map(() => {
        const b = new ProgramBuilder();
        const io = { slot: b.slot(Segment.io, 0), offset: 0 };
        const state = { slot: b.slot(Segment.state, 0), offset: 0 };
        const segments = [{ at: state, pitch: 3, step: 1, count: 37 }];
        b.emit(
          'PRODUCT',
          {
            rows: 11,
            blocks: 3,
            dst: io,
            dstPitch: 48,
            init: Init.zero,
            initAt: io,
            initPitch: 0,
            packed: state,
            panel: 2,
            total: 37,
          },
          { segments },
        );
        const program = machine.load(encodeProgram(b.finish({ arena: 0, state: 37 * 48, io: 11 * 48 })));
        const memory = machine.allocate(37 * 48).map((_, i) => Math.fround(Math.sin(i)));
        const weights = machine.allocate(37 * 48);
        weights.set(memory);
        const out = machine.allocate(11 * 48);
        machine.runSync(program, weights, out, once);
        return [...out];
      });
      expect(results[1]).toEqual(results[0]);
    });

    test('the event loop stays free while a long program runs', async () => {
      const machine = open();
      const n = 128;
      const steps = 1500;
      const program = machine.load(encodeProgram(longProgram(n, 1)));
      const empty = machine.allocate(0);
      // Starts the worker, where there is one.
      await machine.run(program, empty, empty, { ioStride: 0, steps: 1, writesState: false });
      let ticks = 0;
      let longest = 0;
      let last = performance.now();
      const timer = setInterval(() => {
        ticks++;
        longest = Math.max(longest, performance.now() - last);
        last = performance.now();
      }, 2);
      const begin = performance.now();
      await machine.run(program, empty, empty, { ioStride: 0, steps, writesState: false });
      const time = performance.now() - begin;
      clearInterval(timer);
      // Were it to run on this thread, there would be no tick at all, and the longest wait would be the whole time.
      expect(ticks).toBeGreaterThan(2);
      expect(longest).toBeLessThan(Math.max(100, time * 0.8));
    });
  });

  describe('refusals', () => {
    const internal = expect.objectContaining({ code: 'INTERNAL', message: expect.stringContaining('refused') });

    test.each([
      ['a product', () => longProgram(32, 2)],
      ['rows by index', rowsByIndex],
    ])('a program cut off or changed at any integer never breaks the machine: %s', (_, make) => {
      const machine = open();
      const good = encodeProgram(make());
      for (let i = 0; i < good.length; i++) expect(() => machine.load(good.slice(0, i))).toThrow(internal);
      for (let i = 0; i < good.length; i++)
        for (const value of [-1, 0, 1, 3, 2147483647, -2147483648]) {
          const bad = good.slice();
          if (bad[i] === value) continue;
          bad[i] = value;
          let program: ReturnType<Machine['load']> | undefined;
          try {
            program = machine.load(bad);
          } catch (error) {
            expect(error).toEqual(internal);
          }
          // What is accepted must run within its memories; large ones are not tried.
          if (!program || Math.max(...bad.subarray(5, 8)) > 1e6 || tooLong(bad)) continue;
          const memories = [6, 7].map((i) => machine.allocate(Math.max(0, bad[i])));
          try {
            machine.runSync(program, memories[0], memories[1], once);
          } catch (error) {
            // Ids that are out of a smaller vocabulary.
            expect(error).toMatchObject({ code: 'DATA' });
          }
          program.release();
        }
    });

    const out: [string, Fields][] = [
      ['beyond the end', { dst: { slot: 0, offset: 60 }, count: 5, value: 1 }],
      ['before the beginning', { dst: { slot: 0, offset: -1 }, count: 5, value: 1 }],
      ['a negative count', { dst: { slot: 0, offset: 0 }, count: -5, value: 1 }],
      ['constants', { dst: { slot: 1, offset: 0 }, count: 1, value: 1 }],
      ['no slot', { dst: { slot: 2, offset: 0 }, count: 1, value: 1 }],
    ];
    test.each(out)('an address out of its memory: %s', (_, fields) => {
      const b = new ProgramBuilder();
      b.slot(Segment.io, 0);
      b.constant(Float32Array.of(1));
      b.slot(Segment.constants, 0);
      b.emit('FILL', fields);
      expect(() => open().load(encodeProgram(b.finish({ arena: 0, state: 0, io: 64 })))).toThrow(internal);
    });

    test('one-hot rows that are wider than their blocks', () => {
      for (const depth of [16, 17]) {
        const b = new ProgramBuilder();
        const at = { slot: b.slot(Segment.io, 0), offset: 0 };
        b.emit('ONE_HOT', { rows: 2, ids: at, inner: 2, idsPitch: 2, depth, blocks: 1, dst: at, dstPitch: 16 });
        const load = () => open().load(encodeProgram(b.finish({ arena: 0, state: 0, io: 32 })));
        if (depth === 16) load();
        else expect(load).toThrow(internal);
      }
    });

    test('an address that only the last pass of a loop takes out of its memory', () => {
      for (const count of [4, 5]) {
        const b = new ProgramBuilder();
        const slot = b.slot(Segment.io, 0);
        b.emit('LOOP', { count, body: 0 }, { moves: [{ slot, stride: 16 }] });
        b.emit('FILL', { dst: { slot, offset: 0 }, count: 16, value: 1 });
        b.emit('NEXT');
        const load = () => open().load(encodeProgram(b.finish({ arena: 0, state: 0, io: 64 })));
        if (count === 4) load();
        else expect(load).toThrow(internal);
      }
    });

    /** The smallest that are accepted with a panel of one. */
    const at = (offset: number) => ({ slot: 0, offset });
    type Smallest = (precision: number, panel: number) => [Fields, Record<string, Fields[]>];
    const products: Record<'PRODUCT' | 'PACK' | 'PRODUCT_TN', Smallest> = {
      PRODUCT: (precision, panel) => [
        {
          ...{ rows: 1, blocks: 1, dst: at(0), dstPitch: 16, init: Init.zero, initAt: at(0), initPitch: 0 },
          ...{ packed: at(16), panel, total: 1, precision },
        },
        { segments: [{ at: at(48), pitch: 1, step: 1, count: 1 }] },
      ],
      PACK: (precision, panel) => [
        { dst: at(0), panel, blocks: 1, cols: 16, nStep: 1, total: 1, precision },
        { runs: [{ at: at(32), step: 16, count: 1 }] },
      ],
      PRODUCT_TN: (precision, kBlock) => [
        {
          ...{ rows: 1, blocks: 1, b: at(0), bPitch: 16, accumulate: 0, sums: 0, sumAt: at(0), precision },
          ...{ scratch: at(64), kBlock, scratchFloats: 64 },
        },
        { segments: [{ at: at(32), pitch: 1, cols: 1, dst: at(16), dstPitch: 16 }] },
      ],
    };
    test.each(Object.keys(products) as (keyof typeof products)[])('%s of a precision that is none', (name) => {
      const load = (precision: number, panel = 1) => {
        const b = new ProgramBuilder();
        b.slot(Segment.state, 0);
        b.emit(name, ...products[name](precision, panel));
        return open().load(encodeProgram(b.finish({ arena: 0, state: 256, io: 0 })));
      };
      for (const precision of [0, 1]) load(precision).release();
      for (const precision of [2, -1, 2147483647]) expect(() => load(precision)).toThrow(internal);
      // Pairs stand in panels.
      expect(() => load(1, 0)).toThrow(internal);
    });

    test('memories that are too small, or from elsewhere', () => {
      const machine = open();
      const program = machine.load(encodeProgram(accumulator()));
      const wrong = expect.objectContaining({ code: 'ARGUMENT' });
      expect(() => machine.runSync(program, machine.allocate(15), machine.allocate(16), once)).toThrow(wrong);
      expect(() =>
        machine.runSync(program, machine.allocate(16), machine.allocate(31), { ...once, ioStride: 16, steps: 2 }),
      ).toThrow(wrong);
      expect(() => machine.runSync(program, new Float32Array(16), machine.allocate(16), once)).toThrow(wrong);
      expect(() =>
        machine.runSync(program, machine.allocate(16), machine.allocate(16), { ...once, steps: -1 }),
      ).toThrow(wrong);
      program.release();
      expect(() => machine.runSync(program, machine.allocate(16), machine.allocate(16), once)).toThrow(
        expect.objectContaining({ code: 'STATE' }),
      );
    });

    test('a plan that does not fit rejects with its figure', async () => {
      const machine = open();
      const b = new ProgramBuilder();
      const floats = 2 ** 31 - 1;
      // Thirteen times what 32 bits reach would not be an i32; on a large machine the native host may have the 8 GiB.
      const program = machine.load(encodeProgram(b.finish({ arena: floats, state: 0, io: 0 })));
      if (machine.traits.host === 'native') return;
      const memory = machine.allocate(0);
      await expect(machine.run(program, memory, memory, once)).rejects.toMatchObject({
        code: 'MEMORY',
        message: expect.stringContaining('8192.0 MiB'),
      });
    });
  });
}

/** Whether a changed count makes a program run for long. */
function tooLong(encoded: Int32Array): boolean {
  const code = encoded.subarray(8 + 2 * encoded[2], 8 + 2 * encoded[2] + encoded[3]);
  return code.some((x) => x > 1e6 && x !== 2147483647) || code.filter((x) => x === 2147483647).length > 0;
}
