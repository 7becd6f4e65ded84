/** Processes that are killed in the middle of a run and started again end in the bits of one that was left alone. Uses what was built. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import { RandomKey } from '../../src/core/random.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const program = fileURLToPath(new URL('./interrupted-run.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'unrolled-kill-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the program, and kills it when it has said that so many steps are done. @returns whether it reached its end */
function run(out: string, threads: number, killAfter: number): Promise<boolean> {
  const child = spawn(process.execPath, [program, root, join(folder, 'backup'), out], {
    env: { ...process.env, UNROLLED_THREADS: String(threads) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let steps = 0;
  child.stdout.on('data', (said: Buffer) => {
    steps += said.length;
    if (steps >= killAfter) child.kill('SIGKILL');
  });
  return new Promise((resolve, reject) => {
    child.on('exit', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve(code === 0);
      else reject(new Error(`the program ended with ${code}`));
    });
  });
}

it('SIGKILL at any moment, on any number of threads', async () => {
  const [through, resumed] = [join(folder, 'through'), join(folder, 'resumed')];
  expect(await run(through, 1, Number.POSITIVE_INFINITY)).toBe(true);
  const moments = RandomKey.from(11).integers(3, 3, 25);
  let kills = 0;
  for (const moment of moments) if (!(await run(resumed, 1 + (kills % 3), moment))) kills++;
  expect(kills).toBe(3);
  expect(existsSync(join(folder, 'backup'))).toBe(true);
  expect(await run(resumed, 2, Number.POSITIVE_INFINITY)).toBe(true);
  expect(readFileSync(resumed, 'utf8')).toBe(readFileSync(through, 'utf8'));
  expect(existsSync(join(folder, 'backup'))).toBe(false);
}, 120_000);
