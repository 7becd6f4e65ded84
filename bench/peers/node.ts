/** Peers on Node, each in a process of its own. */
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { StepOrder } from './peer.ts';
import { type Greeting, PeerProgram } from './program.ts';

/** @param program beside this module, which ends in `serve` */
export function startNode(name: string, program: string, threads: number): Promise<PeerProgram | null> {
  return PeerProgram.start(name, process.execPath, [fileURLToPath(new URL(program, import.meta.url))], threads);
}

/** What a program does: it says who it is, then answers orders until its input ends. The number of threads is its argument. */
export async function serve(
  start: (threads: number) => Promise<{ readonly version: string; run(order: StepOrder): Promise<number> }>,
): Promise<void> {
  const say = (line: Greeting | { readonly milliseconds: number }) => process.stdout.write(`${JSON.stringify(line)}\n`);
  let peer: Awaited<ReturnType<typeof start>>;
  try {
    peer = await start(Number(process.argv[2]));
  } catch (error) {
    say({ missing: (error as Error).message.split('\n')[0] });
    return;
  }
  say({ version: peer.version });
  for await (const line of createInterface({ input: process.stdin }))
    say({ milliseconds: await peer.run(JSON.parse(line)) });
}
