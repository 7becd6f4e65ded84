/**
 * Processes held to processors, by `taskset` where there is one. UNROLLED_BENCH_CPUS=2,3 names the processors that benchmarks may use; by
 * default all that this process may, the first one last, since interrupts are often served there.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

function output(command: string, parameters: readonly string[]): string | null {
  const { status, stdout } = spawnSync(command, parameters, { encoding: 'utf8' });
  return status === 0 ? stdout : null;
}

/** `0-2,5` as numbers. */
function listed(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number);
    if (!Number.isInteger(from) || !Number.isInteger(to))
      throw new Error(`UNROLLED_BENCH_CPUS: '${text}' is no list of processors`);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

let affinity: string | null | undefined;

/** Null where processes cannot be held. */
function ownAffinity(): string | null {
  affinity ??=
    output('taskset', ['-cp', String(process.pid)])
      ?.split(':')
      .at(-1)
      ?.trim() ?? null;
  return affinity;
}

/** The processors to use, best first. */
export function benchProcessors(): readonly number[] {
  const given = process.env.UNROLLED_BENCH_CPUS;
  if (given) return listed(given);
  const own = ownAffinity();
  const all = own ? listed(own) : Array.from({ length: availableParallelism() }, (_, i) => i);
  return [...all.slice(1), all[0]];
}

/** The words that go in front of a command to hold it; none where that is not possible, or no processor is named. */
export function pinningPrefix(cpus: readonly number[]): readonly string[] {
  return cpus.length > 0 && ownAffinity() !== null ? ['taskset', '-c', cpus.join(',')] : [];
}

export interface CoreType {
  readonly name: string;
  /** One processor of this type. */
  readonly cpu: number;
}

/** One processor of every type of core, told by their highest frequency, fastest first. */
export function coreTypes(): readonly CoreType[] {
  const usable = benchProcessors();
  const table = output('lscpu', ['-e=CPU,MAXMHZ'])?.trim().split('\n').slice(1) ?? [];
  const types = new Map<number, number>();
  for (const line of table) {
    const [cpu, frequency] = line.trim().split(/\s+/).map(Number);
    const known = types.get(frequency);
    const better = known === undefined || usable.indexOf(cpu) < usable.indexOf(known);
    if (Number.isFinite(frequency) && usable.includes(cpu) && better) types.set(frequency, cpu);
  }
  if (types.size < 2) return [{ name: 'all cores', cpu: usable[0] }];
  return [...types].sort(([a], [b]) => b - a).map(([frequency, cpu]) => ({ name: `cores of ${frequency} MHz`, cpu }));
}
