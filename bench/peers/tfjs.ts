/** TensorFlow.js on its WebAssembly backend, one thread. */
import type { Point } from '../points.ts';
import { isOfTheTable } from '../targets.ts';
import { startNode } from './node.ts';
import type { Peer, StepOrder } from './peer.ts';
import type { PeerProgram } from './program.ts';

export class TensorFlowPeer implements Peer {
  readonly name = 'tfjs-wasm';
  readonly version: string;
  readonly slow = true;
  private readonly program: PeerProgram;

  private constructor(program: PeerProgram) {
    this.program = program;
    this.version = program.version;
  }

  /** Null, with a line that says why, where it is not installed. */
  static async start(): Promise<TensorFlowPeer | null> {
    const program = await startNode('TensorFlow.js', 'tfjs-steps.js', 1);
    return program && new TensorFlowPeer(program);
  }

  /** A step of an LSTM at 32 x 100 x 128 takes seconds, so the small points of the table stand for all. */
  takes(point: Point): boolean {
    return isOfTheTable(point) && point.units === 32 && (point.batch === 1 || point.kind === 'lstm');
  }

  /** Milliseconds per step, after one step to warm up. */
  async run(order: StepOrder): Promise<number> {
    return (await this.program.ask(order)).milliseconds;
  }

  stop(): void {
    this.program.stop();
  }
}
