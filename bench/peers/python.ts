/** Peers written in Python. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { benchFolder } from '../report.ts';
import { PeerProgram } from './program.ts';

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

/** Null, with a line that says why, where the modules are absent. @param script among the peers; its first line is its version */
export async function startPython(
  name: string,
  script: string,
  modules: readonly string[],
  threads: number,
): Promise<PeerProgram | null> {
  const python = pythonWith(modules, name);
  return python === null ? null : PeerProgram.start(name, python, [pathOf(`peers/${script}`)], threads);
}
