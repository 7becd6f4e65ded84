/** The program of `OnnxPeer`: inference by ONNX Runtime, every step on a batch of its own. */
import { createRequire } from 'node:module';
import { benchFolder } from '../report.ts';
import { serve } from './node.ts';
import { onnxModel } from './onnx-model.ts';
import type { StepOrder } from './peer.ts';

/** The few names that are used here, since its types are not installed with this package. */
interface Session {
  run(feeds: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
  release(): Promise<void>;
}
interface OnnxRuntime {
  env: { versions: Readonly<Record<string, string>> };
  InferenceSession: { create(model: Uint8Array, options: object): Promise<Session> };
  Tensor: new (kind: 'float32', data: Float32Array, shape: readonly number[]) => unknown;
}

class Steps {
  readonly version: string;
  private readonly runtime: OnnxRuntime;
  private readonly threads: number;
  private key = '';
  private session: Session | null = null;

  constructor(runtime: OnnxRuntime, threads: number) {
    this.runtime = runtime;
    this.version = runtime.env.versions.node;
    this.threads = threads;
  }

  async run(order: StepOrder): Promise<number> {
    const { batch, time, features, steps } = order;
    const key = JSON.stringify({ ...order, steps: 0 });
    if (this.key !== key) {
      await this.session?.release();
      this.session = await this.runtime.InferenceSession.create(onnxModel(order), {
        executionProviders: ['cpu'],
        intraOpNumThreads: this.threads,
        interOpNumThreads: 1,
      });
      this.key = key;
    }
    const data = Float32Array.from({ length: time * batch * features }, (_, i) => Math.sin(i * 0.7));
    const batches = Array.from(
      { length: steps },
      () => new this.runtime.Tensor('float32', data.slice(), [time, batch, features]),
    );
    const started = performance.now();
    for (const x of batches) await this.session?.run({ x });
    return (performance.now() - started) / steps;
  }
}

await serve(async (threads) => {
  const require = createRequire(new URL('peers/package.json', benchFolder));
  return new Steps(require('onnxruntime-node') as OnnxRuntime, threads);
});
