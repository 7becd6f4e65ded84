/** A model that only records what callbacks do to it, and a run around it. */
import { NdArray } from '../../../src/core/array.ts';
import { NumericError } from '../../../src/train/anomaly.ts';
import type { Direction, EpochLogs, TrainedModel, TrainingRun } from '../../../src/train/callbacks/callback.ts';
import { History } from '../../../src/train/history.ts';

export class RecordedModel implements TrainedModel {
  readonly name = 'recorded';
  readonly weights = [{ path: 'dense/kernel', shape: [1], trainable: true }];
  readonly saved: string[] = [];
  readonly directions: Record<string, Direction>;
  learningRate = 0.01;
  iterations = 0;
  /** What `getWeights` gives: the number of the epoch. */
  epoch = 0;
  setTo: number | null = null;

  constructor(directions: Record<string, Direction> = {}) {
    this.directions = directions;
  }

  getWeights() {
    return [NdArray.from([this.epoch])];
  }
  setWeights([weight]: readonly NdArray[]) {
    this.setTo = weight.data[0];
  }
  averagedWeights(): never {
    throw new Error('not recorded');
  }
  async save(path: string) {
    this.saved.push(path);
  }
  async saveWeights(path: string) {
    this.saved.push(path);
  }
  metricDirections(): Record<string, Direction | null> {
    return { loss: 'min', ...this.directions };
  }
  summary() {
    return 'Model: "recorded"';
  }
  structure() {
    return { name: this.name, nodes: [], edges: [] };
  }
  toKerasConfig() {
    return { class_name: 'Sequential', config: {} };
  }
  lossAndGradients(): never {
    throw new Error('not recorded');
  }
}

export interface RecordedRun extends TrainingRun {
  readonly model: RecordedModel;
  said: string;
  stopped: boolean;
  reason: string | undefined;
}

export function recordRun(model = new RecordedModel(), steps: number | null = 10, epochs = 100): RecordedRun {
  const run: RecordedRun = {
    model,
    epochs,
    steps,
    epoch: 0,
    batch: 0,
    history: new History(),
    said: '',
    stopped: false,
    reason: undefined,
    inspect: () => Promise.reject(new Error('nothing runs')),
    nonFinite: () => Promise.resolve(new NumericError('dense: the output is NaN.', null)),
    snapshot: () => new Uint8Array(),
    write: (text) => {
      run.said += text;
    },
    stop: (reason) => {
      run.stopped = true;
      run.reason = reason;
    },
  };
  return run;
}

/** NaN and infinities stand in JSON as texts. */
export type StoredNumber = number | string | null;
export const number = (value: StoredNumber): number | null =>
  value === null ? null : Number(typeof value === 'string' ? value.replace('inf', 'Infinity') : value);
export const logsOf = (stored: Record<string, StoredNumber>): EpochLogs =>
  Object.fromEntries(Object.entries(stored).map(([name, value]) => [name, number(value) ?? Number.NaN]));

/** Names of Keras's options as ours. */
export const camelKeys = (options: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(options).map(([key, value]) => [key.replace(/_([a-z])/g, (_, c) => c.toUpperCase()), value]),
  );
