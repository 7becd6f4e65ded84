/**
 * What Keras's configurations say of models within models and of masks at operations. Numbers of calls: `keras/src/models/functional.py`,
 * `get_config` (`kept_nodes = 1` for a Functional, in the lists of inputs and outputs alone); tf-keras's `get_network_config` counts so everywhere.
 */
import { describe, expect, it } from 'vitest';
import { explainMask, input, layers, model, modelFromKerasConfig, NdArray, ops, sequential } from '../../src/index.ts';

type Json = Record<string, never> & { config: Record<string, never> };

const numbers = (...shape: number[]) =>
  NdArray.from(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i * 2 + 1)),
    shape,
  );

/** A functional model within a model, called twice: once for a layer, once for the end. */
function twice() {
  const z = input({ shape: [4, 3], name: 'z' });
  const inner = model({ inputs: z, outputs: layers.gru({ units: 2 }).apply(z), name: 'inner', seed: 1 });
  const x = input({ shape: [4, 3], name: 'x' });
  const [first, second] = [inner.apply(x), inner.apply(ops.reverse(x, 1))];
  const y = layers.dense({ units: 2, name: 'head' }).apply(first);
  return model<NdArray[]>({ inputs: x, outputs: [y, second], seed: 2 });
}

const historyOf = (json: unknown): unknown[] => (json as { config: { keras_history: unknown[] } }).config.keras_history;

describe('a model within a model', () => {
  it('is written and read with the numbers of Keras 3', async () => {
    const own = twice();
    const json = own.toKerasConfig() as Json;
    expect(json.config.output_layers).toEqual([
      ['head', 0, 0],
      ['inner', 2, 0],
    ]);
    const head = (json.config.layers as Json[]).find(({ name }) => name === ('head' as never)) as Json;
    expect(historyOf((head.inbound_nodes as { args: unknown[] }[])[0].args[0])).toEqual(['inner', 0, 0]);
    const again = modelFromKerasConfig<NdArray[]>(JSON.stringify(json));
    again.setWeights(own.getWeights());
    const x = numbers(2, 4, 3);
    const [wanted, found] = [await own.predict(x), await again.predict(x)];
    found.forEach((y, i) => expect(y.equals(wanted[i])).toBe(true));
  });

  it.each([
    ['functional, counted from 1 as Keras 2 and tf-keras do', 'Functional', 1],
    ['sequential, counted from 1', 'Sequential', 1],
    ['sequential that its call built, counted from 0', 'Sequential', 0],
  ])('%s', async (_what, className, from) => {
    const own = twice();
    const json = structuredClone(own.toKerasConfig()) as Json;
    const list = json.config.layers as unknown as Record<string, unknown>[];
    const shifted = (history: unknown[]) =>
      history[0] === 'inner' ? ['inner', (history[1] as number) + from, history[2]] : history;
    const old = (layer: Record<string, unknown>): Record<string, unknown> => {
      const { module: _module, registered_name: _name, ...rest } = layer;
      const nodes = (rest.inbound_nodes ?? []) as { args: unknown[] }[];
      return { ...rest, inbound_nodes: nodes.map(({ args }) => args.map((t) => [...shifted(historyOf(t)), {}])) };
    };
    const inner = list.find(({ name }) => name === 'inner') as { config: { layers: Record<string, unknown>[] } };
    inner.config.layers = inner.config.layers.map(old);
    if (className === 'Sequential') Object.assign(inner, { class_name: 'Sequential' });
    const flip = {
      class_name: 'TFOpLambda',
      name: 'flip',
      config: { name: 'flip', function: 'reverse' },
      inbound_nodes: [[['x', 0, 0, { axis: [1] }]]],
    };
    const layersOfOld = list.map((layer) => (layer.class_name === 'Flip' ? { ...flip, name: layer.name } : old(layer)));
    const two = modelFromKerasConfig<NdArray[]>(
      {
        class_name: 'Functional',
        config: {
          name: 'old',
          layers: layersOfOld,
          input_layers: [['x', 0, 0]],
          output_layers: [
            ['head', 0, 0],
            ['inner', 1 + from, 0],
          ],
        },
        keras_version: '2.15.0',
      },
      { generation: 2 },
    );
    two.setWeights(own.getWeights());
    const x = numbers(2, 4, 3);
    const [wanted, found] = [await own.predict(x), await two.predict(x)];
    found.forEach((y, i) => expect(y.equals(wanted[i])).toBe(true));
  });
});

describe('a mask at an operation', () => {
  const masked = () => {
    const x = input({ shape: [null], dtype: 'int32', name: 'x' });
    const words = layers.embedding({ inputDim: 5, outputDim: 3, maskZero: true, name: 'words' }).apply(x);
    return model({ inputs: x, outputs: layers.gru({ units: 2, name: 'end' }).apply(ops.mul(words, 2)), seed: 4 });
  };
  const ids = [[1, 2, 0, 0]];

  it('goes on in a model that was built here, also when that is written and read', async () => {
    const own = masked();
    const shorter = (await own.predict([[1, 2]])) as NdArray;
    expect(((await own.predict(ids)) as NdArray).equals(shorter)).toBe(true);
    const again = modelFromKerasConfig(JSON.stringify(own.toKerasConfig()));
    again.setWeights(own.getWeights());
    expect(((await again.predict(ids)) as NdArray).equals(shorter)).toBe(true);
  });

  it("ends there in a model of Keras's, as in Keras", async () => {
    const own = masked();
    const json = JSON.parse(JSON.stringify(own.toKerasConfig()));
    for (const layer of json.config.layers) delete layer.keeps_mask;
    const theirs = modelFromKerasConfig(json);
    theirs.setWeights(own.getWeights());
    const plain = sequential([
      layers.input({ shape: [null] }),
      layers.embedding({ inputDim: 5, outputDim: 3 }),
      layers.custom(([e]) => ops.mul(e, 2)),
      layers.gru({ units: 2 }),
    ]);
    plain.setWeights(own.getWeights());
    expect(((await theirs.predict(ids)) as NdArray).equals((await plain.predict(ids)) as NdArray)).toBe(true);
    expect(explainMask(theirs)).toContain('it ends here');
  });
});
