/** Rows are ordered by length on their way to the machine, and nobody sees it. */
import { describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/core/array.ts';
import { layers } from '../../src/layers/all.ts';
import { orderRows, paddingsOf } from '../../src/train/ordering.ts';
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
  const paddings = paddingsOf(setOf(rows));
  const [padding] = paddings;

  test('the steps that count', () => {
    expect(Array.from(padding.counts)).toEqual([2, 3, 6, 0, 2]);
  });

  test('longest first where no row has a step that a longer one has not', () => {
    expect(Array.from(orderRows(paddings, Int32Array.of(3, 0, 2))?.rows ?? [])).toEqual([2, 0, 3]);
    expect(orderRows(paddings, Int32Array.of(0, 1))).toBeNull();
    expect(orderRows(paddings, Int32Array.of(0, 4))).toBeNull();
    expect(Array.from(orderRows(paddings, Int32Array.of(4, 3, 2))?.rows ?? [])).toEqual([2, 4, 3]);
    expect(orderRows(paddings, Int32Array.of(2))).toBeNull();
  });

  test('data without padding has none', () => {
    expect(paddingsOf(setOf([[1, 2, 3, 4, 5, 6]]))).toEqual([]);
    expect(paddingsOf(setOf([rows[2], rows[2]]))).toEqual([]);
  });

  test('steps of features that hold nothing but the number that is masked', () => {
    const steps = [
      [5, 5, -1, 5, -1, -1],
      [-1, -1, -1, -1, -1, -1],
      [5, -1, -1, 5, 5, 5],
    ];
    const set = (value: number | null) => ({
      ...setOf([]),
      count: 3,
      inputs: [{ shape: [3, 2], data: Float32Array.from(steps.flat()), padding: value }],
    });
    const [found] = paddingsOf(set(-1));
    expect(Array.from(found.counts)).toEqual([2, 0, 3]);
    expect(Array.from(orderRows([found], Int32Array.of(0, 1, 2))?.rows ?? [])).toEqual([2, 0, 1]);
    expect(paddingsOf(set(null))).toEqual([]);
    expect(paddingsOf(set(5))[0].counts).toEqual(Int32Array.of(2, 3, 2));
  });

  test('several inputs: ordered by the one with most padding, equal ones by the next', () => {
    const second = [
      [1, 2, 3, 0, 0, 0],
      [1, 2, 3, 4, 0, 0],
      [1, 2, 3, 4, 5, 6],
      [1, 2, 3, 4, 5, 6],
      [1, 0, 0, 0, 0, 0],
    ];
    const set = { ...setOf(rows), inputs: [column(second), column(rows)], masks: [null, null] };
    const both = paddingsOf(set);
    expect(both.map(({ source }) => source.index)).toEqual([1, 0]);
    const agree = orderRows(both, Int32Array.of(3, 0, 2));
    expect(agree && [Array.from(agree.rows), agree.inputs]).toEqual([
      [2, 0, 3],
      [false, true],
    ]);
    expect(agree?.key).not.toBe(orderRows(both, Int32Array.of(0, 2))?.key);
    expect(orderRows(both, Int32Array.of(0, 2))?.inputs).toEqual([true, true]);
    // The first has its padding on both sides here, the second on one.
    const one = orderRows(both, Int32Array.of(0, 1, 2));
    expect(one && [Array.from(one.rows), one.inputs]).toEqual([
      [2, 1, 0],
      [true, false],
    ]);
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
