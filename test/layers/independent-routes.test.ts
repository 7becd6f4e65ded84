/** The same LSTM by four routes, on every host: the built-in layer, a cell of `defineCell`, steps unrolled by hand on numbers, and streaming. */
import { expect, it } from 'vitest';
import {
  defineCell,
  input,
  layers,
  model as makeModel,
  NdArray,
  ops,
  type SymbolicTensor,
  sequential,
} from '../../src/index.ts';
import { openMachine } from '../../src/vm/open.ts';

const ownCell = defineCell({
  name: 'OwnLSTM',
  state: ({ units }) => ({ h: [units], c: [units] }),
  weights: ({ units, features }) => ({
    kernel: [features, 4 * units],
    recurrentKernel: [units, 4 * units],
    bias: [4 * units],
  }),
  step({ x, state: { h, c }, weights: w }) {
    const product = ops.add(ops.add(ops.matmul(x, w.kernel), ops.matmul(h, w.recurrentKernel)), w.bias);
    const [i, f, g, o] = ops.split(product, 4);
    const next = ops.add(ops.mul(ops.sigmoid(f), c), ops.mul(ops.sigmoid(i), ops.tanh(g)));
    const output = ops.mul(ops.sigmoid(o), ops.tanh(next));
    return { output, state: { h: output, c: next } };
  },
});

const [batch, time, features, units] = [2, 5, 3, 4];

/** Plain loops over numbers. */
function byHand(x: ArrayLike<number>, [kernel, recurrent, bias]: readonly NdArray[]): number[] {
  const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
  const out: number[] = [];
  for (let b = 0; b < batch; b++) {
    let h = new Array<number>(units).fill(0);
    let c = new Array<number>(units).fill(0);
    for (let t = 0; t < time; t++) {
      const gate = (column: number) => {
        let sum = bias.data[column];
        for (let k = 0; k < features; k++)
          sum += x[(b * time + t) * features + k] * kernel.data[k * 4 * units + column];
        for (let k = 0; k < units; k++) sum += h[k] * recurrent.data[k * 4 * units + column];
        return sum;
      };
      const next = c.map((v, u) => sigmoid(gate(units + u)) * v + sigmoid(gate(u)) * Math.tanh(gate(2 * units + u)));
      h = next.map((v, u) => sigmoid(gate(3 * units + u)) * Math.tanh(v));
      c = next;
      out.push(...h);
    }
  }
  return out;
}

const { host: chosen } = (await openMachine()).traits;
const hosts = process.env.UNROLLED_HOST ? [chosen] : [...new Set([chosen, 'wasm', 'oracle'] as const)];

it.each(hosts)('the built-in LSTM, one of defineCell, steps by hand and streaming agree: %s', async (host) => {
  const machine = await openMachine({ host });
  const x = NdArray.from(
    Float32Array.from({ length: batch * time * features }, (_, i) => Math.sin(i * 3 + 1)),
    [batch, time, features],
  );
  const first = () => layers.input({ shape: [null, features] });
  const builtIn = sequential([first(), layers.lstm({ units, returnSequences: true })], { seed: 3, machine });
  const own = sequential([first(), layers.rnn({ cell: ownCell({ units }), returnSequences: true })], { machine });
  own.setWeights(builtIn.getWeights());
  const expected = byHand(x.data, builtIn.getWeights());
  const close = (actual: ArrayLike<number>, wanted: ArrayLike<number>) => {
    expect(actual.length).toBe(wanted.length);
    for (let i = 0; i < wanted.length; i++) expect(actual[i]).toBeCloseTo(wanted[i], 5);
  };
  close((await builtIn.predict(x)).data, expected);
  close((await own.predict(x)).data, expected);
  for (const model of [builtIn, own]) {
    const stepper = await model.stream({ rows: batch });
    for (let t = 0; t < time; t++) {
      const now = Float32Array.from(
        { length: batch * features },
        (_, i) => x.data[(Math.floor(i / features) * time + t) * features + (i % features)],
      );
      const y = stepper.step(NdArray.from(now, [batch, features]).data) as unknown as ArrayLike<number> | NdArray;
      const values = y instanceof NdArray ? y.data : y;
      const wanted = Array.from(
        { length: batch * units },
        (_, i) => expected[(Math.floor(i / units) * time + t) * units + (i % units)],
      );
      close(values, wanted);
    }
  }
  // And the way back: the same gradients for all weights.
  const g = NdArray.from(
    Float32Array.from({ length: batch * time * units }, (_, i) => Math.cos(i)),
    [batch, time, units],
  );
  const [a, b] = await Promise.all([builtIn.vjp(x, g), own.vjp(x, g)]);
  a.weightGradients.forEach((gradient, i) => close(gradient.data, b.weightGradients[i].data));
});

it.each([1, 5, 6, 12])(
  'layers of four and of three gates over one input: its gradient is the sum of theirs, sizes %d',
  async (k) => {
    const source = input({ shape: [3, 4] });
    const lstm = layers.lstm({ units: 3 * k }).apply(source);
    const gru = layers.gru({ units: 4 * k }).apply(source);
    const x = NdArray.from(
      Float32Array.from({ length: 24 }, (_, i) => Math.sin(i * 5)),
      [2, 3, 4],
    );
    const given = (size: number) =>
      NdArray.from(
        Float32Array.from({ length: 2 * size }, (_, i) => Math.cos(i * 2)),
        [2, size],
      );
    const [forLstm, forGru] = [given(3 * k), given(4 * k)];
    const gradient = async (outputs: SymbolicTensor | SymbolicTensor[], d: NdArray | NdArray[]) => {
      const { inputGradients } = await makeModel({ inputs: source, outputs }).vjp(x, d as NdArray);
      return ([inputGradients].flat()[0] as NdArray).data;
    };
    const [one, other] = [await gradient(lstm, forLstm), await gradient(gru, forGru)];
    const both = await gradient([lstm, gru], [forLstm, forGru]);
    both.forEach((v, i) => expect(v).toBeCloseTo(one[i] + other[i], 5));
  },
);
