/** Keras as a subprocess, on one of its backends: `fit` and `predict`, compiled by XLA on JAX, as a graph on TensorFlow. */
import type { Point } from '../points.ts';
import { isOfTheTable } from '../targets.ts';
import type { Peer, StepOrder } from './peer.ts';
import type { PeerProgram } from './program.ts';
import { startPython } from './python.ts';

const backends = {
  jax: { name: 'Keras (JAX)', script: 'keras_jax.py' },
  tensorflow: { name: 'Keras (TensorFlow)', script: 'keras_tensorflow.py' },
} as const;

export class KerasPeer implements Peer {
  readonly name: string;
  readonly version: string;
  private readonly program: PeerProgram;

  private constructor(name: string, program: PeerProgram) {
    this.name = name;
    this.program = program;
    this.version = program.version;
  }

  /** Null, with a line that says why, where there is no Python with keras and the backend. */
  static async start(backend: keyof typeof backends, threads: number): Promise<KerasPeer | null> {
    const { name, script } = backends[backend];
    const program = await startPython(name, script, ['keras', backend], threads);
    return program && new KerasPeer(name, program);
  }

  /** It is compiled for seconds at every shape. */
  takes(point: Point): boolean {
    return isOfTheTable(point);
  }

  async run(order: StepOrder): Promise<number> {
    return (await this.program.ask(order)).milliseconds;
  }

  stop(): void {
    this.program.stop();
  }
}
