/** Compiling is a function of what is traced: the same program at every time, and none that has been made before is made again. */
import { describe, expect, it } from 'vitest';
import { traceStep } from '../../src/engine/1-trace.ts';
import { machineStep } from '../../src/engine/machine-step.ts';
import { layers, NdArray, openMachine, sequential } from '../../src/index.ts';
import { Graph } from '../../src/ir/graph.ts';
import type { Layer } from '../../src/layers/layer.ts';
import { spaceOf, stepCells, trainingStep } from './training-step.ts';

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

  it('leaves a step that holds no graph, whose text can be made at any time', async () => {
    const sizes = { batch: 3, time: 5, features: 2, units: 4 };
    const machine = await openMachine();
    const cell = stepCells.lstm;
    const space = spaceOf(machine, cell, sizes);
    const leafOf = (key: string) => ({ type: space.leaf(key).type, groups: space.leaf(key).layout.groups });
    const trace = () => traceStep('lstm', leafOf, trainingStep(cell, sizes));
    const step = machineStep(space, trace(), {}, trace);
    const feed = { x: new Float32Array(3 * 5 * 2), y: new Float32Array(3 * 5 * 4) };
    const before = step.explain();
    for (let run = 0; run < 2; run++) step.runSync([feed, feed]);
    const seen = new Set<unknown>();
    const look = (held: unknown): void => {
      if (typeof held !== 'object' || held === null || seen.has(held) || ArrayBuffer.isView(held)) return;
      seen.add(held);
      expect(held).not.toBeInstanceOf(Graph);
      for (const key of Object.getOwnPropertyNames(held)) look((held as Record<string, unknown>)[key]);
    };
    look(step);
    expect(seen.size).toBeGreaterThan(10);
    expect(step.explain()).toBe(before);
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
