/** Every operation of a chain, on special values, in every way that its operands can stand. */
import { describe, test } from 'vitest';
import { chainOpcodeOf, chainOperations } from '../../src/ir/kernels.ts';
import type { Fields, Reference } from '../../src/ir/program.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { chainFormulas, toleranceOf } from './reference-chain.ts';
import { type Close, Scene } from './scene.ts';

const special = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  -1.5,
  2.5,
  2,
  -3,
  1e-3,
  -1e-3,
  1e-7,
  1e-20,
  -1e-20,
  1e-38,
  1e-40,
  -1e-40,
  1.4e-45,
  7.9,
  -7.9,
  16.6,
  -16.6,
  87.5,
  -87.5,
  88.5,
  90,
  -90,
  -103,
  -105,
  200,
  -200,
  12345.678,
  8388607.5,
  8388608,
  16777217,
  -16777217,
  2147483520,
  3e9,
  -3e9,
  1e10,
  1e30,
  -1e30,
  3.4e38,
  -3.4e38,
  Infinity,
  -Infinity,
  Number.NaN,
].map(Math.fround);

export const opFields = (name: string, d: number, a: number, b = 0, c = 0): Fields => ({
  op: chainOpcodeOf.get(name) as number,
  d,
  a,
  b,
  c,
});
export const view = (at: Reference, step = 16, pitch = 0, cols = 0): Fields => ({ at, step, pitch, cols });

/** Operands that cross the special values with each other, then random ones of several sizes; whole vectors. */
function operandsOf(arity: number, scene: Scene): number[][] {
  const rows: number[][] = [];
  if (arity === 1) for (const a of special) rows.push([a]);
  else if (arity === 2) for (const a of special) for (const b of special) rows.push([a, b]);
  else
    for (let i = 0; i < 2000; i++)
      rows.push(Array.from({ length: arity }, () => special[Math.floor(scene.random() * special.length)]));
  for (const size of [1, 4, 30, 1e-3, 1e4])
    for (let i = 0; i < 100; i++)
      rows.push(Array.from({ length: arity }, () => Math.fround((scene.random() * 2 - 1) * size)));
  while (rows.length % 16) rows.push(new Array(arity).fill(0.25));
  return rows;
}

/** The treaty's formula, with the tolerance of the operation at the operands of each element. */
function closeOf(name: string, rows: readonly number[][], first: number, place: (i: number) => number): Close {
  const { relative, absolute, scale } = toleranceOf(name);
  return (expected, at) => {
    const row = rows[place(at - first)];
    if (!row) return 0;
    const size = scale ? scale(row[0], row[1], row[2]) : Math.abs(expected);
    // Where a product leaves the range of f32, a fused multiply-add and two roundings differ by more than rounding.
    if (scale && !(size < 3e38)) return Number.POSITIVE_INFINITY;
    return relative * size + absolute;
  };
}

/** An infinity in one and a number in the other are never close, but where the range ends in between. */
const flatOperations = chainOperations.filter((row) => !row.memory);

export function chainContract(open: () => Machine): void {
  describe('CHAIN', () => {
    test.each(flatOperations.map((row) => row.name))('%s', (name) => {
      const row = chainOperations[chainOpcodeOf.get(name) as number];
      for (const step of [16, 48]) {
        const scene = new Scene(3);
        let rows = operandsOf(row.arity, scene);
        if (name === 'TO_FLOAT') rows = [...Array(48)].map((_, i) => [i < 40 ? 3 ** i % 16777216 : -i]);
        if (row.arity === 3 || name === 'DTANH' || name === 'DSIGMOID') rows = rows.filter((x) => withinRange(name, x));
        rows.length -= rows.length % 16;
        const vectors = rows.length / 16;
        const spread = (k: number) => {
          const out = new Array(vectors * step).fill(0);
          rows.forEach((x, i) => {
            out[Math.floor(i / 16) * step + (i % 16)] = x[k];
          });
          return out;
        };
        const inputs = Array.from({ length: row.arity }, (_, k) =>
          scene.put(spread(k), 'state', name === 'TO_FLOAT' ? 'i32' : 'f32'),
        );
        const result = scene.room(vectors * step, 'io', name === 'TO_INT' ? 'i32' : 'f32');
        scene.builder.emit(
          'CHAIN',
          { vectors, perRow: 1, block: 7, registers: 0, scratch: scene.scratch(0) },
          {
            views: [...inputs, result].map((at) => view(at, step)),
            ops: [opFields(name, row.arity, 0, Math.min(1, row.arity - 1), Math.min(2, row.arity - 1))],
          },
        );
        const place = (i: number) => (i % step < 16 ? Math.floor(i / step) * 16 + (i % step) : -1);
        scene.check(open(), closeOf(name, rows, result.offset, place));
      }
    });

    test.each([
      [1, 1, 1],
      [5, 17, 3],
      [7, 64, 5],
      [3, 33, 64],
      [13, 70, 16],
    ])('loads and stores: %i rows of %i, blocks of %i', (rowCount, cols, block) => {
      const scene = new Scene(rowCount * cols);
      const perRow = Math.ceil(cols / 16);
      const pitch = cols + 3;
      const matrix = scene.put(scene.numbers(rowCount * pitch));
      const bias = scene.put(scene.numbers(perRow * 16));
      const column = scene.put(scene.numbers(rowCount * 2));
      const scalar = scene.put([0.75]);
      const result = scene.room(rowCount * (cols + 1));
      const flat = scene.room(rowCount * perRow * 16);
      const registers = 3;
      const views = 6;
      const [x, y, z] = [0, 1, 2].map((r) => views + r);
      scene.builder.emit(
        'CHAIN',
        { vectors: rowCount * perRow, perRow, block, registers, scratch: scene.scratch(registers * block * 16) },
        {
          views: [
            view(matrix, 16, pitch, cols),
            view(bias),
            view(column, 0, 2),
            view(scalar),
            view(result, 16, cols + 1, cols),
            view(flat),
          ],
          ops: [
            opFields('LOAD', x, 0),
            opFields('LOAD_ROW', y, 1),
            opFields('MUL', x, x, y),
            opFields('LOAD_COLUMN', y, 2),
            opFields('LOAD_SCALAR', z, 3),
            opFields('ADD', z, z, y),
            opFields('SUB', x, x, z),
            opFields('MOVE', 5, x),
            opFields('ADD', 5, 5, 5),
            opFields('STORE', 4, x),
          ],
        },
      );
      scene.check(open(), (expected) => 3e-7 * Math.max(1, Math.abs(expected)));
    });

    test.each([
      [1, 1, 1],
      [6, 3, 4],
      [9, 2, 16],
      [5, 1, 7],
    ])('rows by index: %i of %i vectors, blocks of %i, updated in place', (rowCount, perRow, block) => {
      const scene = new Scene(rowCount);
      const pitch = perRow * 16 + 16;
      const tableRows = 7;
      const table = scene.put(scene.numbers(tableRows * pitch), 'io');
      const change = scene.put(scene.numbers(rowCount * perRow * 16));
      // Holes, and indices beyond the table on either side: nothing is read or written for them.
      const names = [4, -1, 0, 7, 6, 2147483647, 2, -2147483648, 5].slice(0, rowCount);
      const list = scene.put(
        names.flatMap((x) => [x, 3]),
        'state',
        'i32',
      );
      const picked = scene.room(rowCount * perRow * 16);
      const [x, y] = [4, 5];
      scene.builder.emit(
        'CHAIN',
        { vectors: rowCount * perRow, perRow, block, registers: 2, scratch: scene.scratch(2 * block * 16) },
        {
          views: [view(table, 16, pitch, tableRows), view(list, 0, 2), view(change), view(picked)],
          ops: [
            opFields('LOAD_INDEXED', x, 0, 1),
            opFields('SUB', y, x, 2),
            opFields('MOVE', 3, x),
            opFields('STORE_INDEXED', 0, y, 1),
          ],
        },
      );
      scene.check(open());
    });

    test('interleaved groups, in place', () => {
      const scene = new Scene(8);
      const units = 3;
      const gates = scene.put(scene.numbers(units * 4 * 16), 'io');
      const at = (g: number): Reference => ({ slot: gates.slot, offset: gates.offset + g * 16 });
      scene.builder.emit(
        'CHAIN',
        { vectors: units, perRow: 1, block: 2, registers: 0, scratch: scene.scratch(0) },
        {
          views: [0, 1, 2, 3].map((g) => view(at(g), 64)),
          ops: [
            opFields('SIGMOID', 0, 0),
            opFields('TANH', 1, 1),
            opFields('FMA', 2, 0, 1, 2),
            opFields('ONE_MINUS', 3, 3),
          ],
        },
      );
      scene.check(open(), () => 5e-7);
    });

    test('a strided load and a strided store of integers keep their bits', () => {
      const scene = new Scene(9);
      const values = [0x7fc00001, -1, 1, 0x7f800001, -8388607, 42].concat(new Array(64).fill(7));
      const from = scene.put(values, 'state', 'i32');
      const one = scene.put([0x7f800123], 'state', 'i32');
      const to = scene.room(22, 'io', 'i32');
      const all = scene.room(22, 'io', 'i32');
      scene.builder.emit(
        'CHAIN',
        { vectors: 2, perRow: 2, block: 2, registers: 2, scratch: scene.scratch(64) },
        {
          views: [view(from, 32, 0), view(to, 16, 0, 22), view(one), view(all, 16, 0, 22)],
          ops: [
            opFields('LOAD', 4, 0),
            opFields('STORE', 1, 4),
            opFields('LOAD_SCALAR', 5, 2),
            opFields('STORE', 3, 5),
          ],
        },
      );
      scene.check(open());
    });

    test('no vectors', () => {
      const scene = new Scene();
      const at = scene.room(16);
      scene.builder.emit(
        'CHAIN',
        { vectors: 0, perRow: 1, block: 4, registers: 0, scratch: scene.scratch(0) },
        { views: [view(at)], ops: [opFields('EXP', 0, 0)] },
      );
      scene.check(open());
    });
  });
}

/** Whether all intermediate values of the formula stay within f32, so that the order of its roundings does not matter. */
function withinRange(name: string, [a, b, c]: readonly number[]): boolean {
  if (name === 'SELECT') return true;
  // b is a sigmoid, so it is not infinite.
  if (name === 'DSIGMOID' && !Number.isFinite(b)) return false;
  const values = name === 'FMA' || name === 'FNMA' ? [a * b, c] : [a * b, a * b * b, b * b];
  return (
    values.every((x) => !Number.isFinite(x) || Math.abs(x) < 3e38) &&
    Number.isNaN(values[0] + 0) === Number.isNaN(chainFormulas[name](a, b, c))
  );
}
