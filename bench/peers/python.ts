/** A Python program as a subprocess that answers one order a line. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { benchFolder } from '../report.ts';

function pathOf(name: string): string {
  return fileURLToPath(new URL(name, benchFolder));
}

/** UNROLLED_PYTHON, else the environment that the set-up makes; null where neither is there or it lacks one of the modules. */
function pythonWith(modules: readonly string[], name: string): string | null {
  const local = pathOf('.venv/bin/python');
  const python = process.env.UNROLLED_PYTHON || (existsSync(local) ? local : null);
  // `find_spec` does not load them
  const check = `import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in ${JSON.stringify(modules)}))`;
  if (python && spawnSync(python, ['-c', check]).status === 0) return python;
  const where = python ?? 'UNROLLED_PYTHON or bench/.venv';
  console.log(`${name} skipped: no ${modules.join(', ')} in ${where} (npm run bench:setup).`);
  return null;
}

export class PythonProgram {
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

  /** Null, with a line that says why, where the modules are absent. @param script among the peers; its first line is its version */
  static async start(
    name: string,
    script: string,
    modules: readonly string[],
    threads: number,
  ): Promise<PythonProgram | null> {
    const python = pythonWith(modules, name);
    if (!python) return null;
    const count = String(threads);
    const child = spawn(python, [pathOf(`peers/${script}`), count], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, OMP_NUM_THREADS: count, MKL_NUM_THREADS: count },
    });
    const reader = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const lines = reader[Symbol.asyncIterator]();
    const { value, done } = await lines.next();
    if (done) {
      console.log(`${name} skipped: its program ended at once.`);
      return null;
    }
    return new PythonProgram(child, reader, lines, JSON.parse(value).version);
  }

  /** The answer to one order. */
  async ask<Answer = { readonly milliseconds: number }>(order: object): Promise<Answer> {
    this.child.stdin?.write(`${JSON.stringify(order)}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`The Python program ended without an answer to ${JSON.stringify(order)}`);
    return JSON.parse(value) as Answer;
  }

  stop(): void {
    this.reader.close();
    this.child.kill();
  }
}
