/** PyTorch as a subprocess that answers one order a line. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { benchFolder } from '../report.ts';

export interface StepOrder {
  readonly cell: 'lstm' | 'gru' | 'simple-rnn';
  readonly batch: number;
  readonly time: number;
  readonly features: number;
  readonly units: number;
  readonly work: 'train' | 'infer';
  readonly steps: number;
}

export class TorchPeer {
  readonly version: string;
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private readonly reader: Interface;

  private constructor(child: ChildProcess, reader: Interface, lines: AsyncIterator<string>, version: string) {
    this.child = child;
    this.reader = reader;
    this.lines = lines;
    this.version = version;
  }

  /** Null, with a line that says why, where there is no Python with torch. @param script among the peers, which answers the orders */
  static async start(script = 'torch_steps.py'): Promise<TorchPeer | null> {
    const local = fileURLToPath(new URL('.venv/bin/python', benchFolder));
    const python = process.env.UNROLLED_PYTHON ?? (existsSync(local) ? local : null);
    if (!python || spawnSync(python, ['-c', 'import torch']).status !== 0) {
      console.log(`PyTorch skipped: no torch in ${python ?? 'UNROLLED_PYTHON or bench/.venv'} (npm run bench:setup).`);
      return null;
    }
    const child = spawn(python, [fileURLToPath(new URL(`peers/${script}`, benchFolder))], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const lines = reader[Symbol.asyncIterator]();
    const { version } = JSON.parse((await lines.next()).value);
    return new TorchPeer(child, reader, lines, version);
  }

  /** Milliseconds per step. */
  async run<Order extends { readonly steps: number } = StepOrder>(order: Order): Promise<number> {
    this.child.stdin?.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error('PyTorch ended without an answer');
    return JSON.parse(value).milliseconds;
  }

  stop(): void {
    this.reader.close();
    this.child.kill();
  }
}
