/** ONNX Runtime on the CPU, for inference. */
import type { Point, Work } from '../points.ts';
import { startNode } from './node.ts';
import type { Peer, StepOrder } from './peer.ts';
import type { PeerProgram } from './program.ts';

export class OnnxPeer implements Peer {
  readonly name = 'ONNX Runtime';
  readonly version: string;
  private readonly program: PeerProgram;

  private constructor(program: PeerProgram) {
    this.program = program;
    this.version = program.version;
  }

  /** Null, with a line that says why, where it is not installed. */
  static async start(threads: number): Promise<OnnxPeer | null> {
    const program = await startNode('ONNX Runtime', 'onnx-steps.js', threads);
    return program && new OnnxPeer(program);
  }

  takes(_point: Point, work: Work): boolean {
    return work === 'infer';
  }

  async run(order: StepOrder): Promise<number> {
    return (await this.program.ask(order)).milliseconds;
  }

  stop(): void {
    this.program.stop();
  }
}
