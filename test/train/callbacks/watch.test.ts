/** Warnings of what goes wrong in training: planted, found, said once, with what to try. */
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../../src/core/array.ts';
import { RandomKey } from '../../../src/core/random.ts';
import { layers } from '../../../src/layers/all.ts';
import { callbacks } from '../../../src/train/callbacks/all.ts';
import { inspect } from '../../../src/train/inspect.ts';
import { diagnose, type TrainingWarning } from '../../../src/train/inspect-warnings.ts';
import { optimizers } from '../../../src/train/optimizers/all.ts';
import { sequential } from '../../../src/train/sequential.ts';

const silent = { verbose: 0 } as const;
const draw = (seed: number, shape: number[], scale = 1) =>
  NdArray.from(
    RandomKey.from(seed)
      .normal(shape.reduce((a, b) => a * b, 1))
      .map((v) => v * scale),
    shape,
  );
const kinds = (warnings: readonly TrainingWarning[]) => warnings.map(({ kind, layer }) => `${kind}: ${layer}`);

function recurrent(layer: ReturnType<typeof layers.lstm>, length: number) {
  const model = sequential([layers.input({ shape: [length, 1] }), layer, layers.dense({ units: 1 })], { seed: 1 });
  model.compile({ optimizer: optimizers.sgd({ learningRate: 1e-4 }), loss: 'mse' });
  return model;
}

describe('diagnose', () => {
  it('tells a vanishing gradient from one that stays', async () => {
    const [x, y] = [draw(1, [4, 60, 1]), draw(2, [4, 1])];
    const fading = recurrent(layers.simpleRNN({ units: 4, recurrentInitializer: 'zeros', name: 'fading' }), 60);
    const [kernel] = fading.getWeights();
    fading.setWeight('fading/recurrentKernel', [[0.3, 0, 0, 0], [0, 0.3, 0, 0], [0, 0, 0.3, 0], [0, 0, 0, 0.3]]); // biome-ignore format: a matrix
    expect(kernel.shape).toEqual([1, 4]);
    const [found] = diagnose(await inspect(fading, x, { y }));
    expect(found).toMatchObject({ kind: 'vanishing gradient', layer: 'fading' });
    // At most 0.3 to the power of the steps between.
    expect(found.value).toBeLessThan(0.3 ** 58);
    expect(found.message).toMatch(/fading: the gradient vanishes over 60 steps, .* Try an LSTM/);
    const steady = recurrent(layers.indRNN({ units: 4, activation: 'linear' }), 60);
    expect(diagnose(await inspect(steady, x, { y }))).toEqual([]);
    const growing = recurrent(layers.indRNN({ units: 4, activation: 'linear', name: 'growing' }), 60);
    growing.setWeight('growing/recurrentKernel', [1.5, 1.5, 1.5, 1.5]);
    const grown = diagnose(await inspect(growing, x, { y }));
    expect(kinds(grown)).toContain('exploding gradient: growing');
    // The ratio of the norms is that of the powers.
    expect(grown[0].value / 1.5 ** 59).toBeCloseTo(1, 3);
    expect(grown[0].message).toContain('globalClipnorm');
  });

  it('finds dead and constant units, where they begin', async () => {
    const model = sequential([
      layers.input({ shape: [3] }),
      layers.dense({ units: 4, activation: 'relu', name: 'dead' }),
      layers.dropout({ rate: 0.1 }),
      layers.dense({ units: 2, activation: 'tanh', name: 'stuck' }),
    ]);
    model.setWeight('dead/bias', [-100, -100, -100, 0]);
    model.setWeight('stuck/bias', [50, 0]);
    const found = diagnose(await inspect(model, draw(3, [20, 3])));
    expect(kinds(found)).toEqual(['dead units: dead', 'constant units: stuck']);
    expect(found[0].value).toBe(0.75);
    expect(found[0].message).toMatch(/^dead: 3 of 4 units are 0 for the whole batch/);
    expect(kinds(diagnose(await inspect(model, draw(3, [20, 3])), { deadUnits: 0.8 }))).toEqual([]);
  });

  it('finds gates and states that are stuck at an end of their range', async () => {
    const model = sequential([layers.input({ shape: [10, 1] }), layers.lstm({ units: 3 })]);
    const bias = new Float32Array(12);
    bias.fill(-30, 0, 3); // the input gate shut
    bias.fill(30, 9, 12); // the output gate open
    model.setWeight('lstm/bias', bias);
    const found = diagnose(await inspect(model, draw(4, [4, 10, 1])));
    expect(kinds(found).filter((kind) => kind.startsWith('saturated'))).toHaveLength(2);
    expect(found.map(({ message }) => message).join('\n')).toMatch(
      /lstm: gate input is saturated: 100% of its values are near 0, 0% near 1/,
    );
    const loud = sequential([layers.input({ shape: [10, 1] }), layers.simpleRNN({ units: 3 })]);
    const warned = diagnose(await inspect(loud, draw(4, [4, 10, 1], 1000)));
    expect(kinds(warned)).toContain('saturated: simple_rnn');
  });

  it('finds layers that hardly learn', async () => {
    const model = sequential([
      layers.input({ shape: [2] }),
      layers.dense({ units: 2, name: 'first' }),
      layers.dense({ units: 2, name: 'second', kernelInitializer: 'zeros' }),
      layers.dense({ units: 1, name: 'third' }),
    ]);
    model.compile({ optimizer: 'sgd', loss: 'mse' });
    const found = diagnose(await inspect(model, draw(5, [20, 2]), { y: draw(6, [20, 1]) }));
    expect(kinds(found)).toContain('tiny gradient: first');
    expect(kinds(found)).not.toContain('tiny gradient: third');
  });
});

describe('callbacks.watch', () => {
  const [x, y] = [draw(7, [24, 40, 1]), draw(8, [24, 1])];
  const fading = () => {
    const model = recurrent(layers.simpleRNN({ units: 4, recurrentInitializer: 'zeros', name: 'fading' }), 40);
    model.compile({ optimizer: optimizers.sgd({ learningRate: 0.01 }), loss: 'mse' });
    return model;
  };

  it('warns once per layer, on screen and by hand, and changes nothing', async () => {
    const told: string[] = [];
    let screen = '';
    const watch = callbacks.watch({
      every: 2,
      sample: 5,
      onWarning: ({ kind, layer }, { epoch, batch }) => void told.push(`${epoch}.${batch} ${kind}: ${layer}`),
    });
    const model = fading();
    await model.fit(x, y, {
      verbose: 0,
      epochs: 3,
      batchSize: 6,
      callbacks: [watch],
      write: (text) => {
        screen += text;
      },
    });
    expect(told).toEqual(['0.2 vanishing gradient: fading']);
    expect(watch.warnings).toHaveLength(1);
    expect(screen.match(/Warning: fading: the gradient vanishes/g)).toHaveLength(1);
    const plain = fading();
    await plain.fit(x, y, { ...silent, epochs: 3, batchSize: 6 });
    expect(model.getWeights()).toEqual(plain.getWeights());
  });

  it('sees the batch of the last step, and a norm that jumps', async () => {
    const rows: number[] = [];
    const watch = callbacks.watch({
      every: 1,
      print: false,
      onInspection: (inspection) => void rows.push(inspection.layer('fading').outputs[0].shape[0]),
    });
    const targets = NdArray.from(y.data, [24, 1]);
    targets.data.fill(1e4, 20);
    await fading().fit(x, targets, { ...silent, batchSize: 4, shuffle: false, callbacks: [watch] });
    expect(rows).toEqual([4, 4, 4, 4, 4, 4]);
    expect(kinds(watch.warnings)).toContain('exploding gradient: model');
  });

  it('looks after every epoch by default, at rows that are put in order too, and goes on after a resume', async () => {
    const ids = Array.from({ length: 12 }, (_, i) =>
      Array.from({ length: 9 }, (_, t) => (t <= i % 9 ? 1 + (t % 4) : 0)),
    );
    const model = () => {
      const own = sequential([
        layers.embedding({ inputDim: 5, outputDim: 2, maskZero: true }),
        layers.gru({ units: 2, dropout: 0.2 }),
        layers.dense({ units: 1 }),
      ]);
      own.compile({ optimizer: 'adam', loss: 'mse' });
      return own;
    };
    let looks = 0;
    const options = { print: false, saturated: 0, onInspection: () => void looks++ };
    const first = callbacks.watch(options);
    let snapshot: Uint8Array | null = null;
    const keep = { last: true, onEpochEnd: (_e: number, _l: object, run: { snapshot(): Uint8Array }) => void (snapshot = run.snapshot()) }; // biome-ignore format: one line
    await model().fit(ids, ids.map(() => [1]), { ...silent, epochs: 2, callbacks: [first, keep] }); // biome-ignore format: one line
    expect(looks).toBe(2);
    const warned = kinds(first.warnings);
    expect(warned).toContain('saturated: gru');
    expect(new Set(warned).size).toBeLessThanOrEqual(warned.length);
    const second = callbacks.watch(options);
    await model().fit(ids, ids.map(() => [1]), { ...silent, epochs: 3, callbacks: [second, keep], resumeFrom: snapshot as never }); // biome-ignore format: one line
    expect(looks).toBe(3);
    expect(kinds(second.warnings)).not.toContain('saturated: gru');
  });

  it('refuses what makes no sense', () => {
    expect(() => callbacks.watch({ every: 0 })).toThrow(/every/);
    expect(() => callbacks.watch({ saturated: 2 })).toThrow(/saturated/);
  });
});
