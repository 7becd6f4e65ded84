/** Exact resume: a run that was interrupted anywhere and taken up by a new model ends in the bits of one that was not. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { dataset } from '../../src/data/all.ts';
import { layers } from '../../src/layers/all.ts';
import { callbacks } from '../../src/train/callbacks/all.ts';
import type { Callback } from '../../src/train/callbacks/callback.ts';
import type { FitOptions } from '../../src/train/fit.ts';
import type { BatchStream } from '../../src/train/given.ts';
import type { History } from '../../src/train/history.ts';
import type { Model } from '../../src/train/model.ts';
import { optimizers } from '../../src/train/optimizers/all.ts';
import { schedules } from '../../src/train/schedules/all.ts';
import { sequential } from '../../src/train/sequential.ts';

const folder = mkdtempSync(join(tmpdir(), 'unrolled-resume-'));
beforeAll(() => void vi.spyOn(console, 'warn').mockImplementation(() => undefined));
afterAll(() => rmSync(folder, { recursive: true }));

const x = Array.from({ length: 24 }, (_, i) =>
  Array.from({ length: 5 }, (_, t) => (t < i % 3 ? 0 : ((i * 5 + t * 3) % 9) + 1)),
);
const y = x.map((row) => (row.reduce((a, b) => a + b) % 2 ? 1 : 0));

function classifier(optimizer: unknown = 'adam', stateful = false): Model {
  const model = sequential(
    [
      ...(stateful ? [layers.input({ batchShape: [4, 5] })] : []),
      layers.embedding({ inputDim: 10, outputDim: 3, maskZero: true }),
      layers.gru({ units: 4, dropout: 0.2, recurrentDropout: 0.1, stateful }),
      layers.dense({ units: 1, activation: 'sigmoid' }),
    ],
    { seed: 3 },
  );
  model.compile({ optimizer: optimizer as 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy', 'auc'] });
  return model;
}

const bits = (model: Model) => model.getWeights().map((w) => Array.from(w.data));
const plain = ({ epoch, history, stopReason }: History) => ({ epoch, history, stopReason });

/** Stops as a crash would: in the middle of things, after so many steps. */
const crash = (steps: number): Callback => {
  let left = steps;
  return {
    name: 'crash',
    onBatchEnd() {
      if (--left === 0) throw new Error('power cut');
    },
  };
};

interface Case {
  readonly model: () => Model;
  /** Fresh data and callbacks for every process. */
  readonly run: () => readonly [data: BatchStream | null, options: FitOptions, callbacks: readonly Callback[]];
}

const arrays =
  (options: FitOptions): Case['run'] =>
  () => [null, options, []];
const cases: Record<string, Case> = {
  'shuffled arrays, dropout, metrics': {
    model: classifier,
    run: arrays({ epochs: 3, batchSize: 4, validationData: [x, y] }),
  },
  'stateful layers': { model: () => classifier('rmsprop', true), run: arrays({ epochs: 3, batchSize: 4 }) },
  'a schedule, moving averages and gathered gradients': {
    model: () =>
      classifier(
        optimizers.adam({
          learningRate: schedules.cosineDecay({ initialLearningRate: 0.01, decaySteps: 12 }),
          useEma: true,
          gradientAccumulationSteps: 2,
        }),
      ),
    run: arrays({ epochs: 3, batchSize: 4 }),
  },
  'epochs shorter than the data': { model: classifier, run: arrays({ epochs: 5, batchSize: 4, stepsPerEpoch: 4 }) },
  'buckets out of a shuffled data set': {
    model: classifier,
    run: () => [
      dataset
        .fromArrays(
          x.map((row) => row.filter((id) => id > 0)),
          y,
        )
        .shuffle(9, 4)
        .bucketByLength({ tokensPerBatch: 24 })
        .prefetch(2),
      { epochs: 3 },
      [],
    ],
  },
  'a data set without end': {
    model: classifier,
    run: () => [dataset.fromArrays(x, y).shuffle().batch(5).repeat(), { epochs: 4, stepsPerEpoch: 4 }, []],
  },
  'an iterator that is read once': {
    model: classifier,
    run: () => [dataset.fromArrays(x, y).batch(3)[Symbol.asyncIterator](), { epochs: 2, stepsPerEpoch: 4 }, []],
  },
  'callbacks that remember': {
    model: classifier,
    run: () => [
      null,
      { epochs: 12, batchSize: 8, validationSplit: 0.25 },
      [
        callbacks.earlyStopping({ monitor: 'val_loss', patience: 3, restoreBestWeights: true, minDelta: 0.004 }),
        callbacks.reduceLrOnPlateau({ monitor: 'loss', patience: 1, minDelta: 0.01 }),
      ],
    ],
  },
};

function train(model: Model, own: Case, more: FitOptions, added: readonly Callback[]): Promise<History> {
  const [data, options, callbacks] = own.run();
  const all = { ...options, verbose: 0, ...more, callbacks: [...callbacks, ...added] } as const;
  return data ? model.fit(data, all) : model.fit(x, y, all);
}

describe('backupAndRestore', () => {
  it.each(Object.entries(cases))('%s', async (name, own) => {
    const through = own.model();
    const expected = await train(through, own, {}, []);
    const path = join(folder, name.replaceAll(' ', '-'));
    for (const saveFrequency of ['epoch', 3] as const) {
      let crashes = 0;
      for (;;) {
        const model = own.model();
        // Five steps at a time: without going on it would never end.
        const backup = callbacks.backupAndRestore({ path, saveFrequency });
        const run = train(model, own, {}, [backup, crash(saveFrequency === 'epoch' ? 7 : 5)]);
        const ended = await run.then(
          (history) => history,
          (error: Error) => error,
        );
        if (ended instanceof Error) {
          expect(ended.message).toContain("onBatchEnd of callback 'crash' threw: power cut");
          crashes++;
          expect(crashes).toBeLessThan(40);
          continue;
        }
        expect(bits(model)).toEqual(bits(through));
        expect(plain(ended)).toEqual(plain(expected));
        expect(model.iterations).toBe(through.iterations);
        break;
      }
      expect(crashes).toBeGreaterThan(0);
      expect(readdirSync(folder)).toEqual([]); // removed at the end, nothing left beside it
    }
  });
});

describe('snapshots', () => {
  const options = { epochs: 3, batchSize: 4, verbose: 0 } as const;
  async function snapshots(): Promise<{ bytes: Uint8Array[]; through: Model; history: History }> {
    const through = classifier();
    const bytes: Uint8Array[] = [];
    const keep: Callback = {
      onBatchEnd: (_batch, _logs, run) => void bytes.push(run.snapshot()),
      onEpochEnd: (_epoch, _logs, run) => void bytes.push(run.snapshot()),
    };
    const history = await through.fit(x, y, { ...options, callbacks: [keep] });
    return { bytes, through, history };
  }

  it('every one of a run leads to its end; a model that has been used before takes them too', async () => {
    const { bytes, through, history } = await snapshots();
    expect(bytes).toHaveLength(3 * 7);
    const used = classifier();
    await used.fit(x, y, { ...options, epochs: 1, shuffle: false });
    for (const resumeFrom of bytes) {
      const ended = await used.fit(x, y, { ...options, resumeFrom });
      expect(bits(used)).toEqual(bits(through));
      expect(plain(ended)).toEqual(plain(history));
    }
  });
  it('a longer run goes on from the end of a shorter one', async () => {
    const { bytes } = await snapshots();
    const [longer, whole] = [classifier(), classifier()];
    await longer.fit(x, y, { ...options, epochs: 5, resumeFrom: bytes[bytes.length - 1] });
    await whole.fit(x, y, { ...options, epochs: 5 });
    expect(bits(longer)).toEqual(bits(whole));
  });
  it('are refused, before anything changes, where the run is another one', async () => {
    const { bytes } = await snapshots();
    const [resumeFrom] = bytes;
    const refused = async (model: Model, more: FitOptions, message: RegExp) => {
      model.build([null, null]);
      const before = bits(model);
      await expect(model.fit(x, y, { ...options, resumeFrom, ...more })).rejects.toThrow(message);
      expect(bits(model)).toEqual(before);
    };
    await refused(classifier(), { batchSize: 6 }, /batchSize: expected 4, as in the snapshot, received 6/);
    await refused(classifier(), { shuffle: false }, /shuffle: expected true/);
    await refused(classifier('sgd'), {}, /optimizer: expected Adam/);
    await refused(classifier(), { resumeFrom: bytes[0].subarray(0, 200) }, /fit: resumeFrom/);
    await refused(classifier(), { resumeFrom: join(folder, 'nowhere') }, /cannot read/);
    const wider = sequential(
      [layers.embedding({ inputDim: 10, outputDim: 3 }), layers.gru({ units: 5 }), layers.dense({ units: 1 })],
      { seed: 3 },
    );
    wider.compile({ optimizer: 'adam', loss: 'binaryCrossentropy', metrics: ['accuracy', 'auc'] });
    await refused(wider, {}, /fit: resumeFrom: gru\/kernel: expected \(3, 15\), received \(3, 12\)\. Make the model/);
    const other = sequential(
      [layers.embedding({ inputDim: 10, outputDim: 3 }), layers.gru({ units: 4 }), layers.dense({ units: 1 })],
      {
        seed: 9,
      },
    );
    other.compile({ optimizer: 'adam', loss: 'binaryCrossentropy' });
    await refused(other, {}, /seed of the model: expected 3/);
  });
});
