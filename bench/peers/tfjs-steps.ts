/** The program of `TensorFlowPeer`: steps of TensorFlow.js on its WebAssembly backend, one thread. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { benchFolder } from '../report.ts';
import { serve } from './node.ts';
import type { StepOrder } from './peer.ts';

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

class Steps {
  readonly version: string;
  private readonly tf: TensorFlow;
  private key = '';
  private model: TfModel | null = null;

  private constructor(tf: TensorFlow) {
    this.tf = tf;
    this.version = tf.version.tfjs;
  }

  static async start(): Promise<Steps> {
    const require = createRequire(new URL('peers/package.json', benchFolder));
    const tf = require('@tensorflow/tfjs') as TensorFlow;
    const backend = require('@tensorflow/tfjs-backend-wasm') as {
      setWasmPaths(path: string): void;
      setThreadsCount(n: number): void;
    };
    backend.setWasmPaths(join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm')), '/'));
    backend.setThreadsCount(1);
    await tf.setBackend('wasm');
    await tf.ready();
    return new Steps(tf);
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
}

await serve(() => Steps.start());
