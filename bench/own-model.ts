/** `unrolled` as one of the contestants: training through `fit`, inference through `predict`, over many batches at once. */
import { type Layer, layers, NdArray, type Sequential, sequential, setThreads } from 'unrolled';
import type { StepOrder } from './peers/peer.ts';
import type { Kind, Point, Work } from './points.ts';

const returnSequences = true;
const stacks: Readonly<Record<Kind, (units: number) => readonly Layer[]>> = {
  lstm: (units) => [layers.lstm({ units, returnSequences })],
  gru: (units) => [layers.gru({ units, returnSequences })],
  'simple-rnn': (units) => [layers.simpleRNN({ units, returnSequences })],
  bidirectional: (units) => [layers.bidirectional({ layer: layers.lstm({ units, returnSequences }) })],
  'two-layer': (units) => [layers.lstm({ units, returnSequences }), layers.lstm({ units, returnSequences })],
};

/** Values between 0 and 1. */
export function wave(...shape: number[]): NdArray {
  const data = new Float32Array(shape.reduce((a, b) => a * b));
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(i * 0.7) * 0.5 + 0.5;
  return NdArray.from(data, shape);
}

/** Compiled with Adam and the mean squared error; sequences of any length. */
export function recurrentModel(kind: Kind, units: number, features: number, time: number | null = null): Sequential {
  const model = sequential([layers.input({ shape: [time, features] }), ...stacks[kind](units)]);
  model.compile({ optimizer: 'adam', loss: 'mse' });
  return model;
}

/** What predictions are written to: the array of the last time, as a loop that drops its results has its memory again, or a new one. */
export type Results = 'same array' | 'new array';

/** Fits (or predicts) once over all of the data; gives milliseconds per step. */
export class OwnModel {
  private readonly point: Point;
  private readonly work: Work;
  private readonly threads: number;
  private readonly results: Results;
  private readonly model: Sequential;
  /** `y`: the targets, or the array of the predictions. */
  private data: { readonly steps: number; readonly x: NdArray; readonly y: NdArray } | null = null;

  constructor(point: Point, work: Work, threads: number, results: Results = 'same array') {
    this.point = point;
    this.work = work;
    this.threads = threads;
    this.results = results;
    this.model = recurrentModel(point.kind, point.units, point.features, point.time);
  }

  async run({ steps }: Pick<StepOrder, 'steps'>): Promise<number> {
    const { batch, time, features, units, kind } = this.point;
    if (this.data?.steps !== steps) {
      const rows = batch * steps;
      const width = kind === 'bidirectional' ? 2 * units : units;
      const y = this.work === 'train' ? wave(rows, time, width) : NdArray.zeros([rows, time, width]);
      this.data = { steps, x: wave(rows, time, features), y };
    }
    const { x, y } = this.data;
    setThreads(this.threads);
    const started = performance.now();
    if (this.work === 'train') await this.model.fit(x, y, { epochs: 1, batchSize: batch, verbose: 0 });
    else await this.model.predict(x, { batchSize: batch, ...(this.results === 'same array' && { out: y }) });
    return (performance.now() - started) / steps;
  }
}
