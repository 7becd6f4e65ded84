/** PyTorch as a subprocess. */
import type { Peer, StepOrder } from './peer.ts';
import type { PeerProgram } from './program.ts';
import { startPython } from './python.ts';

export class TorchPeer implements Peer {
  readonly name = 'PyTorch';
  readonly version: string;
  private readonly program: PeerProgram;

  private constructor(program: PeerProgram) {
    this.program = program;
    this.version = program.version;
  }

  /** Null, with a line that says why, where there is no Python with torch. @param script among the peers, which answers the orders */
  static async start(script = 'torch_steps.py', threads = 1): Promise<TorchPeer | null> {
    const program = await startPython('PyTorch', script, ['torch'], threads);
    return program && new TorchPeer(program);
  }

  takes(): boolean {
    return true;
  }

  /** Milliseconds per step. */
  async run<Order extends { readonly steps: number } = StepOrder>(order: Order): Promise<number> {
    return (await this.program.ask(order)).milliseconds;
  }

  stop(): void {
    this.program.stop();
  }
}
