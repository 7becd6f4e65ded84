/** Reductions, copies, ids, random numbers and loops. */
import { describe, expect, test } from 'vitest';
import { Reduction } from '../../src/ir/kernels.ts';
import { encodeProgram, type Fields, type Reference } from '../../src/ir/program.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { opFields, view } from './contract-chain.ts';
import { philox } from './reference.ts';
import { Scene, sumTolerance } from './scene.ts';

const kinds = Object.keys(Reduction) as (keyof typeof Reduction)[];

export function memoryContract(open: () => Machine): void {
  describe.each(kinds)('REDUCE %s', (kind) => {
    const dtype = kind === 'argmax' ? 'i32' : 'f32';

    test.each([0, 1, 2, 7, 16, 31, 64, 65, 131])('last axis of %i', (cols) => {
      for (const [rows, inner] of [
        [1, 1],
        [6, 1],
        [7, 3],
        [0, 1],
      ]) {
        const scene = new Scene(cols + rows);
        const pitch = cols + 3;
        const values = scene.numbers(rows * pitch);
        if (cols > 1 && rows > 3) {
          values[pitch + 1] = Number.NaN;
          values[2 * pitch] = Infinity;
          values[2 * pitch + 1] = Infinity;
          values.fill(0.5, 3 * pitch, 4 * pitch);
        }
        const src = scene.put(values);
        const dst = scene.room(Math.ceil(rows / inner) * 5 + 1, 'io', dtype);
        scene.builder.emit('REDUCE_LAST', { kind: Reduction[kind], rows, cols, src, pitch, dst, inner, dstPitch: 5 });
        scene.check(open(), sumTolerance(cols));
      }
    });

    test.each([0, 1, 2, 3, 70, 200])('middle axis of %i', (middle) => {
      for (const [outer, blocks] of [
        [1, 1],
        [3, 2],
        [2, 0],
        [0, 1],
      ]) {
        const scene = new Scene(middle + outer);
        const stride = blocks * 16 + 16;
        const values = scene.numbers(outer * middle * stride + blocks * 16);
        if (values.length > 40) values[stride + 3] = Number.NaN;
        const src = scene.put(values);
        const dst = scene.room(outer * stride, 'io', dtype);
        scene.builder.emit('REDUCE_MIDDLE', {
          kind: Reduction[kind],
          outer,
          middle,
          blocks,
          src,
          outerStride: middle * stride,
          middleStride: stride,
          dst,
          dstOuterStride: stride,
        });
        scene.check(open(), sumTolerance(middle));
      }
    });
  });

  describe('COPY and FILL', () => {
    const copies: (readonly [string, { size: number; srcStride: number; dstStride: number }[]])[] = [
      ['one element', []],
      ['nothing', [{ size: 0, srcStride: 1, dstStride: 1 }]],
      ['a run', [{ size: 53, srcStride: 1, dstStride: 1 }]],
      [
        'a broadcast',
        [
          { size: 5, srcStride: 1, dstStride: 9 },
          { size: 9, srcStride: 0, dstStride: 1 },
        ],
      ],
      [
        'a transposition',
        [
          { size: 7, srcStride: 1, dstStride: 11 },
          { size: 11, srcStride: 7, dstStride: 1 },
        ],
      ],
      ...[3, 4, 16, 21, 37].flatMap((rows) =>
        [1, 4, 5, 18, 35].map((cols): [string, { size: number; srcStride: number; dstStride: number }[]] => [
          `a stack of transpositions, ${rows} x ${cols}`,
          [
            { size: 2, srcStride: cols * (rows + 3), dstStride: rows * (cols + 2) },
            { size: rows, srcStride: 1, dstStride: cols + 2 },
            { size: cols, srcStride: rows + 3, dstStride: 1 },
          ],
        ]),
      ),
      [
        'every second column, turned',
        [
          { size: 8, srcStride: 2, dstStride: 9 },
          { size: 9, srcStride: 16, dstStride: 1 },
        ],
      ],
      [
        'a transposition read backwards',
        [
          { size: 9, srcStride: 1, dstStride: 11 },
          { size: 11, srcStride: -9, dstStride: 1 },
        ],
      ],
      [
        'rows to columns',
        [
          { size: 7, srcStride: 11, dstStride: 1 },
          { size: 11, srcStride: 1, dstStride: 7 },
        ],
      ],
      [
        'backwards',
        [
          { size: 6, srcStride: -10, dstStride: 12 },
          { size: 10, srcStride: 1, dstStride: 1 },
        ],
      ],
      [
        'four dimensions',
        [
          { size: 2, srcStride: 27, dstStride: 1 },
          { size: 3, srcStride: 9, dstStride: 20 },
          { size: 3, srcStride: -1, dstStride: 60 },
          { size: 3, srcStride: 3, dstStride: 4 },
        ],
      ],
    ];
    test.each(copies)('%s', (_, dims) => {
      for (const dtype of ['f32', 'i32'] as const) {
        const scene = new Scene(4);
        const room = 3000;
        const values = dtype === 'i32' ? [...Array(room)].map((_, i) => 0x7f800000 + i) : scene.numbers(room);
        const src = scene.put(values, 'state', dtype);
        const dst = scene.room(room, 'io', dtype);
        const low = dims.reduce((n, d) => n + Math.min(0, (d.size - 1) * d.srcStride), 0);
        scene.builder.emit('COPY', { src: { slot: src.slot, offset: src.offset - low }, dst }, { dims });
        scene.check(open());
      }
    });

    test.each([0, 1, 15, 16, 67])('fill %i', (count) => {
      const scene = new Scene();
      const dst = scene.room(count + 1);
      scene.builder.emit('FILL', { dst, count, value: -1.25 });
      scene.check(open());
    });
  });

  describe('GATHER, SCATTER_ADD and ONE_HOT', () => {
    test.each([
      [0, 1, 1],
      [1, 1, 1],
      [7, 7, 2],
      [12, 5, 3],
    ])('%i ids in rows of %i, %i blocks', (rows, inner, blocks) => {
      const vocabulary = 5;
      const idsPitch = inner + 4;
      const make = (seed: number) => {
        const scene = new Scene(seed);
        const ids = new Array(Math.ceil(rows / inner) * idsPitch)
          .fill(0)
          .map(() => Math.floor(scene.random() * vocabulary));
        return { scene, ids: scene.put(ids, 'io', 'i32') };
      };
      const pitch = blocks * 16 + 16;
      {
        const { scene, ids } = make(1);
        const table = scene.put(scene.numbers(vocabulary * pitch));
        const dst = scene.room(rows * pitch);
        scene.builder.emit('GATHER', {
          rows,
          ids,
          inner,
          idsPitch,
          table,
          tablePitch: pitch,
          vocabulary,
          blocks,
          dst,
          dstPitch: pitch,
        });
        scene.check(open());
      }
      {
        const { scene, ids } = make(2);
        const src = scene.put(scene.numbers(rows * pitch));
        const dst = scene.room(vocabulary * pitch);
        scene.builder.emit('SCATTER_ADD', {
          rows,
          ids,
          inner,
          idsPitch,
          src,
          srcPitch: pitch,
          vocabulary,
          blocks,
          dst,
          dstPitch: pitch,
        });
        scene.check(open(), () => 1e-6);
      }
      {
        const { scene, ids } = make(3);
        const dst = scene.room(rows * pitch);
        scene.builder.emit('ONE_HOT', { rows, ids, inner, idsPitch, depth: 3, blocks, dst, dstPitch: pitch });
        scene.check(open());
      }
    });

    test.each([1, 3])('rows of one element, %i apart, are added up', (pitch) => {
      const scene = new Scene(pitch);
      const ids = scene.put([4, 0, 4, 1, 4, 0, 3], 'io', 'i32');
      const src = scene.put(scene.numbers(7 * pitch));
      const dst = scene.room(6 * pitch);
      const rows = { rows: 7, ids, inner: 7, idsPitch: 7, src, srcPitch: pitch };
      scene.builder.emit('SCATTER_ADD', { ...rows, vocabulary: 6, blocks: 0, dst, dstPitch: pitch });
      scene.check(open(), () => 1e-6);
    });

    test.each([-1, 4, 2147483647, -2147483648])('id %i is refused, and nothing is written', (id) => {
      for (const name of ['GATHER', 'SCATTER_ADD', 'DISTINCT'] as const) {
        const machine = open();
        const scene = new Scene();
        const ids = scene.put([0, 3, id, 1], 'io', 'i32');
        const table = scene.put(scene.numbers(64));
        const dst = scene.room(64);
        const common = { rows: 4, ids, inner: 4, idsPitch: 4, vocabulary: 4, blocks: 1, dst, dstPitch: 16 };
        const behind = (floats: number) => ({ slot: dst.slot, offset: dst.offset + floats });
        const list = {
          clear: 1,
          table: dst,
          most: 4,
          list: behind(8),
          places: behind(16),
          placesPitch: 4,
          number: behind(24),
        };
        const own = {
          GATHER: { ...common, table, tablePitch: 16 },
          SCATTER_ADD: { ...common, src: table, srcPitch: 16 },
          DISTINCT: { rows: 4, ids, inner: 4, idsPitch: 4, vocabulary: 4, ...list },
        };
        scene.builder.emit(name, own[name]);
        const program = scene.finish();
        const loaded = machine.load(encodeProgram(program));
        const io = machine.allocate(program.io);
        new Int32Array(io.buffer, 0, io.length).set([0, 3, id, 1], ids.offset);
        expect(() =>
          machine.runSync(loaded, machine.allocate(program.state), io, { ioStride: 0, steps: 1, writesState: false }),
        ).toThrow(expect.objectContaining({ code: 'DATA', message: expect.stringContaining(String(id)) }));
        expect([...io.subarray(dst.offset)].every((x) => x === 0)).toBe(true);
      }
    });

    test.each([
      [0, 1, 5, 1],
      [1, 1, 5, 1],
      [12, 5, 5, 5],
      [12, 5, 5, 9],
      [40, 40, 60, 40],
    ])('distinct ids: %i in rows of %i, of %i, room for %i', (rows, inner, vocabulary, most) => {
      for (const clear of [0, 1]) {
        const scene = new Scene(rows + clear);
        const [idsPitch, placesPitch] = [inner + 4, inner + 1];
        const down = Math.ceil(rows / inner);
        const numbers = Array.from({ length: down * idsPitch }, () => Math.floor(scene.random() ** 2 * vocabulary));
        const ids = scene.put(numbers, 'io', 'i32');
        // Whatever stands in the table: numbers beyond the list, and places of other ids.
        const before = Array.from({ length: vocabulary }, (_, i) => [-7, i % 3, 2 ** 31 - 1, 0][i % 4]);
        const table = scene.put(before, 'state', 'i32');
        const list = scene.room(most, 'io', 'i32');
        const places = scene.room(down * placesPitch, 'io', 'i32');
        const number = scene.room(1, 'io', 'i32');
        const fields = {
          rows,
          ids,
          inner,
          idsPitch,
          vocabulary,
          table,
          clear,
          most,
          list,
          places,
          placesPitch,
          number,
        };
        scene.builder.emit('DISTINCT', fields);
        scene.check(open());
      }
    });

    test('one-hot rows of ids out of range are zero', () => {
      const scene = new Scene();
      const ids = scene.put([-1, 0, 2, 3, 2147483647], 'io', 'i32');
      const dst = scene.room(5 * 16);
      scene.builder.emit('ONE_HOT', { rows: 5, ids, inner: 5, idsPitch: 5, depth: 3, blocks: 1, dst, dstPitch: 16 });
      scene.check(open());
    });
  });

  describe('RANDOM', () => {
    test('the reference is Philox4x32-10: the known answers of its authors', () => {
      const hex = (x: number[]) => x.map((w) => w.toString(16).padStart(8, '0')).join(' ');
      expect(hex(philox([0, 0], [0, 0, 0, 0]))).toBe('6627e8d5 e169c58d bc57ac4c 9b00dbd8');
      expect(hex(philox([-1, -1], [-1, -1, -1, -1]))).toBe('408f276d 41c83b0e a20bc7c6 6d5451fd');
    });

    test.each([
      [1, 1],
      [3, 5],
      [7, 16],
      [2, 67],
      [0, 4],
    ])('%i x %i', (rows, cols) => {
      const scene = new Scene();
      const key = scene.put([12345, -987654321], 'state', 'i32');
      const dst = scene.room(rows * (cols + 2));
      scene.builder.emit('RANDOM', { rows, cols, key, stream: 3, dst, pitch: cols + 2 });
      scene.check(open());
    });
  });

  describe('LOOP', () => {
    const double = (scene: Scene, at: Reference) =>
      scene.builder.emit(
        'CHAIN',
        { vectors: 1, perRow: 1, block: 1, registers: 0, scratch: scene.scratch(0) },
        { views: [view(at)], ops: [opFields('ADD', 0, 0, 0)] },
      );

    test.each([0, 1, 2, 7])('forward, %i times; the slot is back afterwards', (count) => {
      const scene = new Scene(5);
      const at = scene.moving(scene.put(scene.numbers(16 * 8), 'io'));
      scene.builder.emit('LOOP', { count, body: 0 }, { moves: [{ slot: at.slot, stride: 16 }] });
      double(scene, at);
      scene.builder.emit('NEXT');
      double(scene, at);
      scene.check(open());
    });

    test('reverse, nested, with a body that never runs', () => {
      const scene = new Scene(6);
      const values = scene.put(scene.numbers(16 * 12), 'io');
      const at = scene.moving({ slot: values.slot, offset: values.offset + 16 * 11 });
      scene.builder.emit('LOOP', { count: 3, body: 0 }, { moves: [{ slot: at.slot, stride: -64 }] });
      scene.builder.emit('LOOP', { count: 4, body: 0 }, { moves: [{ slot: at.slot, stride: -16 }] });
      double(scene, at);
      scene.builder.emit('LOOP', { count: 0, body: 0 }, { moves: [{ slot: at.slot, stride: 7 }] });
      double(scene, at);
      scene.builder.emit('NEXT');
      scene.builder.emit('NEXT');
      scene.builder.emit('NEXT');
      scene.check(open());
    });

    test.each([
      [1, 0],
      [-1, 4],
    ])('active rows: each pass does its first rows, HOLD the others (stride %i)', (activeStride, first) => {
      const scene = new Scene(11);
      const rows = 6;
      const counts = scene.put([6, 3, 0, 9, -2], 'state', 'i32');
      const stack = scene.put(scene.numbers(rows * 32 * 6), 'io');
      const from = scene.moving(stack);
      const to = scene.moving({ slot: stack.slot, offset: stack.offset + rows * 32 });
      const copied = scene.room(rows * 40);
      const zeroed = scene.put(scene.numbers(rows * 64), 'io');
      const summed = scene.put(scene.numbers(rows * 32), 'io');
      const apart = scene.put(scene.numbers(rows * 72), 'state');
      const activeAt = { slot: counts.slot, offset: counts.offset + first };
      const moves = [from, to].map((x) => ({ slot: x.slot, stride: rows * 32 }));
      scene.builder.emit('LOOP', { count: 5, body: 0, activeRows: rows, activeAt, activeStride }, { moves });
      scene.builder.emit(
        'CHAIN',
        { vectors: rows * 2, perRow: 2, block: 4, registers: 0, scratch: scene.scratch(0) },
        { views: [view(from), view(to)], ops: [opFields('ADD', 1, 0, 0)] },
      );
      const dims = [
        { size: rows, srcStride: 32, dstStride: 40 },
        { size: 31, srcStride: 1, dstStride: 1 },
      ];
      scene.builder.emit('COPY', { src: to, dst: copied }, { dims });
      const hold = (dst: Reference, dstPitch: number, dstStep: number, sources: Fields[]) =>
        scene.builder.emit('HOLD', { rows, blocks: 2, dst, dstPitch, dstStep }, { sources });
      hold(to, 32, 16, [{ at: from, pitch: 32, step: 16 }]);
      hold(zeroed, 64, 32, []);
      // A sum that stays in its place, with a source whose blocks stand apart.
      const other = { at: apart, pitch: 72, step: 48 };
      hold(summed, 32, 16, [{ at: summed, pitch: 32, step: 16 }, other, { at: from, pitch: 32, step: 16 }]);
      scene.builder.emit('NEXT');
      scene.check(open(), () => 1e-6);
    });

    test('a recurrence: each pass reads what the one before wrote', () => {
      const scene = new Scene(7);
      const steps = 9;
      const values = scene.put(scene.numbers(16 * (steps + 1)), 'io');
      const from = scene.moving(values);
      const to = scene.moving({ slot: values.slot, offset: values.offset + 16 });
      scene.builder.emit(
        'LOOP',
        { count: steps, body: 0 },
        { moves: [from, to].map((x) => ({ slot: x.slot, stride: 16 })) },
      );
      scene.builder.emit(
        'CHAIN',
        { vectors: 1, perRow: 1, block: 1, registers: 0, scratch: scene.scratch(0) },
        { views: [view(from), view(to)], ops: [opFields('MUL', 1, 0, 1), opFields('ONE_MINUS', 1, 1)] },
      );
      scene.builder.emit('NEXT');
      scene.check(open(), () => 1e-6);
    });
  });
}
