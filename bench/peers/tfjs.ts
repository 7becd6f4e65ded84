/** TensorFlow.js on its WebAssembly backend, one thread. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { benchFolder } from '../report.ts';
import type { StepOrder } from './torch.ts';

/** The few names that are used here, since its types are not installed with this package. */
interface TensorFlow {
  version: { tfjs: string };
  setBackend(name: string): Promise<boolean>;
  ready(): Promise<void>;
  sequential(): TfModel;
  layers: { lstm(options: object): unknown };
  train: { adam(rate: number): unknown };
  randomNormal(shape: number[]): TfTensor;
  randomUniform(shape: number[]): TfTensor;
}
interface TfTensor {
  dispose(): void;
}
interface TfModel {
  add(layer: unknown): void;
  compile(options: object): void;
  trainOnBatch(x: TfTensor, y: TfTensor): Promise<unknown>;
}

export class TensorFlowPeer {
  readonly version: string;
  private readonly tf: TensorFlow;

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

  /** Milliseconds per training step of an LSTM, after one step to warm up. */
  async run({ batch, time, features, units, steps }: StepOrder): Promise<number> {
    const { tf } = this;
    const model = tf.sequential();
    model.add(tf.layers.lstm({ units, returnSequences: true, inputShape: [time, features] }));
    model.compile({ optimizer: tf.train.adam(1e-3), loss: 'meanSquaredError' });
    const x = tf.randomNormal([batch, time, features]);
    const y = tf.randomUniform([batch, time, units]);
    await model.trainOnBatch(x, y);
    const started = performance.now();
    for (let i = 0; i < steps; i++) await model.trainOnBatch(x, y);
    const milliseconds = (performance.now() - started) / steps;
    x.dispose();
    y.dispose();
    return milliseconds;
  }
}
