/** The callbacks in real runs of `fit`. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Callback,
  callbacks,
  type FitOptions,
  model as functional,
  input,
  layers,
  loadModel,
  type Model,
  optimizers,
  schedules,
  sequential,
} from '../../../src/index.ts';
import { readEvents } from './event-reader.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'callbacks-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const x = Array.from({ length: 40 }, (_, n) => Array.from({ length: 5 }, (_, t) => [Math.sin(n + t), Math.cos(n * t)]));
const y = Array.from({ length: 40 }, (_, n) => [n % 2]);

function makeModel(optimizer: Parameters<Model['compile']>[0]['optimizer'] = optimizers.adam({ learningRate: 0.01 })) {
  const model = sequential(
    [layers.input({ shape: [5, 2] }), layers.lstm({ units: 3 }), layers.dense({ units: 1, activation: 'sigmoid' })],
    { seed: 5 },
  );
  model.compile({ optimizer, loss: 'binaryCrossentropy', metrics: ['accuracy'] });
  return model;
}

const weightsOf = (model: Pick<Model, 'getWeights'>) => model.getWeights().map(({ data }) => [...data]);
const train = (model: Model, options: FitOptions) =>
  model.fit(x, y, { batchSize: 8, epochs: 4, validationSplit: 0.2, verbose: 0, ...options });

describe('earlyStopping', () => {
  it('ends the training, and puts the weights of the best epoch back', async () => {
    const model = makeModel();
    const kept: number[][][] = [];
    const { history } = await train(model, {
      epochs: 20,
      callbacks: [
        {
          onEpochEnd(epoch, logs) {
            kept.push(weightsOf(model));
            logs.own = epoch === 2 ? -1 : epoch;
          },
        },
        callbacks.earlyStopping({ monitor: 'own', mode: 'min', patience: 3, restoreBestWeights: true }),
      ],
    });
    expect(history.own).toEqual([0, 1, -1, 3, 4, 5]);
    expect(weightsOf(model)).toEqual(kept[2]);
    expect(weightsOf(model)).not.toEqual(kept[5]);
  });

  it('knows which way the metrics of compile go', async () => {
    const a = input({ shape: [3] });
    const model = functional({
      inputs: a,
      outputs: [layers.dense({ units: 1, name: 'one' }).apply(a), layers.dense({ units: 1, name: 'two' }).apply(a)],
    });
    model.compile({
      loss: 'mse',
      metrics: [['mae', 'r2Score'], (target) => target],
    });
    await model.fit([[1, 2, 3]], [[[1]], [[1]]], { verbose: 0 });
    expect(model.metricDirections()).toEqual({
      loss: 'min',
      one_loss: 'min',
      two_loss: 'min',
      one_mae: 'min',
      one_r2Score: 'max',
      two_metric: null,
    });
    await expect(
      model.fit([[1, 2, 3]], [[[1]], [[1]]], {
        verbose: 0,
        callbacks: [callbacks.earlyStopping({ monitor: 'two_metric' })],
      }),
    ).rejects.toThrow(/onTrainBegin of callback 'earlyStopping'.*one of loss, one_loss.*received 'two_metric'/s);
  });
});

describe('terminateOnNan', () => {
  /** Its weights overflow after some steps. */
  const diverging = () => {
    const model = sequential([layers.input({ shape: [5, 2] }), layers.flatten(), layers.dense({ units: 1 })]);
    model.compile({ optimizer: optimizers.sgd({ learningRate: 1e30 }), loss: 'mse' });
    return model;
  };
  it('ends the training without an error', async () => {
    let said = '';
    const ended: number[] = [];
    const model = diverging();
    const guard = callbacks.terminateOnNan();
    const { epoch, stopReason } = await train(model, {
      verbose: 0,
      write: (text) => void (said += text),
      callbacks: [guard, { onTrainEnd: () => void ended.push(1) }],
    });
    expect(epoch.length).toBeLessThan(4);
    expect(said).toMatch(/^Batch \d: Invalid loss, terminating training\nloss: .* is (NaN|infinite)/);
    expect(guard.report?.first).toMatchObject({ layer: 'loss' });
    expect(stopReason).toContain(guard.report?.describe());
    expect(ended).toEqual([1]);
    expect(weightsOf(model).flat().every(Number.isFinite)).toBe(true);
  });
  it('lets fit reject without it, and with raiseError', async () => {
    await expect(train(diverging(), {})).rejects.toThrow(/expected a finite loss/);
    await expect(
      train(diverging(), { callbacks: [callbacks.terminateOnNan({ raiseError: true })] }),
    ).rejects.toMatchObject({
      code: 'NUMERIC',
      message: expect.stringMatching(/NaN or Inf loss encountered at batch/),
      report: { first: { layer: 'loss' } },
    });
  });
});

describe('reduceLrOnPlateau', () => {
  it('refuses a rate that follows a schedule before the first epoch', async () => {
    const learningRate = schedules.cosineDecay({ initialLearningRate: 0.1, decaySteps: 10 });
    await expect(
      train(makeModel(optimizers.sgd({ learningRate })), { callbacks: [callbacks.reduceLrOnPlateau()] }),
    ).rejects.toThrow(/onTrainBegin of callback 'reduceLrOnPlateau'.*received one with a schedule/);
  });
});

describe('modelCheckpoint', () => {
  it('writes models that can be loaded, at the steps that were asked for', async () => {
    const model = makeModel();
    const at: Record<string, number[][]> = {};
    const checkpoint = callbacks.modelCheckpoint({
      filepath: join(folder, 'a', '{epoch}-{batch}.unrolled'),
      saveFreq: 3,
    });
    // Four steps in an epoch; another callback that listens to each of them makes no difference.
    const listener: Callback = {
      onBatchEnd: (batch, _logs, run) => void (at[`${run.epoch + 1}-${batch + 1}`] = weightsOf(run.model)),
    };
    await train(model, { epochs: 3, callbacks: [checkpoint] });
    const files = ['1-3.unrolled', '2-2.unrolled', '3-1.unrolled', '3-4.unrolled'];
    expect(readdirSync(join(folder, 'a')).sort()).toEqual(files);
    const again = makeModel();
    await train(again, { epochs: 3, callbacks: [listener] });
    for (const file of files) {
      const { model: loaded } = await loadModel(join(folder, 'a', file));
      expect(weightsOf(loaded as Model)).toEqual(at[file.replace('.unrolled', '')]);
    }
  });

  it('saves weights with the values of the optimizer, from which training goes on', async () => {
    const path = join(folder, 'w.safetensors');
    const model = makeModel();
    const options = { shuffle: false, epochs: 1, callbacks: [] };
    await train(model, {
      ...options,
      callbacks: [callbacks.modelCheckpoint({ filepath: path, saveWeightsOnly: true })],
    });
    const other = makeModel();
    other.build([null, 5, 2]);
    await other.loadWeights(path);
    expect(weightsOf(other)).toEqual(weightsOf(model));
    expect(other.iterations).toBe(model.iterations);
    await train(model, options);
    await train(other, options);
    expect(weightsOf(other)).toEqual(weightsOf(model));
    await expect(model.saveWeights(join(folder, 'w.h5'))).rejects.toThrow(/ends with .safetensors/);
  });

  it('keeps the best', async () => {
    const path = join(folder, 'best.unrolled');
    const model = makeModel();
    const checkpoint = callbacks.modelCheckpoint({ filepath: path, monitor: 'val_accuracy', saveBestOnly: true });
    const { history } = await train(model, { epochs: 6, callbacks: [checkpoint] });
    expect(checkpoint.best).toBe(Math.max(...history.val_accuracy));
    expect(existsSync(path)).toBe(true);
  });
});

describe('a run that is interrupted and resumed', () => {
  it.each([1, 6, 9, 12, 13])('has the same files, weights and decisions, cut off at step %i', async (cut) => {
    const list = (place: string): Callback[] => [
      callbacks.csvLogger({ filename: join(folder, place, 'log.csv') }),
      callbacks.jsonLinesLogger({ filename: join(folder, place, 'log.jsonl'), updateFreq: 3 }),
      callbacks.tensorBoard({ logDir: join(folder, place, 'events'), updateFreq: 2, histogramFreq: 1 }),
      callbacks.reduceLrOnPlateau({ monitor: 'val_loss', patience: 1, minDelta: 1, factor: 0.5 }),
      callbacks.earlyStopping({ monitor: 'val_loss', patience: 3, minDelta: 1, restoreBestWeights: true }),
      callbacks.modelCheckpoint({
        filepath: join(folder, place, '{epoch}-{batch}.unrolled'),
        saveFreq: 3,
        keepLast: 2,
      }),
    ];
    const whole = makeModel();
    const expected = await train(whole, { epochs: 6, callbacks: list('whole') });

    let snapshot: Uint8Array | null = null;
    let steps = 0;
    const breaking: Callback = {
      onBatchEnd(_batch, _logs, run) {
        steps++;
        if (steps === cut) snapshot = run.snapshot();
        // The process goes on for a while, and ends without a word.
        if (steps === cut + 2) throw new Error('killed');
      },
    };
    const first = makeModel();
    await expect(train(first, { epochs: 6, callbacks: [...list('cut'), { ...breaking, last: true }] })).rejects.toThrow(
      'killed',
    );
    const second = makeModel();
    const got = await train(second, {
      epochs: 6,
      callbacks: list('cut'),
      resumeFrom: snapshot as unknown as Uint8Array,
    });

    expect(got.history).toEqual(expected.history);
    expect(got.epoch).toEqual([0, 1, 2, 3]);
    expect(weightsOf(second)).toEqual(weightsOf(whole));
    for (const file of ['log.csv', 'log.jsonl'])
      expect(readFileSync(join(folder, 'cut', file), 'utf8')).toBe(readFileSync(join(folder, 'whole', file), 'utf8'));
    for (const run of ['train', 'validation']) {
      const events = (place: string) => {
        const path = join(folder, place, 'events', run);
        expect(readdirSync(path)).toHaveLength(1);
        return readEvents(readFileSync(join(path, readdirSync(path)[0])));
      };
      expect(events('cut')).toEqual(events('whole'));
    }
    const checkpoints = (place: string) =>
      readdirSync(join(folder, place)).filter((name) => name.endsWith('.unrolled'));
    expect(checkpoints('cut')).toEqual(checkpoints('whole'));
  });
});

describe('tensorBoard', () => {
  it('writes the tags of Keras, the gradients, the graph and the texts', async () => {
    const model = makeModel();
    const sample = [x.slice(0, 6), y.slice(0, 6)] as const;
    let gradients: number[] = [];
    const look: Callback = {
      async onEpochEnd(epoch) {
        if (epoch === 2) gradients = [...(await model.lossAndGradients(...sample)).weightGradients[0].data];
      },
    };
    const board = callbacks.tensorBoard({
      logDir: folder,
      histogramFreq: 2,
      gradientSample: sample,
      updateFreq: 3,
      writeStepsPerSecond: true,
      hyperparameters: { words: 'a|b' },
    });
    const { history } = await train(model, { epochs: 3, callbacks: [board, look] });
    const read = (run: string) => readEvents(readFileSync(join(folder, run, readdirSync(join(folder, run))[0])));
    const events = read('train');
    const validation = read('validation');
    const steps = (list: typeof events, tag: string) => list.filter((e) => e.tag === tag).map((e) => e.step);
    const values = (list: typeof events, tag: string) => list.filter((e) => e.tag === tag).map((e) => e.values[0]);
    expect([...new Set(events.map((e) => e.tag))]).toEqual([
      '',
      'keras',
      'summary',
      'hyperparameters',
      'batch_steps_per_second',
      'batch_loss',
      'batch_accuracy',
      'epoch_loss',
      'epoch_accuracy',
      'epoch_learning_rate',
      'epoch_steps_per_second',
      ...model.weights.map(({ path }) => `${path}/histogram`),
      ...model.weights.map(({ path }) => `gradients/${path}`),
    ]);
    expect(steps(events, 'batch_loss')).toEqual([3, 6, 9, 12]);
    expect(steps(events, 'epoch_loss')).toEqual([0, 1, 2]);
    expect(values(events, 'epoch_loss')).toEqual(history.loss.map(Math.fround));
    expect(values(validation, 'epoch_loss')).toEqual(history.val_loss.map(Math.fround));
    expect(steps(validation, 'evaluation_accuracy_vs_iterations')).toEqual([4, 8, 12]);
    expect([...new Set(validation.map((e) => e.tag))].sort()).toEqual([
      '',
      'epoch_accuracy',
      'epoch_loss',
      'evaluation_accuracy_vs_iterations',
      'evaluation_loss_vs_iterations',
    ]);
    const histogram = events.filter((e) => e.tag === `gradients/${model.weights[0].path}`);
    expect(histogram.map((e) => e.step)).toEqual([0, 2]);
    expect([histogram[1].values[0], histogram[1].values[88]]).toEqual([Math.min(...gradients), Math.max(...gradients)]);
    const text = (tag: string) => events.find((e) => e.tag === tag)?.text ?? '';
    expect(text('hyperparameters')).toContain('| learning_rate | 0.01 |');
    expect(text('hyperparameters')).toContain('| words | a\\|b |');
    expect(text('summary')).toContain('Model: "sequential"');
    expect(JSON.parse(text('keras')).class_name).toBe('Sequential');
    expect(events.filter((e) => e.graph).map((e) => e.graph)).toEqual([['input_layer', 'lstm', 'dense']]);
  });

  it.each<[object, RegExp]>([
    [{ embeddingsFreq: 1 }, /projector is not written/],
    [{ profileBatch: 2 }, /profiler/],
    [{ writeImages: true }, /histogramFreq/],
    [{ gradientSample: [x, y] }, /Write `histogramFreq: 1`/],
    [{ updateFreq: 0 }, /'epoch', 'batch' or a positive number/],
    [{ logdir: 'a' }, /logDir/],
  ])('refuses what it does not write: %#', (options, message) => {
    expect(() => callbacks.tensorBoard(options as object)).toThrow(message);
  });
});

describe('swapEmaWeights', () => {
  const averaging = () => makeModel(optimizers.adam({ learningRate: 0.05, useEma: true, emaMomentum: 0.9 }));
  it('validates with the averages, and trains on with the weights', async () => {
    const plain = averaging();
    const seen: number[][][] = [];
    const averages: number[][][] = [];
    await train(plain, {
      callbacks: [
        {
          onEpochEnd() {
            seen.push(weightsOf(plain));
            averages.push(plain.averagedWeights().map(({ data }) => [...data]));
          },
        },
      ],
    });
    for (const swapOnEpoch of [false, true]) {
      const model = averaging();
      const inTest: number[][][] = [];
      const atEnd: number[][][] = [];
      const saved: number[][][] = [];
      await train(model, {
        callbacks: [
          callbacks.swapEmaWeights({ swapOnEpoch }),
          {
            onTestEnd: () => void atEnd.push(weightsOf(model)),
            onTestBegin: () => void inTest.push(weightsOf(model)),
            onEpochEnd: () => void saved.push(weightsOf(model)),
          },
        ],
      });
      expect(inTest).toEqual(averages);
      expect(atEnd).toEqual(seen);
      expect(saved).toEqual(swapOnEpoch ? averages : seen);
      expect(weightsOf(model)).toEqual(weightsOf(plain));
      expect(weightsOf(model)).toEqual(averages[3]);
    }
  });
  it('needs an optimizer that keeps averages', async () => {
    await expect(train(makeModel(), { callbacks: [callbacks.swapEmaWeights()] })).rejects.toThrow(/useEma/);
  });
});

describe('the bar of fit', () => {
  it('shows what callbacks add last, and leaves its place to a bar among the callbacks', async () => {
    let said = '';
    const write = (text: string) => void (said += text);
    await train(makeModel(), { epochs: 2, verbose: 2, write, callbacks: [callbacks.reduceLrOnPlateau()] });
    const lines = said.trim().split('\n');
    expect(lines[0]).toBe('Epoch 1/2');
    expect(lines[1].replace(/[\d.]+(e-\d\d)?/g, '#')).toMatch(
      /^#\/# - #s - #(m|u)?s\/step - accuracy: # - loss: # - val_accuracy: # - val_loss: # - learning_rate: #$/,
    );
    let own = '';
    said = '';
    await train(makeModel(), {
      epochs: 2,
      verbose: 2,
      write,
      callbacks: [callbacks.progressBar({ verbose: 2, write: (text) => void (own += text) })],
    });
    expect(said).toBe('');
    expect(own.match(/4\/4 - /g)).toHaveLength(2);
  });
});
