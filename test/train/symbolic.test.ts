/** Models built from symbolic tensors in code: what is right, what is refused with which words, masks, pictures, freezing, Keras 2's calls. */
import { describe, expect, it } from 'vitest';
import {
  defineLayer,
  explainMask,
  input,
  layers,
  model,
  modelFromKerasConfig,
  type NdArray,
  ops,
  plotModel,
  registerLayer,
  type SymbolicTensor,
  sequential,
} from '../../src/index.ts';
import { readGolden, restore, type Stored } from '../golden/golden.ts';

const rows = (count: number, length: number, features: number) =>
  Array.from({ length: count }, (_, i) =>
    Array.from({ length }, (_, t) => Array.from({ length: features }, (_, f) => Math.sin(i * 7 + t * 3 + f))),
  );
const close = (a: NdArray, b: NdArray) => {
  expect(a.shape).toEqual(b.shape);
  a.data.forEach((v, i) => expect(v).toBeCloseTo(b.data[i], 5));
};

describe('a functional model', () => {
  it('is the sequential one, where its layers stand in a row', async () => {
    const own = () => [layers.gru({ units: 3, returnSequences: true }), layers.lstm({ units: 2 })];
    const [first, second] = own();
    const x = input({ shape: [null, 4] });
    const functional = model({ inputs: x, outputs: second.apply(first.apply(x)) });
    const chain = sequential([layers.input({ shape: [null, 4] }), ...own()]);
    functional.setWeights(chain.getWeights());
    expect(functional.weights.map(({ path }) => path)).toEqual(chain.weights.map(({ path }) => path));
    close(await functional.predict(rows(3, 5, 4)), await chain.predict(rows(3, 5, 4)));
  });

  it('hands states over, as one long sequence does', async () => {
    const a = input({ shape: [3, 2], name: 'a' });
    const b = input({ shape: [2, 2], name: 'b' });
    const cell = layers.lstm({ units: 4, returnState: true });
    const [, h, c] = cell.apply<SymbolicTensor[]>(a);
    const [y] = cell.apply<SymbolicTensor[]>(b, { initialState: [h, c] });
    const parts = model({ inputs: [a, b], outputs: y });
    const whole = sequential([layers.input({ shape: [5, 2] }), layers.lstm({ units: 4 })]);
    whole.setWeights(parts.getWeights());
    const data = rows(3, 5, 2);
    close(
      await parts.predict([data.map((r) => r.slice(0, 3)), data.map((r) => r.slice(3))]),
      await whole.predict(data),
    );
  });

  it('takes a model as a layer, with its weights as they are, and shares them between calls', async () => {
    const encoder = sequential([layers.input({ shape: [3, 2] }), layers.gru({ units: 2 })], {
      name: 'encoder',
      seed: 5,
    });
    const x = input({ shape: [3, 2] });
    const both = model<NdArray[]>({ inputs: x, outputs: [encoder.apply(x), encoder.apply(ops.reverse(x, 1))] });
    expect(both.weights.map(({ path }) => path)).toEqual([
      'encoder/gru/kernel',
      'encoder/gru/recurrentKernel',
      'encoder/gru/bias',
    ]);
    const data = rows(2, 3, 2);
    const [y, turned] = await both.predict(data);
    close(y, await encoder.predict(data));
    close(turned, await encoder.predict(data.map((r) => r.toReversed())));
  });

  it('trains what is not frozen, reports every output, and finds layers and weights by name', async () => {
    const x = input({ shape: [4, 3] });
    const h = layers.lstm({ units: 3, trainable: false, name: 'fixed' }).apply(x);
    const a = layers.dense({ units: 2, activation: 'softmax', name: 'a' }).apply(h);
    const b = layers.dense({ units: 1, name: 'b' }).apply(h);
    const both = model<NdArray[]>({ inputs: x, outputs: [a, b] });
    both.compile({
      optimizer: 'adam',
      loss: { a: 'sparseCategoricalCrossentropy', b: 'mse' },
      metrics: { a: ['accuracy'] },
      lossWeights: { a: 1, b: 0.5 },
    });
    const before = both.getWeight('fixed/kernel');
    const y = [
      [0, 1, 1, 0],
      [0.5, 1, -1, 0],
    ];
    const { history } = await both.fit(rows(4, 4, 3), y, { epochs: 20, verbose: 0, validationSplit: 0.25 });
    expect(Object.keys(history).slice(0, 4)).toEqual(['loss', 'a_loss', 'b_loss', 'a_accuracy']);
    expect(history.loss[19]).toBeLessThan(history.loss[0]);
    expect(history.loss[3]).toBeCloseTo(history.a_loss[3] + 0.5 * history.b_loss[3], 5);
    expect(Array.from(both.getWeight('fixed/kernel').data)).toEqual(Array.from(before.data));
    expect(both.getLayer('a').className).toBe('Dense');
    expect(() => both.getLayer('c')).toThrow("getLayer: expected one of input_layer, fixed, a, b, received 'c'.");
    both.compile({ optimizer: 'adam', loss: [null, 'mse'] });
    const logs = await both.trainOnBatch(rows(4, 4, 3), [null as never, y[1]]);
    expect(Object.keys(logs)).toEqual(['loss', 'b_loss']);
  });

  it('gives gradients for several inputs and outputs', async () => {
    const [p, q] = [input({ shape: [2], name: 'p' }), input({ shape: [2], name: 'q' })];
    const two = model<NdArray[]>({ inputs: [p, q], outputs: [ops.mul(p, q), ops.add(p, ops.mul(q, 3))] });
    const result = await two.vjp([[[1, 2]], [[3, 4]]], [[[1, 1]], [[1, 1]]]);
    const [dp, dq] = result.inputGradients as NdArray[];
    expect([...dp.data]).toEqual([4, 5]);
    expect([...dq.data]).toEqual([4, 5]);
    const alone = await two.vjp([[[1, 2]], [[3, 4]]], [null, [[1, 1]]]);
    expect([...(alone.inputGradients as NdArray[])[1].data]).toEqual([3, 3]);
  });
});

describe('wrong use is answered', () => {
  const x = input({ shape: [null, 4], name: 'x' });
  it.each([
    [
      'features that do not fit a shared layer',
      () => {
        const shared = layers.dense({ units: 2, name: 'head' });
        const z = input({ shape: [null, 3], name: 'z' });
        return model({ inputs: [x, z], outputs: [shared.apply(x), shared.apply(z)] });
      },
      /head\/kernel: expected inputs like those of its first call, \(null, null, 4\), for weights \(4, 2\), received \(null, null, 3\), which needs \(3, 2\)\. A layer/,
    ],
    [
      'an axis too few',
      () => layers.lstm({ units: 2, name: 'memory' }).apply(input({ shape: [4] })),
      /memory: expected an input of three axes.*received \(null, 4\)/,
    ],
    [
      'an input that reaches no output',
      () => model({ inputs: [x, input({ shape: [2], name: 'idle' })], outputs: layers.dense({ units: 1 }).apply(x) }),
      /inputs\[1\]: expected an input that reaches an output, received 'idle'/,
    ],
    [
      'an input that is left out',
      () =>
        model({ inputs: [x], outputs: layers.concatenate().apply([x, input({ shape: [null, 2], name: 'other' })]) }),
      /inputs: expected 'other' among them/,
    ],
    [
      'a name used twice',
      () =>
        model({
          inputs: x,
          outputs: layers.dense({ units: 1, name: 'd' }).apply(layers.dense({ units: 1, name: 'd' }).apply(x)),
        }),
      /'d' twice/,
    ],
    [
      'an array in place of a symbolic tensor',
      () => layers.dense({ units: 1 }).apply([[1, 2]] as never),
      /dense: \[0\]: expected a symbolic tensor/,
    ],
    [
      'a mask of other length',
      () => layers.gru({ units: 1 }).apply(input({ shape: [5, 2] }), { mask: input({ shape: [4] }) }),
      /gru: mask: expected one value per sample and step, \(null, 5\), received \(null, 4\)/,
    ],
    [
      'a state for a layer without',
      () => layers.dense({ units: 1 }).apply(x, { initialState: x }),
      /dense: initialState: expected a layer over time/,
    ],
    [
      'a nested model of other features',
      () => sequential([layers.input({ shape: [3, 2] }), layers.gru({ units: 2 })], { name: 'inner' }).apply(x),
      /inner: expected an input of \(null, 3, 2\).*received \(null, null, 4\)/,
    ],
    [
      'a loss for an output that is not there',
      () => {
        const m = model({
          inputs: x,
          outputs: [layers.dense({ units: 1 }).apply(x), layers.dense({ units: 1 }).apply(x)],
        });
        m.compile({ loss: { nobody: 'mse' } });
        return m.evaluate(rows(1, 2, 4), [[[[1], [1]]], [[[1], [1]]]] as never);
      },
      /compile: loss: expected names of outputs, dense, dense_1, received 'nobody'/,
    ],
  ])('%s', async (_what, build, message) => {
    await expect(async () => build()).rejects.toThrow(message);
  });

  it('a cycle in a file, and every class that is missing at once', () => {
    const call = (name: string) => ({
      class_name: '__keras_tensor__',
      config: { shape: [null, 2], dtype: 'float32', keras_history: [name, 0, 0] },
    });
    const layer = (class_name: string, name: string, from: string | null) => ({
      module: 'keras.layers',
      class_name,
      config: class_name === 'InputLayer' ? { batch_shape: [null, 2], name } : { name, units: 2 },
      name,
      inbound_nodes: from ? [{ args: [call(from)], kwargs: {} }] : [],
    });
    const config = (...list: unknown[]) => ({
      class_name: 'Functional',
      config: { name: 'm', layers: list, input_layers: ['x', 0, 0], output_layers: ['a', 0, 0] },
    });
    expect(() =>
      modelFromKerasConfig(config(layer('InputLayer', 'x', null), layer('Dense', 'a', 'b'), layer('Dense', 'b', 'a'))),
    ).toThrow(/a cycle through '[ab]'/);
    expect(() =>
      modelFromKerasConfig(config(layer('InputLayer', 'x', null), layer('Mine', 'a', 'b'), layer('Yours', 'b', 'x'))),
    ).toThrow(/received Mine, Yours.*registerLayer/);
    registerLayer(
      defineLayer({
        className: 'Mine',
        options: { units: layers.dense.definition.options.units },
        weights: () => [],
        outputs: (_config, inputs) => inputs,
        call: (_config, { inputs, masks }) => ({ outputs: [ops.mul(inputs[0], 2)], masks }),
      }),
    );
    const mine = modelFromKerasConfig(config(layer('InputLayer', 'x', null), layer('Mine', 'a', 'x')));
    expect(mine.outputShapes).toEqual([[null, 2]]);
  });
});

describe('seeing', () => {
  const ids = input({ shape: [null], dtype: 'int32', name: 'ids' });
  const words = layers.embedding({ inputDim: 9, outputDim: 3, maskZero: true, name: 'words' }).apply(ids);
  const states = layers.gru({ units: 3, returnSequences: true, name: 'states' }).apply(words);
  const tags = layers.dense({ units: 2, name: 'tags' }).apply(states);
  const all = layers.globalAveragePooling1d({ name: 'all' }).apply(states);
  const seen = model({ inputs: ids, outputs: [tags, all], name: 'seen' });

  it('tells where masks begin, go and end', () => {
    const text = explainMask(seen).split('\n');
    expect(text).toContain('words: a mask begins');
    expect(text).toContain('states: uses it, and it goes on');
    expect(text).toContain('all: uses it, and it ends here: (null, 3) has no mask');
    expect(text).toContain('output 0, tags (null, null, 2): loss and metrics count the valid steps only');
  });

  it('draws every layer once, and every connection', () => {
    const svg = plotModel(seen);
    expect(svg.match(/font-weight="bold">(\w+)</g)?.map((m) => /(\w+)<$/.exec(m)?.[1])).toEqual([
      'ids',
      'words',
      'states',
      'tags',
      'all',
    ]);
    expect(svg.match(/class="edge"/g)).toHaveLength(4);
    const dot = plotModel(seen, { format: 'dot' });
    expect(dot).toContain('n3 [label="tags\\nDense\\n(?, ?, 2)\\n8 parameters"];');
    expect(dot).toContain('n2 -> n4;');
    expect(() => plotModel(seen, { format: 'png' as never })).toThrow(/'svg' or 'dot'/);
  });
});

describe("Keras 2's calls", () => {
  it('name their inputs in lists, initial states among them', async () => {
    const { unit, cases } = readGolden<{ unit: number; cases: { config: never; weights: Stored[]; x: Stored[] }[] }>(
      'functional.json',
    );
    const { config, weights, x } = cases[0];
    const three = modelFromKerasConfig(config);
    const old = structuredClone(config) as {
      class_name: string;
      config: { layers: Record<string, never>[]; input_layers: unknown; output_layers: unknown };
    };
    const history = (t: unknown) => (t as { config: { keras_history: unknown[] } }).config.keras_history;
    for (const layer of old.config.layers as Record<string, unknown>[]) {
      delete layer.module;
      layer.inbound_nodes = (layer.inbound_nodes as { args: unknown[]; kwargs: { initial_state?: unknown[] } }[]).map(
        ({ args, kwargs }) => [...args, ...(kwargs.initial_state ?? [])].map((t) => [...history(t), {}]),
      );
    }
    old.class_name = 'Model';
    old.config.output_layers = [old.config.output_layers];
    const two = modelFromKerasConfig(old, { generation: 2 });
    const data = x.map((a) => restore(a, unit));
    for (const m of [two, three]) m.setWeights(weights.map((w) => restore(w, unit)));
    expect((await two.predict(data)).equals(await three.predict(data))).toBe(true);
  });
});
