/** TensorFlow.js on its WebAssembly backend, one thread. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Point } from '../points.ts';
import { benchFolder } from '../report.ts';
import type { Peer, StepOrder } from './peer.ts';

/** The few names that are used here, since its types are not installed with this package. */
interface TensorFlow {
  version: { tfjs: string };
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  sequential(): TfModel;
  layers: Readonly<Record<'lstm' | 'gru' | 'simpleRNN', (options: object) => unknown>>;
  train: { adam(rate: number): unknown };
  randomNormal(shape: number[]): TfTensor;
  randomUniform(shape: number[]): TfTensor;
}
interface TfTensor {
  data(): Promise<unknown>;
  dispose(): void;
}
interface TfModel {
  add(layer: unknown): void;
  compile(options: object): void;
  trainOnBatch(x: TfTensor, y: TfTensor): Promise<unknown>;
  predict(x: TfTensor): TfTensor;
}

export class TensorFlowPeer implements Peer {
  readonly name = 'tfjs-wasm';
  readonly version: string;
  readonly slow = true;
  private readonly tf: TensorFlow;
  private key = '';
  private model: TfModel | null = null;

  private constructor(tf: TensorFlow) {
    this.tf = tf;
    this.version = tf.version.tfjs;
  }

  /** Null, with a line that says why, where it is not installed. */
  static async start(): Promise<TensorFlowPeer | null> {
    const require = createRequire(new URL('peers/package.json', benchFolder));
    try {
      const tf = require('@tensorflow/tfjs') as TensorFlow;
      const backend = require('@tensorflow/tfjs-backend-wasm') as {
        setWasmPaths(path: string): void;
        setThreadsCount(n: number): void;
      };
      backend.setWasmPaths(join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm')), '/'));
      backend.setThreadsCount(1);
      await tf.setBackend('wasm');
      await tf.ready();
      return new TensorFlowPeer(tf);
    } catch (error) {
      console.log(`TensorFlow.js skipped: ${(error as Error).message.split('\n')[0]} (npm run bench:setup).`);
      return null;
    }
  }

  /** A step of an LSTM at 32 x 100 x 128 takes seconds, so the small points of the table stand for all. */
  takes({ kind, batch, time, units }: Point): boolean {
    return time === 100 && units === 32 && (batch === 1 || kind === 'lstm') && (batch === 1 || batch === 32);
  }

  /** Milliseconds per step, after one step to warm up. */
  async run(order: StepOrder): Promise<number> {
    const { kind, batch, time, features, units, work, steps } = order;
    const { tf } = this;
    const x = tf.randomNormal([batch, time, features]);
    const y = tf.randomUniform([batch, time, units]);
    const key = JSON.stringify({ ...order, steps: 0 });
    const fresh = this.key !== key;
    if (fresh) {
      const names = { lstm: 'lstm', gru: 'gru', 'simple-rnn': 'simpleRNN' } as const;
      this.model = tf.sequential();
      const make = tf.layers[names[kind as keyof typeof names]];
      this.model.add(make({ units, returnSequences: true, inputShape: [time, features] }));
      this.model.compile({ optimizer: tf.train.adam(1e-3), loss: 'meanSquaredError' });
      this.key = key;
    }
    const model = this.model as TfModel;
    const step = async () => {
      if (work === 'train') await model.trainOnBatch(x, y);
      else {
        const result = model.predict(x);
        await result.data();
        result.dispose();
      }
    };
    if (fresh) await step();
    const started = performance.now();
    for (let i = 0; i < steps; i++) await step();
    const milliseconds = (performance.now() - started) / steps;
    x.dispose();
    y.dispose();
    return milliseconds;
  }

  stop(): void {
    this.model = null;
  }
}
