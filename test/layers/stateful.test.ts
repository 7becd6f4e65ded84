/** States that are kept from batch to batch: continued, reset, saved, and refused where they do not fit. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers, modelFromBytes, sequential } from '../../src/index.ts';
import { goldenMachines } from '../golden/golden.ts';

const ramp = (...shape: number[]) =>
  NdArray.from(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(1 + i * 1.3)),
    shape,
  );
/** Steps from..to of x[B, T, F]. */
const part = (x: NdArray, from: number, to: number) =>
  NdArray.from((x.toNested() as number[][][]).map((row) => row.slice(from, to)));
const last = (nested: unknown) => (nested as number[][][]).map((row) => row[row.length - 1]);

const make = (stateful: boolean, machine?: Awaited<ReturnType<typeof goldenMachines>>[number]) =>
  sequential(
    [
      layers.input({ shape: [null, 2] }),
      layers.lstm({ units: 3, returnSequences: true, stateful, name: 'first' }),
      layers.rnn({
        cell: layers.stackedRNNCells({ cells: [layers.gruCell({ units: 2 }), layers.lstmCell({ units: 2 })] }),
        returnSequences: true,
        stateful,
        name: 'second',
      }),
    ],
    { machine, seed: 4 },
  );

describe('a stateful model', async () => {
  const machines = await goldenMachines();
  it.each(machines.map((m) => [m.traits.host, m] as const))(
    'continues where the batch before ended, on %s',
    async (_host, machine) => {
      const [kept, whole] = [make(true, machine), make(false, machine)];
      const x = ramp(3, 6, 2);
      const want = (await whole.predict(x)).toNested() as number[][][];
      for (const [from, to] of [
        [0, 2],
        [2, 3],
        [3, 6],
      ]) {
        const y = (await kept.predict(part(x, from, to))).toNested() as number[][][];
        y.forEach((row, b) =>
          row.forEach((step, t) => step.forEach((v, u) => expect(v).toBeCloseTo(want[b][from + t][u], 6))),
        );
      }
    },
  );

  it('starts given rows anew, or all', async () => {
    const model = make(true);
    const x = ramp(3, 4, 2);
    const first = last((await model.predict(x)).toNested());
    const second = last((await model.predict(x)).toNested());
    expect(second).not.toEqual(first);
    model.resetStates({ rows: [1] });
    const third = last((await model.predict(x)).toNested());
    expect(third[1]).toEqual(first[1]);
    expect(third[0]).not.toEqual(first[0]);
    model.resetStates();
    expect(model.getStates()).toEqual({});
    expect(last((await model.predict(x)).toNested())).toEqual(first);
    expect(() => model.resetStates({ rows: [3] })).toThrow(/rows from 0 to below 3, received 3/);
    expect(() => model.resetStates({ layer: 'third' })).toThrow(/the name of a stateful layer, received 'third'/);
  });

  it('refuses another batch size by the path, with both shapes, and takes it after a reset', async () => {
    const model = make(true);
    await model.predict(ramp(3, 4, 2));
    await expect(model.predict(ramp(2, 4, 2))).rejects.toThrow(
      /first\/h: expected a batch of 3 rows, whose states \(3, 3\) are kept, received one of 2 rows.*resetStates\(\)/,
    );
    model.resetStates();
    expect((await model.predict(ramp(2, 4, 2))).shape).toEqual([2, 4, 2]);
    await expect(model.predict(ramp(5, 4, 2), { batchSize: 2 })).rejects.toThrow(
      /first\/h: expected a multiple of 2 samples/,
    );
  });

  it('saves its states, and takes given ones', async () => {
    const model = make(true);
    const x = ramp(3, 4, 2);
    await model.predict(x);
    const { model: again } = modelFromBytes(model.toBytes());
    expect(Object.keys(again.getStates())).toEqual([
      'first/h',
      'first/c',
      'second/[0].h',
      'second/[1].h',
      'second/[1].c',
    ]);
    const states = model.getStates();
    expect(again.getStates()).toEqual(states);
    const next = await model.predict(x);
    expect((await again.predict(x)).equals(next)).toBe(true);
    again.setStates(states);
    expect((await again.predict(x)).equals(next)).toBe(true);
    expect(() => again.setStates({ 'first/h': ramp(3, 4) })).toThrow(
      /setStates: first\/h: expected \(3, 3\), received \(3, 4\)/,
    );
    expect(() => again.setStates({ 'first/x': ramp(3, 3) })).toThrow(/states among first\/h, first\/c/);
  });

  it('trains over batches that follow each other, rows in their places whatever their lengths', async () => {
    const model = sequential([
      layers.input({ shape: [4] }),
      layers.embedding({ inputDim: 5, outputDim: 3, maskZero: true }),
      layers.bidirectional({ layer: layers.gru({ units: 3, stateful: true }) }),
      layers.dense({ units: 1 }),
    ]);
    model.compile({ optimizer: 'adam', loss: 'mse' });
    const ids = NdArray.from(Int32Array.from([1, 0, 0, 0, 1, 2, 3, 4, 2, 2, 0, 0, 4, 3, 2, 0]), [4, 4]);
    const { history } = await model.fit(ids, [[1], [0], [1], [0]], {
      batchSize: 2,
      epochs: 2,
      shuffle: false,
      verbose: 0,
    });
    expect(history.loss.every(Number.isFinite)).toBe(true);
    const states = model.getStates();
    expect(Object.keys(states)).toEqual(['bidirectional/forward/h', 'bidirectional/backward/h']);
    expect(states['bidirectional/forward/h'].shape).toEqual([2, 3]);
    await expect(model.fit(ids, [[1], [0], [1], [0]], { batchSize: 3, verbose: 0 })).rejects.toThrow(
      /a multiple of 3 samples/,
    );
  });

  it('gives gradients from the kept states and leaves them as they are', async () => {
    const model = make(true);
    const x = ramp(3, 4, 2);
    await model.predict(x);
    const before = model.getStates();
    const { outputs } = await model.vjp(x, ramp(3, 4, 2));
    expect(model.getStates()).toEqual(before);
    expect((await model.predict(x)).equals(outputs)).toBe(true);
  });
});
