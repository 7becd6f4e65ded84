/** A peer in a process of its own, which answers one order a line: its memory and its garbage are not ours. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';

/** The first line of a program: which version it is, or why it cannot run. */
export type Greeting = { readonly version: string } | { readonly missing: string };

export class PeerProgram {
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

  /** Null, with a line that says why, where it does not start. */
  static async start(
    name: string,
    command: string,
    parameters: readonly string[],
    threads: number,
  ): Promise<PeerProgram | null> {
    const count = String(threads);
    const child = spawn(command, [...parameters, count], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, OMP_NUM_THREADS: count, MKL_NUM_THREADS: count },
    });
    const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const lines = reader[Symbol.asyncIterator]();
    const { value, done } = await lines.next();
    const greeting: Greeting = done ? { missing: 'its program ended at once' } : JSON.parse(value);
    if ('version' in greeting) return new PeerProgram(child, reader, lines, greeting.version);
    console.log(`${name} skipped: ${greeting.missing} (npm run bench:setup).`);
    reader.close();
    child.kill();
    return null;
  }

  /** The answer to one order. */
  async ask<Answer = { readonly milliseconds: number }>(order: object): Promise<Answer> {
    this.child.stdin?.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`The peer's program ended without an answer to ${JSON.stringify(order)}`);
    return JSON.parse(value) as Answer;
  }

  stop(): void {
    this.reader.close();
    this.child.kill();
  }
}
