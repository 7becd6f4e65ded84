/** What `inspect` shows against other ways to the same numbers: models that return states, formulas, split sequences, differences. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { RandomKey } from '../../src/core/random.ts';
import { layers } from '../../src/layers/all.ts';
import { defineCell } from '../../src/layers/cell.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { add, mul, oneMinus, sigmoid, tanh } from '../../src/ops/pointwise.ts';
import { input, model } from '../../src/train/functional.ts';
import { inspect } from '../../src/train/inspect.ts';
import { sequential } from '../../src/train/sequential.ts';

const draw = (seed: number, shape: number[]) =>
  NdArray.from(
    RandomKey.from(seed)
      .normal(shape.reduce((a, b) => a * b, 1))
      .map((v) => v * 0.7),
    shape,
  );

function close(a: ArrayLike<number>, b: ArrayLike<number>, tolerance = 1e-5): void {
  expect(a.length).toBe(b.length);
  for (let i = 0; i < a.length; i++)
    if (!(Math.abs(a[i] - b[i]) <= tolerance * Math.max(1, Math.abs(b[i])))) expect([i, a[i]]).toEqual([i, b[i]]);
}

const logistic = (v: number) => 1 / (1 + Math.exp(-v));

/** x[row] W of a row-major matrix, column `column`. */
function dot(row: ArrayLike<number>, matrix: NdArray, column: number): number {
  const [rows, columns] = matrix.shape;
  let total = 0;
  for (let k = 0; k < rows; k++) total += row[k] * matrix.data[k * columns + column];
  return total;
}

describe('states', () => {
  it('are those that a model returns', async () => {
    const x = draw(1, [3, 5, 2]);
    const own = sequential([
      layers.input({ shape: [5, 2] }),
      layers.lstm({ units: 4, returnSequences: true, returnState: true }),
    ]);
    const [y, h, c] = (await own.predict(x)) as unknown as NdArray[];
    const found = (await inspect(own, x)).layer('lstm');
    expect(found.states.h.shape).toEqual([3, 5, 4]);
    close(found.states.h.data, y.data);
    close(found.outputs[0].data, y.data);
    const last = (values: NdArray) =>
      [0, 1, 2].flatMap((b) => [...values.data.slice((b * 5 + 4) * 4, (b * 5 + 5) * 4)]);
    close(last(found.states.h), h.data);
    close(last(found.states.c), c.data);
  });

  it('of masked steps are the carried ones, and the mask is there', async () => {
    const ids = NdArray.from([
      [1, 2, 3, 0, 0],
      [0, 0, 3, 4, 1],
    ]);
    const own = sequential([layers.embedding({ inputDim: 5, outputDim: 3, maskZero: true }), layers.gru({ units: 2 })]);
    await own.predict(ids);
    const found = (await inspect(own, ids)).layer('gru');
    expect([...(found.mask as NdArray).data]).toEqual([1, 1, 1, 0, 0, 0, 0, 1, 1, 1]);
    const h = found.states.h.data;
    expect([...h.slice(6, 8)]).toEqual([...h.slice(4, 6)]);
    expect([...h.slice(8, 10)]).toEqual([...h.slice(4, 6)]);
    expect([...h.slice(10, 14)]).toEqual([0, 0, 0, 0]);
    close(found.outputs[0].data, [...h.slice(8, 10), ...h.slice(18, 20)]);
  });

  it('are found in stacks, both directions, models in models, and cells of users', async () => {
    const own = defineCell({
      name: 'Leaky',
      state: ({ units }) => ({ h: [units] }),
      weights: ({ units, features }) => ({ kernel: [features, units] }),
      step({ x, state: { h }, weights: { kernel } }) {
        const keep = sigmoid(matmul(x, kernel));
        const next = add(mul(keep, h), mul(oneMinus(keep), tanh(matmul(x, kernel))));
        return { output: next, state: { h: next }, gates: { keep } };
      },
    });
    const inner = sequential(
      [layers.input({ shape: [4, 3] }), layers.rnn({ cell: own({ units: 2 }), returnSequences: true })],
      { name: 'inner' },
    );
    const a = input({ shape: [4, 3] });
    const cells = [layers.lstmCell({ units: 2 }), layers.gruCell({ units: 3 })];
    const b = layers.rnn({ cell: layers.stackedRNNCells({ cells }), returnSequences: true }).apply(inner.apply(a));
    const whole = model({
      inputs: a,
      outputs: layers.bidirectional({ layer: layers.lstm({ units: 2 }) }).apply(b),
    });
    const x = draw(2, [2, 4, 3]);
    const found = await inspect(whole, x);
    expect(found.recurrent.map(({ path }) => path)).toEqual([
      'inner/rnn',
      'rnn',
      'bidirectional/forward',
      'bidirectional/backward',
    ]);
    expect(Object.keys(found.layer('inner/rnn').gates)).toEqual(['keep']);
    const stacked = found.layer('rnn');
    expect(Object.keys(stacked.states)).toEqual(['[0].h', '[0].c', '[1].h']);
    expect(Object.keys(stacked.gates)).toEqual([
      '[0].input',
      '[0].forget',
      '[0].candidate',
      '[0].output',
      '[1].update',
      '[1].reset',
      '[1].candidate',
    ]);
    expect(stacked.ranges['[0].forget']).toEqual([0, 1]);
    expect(stacked.ranges['[1].candidate']).toEqual([-1, 1]);
    close(stacked.states['[1].h'].data, stacked.outputs[0].data);
    // The backward walk ends at the first step.
    const [forward, backward] = ['forward', 'backward'].map((name) => found.layer(`bidirectional/${name}`));
    expect([forward.goBackwards, backward.goBackwards]).toEqual([false, true]);
    const y = (await whole.predict(x)).data;
    close(y, [
      ...[...forward.states.h.data.slice(6, 8), ...backward.states.h.data.slice(0, 2)],
      ...[...forward.states.h.data.slice(14, 16), ...backward.states.h.data.slice(8, 10)],
    ]);
    const some = await inspect(whole, x, { layers: ['inner'] });
    expect(some.layers.map(({ path }) => path)).toEqual(['inner/input_layer', 'inner/rnn', 'inner']);
  });
});

describe('gates', () => {
  it('of an LSTM follow its equations', async () => {
    const [units, features] = [3, 2];
    const own = sequential([layers.input({ shape: [4, features] }), layers.lstm({ units })]);
    const x = draw(3, [2, 4, features]);
    const found = (await inspect(own, x)).layer('lstm');
    const [w, u, bias] = own.getWeights();
    const want: Record<string, number[]> = { input: [], forget: [], candidate: [], output: [] };
    for (let b = 0; b < 2; b++)
      for (let t = 0; t < 4; t++) {
        const now = x.data.slice((b * 4 + t) * features, (b * 4 + t + 1) * features);
        const at = (b * 4 + t - 1) * units;
        const before = t ? found.states.h.data.slice(at, at + units) : [0, 0, 0];
        Object.keys(want).forEach((name, g) => {
          for (let k = 0; k < units; k++) {
            const sum = dot(now, w, g * units + k) + dot(before, u, g * units + k) + bias.data[g * units + k];
            want[name].push(name === 'candidate' ? Math.tanh(sum) : logistic(sum));
          }
        });
      }
    for (const [name, values] of Object.entries(want)) close(found.gates[name].data, values);
    // And the states follow from them.
    const { input: i, forget: f, candidate: g, output: o } = found.gates;
    const { h, c } = found.states;
    for (let n = 0; n < h.data.length; n++) {
      const first = n % (4 * units) < units;
      const next = f.data[n] * (first ? 0 : c.data[n - units]) + i.data[n] * g.data[n];
      close([c.data[n], h.data[n]], [next, o.data[n] * Math.tanh(next)]);
    }
  });

  it('of a GRU follow its equations, with the reset gate before or after the product', async () => {
    for (const resetAfter of [true, false]) {
      const units = 2;
      const own = sequential([layers.input({ shape: [3, 2] }), layers.gru({ units, resetAfter })]);
      own.setWeights(own.getWeights().map(({ shape }, i) => draw(10 + i, [...shape])));
      const x = draw(4, [1, 3, 2]);
      const { states, gates } = (await inspect(own, x)).layer('gru');
      const { update, reset, candidate } = gates;
      for (let n = 0; n < 3 * units; n++) {
        const before = n < units ? 0 : states.h.data[n - units];
        close([states.h.data[n]], [update.data[n] * before + (1 - update.data[n]) * candidate.data[n]]);
      }
      const [w, u, bias] = own.getWeights();
      const b = (row: number, k: number) => (resetAfter ? bias.data[row * 3 * units + k] : row ? 0 : bias.data[k]);
      const h = states.h.data.slice(0, units);
      const now = x.data.slice(2, 4);
      const z = [0, 1].map((k) => logistic(dot(now, w, k) + dot(h, u, k) + b(0, k) + b(1, k)));
      const r = [0, 1].map((k) => logistic(dot(now, w, k + 2) + dot(h, u, k + 2) + b(0, k + 2) + b(1, k + 2)));
      const seen = (k: number) =>
        resetAfter
          ? r[k] * (dot(h, u, k + 4) + b(1, k + 4))
          : dot(
              [...h].map((v, j) => v * r[j]),
              u,
              k + 4,
            );
      const g = [0, 1].map((k) => Math.tanh(dot(now, w, k + 4) + b(0, k + 4) + seen(k)));
      close(update.data.slice(2, 4), z);
      close(reset.data.slice(2, 4), r);
      close(candidate.data.slice(2, 4), g);
    }
  });
});

describe('gradients', () => {
  it('of a state are those of the rest of the sequence for its initial states', async () => {
    const [T, at] = [6, 3];
    const x = draw(5, [2, T, 2]);
    const y = draw(6, [2, T, 3]);
    const own = sequential([layers.input({ shape: [T, 2] }), layers.lstm({ units: 3, returnSequences: true })]);
    own.compile({ optimizer: 'sgd', loss: 'mse' });
    const found = (await inspect(own, x, { y })).layer('lstm');
    // The steps after `at`, from its states; and the loss of step `at` itself, which h alone has a part in.
    const part = input({ shape: [T - at - 1, 2] });
    const [h0, c0] = [input({ shape: [3] }), input({ shape: [3] })];
    const rest = model({
      inputs: [part, h0, c0],
      outputs: layers.lstm({ units: 3, returnSequences: true }).apply(part, { initialState: [h0, c0] }),
    });
    rest.setWeights(own.getWeights());
    const steps = (a: NdArray, from: number, to: number, size: number) =>
      NdArray.from(
        [0, 1].flatMap((b) => [...a.data.slice((b * T + from) * size, (b * T + to) * size)]),
        [2, to - from, size],
      );
    const single = (a: NdArray) => NdArray.from(steps(a, at, at + 1, 3).data, [2, 3]);
    const [h, c] = [single(found.states.h), single(found.states.c)];
    const tail = steps(x, at + 1, T, 2);
    const out = (await rest.predict([tail, h, c])) as unknown as NdArray;
    const target = steps(y, at + 1, T, 3);
    const scale = 2 / y.data.length;
    const cotangent = NdArray.from(
      out.data.map((v, i) => scale * (v - target.data[i])),
      out.shape,
    );
    const { inputGradients } = await rest.vjp([tail, h, c], cotangent);
    const [, dh, dc] = inputGradients as NdArray[];
    const direct = single(y);
    close(
      single(found.stateGradients.h).data,
      dh.data.map((v, i) => v + scale * (h.data[i] - direct.data[i])),
    );
    close(single(found.stateGradients.c).data, dc.data);
    // Norms are over rows and units.
    const want = Math.sqrt([...single(found.stateGradients.h).data].reduce((s, v) => s + v * v, 0));
    close([found.gradientNorms.h[at]], [want]);
  });

  it('of outputs and weights are those of lossAndGradients, the loss is that of evaluate', async () => {
    const x = draw(7, [4, 3, 2]);
    const y = draw(8, [4, 1]);
    const own = sequential([
      layers.input({ shape: [3, 2] }),
      layers.gru({ units: 3, returnSequences: true }),
      layers.simpleRNN({ units: 2 }),
      layers.dense({ units: 1 }),
    ]);
    own.compile({ optimizer: 'sgd', loss: 'mse' });
    const found = await inspect(own, x, { y });
    const known = await own.lossAndGradients(x, y);
    close([found.loss as number], [known.loss]);
    found.weights.forEach(({ gradientNorm }, i) => {
      close([gradientNorm], [Math.sqrt([...known.weightGradients[i].data].reduce((s, v) => s + v * v, 0))]);
    });
    expect(found.weights.map(({ path }) => path)).toEqual(own.weights.map(({ path }) => path));
    const [gradient] = found.layer('dense').outputGradients as NdArray[];
    const [out] = found.layer('dense').outputs;
    close(
      gradient.data,
      out.data.map((v, i) => (2 / 4) * (v - y.data[i])),
    );
    close(
      found.losses[0].data,
      out.data.map((v, i) => (v - y.data[i]) ** 2),
    );
    close((found.layer('input_layer').outputGradients[0] as NdArray).data, (known.inputGradients as NdArray).data);
    // What the GRU returns goes into the next layer and into its own next step.
    expect(found.layer('gru').gradientNorms.h.every((v) => v > 0)).toBe(true);
    // Without targets there is no loss.
    const without = await inspect(own, x);
    expect([without.loss, without.weights.length, without.losses.length]).toEqual([null, 0, 0]);
    expect(without.layer('dense').outputGradients).toEqual([null]);
  });

  it('are zero at masked steps', async () => {
    const ids = NdArray.from([[1, 2, 0, 0]]);
    const own = sequential([
      layers.embedding({ inputDim: 5, outputDim: 3, maskZero: true }),
      layers.lstm({ units: 2 }),
      layers.dense({ units: 1 }),
    ]);
    own.compile({ optimizer: 'sgd', loss: 'mse' });
    const { gradientNorms } = (await inspect(own, ids, { y: NdArray.from([[1]]) })).layer('lstm');
    expect(gradientNorms.h[1]).toBeGreaterThan(0);
    expect([...gradientNorms.h.slice(2)]).toEqual([0, 0]);
  });
});

it('shows the weights of attention', async () => {
  const a = input({ shape: [3, 4] });
  const own = model({
    inputs: a,
    outputs: layers.multiHeadAttention({ numHeads: 2, keyDim: 2, useCausalMask: true }).apply([a, a]),
  });
  const [weights] = (await inspect(own, draw(9, [2, 3, 4]))).layer('multi_head_attention').attention;
  expect(weights.shape).toEqual([2, 2, 3, 3]);
  for (let row = 0; row < 12; row++) {
    const part = [...weights.data.slice(row * 3, row * 3 + 3)];
    close([part.reduce((s, v) => s + v, 0)], [1]);
    // Causal: nothing of later steps.
    part.forEach((v, s) => void (s > row % 3 && expect(v).toBe(0)));
  }
});

describe('leaves alone', () => {
  it('weights and states of stateful layers', async () => {
    const own = sequential([layers.input({ batchShape: [2, 3, 1] }), layers.lstm({ units: 2, stateful: true })]);
    const x = draw(12, [2, 3, 1]);
    await own.predict(x, { batchSize: 2 });
    const before = own.getStates();
    const found = (await inspect(own, x)).layer('lstm');
    expect(own.getStates()).toEqual(before);
    // It goes on from where the last batch ended.
    close(found.outputs[0].data, (await own.predict(x, { batchSize: 2 })).data);
  });

  it('and refuses what it does not know', async () => {
    const own = sequential([layers.input({ shape: [3, 1] }), layers.lstm({ units: 2 })]);
    const x = draw(13, [2, 3, 1]);
    await expect(inspect(own, x, { layers: ['gru'] })).rejects.toThrow(
      /inspect: layers: expected names among input_layer, lstm, received gru/,
    );
    await expect(inspect(own, x, { y: draw(1, [2, 2]) })).rejects.toThrow(/compiled/);
    await expect(inspect(own, x, { epochs: 3 } as never)).rejects.toThrow(/'epochs'/);
    expect(() => inspect({} as never, x)).toThrow(/a model/);
  });
});
