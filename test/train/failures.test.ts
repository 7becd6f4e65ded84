/** When something goes wrong on the way: what is kept, what is said, and that the model can go on. */
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UnrolledError } from '../../src/core/errors.ts';
import { dataset } from '../../src/data/all.ts';
import { layers } from '../../src/layers/all.ts';
import { callbacks } from '../../src/train/callbacks/all.ts';
import type { Callback } from '../../src/train/callbacks/callback.ts';
import { TrainingFailed } from '../../src/train/failed.ts';
import { TrainingInterrupted } from '../../src/train/interrupted.ts';
import type { Model } from '../../src/train/model.ts';
import { sequential } from '../../src/train/sequential.ts';

const folder = mkdtempSync(join(tmpdir(), 'unrolled-failures-'));
afterAll(() => rmSync(folder, { recursive: true }));

const x = Array.from({ length: 20 }, (_, i) => Array.from({ length: 5 }, (_, t) => ((i * 5 + t * 3) % 9) + 1));
const y = x.map((row) => (row.reduce((a, b) => a + b) % 2 ? 1 : 0));
const silent = { verbose: 0, batchSize: 4 } as const;

function classifier(seed = 3): Model {
  const model = sequential(
    [
      layers.embedding({ inputDim: 10, outputDim: 3 }),
      layers.gru({ units: 4 }),
      layers.dense({ units: 1, activation: 'sigmoid' }),
    ],
    { seed },
  );
  model.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
  return model;
}

const bits = (model: Model) => model.getWeights().map((w) => Array.from(w.data));

async function failure(run: Promise<unknown>): Promise<TrainingFailed> {
  const error = await run.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(TrainingFailed);
  return error as TrainingFailed;
}

/** A model that was trained for so many steps. */
async function trained(steps: number, seed = 3): Promise<Model> {
  const model = classifier(seed);
  let left = steps;
  for await (const _step of model.train(x, y, { ...silent, epochs: 999 })) if (--left === 0) break;
  return model;
}

describe('a callback that throws', () => {
  const boom = () => {
    throw new Error('boom');
  };
  const hooks: [keyof Callback, number][] = [
    ['onTrainBegin', 0],
    ['onEpochBegin', 0],
    ['onBatchBegin', 0],
    ['onBatchEnd', 1],
    ['onTestBegin', 5],
    ['onTestEnd', 5],
    ['onEpochEnd', 5],
    ['onTrainEnd', 10],
  ];
  it.each(hooks)('in %s is named, with what is kept', async (hook, steps) => {
    const model = classifier();
    const error = await failure(
      model.fit(x, y, {
        ...silent,
        epochs: 2,
        validationData: [x, y],
        callbacks: [{}, { name: 'bomb', [hook]: boom }],
      }),
    );
    expect(error.message).toContain(`fit: ${hook} of callback 'bomb' threw: boom. The model holds the weights `);
    expect(error.code).toBe('INTERRUPTED');
    expect((error.cause as Error).message).toBe('boom');
    expect(model.iterations).toBe(steps);
    if (steps) expect(bits(model)).toEqual(bits(await trained(steps)));
    expect(error.history.epoch).toEqual(hook === 'onTrainEnd' ? [0, 1] : hook === 'onEpochEnd' ? [0] : []);
    expect((await model.fit(x, y, silent)).epoch).toEqual([0]);
  });
  it('keeps the code of an error of the library; one without a name is numbered', async () => {
    const disk = () => {
      throw new UnrolledError('IO', 'no space');
    };
    const error = await failure(
      classifier().fit(x, y, { ...silent, callbacks: [{}, { onEpochEnd: async () => disk() }] }),
    );
    expect(error).toMatchObject({ code: 'IO', lastFinishedEpoch: 0 });
    expect(error.message).toMatch(
      /onEpochEnd of callback number 2 threw: no space. The model holds.*the last finished epoch is 1/,
    );
  });
});

describe('what is told of the end', () => {
  it('is the error, whichever it is, in place of onTrainEnd; what that hook throws is not told', async () => {
    const told: unknown[] = [];
    const listener: Callback = {
      onTrainError: (error) => {
        told.push(error);
        throw new Error('another');
      },
      onTrainEnd: () => void told.push('end'),
    };
    const throwing: Callback = {
      onEpochEnd: () => {
        throw new Error('boom');
      },
    };
    const stop = new AbortController();
    const aborting: Callback = { onBatchEnd: () => stop.abort() };
    const model = classifier();
    const first = await failure(model.fit(x, y, { ...silent, callbacks: [listener, throwing, listener] }));
    expect(told).toEqual([first, first]);
    const second = await model
      .fit(x, y, { ...silent, signal: stop.signal, callbacks: [listener, aborting] })
      .catch((error: unknown) => error);
    expect(second).toBeInstanceOf(TrainingInterrupted);
    expect(told[2]).toBe(second);
    // Nobody has heard of a beginning.
    await expect(model.fit(x, y, { ...silent, signal: stop.signal, callbacks: [listener] })).rejects.toThrow();
    expect(told).toHaveLength(3);
    await model.fit(x, y, { ...silent, callbacks: [listener] });
    expect(told[3]).toBe('end');
  });

  it.skipIf(process.platform !== 'linux')('loggers close their files', async () => {
    const open = () => readdirSync('/proc/self/fd').length;
    const own = mkdtempSync(join(tmpdir(), 'unrolled-loggers-'));
    const loggers = () => [
      callbacks.csvLogger({ filename: join(own, 'a.csv') }),
      callbacks.jsonLinesLogger({ filename: join(own, 'a.jsonl') }),
      callbacks.tensorBoard({ logDir: own }),
    ];
    const throwing: Callback = {
      onEpochEnd: () => {
        throw new Error('boom');
      },
    };
    const model = classifier();
    await failure(model.fit(x, y, { ...silent, callbacks: [...loggers(), throwing] }));
    const before = open();
    for (let i = 0; i < 5; i++) await failure(model.fit(x, y, { ...silent, callbacks: [...loggers(), throwing] }));
    expect(open()).toBe(before);
    rmSync(own, { recursive: true });
  });
});

describe('data that throws in the middle', () => {
  const torn = (batches: number) =>
    async function* () {
      for (let k = 0; k < batches; k++) yield [x.slice(4 * k, 4 * k + 4), y.slice(4 * k, 4 * k + 4)];
      throw new Error('the line is dead');
    };
  it('loses none of the steps before it, read ahead or not', async () => {
    for (const listening of [[], [{ onBatchEnd: () => undefined }]]) {
      const [model, short] = [classifier(), classifier()];
      const error = await failure(model.fit(torn(3), { verbose: 0, callbacks: listening }));
      expect(error).toMatchObject({ code: 'DATA', epoch: 0, batch: 3 });
      expect(error.message).toMatch(
        /fit: the data failed at batch 4: the line is dead\. The model holds the weights after batch 3 of epoch 1/,
      );
      await short.fit(x.slice(0, 12), y.slice(0, 12), { ...silent, shuffle: false });
      expect(bits(model)).toEqual(bits(short));
    }
  });
  it('in a map of a data set, in the second epoch, in validation', async () => {
    let passes = 0;
    const data = dataset.fromArrays(x, y).map((row, i) => {
      if (i === 0) passes++;
      if (passes === 2 && i === 13) throw new Error('bad row');
      return row;
    });
    const model = classifier();
    const error = await failure(model.fit(data.batch(4), { verbose: 0, epochs: 3 }));
    expect(error).toMatchObject({ epoch: 1, batch: 3, lastFinishedEpoch: 0 });
    expect(error.history.history.loss).toHaveLength(1);
    const checked = classifier();
    const failed = await failure(checked.fit(x, y, { ...silent, validationData: torn(1) }));
    expect(failed.message).toContain('fit: validationData: the data failed at batch 2: the line is dead');
    expect(checked.iterations).toBe(5);
  });
  it('at the first batch is the error itself, and nothing has changed', async () => {
    const model = classifier();
    await expect(model.fit(torn(0), { verbose: 0 })).rejects.toThrow(
      'fit: the data failed at batch 1: the line is dead',
    );
    expect(model.iterations).toBe(0);
    await expect(model.evaluate(torn(1))).rejects.toThrow('evaluate: the data failed at batch 2');
    await expect(model.predict(torn(2))).rejects.toThrow('predict: the data failed at batch 3');
  });
  it('its own cleaning up is called, whoever ends the training', async () => {
    let closed = 0;
    const endless = async function* () {
      try {
        for (;;) yield [x.slice(0, 4), y.slice(0, 4)];
      } finally {
        closed++;
      }
    };
    await classifier().fit(endless, { verbose: 0, stepsPerEpoch: 3 });
    for await (const _step of classifier().train(endless, { stepsPerEpoch: 3 })) break;
    await failure(
      classifier().fit(endless, {
        verbose: 0,
        stepsPerEpoch: 3,
        callbacks: [{ onEpochEnd: () => Promise.reject(new Error('x')) }],
      }),
    );
    expect(closed).toBe(3);
  });
});

describe('an abort', () => {
  it.each([0, 1, 3, 7, 20, 60])('after %s ms stops between two steps, in training or validation', async (delay) => {
    const stop = new AbortController();
    const model = classifier();
    const timer = setTimeout(() => stop.abort('enough'), delay);
    const error = await model
      .fit(x, y, { ...silent, epochs: 100_000, validationData: [x, y], signal: stop.signal })
      .then(
        () => null,
        (e: unknown) => e,
      );
    clearTimeout(timer);
    expect(error).toBeInstanceOf(TrainingInterrupted);
    expect((error as TrainingInterrupted).cause).toBe('enough');
    const steps = model.iterations;
    const finished = (error as TrainingInterrupted).history.epoch.length;
    // In a validation the steps of the epoch are done and the epoch is not.
    expect([Math.floor(steps / 5), steps / 5 - 1]).toContain(finished);
    if (steps > 0 && steps < 500) expect(bits(model)).toEqual(bits(await trained(steps)));
    expect((await model.fit(x, y, silent)).epoch).toEqual([0]);
  });
  it('does not wait for data that never comes', async () => {
    const stop = new AbortController();
    const stuck = async function* () {
      yield [x.slice(0, 4), y.slice(0, 4)];
      await new Promise(() => undefined);
    };
    setTimeout(() => stop.abort(), 30);
    const model = classifier();
    await expect(model.fit(stuck, { verbose: 0, signal: stop.signal })).rejects.toThrow(
      /stopped in epoch 1 after batch 1/,
    );
    expect(model.iterations).toBe(1);
  });
  it('before the start changes nothing', async () => {
    const model = classifier();
    await expect(model.fit(x, y, { ...silent, signal: AbortSignal.abort() })).rejects.toThrow(TrainingInterrupted);
    expect(model.iterations).toBe(0);
  });
});

describe('at the same time', () => {
  it('several models have the bits that each has alone', async () => {
    const alone = await Promise.all(
      [1, 2, 3]
        .map(async (seed) => {
          const model = classifier(seed);
          await model.fit(x, y, { ...silent, epochs: 4 });
          return bits(model);
        })
        .map((own, i, all) => (i ? all[i - 1].then(() => own) : own)),
    );
    const together = [1, 2, 3].map((seed) => classifier(seed));
    await Promise.all(
      together.map((model, i) =>
        i === 1
          ? model
              .fit(dataset.fromArrays(x, y).batch(4), { verbose: 0, epochs: 0 })
              .then(() => model.fit(x, y, { ...silent, epochs: 4 }))
          : model.fit(x, y, { ...silent, epochs: 4, validationData: [x, y] }),
      ),
    );
    expect(together.map(bits)).toEqual(alone);
  });
  it('one model is not trained twice: the second is refused, the first goes on', async () => {
    const [model, alone] = [classifier(), classifier()];
    const first = model.fit(x, y, { ...silent, epochs: 3 });
    const message = /expected a model that is not being trained, received one that fit is training. Await it/;
    await expect(model.fit(x, y, silent)).rejects.toThrow(message);
    await expect(model.trainOnBatch(x, y)).rejects.toMatchObject({ code: 'STATE' });
    expect(() => model.compile({ loss: 'mse' })).toThrow(message);
    // Looking is allowed meanwhile.
    expect(Object.keys(await model.evaluate(x, y))).toEqual(['loss']);
    await first;
    await alone.fit(x, y, { ...silent, epochs: 3 });
    expect(bits(model)).toEqual(bits(alone));
    await model.fit(x, y, silent);
  });
});

describe('a full disk at a snapshot', () => {
  it.skipIf(process.platform !== 'linux')('names what is kept, and the last snapshot is whole', async () => {
    const path = join(folder, 'backup');
    const backup = () => callbacks.backupAndRestore({ path });
    let epochs = 0;
    const fill: Callback = {
      onEpochEnd() {
        // From the third epoch on the file beside the path is a device that is full.
        if (++epochs === 3) symlinkSync('/dev/full', `${path}.tmp`);
      },
    };
    const model = classifier();
    const error = await failure(model.fit(x, y, { ...silent, epochs: 6, callbacks: [fill, backup()] }));
    expect(error.code).toBe('IO');
    expect(error.message).toMatch(
      /onEpochEnd of callback 'backupAndRestore' threw: cannot write .*the disk is full \(ENOSPC\).*unchanged/,
    );
    expect(error.message).toMatch(/the last finished epoch is 3/);
    expect(error.history.epoch).toEqual([0, 1, 2]);
    expect(readdirSync(folder)).toEqual(['backup']);
    expect(readFileSync(path).length).toBeGreaterThan(1000);
    closeSync(openSync('/dev/full', 'w')); // the device is there and was not taken away
    const [resumed, through] = [classifier(), classifier()];
    const { epoch } = await resumed.fit(x, y, { ...silent, epochs: 6, callbacks: [backup()] });
    expect(epoch).toEqual([0, 1, 2, 3, 4, 5]);
    await through.fit(x, y, { ...silent, epochs: 6 });
    expect(bits(resumed)).toEqual(bits(through));
  });
});
