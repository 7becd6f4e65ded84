/** Compiling is a function of what is traced: the same program at every time, and none that has been made before is made again. */
import { describe, expect, it } from 'vitest';
import { layers, NdArray, openMachine, sequential } from '../../src/index.ts';
import type { Layer } from '../../src/layers/layer.ts';

const { traits } = await openMachine();
const deep = (): Layer[] => [
  ...Array.from({ length: 4 }, () =>
    layers.bidirectional({ layer: layers.lstm({ units: 5, returnSequences: true, dropout: 0.2 }) }),
  ),
  layers.gru({ units: 3 }),
  layers.dense({ units: 1 }),
];

async function explained(rows: number, length: number): Promise<string> {
  const model = sequential(deep());
  model.compile({ optimizer: 'adam', loss: 'mse' });
  await model.trainOnBatch(NdArray.zeros([rows, length, 4]), NdArray.zeros([rows, 1]));
  return model.explain();
}

describe.skipIf(traits.host === 'oracle')('compiling', () => {
  it('gives the same text for the same model, whatever was compiled before', async () => {
    const first = await explained(3, 5);
    await explained(20, 2);
    expect(await explained(3, 5)).toBe(first);
  });

  it('is done once for a shape', async () => {
    const model = sequential(deep());
    const programs = () => model.explain().split('\n== ').length;
    await model.predict(NdArray.zeros([3, 5, 4]));
    expect(programs()).toBe(1);
    await model.predict(NdArray.zeros([3, 5, 4]));
    expect(programs()).toBe(1);
    await model.predict(NdArray.zeros([3, 6, 4]));
    expect(programs()).toBe(2);
  });
});
