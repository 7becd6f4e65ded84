/** ONNX Runtime on the CPU, for inference. */
import { createRequire } from 'node:module';
import type { Point, Work } from '../points.ts';
import { benchFolder } from '../report.ts';
import { onnxModel } from './onnx-model.ts';
import type { Peer, StepOrder } from './peer.ts';

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

export class OnnxPeer implements Peer {
  readonly name = 'ONNX Runtime';
  readonly version: string;
  private readonly runtime: OnnxRuntime;
  private readonly threads: number;
  private key = '';
  private session: Session | null = null;

  private constructor(runtime: OnnxRuntime, threads: number) {
    this.runtime = runtime;
    this.version = runtime.env.versions.node;
    this.threads = threads;
  }

  /** Null, with a line that says why, where it is not installed. */
  static async start(threads: number): Promise<OnnxPeer | null> {
    const require = createRequire(new URL('peers/package.json', benchFolder));
    try {
      return new OnnxPeer(require('onnxruntime-node') as OnnxRuntime, threads);
    } catch (error) {
      console.log(`ONNX Runtime skipped: ${(error as Error).message.split('\n')[0]} (npm run bench:setup).`);
      return null;
    }
  }

  takes(_point: Point, work: Work): boolean {
    return work === 'infer';
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
    const x = new this.runtime.Tensor('float32', data, [time, batch, features]);
    const started = performance.now();
    for (let step = 0; step < steps; step++) await this.session?.run({ x });
    return (performance.now() - started) / steps;
  }

  stop(): void {
    void this.session?.release();
  }
}
