/** Weights before the first run: drawn when they are needed, the same whenever that is. */
import { describe, expect, it } from 'vitest';
import { initializers, layers, NdArray, sequential } from '../../src/index.ts';
import type { Initializer } from '../../src/layers/initializers.ts';

const batch = NdArray.from(
  Float32Array.from({ length: 4 * 5 * 3 }, (_, i) => Math.sin(i)),
  [4, 5, 3],
);
const targets = NdArray.zeros([4, 2]);

function counted(initializer: Initializer): { initializer: Initializer; count: () => number } {
  let drawn = 0;
  const values: Initializer['values'] = (...given) => {
    drawn++;
    return initializer.values(...given);
  };
  return { initializer: { ...initializer, values }, count: () => drawn };
}

const network = (kernelInitializer: Initializer, optimizer = 'adam') => {
  const model = sequential([
    layers.input({ shape: [null, 3] }),
    layers.lstm({ units: 4, kernelInitializer }),
    layers.dense({ units: 2 }),
  ]);
  model.compile({ optimizer, loss: 'mse' });
  return model;
};

describe('starting values', () => {
  it.each(['adam', 'adagrad', 'ftrl'])(
    'are those of the seed, before and after the first run (%s)',
    async (optimizer) => {
      const [read, unread] = [0, 1].map(() => network(initializers.glorotNormal(), optimizer));
      const before = read.getWeights();
      expect(before.map(({ data }) => [...data])).toEqual(read.getWeights().map(({ data }) => [...data]));
      expect([...before[0].data].some((x) => x !== 0)).toBe(true);
      // The forget gate's bias.
      expect([...before[2].data]).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
      await unread.predict(batch);
      expect(unread.getWeights().map(({ data }) => [...data])).toEqual(before.map(({ data }) => [...data]));
      const logs = [];
      for (const model of [read, unread])
        for (let step = 0; step < 3; step++) logs.push(await model.trainOnBatch(batch, targets));
      expect(logs.slice(0, 3)).toEqual(logs.slice(3));
    },
  );

  it('are not drawn where they are replaced', async () => {
    const { initializer, count } = counted(initializers.orthogonal());
    const model = network(initializer);
    const other = network(initializers.zeros());
    model.setWeights(other.getWeights());
    await model.predict(batch);
    expect(count()).toBe(0);
    expect([...model.getWeights()[0].data].every((x) => x === 0)).toBe(true);
  });

  it('are drawn once', async () => {
    const { initializer, count } = counted(initializers.glorotUniform());
    const model = network(initializer);
    expect(count()).toBe(0);
    model.getWeights();
    model.getWeights();
    await model.predict(batch);
    await model.trainOnBatch(batch, targets);
    expect(count()).toBe(1);
  });

  it('of an initialiser without a check are drawn when the model is made', () => {
    const { initializer, count } = counted(initializers.glorotUniform());
    const { check: _check, ...own } = initializer;
    network(own);
    expect(count()).toBe(1);
  });

  it('are refused when the model is made where a shape has none', () => {
    const make = (biasInitializer: Initializer) =>
      sequential([layers.input({ shape: [3] }), layers.dense({ units: 2, biasInitializer })]);
    expect(() => make(initializers.orthogonal())).toThrow(/initializers.orthogonal: expected a weight of at least two/);
    expect(() => make(initializers.identity())).toThrow(/initializers.identity: expected a matrix/);
  });

  it('of slots are there whenever they are declared', async () => {
    const first = network(initializers.glorotUniform(), 'adagrad');
    const later = network(initializers.glorotUniform(), 'adagrad');
    await later.predict(batch);
    for (const model of [first, later]) await model.trainOnBatch(batch, targets);
    expect(later.getWeights().map(({ data }) => [...data])).toEqual(first.getWeights().map(({ data }) => [...data]));
  });
});
