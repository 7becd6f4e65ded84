/** Windows of sequences: the same as slices of a stateful model cut by hand, and as whole sequences where the window holds them. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { layers, optimizers, sequential } from '../../src/index.ts';
import { defineCell } from '../../src/layers/cell.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { add, square, sub, tanh } from '../../src/ops/pointwise.ts';
import { model as functional, input } from '../../src/train/functional.ts';
import type { Model } from '../../src/train/model.ts';
import { windowsOf } from '../../src/train/truncation.ts';
import { expectClose, goldenMachines, type Precise, readGolden } from '../golden/golden.ts';

const machines = await goldenMachines();
const golden = readGolden<{
  sizes: { batch: number; time: number; features: number; units: number; rate: number };
  cases: {
    window: number;
    stride: number;
    epochs: number;
    losses: number[];
    initial: Precise[];
    weights: Precise[];
  }[];
}>('truncated.json');
const [batch, time, features] = [4, 11, 3];
const wave = (k: number, ...shape: number[]) =>
  NdArray.from(
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(k + i * 1.3)),
    shape,
  );
/** Steps from..to of x[B, T, ...]. */
const part = (x: NdArray, from: number, to: number) =>
  NdArray.from((x.toNested() as unknown[][]).map((row) => row.slice(from, to)) as never);

/** Its output is not its state: a masked step repeats an output of its own. */
const gatedOutput = defineCell({
  name: 'GatedOutput',
  state: ({ units }) => ({ h: [units] }),
  output: ({ units }) => [2 * units],
  weights: ({ units, features: inputs }) => ({ kernel: [inputs, units], out: [units, 2 * units] }),
  step({ x, state: { h }, weights: w }) {
    const next = tanh(add(matmul(x, w.kernel), h));
    return { output: matmul(next, w.out), state: { h: next } };
  },
});

const stacks: Record<string, (stateful: boolean) => Layer[]> = {
  lstm: (stateful) => [layers.lstm({ units: 4, returnSequences: true, stateful })],
  deep: (stateful) => [
    layers.gru({ units: 3, returnSequences: true, stateful, resetAfter: false }),
    layers.timeDistributed({ layer: layers.dense({ units: 4, activation: 'tanh' }) }),
    layers.layerNormalization(),
    layers.rnn({
      cell: layers.stackedRNNCells({ cells: [layers.gruCell({ units: 2 }), layers.lstmCell({ units: 3 })] }),
      returnSequences: true,
      stateful,
    }),
  ],
  convolution: (stateful) => [
    // Not stateful, so that slices cut by hand see zeros before them: compared with whole sequences alone.
    layers.conv1d({ filters: 3, kernelSize: 3, dilationRate: 2, padding: 'causal' }),
    layers.simpleRNN({ units: 4, returnSequences: true, stateful }),
  ],
  'own cell': (stateful) => [layers.rnn({ cell: gatedOutput({ units: 3 }), returnSequences: true, stateful })],
};

function made(name: string, stateful: boolean, machine: (typeof machines)[number]): Model {
  const model = sequential(
    [layers.input({ shape: [null, features] }), ...stacks[name](stateful), layers.dense({ units: 2 })],
    { seed: 3, machine },
  );
  model.compile({ optimizer: optimizers.adam({ learningRate: 0.05 }), loss: 'mse' });
  return model;
}

function expectEqual(got: NdArray[], want: NdArray[], near: number) {
  expect(got.length).toBe(want.length);
  got.forEach((array, i) =>
    expectClose(array, { shape: [...want[i].shape], data: Array.from(want[i].data) }, near, `weight ${i}`),
  );
}

describe('windows of a sequence', () => {
  const cut = (length: number, window: number, stride = window) =>
    windowsOf(length, { window, stride }).map(({ from, to, fresh, kept }) => [from, to, fresh, kept]);
  it('follow each other, and the next one begins where a state is kept', () => {
    expect(cut(10, 5)).toEqual([
      [0, 5, 5, 5],
      [5, 10, 5, 0],
    ]);
    expect(cut(22, 10, 4)).toEqual([
      [0, 4, 4, 0],
      [0, 8, 4, 2],
      [2, 12, 4, 4],
      [6, 16, 4, 4],
      [10, 20, 4, 4],
      [14, 22, 2, 0],
    ]);
    expect(cut(3, 10)).toEqual([[0, 3, 3, 0]]);
    expect(cut(0, 10)).toEqual([]);
  });

  it('count every step once, and go back over at most the window', () => {
    for (let length = 1; length < 30; length++)
      for (let window = 1; window < 12; window++)
        for (let stride = 1; stride <= window; stride++) {
          let before = 0;
          let kept = 0;
          for (const w of windowsOf(length, { window, stride })) {
            expect(w.from).toBe(kept);
            expect(w.to - w.fresh).toBe(before);
            expect(w.to - w.from).toBeLessThanOrEqual(window);
            expect(w.from === 0 || w.to === length || w.to - w.from === window).toBe(true);
            before = w.to;
            kept = w.from + w.kept;
          }
          expect(before).toBe(length);
        }
  });
});

describe.each(machines.map((m) => [m.traits.host, m] as const))(
  'truncated backpropagation, on %s',
  (_host, machine) => {
    const near = machine.traits.host === 'oracle' ? 1e-9 : 2e-5;
    const x = wave(1, batch, time, features);
    const y = wave(2, batch, time, 2);

    it.each(Object.keys(stacks).filter((name) => name !== 'convolution'))(
      '%s: as a stateful model on slices cut by hand',
      async (name) => {
        const [windows, slices] = [made(name, false, machine), made(name, true, machine)];
        const { history } = await windows.fit(x, y, { tbptt: { window: 4 }, epochs: 2, shuffle: false, verbose: 0 });
        const losses: number[] = [];
        for (let epoch = 0; epoch < 2; epoch++) {
          slices.resetStates();
          let total = 0;
          for (const [from, to] of [
            [0, 4],
            [4, 8],
            [8, 11],
          ])
            total += (to - from) * (await slices.trainOnBatch(part(x, from, to), part(y, from, to))).loss;
          losses.push(total / time);
        }
        expectEqual(windows.getWeights(), slices.getWeights(), near);
        history.loss.forEach((loss, epoch) => expect(loss).toBeCloseTo(losses[epoch], 5));
        expect(windows.iterations).toBe(6);
      },
    );

    it.each(Object.keys(stacks))('%s: as whole sequences, where the window holds them', async (name) => {
      const [windows, whole] = [made(name, false, machine), made(name, false, machine)];
      const options = { epochs: 2, batchSize: 3, verbose: 0 } as const;
      const a = await windows.fit(x, y, { ...options, tbptt: { window: time } });
      const b = await whole.fit(x, y, options);
      expectEqual(windows.getWeights(), whole.getWeights(), near);
      a.history.loss.forEach((loss, i) => expect(loss).toBeCloseTo(b.history.loss[i], 5));
    });

    it.each(golden.cases)('as in PyTorch, window $window, stride $stride', async (wanted) => {
      const { window, stride, epochs } = wanted;
      const { features: inputs, units, rate, batch: rows, time: length } = golden.sizes;
      const model = sequential(
        [
          layers.input({ shape: [null, inputs] }),
          layers.lstm({ units, returnSequences: true, unitForgetBias: false }),
          layers.dense({ units: 1 }),
        ],
        { machine },
      );
      model.compile({ optimizer: optimizers.sgd({ learningRate: rate }), loss: 'mse' });
      model.setWeights(wanted.initial.map(({ data, shape }) => NdArray.from(Float64Array.from(data), shape)));
      const losses: number[] = [];
      const options = { tbptt: { window, stride }, epochs, shuffle: false, verbose: 0 } as const;
      for await (const { loss } of model.train(wave(6, rows, length, inputs), wave(7, rows, length, 1), options))
        losses.push(loss);
      expect(losses).toHaveLength(wanted.losses.length);
      losses.forEach((loss, i) => expect(loss).toBeCloseTo(wanted.losses[i], 5));
      const tolerance = machine.traits.host === 'oracle' ? 1e-10 : 2e-5;
      model.getWeights().forEach((w, i) => expectClose(w, wanted.weights[i], tolerance, `weight ${i}`));
    });

    it('with masks on either side, rows in any order, and sample weights', async () => {
      for (const side of ['left', 'right'] as const) {
        const mask = NdArray.from(
          Float32Array.from({ length: batch * time }, (_, i) => {
            const [row, t] = [Math.floor(i / time), i % time];
            const length = [3, 11, 7, 5][row];
            return Number((side === 'right' ? t : time - 1 - t) < length);
          }),
          [batch, time],
        );
        const sampleWeight = wave(4, batch, time);
        const [windows, slices] = [made('deep', false, machine), made('deep', true, machine)];
        await windows.fit(x, y, { tbptt: { window: 5 }, mask, sampleWeight, shuffle: false, verbose: 0 });
        for (const [from, to] of [
          [0, 5],
          [5, 10],
          [10, 11],
        ])
          await slices.trainOnBatch(part(x, from, to), part(y, from, to), {
            mask: part(mask, from, to),
            sampleWeight: part(sampleWeight, from, to),
          });
        expectEqual(windows.getWeights(), slices.getWeights(), near);
      }
    });

    it('windows that overlap: each step counts once, from the state of the pass before', async () => {
      // By hand: the state at the start of each window by a stateful model that has the weights of the pass before.
      const name = 'lstm';
      const [windows, hand, states] = [
        made(name, false, machine),
        made(name, true, machine),
        made(name, true, machine),
      ];
      await windows.fit(x, y, { tbptt: { window: 5, stride: 2 }, shuffle: false, verbose: 0 });
      for (const { from, to, fresh, kept } of windowsOf(time, { window: 5, stride: 2 })) {
        // Where the window starts: what `hand` holds. Where the next one will: some steps on, with the weights before the step.
        if (from === 0) hand.resetStates();
        const start = hand.getStates();
        states.setWeights(hand.getWeights());
        states.resetStates();
        if (Object.keys(start).length) states.setStates(start);
        if (kept > 0) await states.predict(part(x, from, from + kept));
        // Steps that are not new do not count: weights of zero, and the mean is over all, so it is scaled back.
        const sampleWeight = NdArray.from(
          Array.from({ length: batch }, () =>
            Array.from({ length: to - from }, (_, t) => (t < to - from - fresh ? 0 : (to - from) / fresh)),
          ),
        );
        await hand.trainOnBatch(part(x, from, to), part(y, from, to), { sampleWeight });
        hand.resetStates();
        if (kept > 0) hand.setStates(states.getStates());
      }
      expectEqual(windows.getWeights(), hand.getWeights(), near);
    });

    it('goes on over windows as over the whole sequence, where nothing is learnt', async () => {
      // With a learning rate of zero the losses of the windows are those of the steps of the whole.
      for (const name of Object.keys(stacks))
        for (const tbptt of [{ window: 4 }, { window: 6, stride: 4 }, { window: 5, stride: 1 }]) {
          const model = made(name, false, machine);
          model.compile({
            optimizer: optimizers.sgd({ learningRate: 0 }),
            loss: 'mse',
            metrics: ['mae', 'r2Score', (a, b) => square(sub(a, b))],
            weightedMetrics: ['cosineSimilarity'],
          });
          const sampleWeight = Array.from({ length: batch }, (_, i) => 1 + i);
          for (const weights of [{}, { sampleWeight }]) {
            const want = await model.evaluate(x, y, weights);
            const { history } = await model.fit(x, y, { ...weights, tbptt, batchSize: 2, verbose: 0 });
            // Also where the last window is shorter than the others.
            for (const [key, value] of Object.entries(want)) expect(history[key][0], key).toBeCloseTo(value, 5);
          }
        }
    });

    it('with indices and their padding, a model within the model, and two outputs', async () => {
      const build = (stateful: boolean) => {
        const ids = input({ shape: [null] });
        const embedded = layers.embedding({ inputDim: 6, outputDim: 3, maskZero: true }).apply(ids);
        const inner = sequential([
          layers.input({ shape: [null, 3] }),
          layers.gru({ units: 4, returnSequences: true, stateful }),
        ]);
        const h = inner.apply(embedded);
        const labels = layers.dense({ units: 3, activation: 'softmax', name: 'labels' }).apply(h);
        const values = layers.dense({ units: 2, name: 'values' }).apply(h);
        const built = functional({ inputs: ids, outputs: [labels, values], seed: 5, machine });
        built.compile({
          optimizer: optimizers.sgd({ learningRate: 0.1 }),
          loss: { labels: 'sparseCategoricalCrossentropy', values: 'mae' },
          lossWeights: { labels: 1, values: 0.5 },
        });
        return built;
      };
      const lengths = [11, 4, 7, 9];
      const ids = NdArray.from(
        lengths.map((length, r) => Array.from({ length: time }, (_, t) => (t < length ? 1 + ((r + t * 3) % 5) : 0))),
      );
      const labels = NdArray.from(lengths.map((_, r) => Array.from({ length: time }, (_, t) => (r * 2 + t) % 3)));
      const [windows, slices, whole, one] = [build(false), build(true), build(false), build(false)];
      const { history } = await windows.fit(ids, [labels, y], { tbptt: { window: 4 }, shuffle: false, verbose: 0 });
      expect(Object.keys(history)).toEqual(['loss', 'labels_loss', 'values_loss']);
      for (const [from, to] of [
        [0, 4],
        [4, 8],
        [8, 11],
      ])
        await slices.trainOnBatch(part(ids, from, to), [part(labels, from, to), part(y, from, to)]);
      expectEqual(windows.getWeights(), slices.getWeights(), near);
      await one.fit(ids, [labels, y], { tbptt: { window: time }, shuffle: false, verbose: 0 });
      await whole.fit(ids, [labels, y], { shuffle: false, verbose: 0 });
      expectEqual(one.getWeights(), whole.getWeights(), near);
    });

    it('starts with given initial states, which get their gradients in the first window', async () => {
      const build = () => {
        const sequence = input({ shape: [null, features] });
        const start = input({ shape: [2] });
        const h = layers.dense({ units: 4, name: 'start' }).apply(start);
        const z = layers.gru({ units: 4, returnSequences: true }).apply(sequence, { initialState: h });
        const built = functional({
          inputs: [sequence, start],
          outputs: layers.dense({ units: 2 }).apply(z),
          seed: 5,
          machine,
        });
        built.compile({ optimizer: optimizers.sgd({ learningRate: 0.1 }), loss: 'mse' });
        return built;
      };
      const data = [x, wave(6, batch, 2)];
      const [windows, whole, short] = [build(), build(), build()];
      const before = whole.getWeights()[0];
      await windows.fit(data, y, { tbptt: { window: time }, shuffle: false, verbose: 0 });
      await whole.fit(data, y, { shuffle: false, verbose: 0 });
      expectEqual(windows.getWeights(), whole.getWeights(), near);
      await short.fit(data, y, { tbptt: { window: 4 }, shuffle: false, verbose: 0 });
      expect(short.getWeights()[0].equals(before)).toBe(false);
      expect(short.getWeights()[0].equals(whole.getWeights()[0])).toBe(false);
    });
  },
);

describe('training in windows', () => {
  const machine = machines[machines.length - 1];
  const x = wave(1, batch, time, features);
  const y = wave(2, batch, time, 2);

  it('counts windows as steps, for callbacks, several epochs and a stop within a sequence', async () => {
    const model = made('lstm', false, machine);
    const seen: number[] = [];
    await model.fit(x, y, {
      tbptt: { window: 4, stride: 3 },
      batchSize: 2,
      epochs: 2,
      verbose: 0,
      callbacks: [{ onBatchEnd: (i) => void seen.push(i) }],
    });
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7]);
    expect(model.iterations).toBe(16);
  });

  it('changes nothing of predict, evaluate and the states of the model', async () => {
    const model = made('lstm', false, machine);
    const want = await model.evaluate(x, y);
    await model.fit(x, y, { tbptt: { window: 4 }, epochs: 0, verbose: 0 });
    expect(await model.evaluate(x, y)).toEqual(want);
    await model.fit(x, y, { tbptt: { window: 4 }, verbose: 0, validationData: [x, y] });
    expect(model.getStates()).toEqual({});
    const { loss } = await model.evaluate(x, y);
    expect(loss).toBeLessThan(want.loss);
  });

  it('takes streams whose batches have lengths of their own', async () => {
    const [stream, arrays] = [made('lstm', false, machine), made('lstm', false, machine)];
    const lengths = [4, 11, 7];
    await stream.fit(
      function* () {
        for (const length of lengths) yield [part(x, 0, length), part(y, 0, length)];
      },
      { tbptt: { window: 4 }, verbose: 0 },
    );
    for (const length of lengths)
      await arrays.fit(part(x, 0, length), part(y, 0, length), { tbptt: { window: 4 }, verbose: 0, shuffle: false });
    expectEqual(stream.getWeights(), arrays.getWeights(), 1e-9);
  });

  it('goes on from a snapshot within a sequence, to the same bits', async () => {
    const options = { tbptt: { window: 3, stride: 2 }, batchSize: 2, epochs: 2, verbose: 0 } as const;
    const whole = made('deep', false, machine);
    const snapshots: Uint8Array[] = [];
    await whole.fit(x, y, {
      ...options,
      callbacks: [{ onBatchEnd: (_i, _logs, run) => void snapshots.push(run.snapshot()) }],
    });
    expect(snapshots).toHaveLength(24);
    for (const at of [0, 3, 7, 13]) {
      const again = made('deep', false, machine);
      await again.fit(x, y, { ...options, resumeFrom: snapshots[at] });
      expectEqual(again.getWeights(), whole.getWeights(), 0);
    }
    const other = made('deep', false, machine);
    await expect(other.fit(x, y, { ...options, tbptt: { window: 3 }, resumeFrom: snapshots[3] })).rejects.toThrow(
      /stride of tbptt: expected 2, as in the snapshot, received 3/,
    );
  });

  it('goes together with segments within the windows', async () => {
    const [plain, segments] = ['full' as const, 4].map((memory) => {
      const model = made('deep', false, machine);
      model.compile({ optimizer: optimizers.sgd({ learningRate: 0.1 }), loss: 'mse', memory });
      return model;
    });
    for (const model of [plain, segments]) await model.fit(x, y, { tbptt: { window: 9, stride: 3 }, verbose: 0 });
    expectEqual(segments.getWeights(), plain.getWeights(), 2e-5);
    if (machine.traits.host !== 'oracle') expect(segments.explain()).toMatch(/segments=true/);
  });

  it('keeps the memory of a step to the window', async () => {
    const long = 600;
    const model = made('lstm', false, machine);
    await model.fit(wave(1, 2, long, features), wave(2, 2, long, 2), { tbptt: { window: 20 }, verbose: 0 });
    expect(model.explain().match(/length=(?!20\b)\d+/)).toBeNull();
  });

  it.each([
    [{ window: 0 }, /tbptt: window: expected a number of steps from 1 on, received 0/],
    [{ window: 4, stride: 5 }, /tbptt: stride: expected a number of steps from 1 to the window, 4, received 5/],
    [{ window: 4, stride: 0 }, /tbptt: stride/],
    [{ window: 4, step: 2 }, /tbptt: expected window and stride, received 'step'/],
    [4, /tbptt: expected \{ window, stride \}, received 4/],
    [null, /tbptt: expected \{ window, stride \}, received null/],
  ])('refuses %o', async (tbptt, message) => {
    await expect(made('lstm', false, machine).fit(x, y, { tbptt: tbptt as never, verbose: 0 })).rejects.toThrow(
      message,
    );
  });

  const refused: Record<string, [Layer[], NdArray, RegExp]> = {
    bidirectional: [
      [layers.bidirectional({ layer: layers.lstm({ units: 2, returnSequences: true }) }), layers.dense({ units: 2 })],
      y,
      /tbptt: bidirectional: expected a layer that gives each step when it comes/,
    ],
    goBackwards: [
      [layers.lstm({ units: 2, returnSequences: true, goBackwards: true })],
      y,
      /tbptt: lstm: .*goBackwards/,
    ],
    'a last state': [
      [layers.lstm({ units: 2 })],
      wave(2, batch, 2),
      /tbptt: expected an output that follows time.*returnSequences: true/,
    ],
    'a stateful layer': [
      [layers.lstm({ units: 2, returnSequences: true, stateful: true })],
      y,
      /tbptt: lstm\/h: .*a stateful one/,
    ],
    'positions in a sequence': [
      [layers.sinePositionEncoding(), layers.lstm({ units: 2, returnSequences: true })],
      y,
      /tbptt: sine_position_encoding: .*SinePositionEncoding, which takes one step at a time or all/,
    ],
    'a convolution that sees later steps': [
      [layers.conv1d({ filters: 2, kernelSize: 3, padding: 'same' })],
      y,
      /tbptt: conv1d: .*padding 'same' a step sees later ones/,
    ],
    'what a model within the model does not allow': [
      [sequential([layers.sinePositionEncoding(), layers.gru({ units: 2, returnSequences: true })]).asLayer()],
      y,
      /tbptt: \S+\/sine_position_encoding: .*SinePositionEncoding/,
    ],
    'a softmax over time': [
      [layers.lstm({ units: 2, returnSequences: true }), layers.softmax({ axis: 1 })],
      y,
      /tbptt: softmax: .*Softmax brings steps together/,
    ],
  };
  it.each(Object.keys(refused))('refuses %s, with the reason, and changes nothing', async (name) => {
    const [stack, targets, message] = refused[name];
    const model = sequential([layers.input({ shape: [null, features] }), ...stack], { machine });
    model.compile({ optimizer: 'adam', loss: 'mse' });
    const before = model.getWeights();
    await expect(model.fit(x, targets, { tbptt: { window: 4 }, verbose: 0 })).rejects.toThrow(message);
    expect(model.iterations).toBe(0);
    expectEqual(model.getWeights(), before, 0);
  });
});
