/** Rows are ordered by length on their way to the machine, and nobody sees it. */
import { describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/core/array.ts';
import { layers } from '../../src/layers/all.ts';
import { orderRows, paddingOf } from '../../src/train/ordering.ts';
import { sequential } from '../../src/train/sequential.ts';
import { openMachine } from '../../src/vm/open.ts';

const length = 6;
const column = (rows: number[][]) => ({ shape: [length], data: Int32Array.from(rows.flat()) });
const setOf = (rows: number[][]) => ({
  count: rows.length,
  inputs: [column(rows)],
  masks: [null],
  targets: [],
  weights: [],
});

describe('padding', () => {
  const rows = [
    [1, 2, 0, 0, 0, 0],
    [0, 0, 0, 1, 2, 3],
    [1, 2, 3, 4, 5, 6],
    [0, 0, 0, 0, 0, 0],
    [1, 0, 2, 0, 0, 0],
  ];
  const padding = paddingOf(setOf(rows));

  test('lengths and sides: right 1, left 2, both 3, holes 0', () => {
    expect(Array.from(padding?.lengths ?? [])).toEqual([2, 3, 6, 0, 3]);
    expect(Array.from(padding?.sides ?? [])).toEqual([1, 2, 3, 3, 0]);
  });

  test('longest first where all rows are padded on one side', () => {
    if (!padding) throw new Error('there is padding');
    expect(Array.from(orderRows(padding, Int32Array.of(3, 0, 2)) ?? [])).toEqual([2, 0, 3]);
    expect(orderRows(padding, Int32Array.of(0, 1))).toBeNull();
    expect(orderRows(padding, Int32Array.of(0, 4))).toBeNull();
    expect(orderRows(padding, Int32Array.of(2))).toBeNull();
  });

  test('data without padding has none', () => {
    expect(paddingOf(setOf([[1, 2, 3, 4, 5, 6]]))).toBeNull();
  });
});

describe('a model with masks', () => {
  const ids = (seed: number, side: 'left' | 'right' | 'mixed') =>
    Array.from({ length: 23 }, (_, r) => {
      const count = (r * 5 + seed) % (length + 1);
      const left = side === 'left' || (side === 'mixed' && r % 2 === 0);
      return Array.from({ length }, (_, t) =>
        (left ? t >= length - count : t < count) ? 1 + ((r * 3 + t * 7) % 19) : 0,
      );
    });
  const labels = Array.from({ length: 23 }, (_, r) => (r * 7) % 2);
  const weights = Array.from({ length: 23 }, (_, r) => 1 + (r % 3));

  test.each(['left', 'right', 'mixed'] as const)('gives results in the order of the samples, %s', async (side) => {
    const machines = [await openMachine(), await openMachine({ host: 'oracle' })];
    const [got, want] = await Promise.all(
      machines.map(async (machine) => {
        const net = [
          layers.embedding({ inputDim: 20, outputDim: 5, maskZero: true }),
          layers.gru({ units: 7, returnSequences: true }),
          layers.bidirectional({ layer: layers.lstm({ units: 18 }) }),
          layers.dense({ units: 1, activation: 'sigmoid' }),
        ];
        const model = sequential(net, { seed: 3, machine });
        model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy'] });
        const x = ids(2, side);
        await model.fit(x, labels, { epochs: 2, batchSize: 8, verbose: 0, sampleWeight: weights });
        const y = (await model.predict(x, { batchSize: 9 })) as NdArray;
        const measured = await model.evaluate(x, labels, { batchSize: 5, verbose: 0 });
        return { y: Array.from(y.data), measured, text: model.explain() };
      }),
    );
    got.y.forEach((v, i) => expect(v, `sample ${i}`).toBeCloseTo(want.y[i], 4));
    expect(got.measured.loss).toBeCloseTo(want.measured.loss, 4);
    const isOracle = machines[0].traits.host === 'oracle';
    if (!isOracle && side !== 'mixed') expect(got.text).toMatch(/activeRows=[1-9]/);
  });
});
