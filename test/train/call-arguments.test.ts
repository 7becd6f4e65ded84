/**
 * What calls say of their own: causal masks, scores, masks of attention, training, initial states as arrays; from Keras's files
 * (`test/golden/call-arguments.py`), in code, and written again.
 */
import { describe, expect, it, test } from 'vitest';
import {
  input,
  layers,
  type Model,
  model,
  modelFromBytes,
  modelFromKerasConfig,
  NdArray,
  type SymbolicTensor,
} from '../../src/index.ts';
import { expectClose, goldenMachines, type Precise, readGolden } from '../golden/golden.ts';

interface Case {
  name: string;
  config: Record<string, unknown>;
  weights: Precise[];
  x: Precise[];
  outputs: Precise[];
  given: Precise[];
  gradients: (Precise | null)[] | null;
}

const { cases } = readGolden<{ cases: Case[] }>('call-arguments.json');
const arrayOf = ({ shape, data }: Precise) => NdArray.from(Float64Array.from(data), shape);
const oneOrList = <T>(list: T[]): T | T[] => (list.length === 1 ? list[0] : list);

for (const machine of await goldenMachines()) {
  const tolerance = 2e-5;
  const read = (config: unknown) =>
    modelFromKerasConfig<NdArray[]>(JSON.parse(JSON.stringify(config).replaceAll('float64', 'float32')), { machine });
  const expectOutputs = async (own: Model<NdArray[]>, one: Case) => {
    const outputs = [await own.predict(oneOrList(one.x.map(arrayOf)))].flat();
    one.outputs.forEach((y, i) => expectClose(outputs[i], y, tolerance, `output ${i}`));
  };

  describe(`arguments of calls on ${machine.traits.host} ${machine.traits.isa}`, () => {
    test.each(cases)('$name', async (one) => {
      const own = read(one.config);
      own.setWeights(one.weights.map(arrayOf));
      await expectOutputs(own, one);
      const again = read(own.toKerasConfig());
      again.setWeights(one.weights.map(arrayOf));
      await expectOutputs(again, one);
      await expectOutputs(modelFromBytes(own.toBytes(), { machine }).model as unknown as Model<NdArray[]>, one);
    });
    test.each(cases.filter(({ gradients }) => gradients))('gradients in training: $name', async (one) => {
      const own = read(one.config);
      own.setWeights(one.weights.map(arrayOf));
      const { weightGradients } = await own.vjp(oneOrList(one.x.map(arrayOf)), oneOrList(one.given.map(arrayOf)), {
        training: true,
      });
      // Some gradients are zero because their parts cancel, as that of a bias of keys: rounding is measured by the others.
      const largest = Math.max(...(one.gradients ?? []).flatMap((g) => g?.data.map(Math.abs) ?? []));
      one.gradients?.forEach((g, i) => {
        if (!g) return;
        const own = Math.max(...g.data.map(Math.abs));
        expectClose(weightGradients[i], g, (tolerance * Math.max(own, largest * 0.1)) / (own || 1), `weight ${i}`);
      });
    });
  });
}

describe('in code', () => {
  const rows = (...shape: number[]) =>
    NdArray.from(
      Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 3 + 1)),
      shape,
    );

  it('states as arrays are those that a second input would bring', async () => {
    const state = rows(2, 3);
    const x = input({ shape: [4, 2] });
    const h = input({ shape: [3] });
    const gru = layers.gru({ units: 3 });
    const fixed = model({ inputs: x, outputs: gru.apply(x, { initialState: state }) });
    const open = model({ inputs: [x, h], outputs: gru.apply(x, { initialState: h }) });
    open.setWeights(fixed.getWeights());
    expect((await fixed.predict(rows(2, 4, 2))).data).toEqual((await open.predict([rows(2, 4, 2), state])).data);
    await expect(fixed.predict(rows(3, 4, 2))).rejects.toThrow(
      /a batch of 2 rows, as the values \(2, 3\) are for, received a batch of 3/,
    );
  });

  it('states of one row start every row alike, also nested lists and both directions', async () => {
    const x = input({ shape: [4, 2] });
    const both = layers.bidirectional({ layer: layers.simpleRNN({ units: 2 }) });
    const one = model({ inputs: x, outputs: both.apply(x, { initialState: [[1, -1], [[0.5, 0]]] }) });
    const y = await one.predict(rows(3, 4, 2));
    expect(y.shape).toEqual([3, 4]);
    const h = [input({ shape: [2] }), input({ shape: [2] })];
    const open = model({ inputs: [x, ...h], outputs: both.apply(x, { initialState: h }) });
    open.setWeights(one.getWeights());
    const repeat = (row: number[]) => [row, row, row];
    expect(y.data).toEqual((await open.predict([rows(3, 4, 2), repeat([1, -1]), repeat([0.5, 0])])).data);
    expect(() => both.apply(x, { initialState: [[1, 2, 3], [[1, 2]]] })).toThrow(
      /initial state state: expected \(\?, 2\), received \(\?, 3\)|initial state h/,
    );
  });

  it('keep rows in their places where the values differ from row to row, whatever their lengths', async () => {
    const ids = input({ shape: [5], dtype: 'int32' });
    const words = layers.embedding({ inputDim: 5, outputDim: 3, maskZero: true }).apply(ids);
    const state = NdArray.from([
      [1, 0],
      [0, 1],
      [-1, 0.5],
    ]);
    const h = input({ shape: [2] });
    const gru = layers.gru({ units: 2 });
    const fixed = model({ inputs: ids, outputs: gru.apply(words, { initialState: state }) });
    const open = model({ inputs: [ids, h], outputs: gru.apply(words, { initialState: h }) });
    open.setWeights(fixed.getWeights());
    const data = [
      [1, 2, 0, 0, 0],
      [1, 2, 3, 4, 1],
      [3, 0, 0, 0, 0],
    ];
    expectClose(
      await fixed.predict(data),
      { shape: [3, 2], data: Array.from((await open.predict([data, state])).data) },
      1e-6,
      'outputs',
    );
  });

  it('a shared layer of attention is called in two ways', async () => {
    const x = input({ shape: [3, 2] });
    const heads = layers.multiHeadAttention({ numHeads: 1, keyDim: 2 });
    const [y, scores] = heads.apply<SymbolicTensor[]>([x, x], { useCausalMask: true, returnAttentionScores: true });
    const z = heads.apply([x, x]);
    const both = model<NdArray[]>({ inputs: x, outputs: [y, scores, z] });
    const [first, weights, second] = await both.predict(rows(1, 3, 2));
    expect(Array.from(weights.data).filter((v) => v === 0)).toHaveLength(3);
    expect(first.data).not.toEqual(second.data);
    expect(first.data.slice(4)).toEqual(second.data.slice(4));
  });

  it('dropout may be silent in training, and is refused where it would draw in predicting', async () => {
    const x = input({ shape: [8] });
    const silent = model({ inputs: x, outputs: layers.dropout({ rate: 0.5 }).apply(x, { training: false }) });
    const data = rows(2, 8);
    const { outputs } = await silent.vjp(data, data, { training: true });
    expect(Array.from((outputs as NdArray).data)).toEqual(Array.from(data.data));
    const loud = model({ inputs: x, outputs: layers.dropout({ rate: 0.5 }).apply(x, { training: true }) });
    await expect(loud.predict(data)).rejects.toThrow(/dropout: expected random draws in training alone/);
  });

  it('what does not belong to a layer is refused', () => {
    const x = input({ shape: [3, 2] });
    const dense = layers.dense({ units: 2, name: 'd' });
    expect(() => dense.apply(x, { useCausalMask: true })).toThrow(
      /d: useCausalMask: expected an attention layer, received Dense/,
    );
    expect(() => dense.apply(x, { attentionMask: x })).toThrow(
      /d: attentionMask: expected an attention layer with heads/,
    );
    expect(() => dense.apply(x, { initialState: [[1, 2]] })).toThrow(/d: initialState: expected a layer over time/);
    expect(() => dense.apply(x, { training: 1 as never })).toThrow(/d: training: expected true, false or null/);
    expect(() => dense.apply(x, { maskk: x } as never)).toThrow(/d: expected options among initialState, mask/);
  });
});
