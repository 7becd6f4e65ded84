/** PRODUCT, PACK, MATVEC, PRODUCT_TN and VECTOR_TN, over sizes from 0 to 70, panels, segments, pitches and starts. */
import { describe, test } from 'vitest';
import { Init } from '../../src/ir/kernels.ts';
import { productTNScratch } from '../../src/ir/lower.ts';
import type { Fields, Reference } from '../../src/ir/program.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { opFields } from './contract-chain.ts';
import { Scene, sumTolerance } from './scene.ts';

interface ProductCase {
  rows: number;
  cols: number;
  panel: number;
  init: keyof typeof Init;
  /** [count, step] of each segment. */
  segments: readonly (readonly [number, number])[];
  inPlace?: boolean;
  transposed?: boolean;
  precision?: number;
  period?: number;
  apart?: number;
}

const plus = (at: Reference, offset: number): Reference => ({ slot: at.slot, offset: at.offset + offset });

function productScene(c: ProductCase, seed: number): { scene: Scene; total: number } {
  const scene = new Scene(seed);
  const blocks = Math.ceil(c.cols / 16);
  const width = blocks * 16;
  const total = c.segments.reduce((n, [count]) => n + count, 0);
  const runs: Fields[] = c.segments.map(([count]) => {
    // B as [k][n], or as [n][k] read across.
    const pitch = c.transposed ? count + 1 : c.cols + 2;
    const at = scene.put(scene.numbers(c.transposed ? c.cols * pitch : count * pitch));
    return { at, step: c.transposed ? 1 : pitch, count };
  });
  if (c.transposed) {
    // One stride for all runs: they are columns of one matrix.
    const pitch = total + 3;
    const at = scene.put(scene.numbers(c.cols * pitch));
    let k = 0;
    runs.forEach((run, i) => {
      runs[i] = { ...run, at: plus(at, k), step: 1 };
      k += run.count as number;
    });
  }
  const packed = scene.scratch(total * width + 7);
  scene.builder.emit(
    'PACK',
    {
      ...{ dst: packed, panel: c.panel, blocks, cols: c.cols, nStep: c.transposed ? total + 3 : 1, total },
      precision: c.precision ?? 0,
    },
    { runs },
  );
  const outWidth = width + (c.period ? width / c.period : 0);
  const dstPitch = outWidth + 16;
  const dst = c.inPlace ? scene.put(scene.numbers(c.rows * dstPitch), 'io') : scene.room(c.rows * dstPitch);
  const initPitch = c.inPlace ? dstPitch : outWidth + 5;
  const initAt = c.inPlace
    ? dst
    : c.init === 'row'
      ? scene.put(scene.numbers(outWidth))
      : scene.put(scene.numbers(c.rows * initPitch));
  const segments: Fields[] = c.segments.map(([count, step]) => {
    const pitch = count * step + 3;
    return { at: scene.put(scene.numbers(c.rows * pitch)), pitch, step, count };
  });
  scene.builder.emit(
    'PRODUCT',
    {
      ...{ rows: c.rows, blocks, dst, dstPitch, init: Init[c.init], initAt, initPitch, packed, panel: c.panel, total },
      ...{ precision: c.precision ?? 0, period: c.period ?? 0, apart: c.apart ?? 0 },
    },
    { segments },
  );
  return { scene, total };
}

const cases: ProductCase[] = [
  ...[0, 1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 17, 24, 31, 70].map((rows) => ({
    rows,
    cols: 67,
    panel: 4,
    init: 'row' as const,
    segments: [[37, 1] as const],
  })),
  ...[1, 2, 3, 4, 5, 6, 8, 9].flatMap((panel) =>
    [1, 7, 29].map((rows) => ({
      rows,
      cols: 150,
      panel,
      init: 'zero' as const,
      segments: [[19, 1] as const, [5, 1] as const],
    })),
  ),
  ...[1, 15, 16, 17, 33, 48, 64].map((cols) => ({
    rows: 9,
    cols,
    panel: 3,
    init: 'matrix' as const,
    segments: [[1, 1] as const, [0, 1] as const, [23, 3] as const],
  })),
  { rows: 6, cols: 64, panel: 4, init: 'matrix', segments: [[32, 1]], inPlace: true },
  { rows: 1, cols: 128, panel: 8, init: 'matrix', segments: [[31, 2]], inPlace: true },
  { rows: 1, cols: 1, panel: 1, init: 'row', segments: [[1, 1]] },
  { rows: 4, cols: 20, panel: 2, init: 'row', segments: [[0, 1]] },
  { rows: 4, cols: 20, panel: 2, init: 'zero', segments: [] },
  {
    rows: 10,
    cols: 53,
    panel: 2,
    init: 'zero',
    segments: [
      [40, 1],
      [21, 1],
    ],
    transposed: true,
  },
  { rows: 3, cols: 130, panel: 4, init: 'zero', segments: [[70, 1]], transposed: true },
  // More rows than the panels take at once: 65,536 floats of A, and at least 96 rows.
  ...[218, 219, 435, 436, 437, 500].map((rows) => ({
    rows,
    cols: 80,
    panel: 4,
    init: 'matrix' as const,
    segments: [[250, 1] as const, [50, 2] as const],
  })),
];

/** The last block of every period, once from the first segments and once from the others. */
const apartCases: ProductCase[] = [2, 3, 5].flatMap((period) =>
  [1, period].flatMap((panel) =>
    [1, 2, 7, 13, 33].flatMap((rows) =>
      (['zero', 'row', 'matrix'] as const).flatMap((init) =>
        [0, 1, 2, 3].map((apart) => ({
          ...{ rows, cols: period * 16 * (1 + (rows % 3)), panel, init, period, apart, inPlace: init === 'matrix' },
          segments: [[19, 1] as const, [0, 1] as const, [23, 2] as const],
        })),
      ),
    ),
  ),
);

/** Sums that do not fit into one panel of rounded rows, across the end of a segment; odd ones are paired across it. */
const deepCases: ProductCase[] = [
  [[511, 1]],
  [[513, 1]],
  [
    [701, 1],
    [3, 2],
    [420, 1],
  ],
].flatMap((segments) =>
  (['zero', 'row', 'matrix'] as const).flatMap((init) =>
    [false, true].map((transposed) => ({
      ...{ rows: 27, cols: 70, panel: 4, init, transposed, inPlace: init === 'matrix' },
      segments: segments.map(([count, step]) => [count, step] as const),
    })),
  ),
);

export function productContract(open: () => Machine): void {
  describe('PRODUCT and PACK', () => {
    const rounded = [...cases, ...deepCases].filter((c) => c.rows < 300).map((c) => ({ ...c, precision: 1 }));
    test.each([...cases, ...apartCases, ...rounded].map((c) => [JSON.stringify(c), c] as const))('%s', (_, c) => {
      const { scene, total } = productScene(c, c.rows * 31 + c.cols);
      // Among many or very long sums, a few are further off: their partial sums are larger than they are.
      scene.check(open(), total > 500 ? () => 1e-4 : c.rows > 200 ? () => 3e-5 : sumTolerance(total));
    });

    test('rounding to bfloat16 is to the nearest, ties to even', () => {
      const values = [1 + 2 ** -8, 1 + 3 * 2 ** -8, -1 - 2 ** -8 - 2 ** -20, 3e38, -3e38, 0.1, 0, 1e-30];
      const machine = open();
      for (const transposed of [false, true]) {
        // Row r has one value in column r, and B is the unit matrix, either way round: the result is what the rounding gives.
        const scene = new Scene(5);
        const n = 32;
        const diagonal = (v: (i: number) => number) =>
          Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? v(i / (n + 1)) : 0));
        const value = (i: number) => Math.fround(values[i % 8]);
        const [a, b] = [diagonal(transposed ? () => 1 : value), diagonal(transposed ? value : () => 1)];
        const [aAt, bAt] = [scene.put(a), scene.put(b)];
        const packed = scene.scratch(n * n);
        const run = { at: bAt, step: n, count: n };
        scene.builder.emit(
          'PACK',
          { dst: packed, panel: 2, blocks: 2, cols: n, nStep: 1, total: n, precision: 1 },
          { runs: [run] },
        );
        const dst = scene.room(n * n);
        scene.builder.emit(
          'PRODUCT',
          {
            ...{ rows: n, blocks: 2, dst, dstPitch: n, init: Init.zero, initAt: dst, initPitch: 0, packed, panel: 2 },
            ...{ total: n, precision: 1 },
          },
          { segments: [{ at: aAt, pitch: n, step: 1, count: n }] },
        );
        scene.check(machine, () => 0);
      }
    });

    test('a row gives the same bits alone in its tile and among others', () => {
      // The rows of a product are independent: the tile that a row falls into must not show.
      const scene = new Scene(77);
      const [k, blocks] = [41, 3];
      const b = scene.put(scene.numbers(k * blocks * 16));
      const packed = scene.scratch(k * blocks * 16);
      scene.builder.emit(
        'PACK',
        { dst: packed, panel: 4, blocks, cols: blocks * 16, nStep: 1, total: k },
        { runs: [{ at: b, step: blocks * 16, count: k }] },
      );
      const row = scene.numbers(k);
      const a = scene.put([...Array(13)].flatMap(() => row));
      const dst = scene.room(13 * blocks * 16);
      scene.builder.emit(
        'PRODUCT',
        {
          rows: 13,
          blocks,
          dst,
          dstPitch: blocks * 16,
          init: Init.zero,
          initAt: dst,
          initPitch: 0,
          packed,
          panel: 4,
          total: k,
        },
        { segments: [{ at: a, pitch: k, step: 1, count: k }] },
      );
      // The difference to the first row, made by the machine: exactly zero.
      const difference = scene.room(13 * blocks * 16);
      scene.builder.emit(
        'CHAIN',
        { vectors: 13 * blocks, perRow: blocks, block: 8, registers: 1, scratch: scene.scratch(128) },
        {
          views: [
            { at: dst, step: 16, pitch: 0, cols: 0 },
            { at: difference, step: 16, pitch: 0, cols: 0 },
          ],
          ops: [opFields('LOAD_ROW', 2, 0), opFields('SUB', 1, 0, 2)],
        },
      );
      scene.check(open(), (_, i) => (i >= difference.offset ? 0 : sumTolerance(k)(1, i)));
    });
  });

  describe('MATVEC', () => {
    test.each([0, 1, 3, 17, 33, 70])('%i rows', (rows) => {
      for (const init of [Init.zero, Init.row, Init.matrix]) {
        const scene = new Scene(rows + init);
        const counts = [rows + 1, 0, 67];
        const vectors = counts.map((n) => scene.put(scene.numbers(n * 2)));
        const total = counts.reduce((a, b) => a + b);
        const w = scene.scratch(total);
        scene.builder.emit(
          'PACK',
          { dst: w, panel: 0, blocks: 1, cols: 1, nStep: 1, total },
          { runs: counts.map((count, i) => ({ at: vectors[i], step: 2, count })) },
        );
        const dst = scene.room(rows);
        const initAt = scene.put(scene.numbers(Math.max(1, rows)));
        const segments = counts.map((count, i) => {
          const step = i === 2 ? 1 : 3;
          const pitch = count * step + 1;
          return { at: scene.put(scene.numbers(rows * pitch)), pitch, step, count };
        });
        scene.builder.emit('MATVEC', { rows, dst, init, initAt, w }, { segments });
        scene.check(open(), sumTolerance(total));
      }
    });
  });

  describe('PRODUCT_TN', () => {
    const shapes = [
      [0, 5, 16],
      [1, 1, 1],
      [2, 13, 17],
      [17, 6, 64],
      [37, 67, 70],
      [70, 31, 129],
      [150, 7, 33],
    ];
    test.each(shapes)('%i rows, %i and 12 columns against %i', (rows, cols, width) => {
      const blocks = Math.ceil(width / 16);
      const kBlock = 32;
      const enough = productTNScratch(blocks, [cols, 12], kBlock);
      for (const scratchFloats of [enough, Math.floor(enough / 3), 10])
        for (const accumulate of [0, 1])
          for (const [sums, precision] of [0, 1].flatMap((s) => [0, 1].map((p) => [s, p]))) {
            const scene = new Scene(rows + width + accumulate);
            const b = scene.put(scene.numbers(rows * (blocks * 16 + 16) + blocks * 16));
            const segments = [cols, 12].map((n) => ({
              at: scene.put(scene.numbers(rows * (n + 2))),
              pitch: n + 2,
              cols: n,
              dst: scene.put(scene.numbers(n * (blocks * 16 + 16)), 'io'),
              dstPitch: blocks * 16 + 16,
            }));
            const sumAt = scene.put(scene.numbers(blocks * 16), 'io');
            scene.builder.emit(
              'PRODUCT_TN',
              {
                rows,
                blocks,
                b,
                bPitch: blocks * 16 + 16,
                accumulate,
                sums,
                sumAt,
                scratch: scene.scratch(scratchFloats),
                kBlock,
                scratchFloats,
                precision,
              },
              { segments },
            );
            scene.check(open(), sumTolerance(rows));
          }
    });
  });

  describe('PRODUCT_TN without a block of every period', () => {
    test.each([
      [2, 0],
      [4, 0],
      [3, 1],
      [4, 1],
      [5, 1],
    ])('periods of %i, accumulate %i', (period, accumulate) => {
      for (const periods of [1, 3])
        for (const precision of [0, 1])
          for (const kBlock of [8, 256]) {
            const blocks = period * periods;
            for (const scratchFloats of [productTNScratch(blocks, [19, 12], kBlock), 10]) {
              const rows = 21;
              const scene = new Scene(period + periods);
              const b = scene.put(scene.numbers(rows * (blocks * 16 + 16)));
              const segments = [...Array(period + 1)].map((_, without) => ({
                at: scene.put(scene.numbers(rows * (12 + without))),
                pitch: 12 + without,
                cols: 12 + (without % 3),
                dst: scene.put(scene.numbers((12 + without) * (blocks * 16 + 16)), 'io'),
                dstPitch: blocks * 16 + 16,
                without,
              }));
              const sumAt = scene.put(scene.numbers(blocks * 16), 'io');
              scene.builder.emit(
                'PRODUCT_TN',
                {
                  ...{ rows, blocks, b, bPitch: blocks * 16 + 16, accumulate, sums: 1, sumAt, kBlock, scratchFloats },
                  ...{ scratch: scene.scratch(scratchFloats), precision, period },
                },
                { segments },
              );
              scene.check(open(), sumTolerance(rows));
            }
          }
    });
  });

  describe('groups of rows with valid ones in front', () => {
    const counts = [3, 0, 7, 12, -1, 5];
    const groupRows = 7;
    const rows = counts.length * groupRows;

    test.each([
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ])('PRODUCT, fill %i, precision %i', (fill, precision) => {
      for (const [cols, panel] of [
        [20, 2],
        [64, 4],
        [150, 3],
      ]) {
        const scene = new Scene(cols + fill);
        const blocks = Math.ceil(cols / 16);
        const packed = scene.scratch(11 * blocks * 16);
        scene.builder.emit(
          'PACK',
          { dst: packed, panel, blocks, cols: blocks * 16, nStep: 1, total: 11, precision },
          { runs: [{ at: scene.put(scene.numbers(11 * blocks * 16)), step: blocks * 16, count: 11 }] },
        );
        const dst = scene.room(rows * (blocks * 16 + 16));
        const init = scene.put(scene.numbers(blocks * 16));
        const countsAt = scene.put(counts, 'state', 'i32');
        const segments = [{ at: scene.put(scene.numbers(rows * 13)), pitch: 13, step: 1, count: 11 }];
        scene.builder.emit(
          'PRODUCT',
          {
            ...{
              rows,
              blocks,
              dst,
              dstPitch: blocks * 16 + 16,
              init: Init.row,
              initAt: init,
              initPitch: 0,
              packed,
              panel,
            },
            ...{ total: 11, groups: counts.length, groupRows, countsAt, fill, precision },
          },
          { segments },
        );
        scene.check(open(), sumTolerance(11));
      }
    });

    test.each([
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ])('PRODUCT_TN, accumulate %i, precision %i', (accumulate, precision) => {
      for (const blocks of [1, 3, 5])
        for (const kBlock of [1, 4, 8, 256])
          for (const scratchFloats of [productTNScratch(blocks, [19, 12], kBlock), 10]) {
            const scene = new Scene(blocks + kBlock);
            const b = scene.put(scene.numbers(rows * (blocks * 16 + 16) + blocks * 16));
            const segments = [19, 12].map((n) => ({
              at: scene.put(scene.numbers(rows * (n + 2))),
              pitch: n + 2,
              cols: n,
              dst: scene.put(scene.numbers(n * (blocks * 16 + 16)), 'io'),
              dstPitch: blocks * 16 + 16,
            }));
            const sumAt = scene.put(scene.numbers(blocks * 16), 'io');
            const countsAt = scene.put(counts, 'state', 'i32');
            scene.builder.emit(
              'PRODUCT_TN',
              {
                ...{ rows, blocks, b, bPitch: blocks * 16 + 16, accumulate, sums: 1, sumAt, kBlock, scratchFloats },
                ...{ scratch: scene.scratch(scratchFloats), groups: counts.length, groupRows, countsAt, precision },
              },
              { segments },
            );
            scene.check(open(), sumTolerance(rows));
          }
    });
  });

  describe('VECTOR_TN', () => {
    test.each([0, 1, 2, 37, 70])('%i rows', (rows) => {
      for (const accumulate of [0, 1])
        for (const sums of [0, 1]) {
          const scene = new Scene(rows + accumulate);
          const segments = [1, 16, 53].map((n) => ({
            at: scene.put(scene.numbers(rows * (n + 3))),
            pitch: n + 3,
            cols: n,
            dst: scene.put(scene.numbers(n), 'io'),
          }));
          const b = scene.put(scene.numbers(rows));
          const sumAt = scene.put(scene.numbers(1), 'io');
          scene.builder.emit('VECTOR_TN', { rows, b, accumulate, sums, sumAt }, { segments });
          scene.check(open(), sumTolerance(rows));
        }
    });
  });
}
