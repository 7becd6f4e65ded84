/** What a stepper does besides: states, bytes, rows, new weights, threads; what its step costs; and what cannot stream. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { NdArray as Arrays } from '../../src/core/array.ts';
import { input, layers, model, ops, sequential } from '../../src/index.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { features, rows, sequence, stepOf, stirred, traits, wave } from './stepping.ts';

describe('a stepper', () => {
  const small = () =>
    stirred(
      sequential([layers.input({ shape: [null, features] }), layers.lstm({ units: 4 }), layers.dense({ units: 2 })]),
    );

  it('gives the same array at every step, and reads what is written to its input', async () => {
    const made = small();
    const [one, other] = [await made.stream(), await made.stream()];
    const x = wave(features);
    const y = one.step(x);
    other.input.set(x);
    expect([...other.step().data]).toEqual([...y.data]);
    const before = [...y.data];
    expect(one.step(x)).toBe(y);
    expect([...y.data]).not.toEqual(before);
    expect(one.rows).toBe(1);
    // Rows whose features do not fill whole blocks stand apart in memory, those of one row do not: both are read.
    const two = await made.stream({ rows: 2 });
    two.inputs[0].data.set([...x, ...x]);
    expect([...two.step().data].slice(2)).toEqual(
      [...two.step([...x, ...x]).data].slice(0, 2).map(() => expect.any(Number)),
    );
  });

  it('notices new weights', async () => {
    const made = small();
    const stepper = await made.stream();
    const x = wave(features);
    stepper.step(x);
    const states = stepper.getStates();
    made.setWeights(
      made.getWeights().map(({ shape, data }) =>
        Arrays.from(
          (data as Float32Array).map((v) => v * 0.5),
          shape,
        ),
      ),
    );
    const found = [...stepper.step(x).data];
    const fresh = await made.stream();
    fresh.setStates(states);
    expect(found).toEqual([...fresh.step(x).data]);
    made.compile({ optimizer: 'sgd', loss: 'mse' });
    await made.trainOnBatch(sequence(), Arrays.zeros([rows, 2]));
    const trained = await made.stream();
    trained.setStates(stepper.getStates());
    expect([...stepper.step(x).data]).toEqual([...trained.step(x).data]);
  });

  it('resets, sets and reads states, by row', async () => {
    const stepper = await small().stream({ rows });
    const x = sequence();
    const first = [...stepper.step(stepOf(x, 0)).data];
    stepper.step(stepOf(x, 1));
    expect(Object.keys(stepper.getStates())).toEqual(['lstm/h', 'lstm/c']);
    stepper.reset({ rows: [1] });
    const again = [...stepper.step(stepOf(x, 0)).data];
    expect(again.slice(2, 4)).toEqual(first.slice(2, 4));
    expect(again.slice(0, 2)).not.toEqual(first.slice(0, 2));
    stepper.reset();
    expect([...stepper.step(stepOf(x, 0)).data]).toEqual(first);
    const states = stepper.getStates();
    const second = [...stepper.step(stepOf(x, 1)).data];
    stepper.setStates({ 'lstm/h': states['lstm/h'], 'lstm/c': states['lstm/c'] });
    expect([...stepper.step(stepOf(x, 1)).data]).toEqual(second);
    expect(() => stepper.setStates({ 'lstm/x': states['lstm/h'] })).toThrow(/states among lstm\/h, lstm\/c/);
    expect(() => stepper.setStates({ 'lstm/h': [[1]] })).toThrow(/\(3, 4\)/);
    expect(() => stepper.reset({ rows: [3] })).toThrow(/rows from 0 to 2, received 3/);
  });

  it('goes on from its bytes', async () => {
    const made = small();
    const [one, other] = [await made.stream({ rows }), await made.stream({ rows })];
    const x = sequence();
    one.step(stepOf(x, 0));
    one.step(stepOf(x, 1));
    other.fromBytes(one.toBytes());
    expect([...other.step(stepOf(x, 2), [1, 0, 1]).data]).toEqual([...one.step(stepOf(x, 2), [1, 0, 1]).data]);
    const single = await made.stream();
    expect(() => single.fromBytes(one.toBytes())).toThrow(
      /fromBytes: state\/lstm\/h: expected \(1, 4\), received \(3, 4\)/,
    );
  });

  it('leaves rows without a new step as they are', async () => {
    const made = small();
    const stepper = await made.stream({ rows });
    const x = sequence();
    const first = [...stepper.step(stepOf(x, 0)).data];
    const held = [...stepper.step(stepOf(x, 1), [true, false, true]).data];
    expect(held.slice(2, 4)).toEqual(first.slice(2, 4));
    expect(held.slice(0, 2)).not.toEqual(first.slice(0, 2));
    // The second row goes on where it was: it has seen steps 0 and 2.
    const found = [...stepper.step(stepOf(x, 2)).data].slice(2, 4);
    const alone = await made.stream();
    const row = (t: number) => stepOf(x, t).data.slice(features, 2 * features);
    alone.step(row(0));
    const wanted = [...alone.step(row(2)).data];
    wanted.forEach((value, i) => expect(found[i]).toBeCloseTo(value, 6));
    expect(() => stepper.step(stepOf(x, 0), [1])).toThrow(/3 values, one per row/);
  });

  it('steps off the thread with the same bits', async () => {
    const made = small();
    const [one, other] = [await made.stream({ rows }), await made.stream({ rows })];
    const x = sequence();
    for (let t = 0; t < 3; t++) {
      const promise = one.stepAsync(stepOf(x, t), t === 1 ? [0, 1, 1] : undefined);
      if (t === 0) expect(() => one.step(stepOf(x, t))).toThrow(/one whose stepAsync is running/);
      expect([...(await promise).data]).toEqual([...other.step(stepOf(x, t), t === 1 ? [0, 1, 1] : undefined).data]);
    }
  });

  it('steps while the model is trained', async () => {
    const made = small();
    made.compile({ optimizer: 'sgd', loss: 'mse' });
    const stepper = await made.stream({ rows });
    const work = made.fit(sequence(), Arrays.zeros([rows, 2]), { epochs: 40, verbose: 0 });
    const x = stepOf(sequence(), 0);
    let steps = 0;
    for (let done = false; !done; steps++) {
      expect(stepper.step(x).data.every((v) => Number.isFinite(v))).toBe(true);
      const turn = new Promise<boolean>((resolve) => setTimeout(resolve, 0, false));
      done = await Promise.race([work.then(() => true), turn]);
    }
    expect(steps).toBeGreaterThan(1);
    await work;
    const fresh = await made.stream({ rows });
    stepper.reset();
    expect([...stepper.step(x).data]).toEqual([...fresh.step(x).data]);
  });

  it('takes ids as numbers, and refuses what does not fit', async () => {
    const made = sequential([layers.embedding({ inputDim: 5, outputDim: 3 }), layers.gru({ units: 2 })]);
    made.build([null, null]);
    const stepper = await made.stream();
    stepper.step(4);
    expect(() => stepper.step(5)).toThrow(/indices from 0 to 4, received 5/);
    expect(() => stepper.step([1.5])).toThrow(/indices from 0 to 4, received 1.5/);
    expect(() => stepper.step([1, 2])).toThrow(/one step of 1 rows, \(1,\), received 2 values/);
    const floats = await small().stream();
    expect(() => floats.step(wave(3))).toThrow(/one step of 1 rows, \(1, 5\), received 3 values/);
    expect(() => floats.step(Arrays.zeros([5, 1]))).toThrow(/received \(5, 1\)/);
    expect(() => floats.step([1, 2, Number.NaN, 4, 5])).toThrow(/finite numbers, received NaN/);
    await expect(small().stream({ rows: 0 })).rejects.toThrow(/from 1 on, received 0/);
    await expect(small().stream({ row: 1 } as never)).rejects.toThrow(/'row'/);
  });
});

/** The instructions of a step, in their order. */
function instructionsOf(explained: string): string[] {
  const [, program] = explained.split('graph stream\n');
  return [...program.matchAll(/^ {2}([A-Z_]+)(?= |$)/gm)].map(([, name]) => name);
}

describe.skipIf(traits.host === 'oracle')('the program of a step', () => {
  const programOf = async (list: readonly Layer[], rows = 1) => {
    const made = sequential([layers.input({ shape: [null, 8] }), ...list]);
    return instructionsOf((await made.stream({ rows })).explain());
  };

  it('is one product and one chain for an lstm: no loop, no copy, nothing packed', async () => {
    const expected = ['PRODUCT', 'CHAIN', 'MATVEC', 'END'];
    expect(await programOf([layers.lstm({ units: 64 }), layers.dense({ units: 1 })])).toEqual(expected);
    expect(await programOf([layers.lstm({ units: 64 }), layers.dense({ units: 1 })], 16)).toEqual(expected);
    const two = [
      layers.lstm({ units: 32, returnSequences: true }),
      layers.lstm({ units: 32 }),
      layers.dense({ units: 1 }),
    ];
    expect(await programOf(two)).toEqual(['PRODUCT', 'CHAIN', ...expected]);
  });

  it('is two products and one chain for a gru', async () => {
    expect(await programOf([layers.gru({ units: 64 }), layers.dense({ units: 1 })])).toEqual([
      'PRODUCT',
      'PRODUCT',
      'CHAIN',
      'MATVEC',
      'END',
    ]);
  });
});

describe('memory', () => {
  it.skipIf(traits.host === 'oracle')('is not allocated by a step', async () => {
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void;
    const made = sequential([
      layers.input({ shape: [null, features] }),
      layers.lstm({ units: 4 }),
      layers.dense({ units: 2 }),
    ]);
    const stepper = await made.stream({ rows });
    const x = wave(rows * features);
    const active = Uint8Array.of(1, 0, 1);
    const work = () => {
      stepper.step(x);
      stepper.step(x, active);
    };
    for (let k = 0; k < 30_000; k++) work();
    let least = Number.POSITIVE_INFINITY;
    for (let trial = 0; trial < 8; trial++) {
      collect();
      const before = process.memoryUsage().heapUsed;
      for (let k = 0; k < 5000; k++) work();
      least = Math.min(least, process.memoryUsage().heapUsed - before);
    }
    // The measurement itself leaves a few kilobytes; one object a step would leave 80.
    expect(least).toBeLessThan(40_000);
  });
});

describe('refuses models that need whole sequences, with the layer and the reason', () => {
  const refused: [string, readonly Layer[], RegExp][] = [
    [
      'bidirectional',
      [layers.bidirectional({ layer: layers.lstm({ units: 2 }) })],
      /^bidirectional: .*backward layer starts at the last step/,
    ],
    ['goBackwards', [layers.gru({ units: 2, goBackwards: true, name: 'back' })], /^back: .*goBackwards/],
    [
      'a convolution that sees later steps',
      [layers.conv1d({ filters: 2, kernelSize: 3, padding: 'same' })],
      /^conv1d: .*later ones.*causal/,
    ],
    [
      'a convolution with strides',
      [layers.conv1d({ filters: 2, kernelSize: 3, padding: 'causal', strides: 2 })],
      /^conv1d: .*every 2/,
    ],
    ['pooling', [layers.maxPooling1d()], /^max_pooling1d: .*MaxPooling1D brings steps together/],
    ['normalisation over time', [layers.groupNormalization({ groups: 1 })], /^group_normalization: /],
    ['softmax over time', [layers.softmax({ axis: 1 })], /^softmax: .*brings steps together/],
    ['a permutation', [layers.permute({ dims: [2, 1] })], /^permute: .*moves the axis of time/],
    [
      'a sum over time',
      [layers.custom(([x]) => ops.sum(x, { axes: [1], keepDims: true }), { name: 'total' })],
      /^total: .*\(sum\)/,
    ],
    ['a shift of time', [layers.zeroPadding1d({ padding: [1, 0] })], /^zero_padding1d: /],
  ];
  for (const [name, list, message] of refused)
    it(name, async () => {
      const made = sequential([layers.input({ shape: [null, 4] }), ...list]);
      await expect(made.stream()).rejects.toThrow(message);
      await expect(made.stream()).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    });

  it('attention, and states that are handed over before the sequence is over', async () => {
    const x = input({ shape: [null, 4] });
    const attended = layers.attention().apply([x, x]);
    await expect(model({ inputs: x, outputs: attended }).stream()).rejects.toThrow(/^attention: /);
    const [, h] = layers.gru({ units: 3, returnState: true, name: 'encoder' }).apply<(typeof x)[]>(x);
    const y = layers.gru({ units: 3, name: 'decoder' }).apply(x, { initialState: h });
    await expect(model({ inputs: x, outputs: y }).stream()).rejects.toThrow(/^decoder: .*a sequence that is not over/);
    const last = layers.gru({ units: 4 }).apply(x);
    const mixed = layers.add().apply([x, last]);
    await expect(model({ inputs: x, outputs: mixed }).stream()).rejects.toThrow(/^add: .*as later ones come/);
  });

  it('within another model, by the path', async () => {
    const inner = sequential(
      [layers.input({ shape: [null, 4] }), layers.bidirectional({ layer: layers.lstm({ units: 2 }) })],
      { name: 'inner' },
    );
    const x = input({ shape: [null, 4] });
    await expect(model({ inputs: x, outputs: inner.apply(x) }).stream()).rejects.toThrow(/^inner\/bidirectional: /);
  });
});
