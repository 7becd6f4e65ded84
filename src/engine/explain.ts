/** The memory of a step, for people. */
import { type Arena, absoluteOffset } from './places.ts';
import type { Plan } from './step.ts';

export function formatBytes(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  if (bytes >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  return bytes >= 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${bytes} B`;
}

/** The arena map: every buffer with its place and the positions in the schedule between which it lives, and the totals. */
export function describeMemory(arena: Arena, plan: Plan): string {
  const rows = [...arena.buffers]
    .sort((a, b) => absoluteOffset(a) - absoluteOffset(b) || a.first - b.first)
    .map(
      (b) =>
        `  ${String(absoluteOffset(b)).padStart(10)} ${formatBytes(b.floats * 4).padStart(12)}  ${b.first}..${b.last}  ${b.label}`,
    );
  return [
    `arena map: ${arena.buffers.length} buffers in ${formatBytes(plan.arenaBytes)}`,
    '      offset         size  alive  what',
    ...rows,
    `state ${formatBytes(plan.stateBytes)}, io ${formatBytes(plan.ioBytes)} a step, ${plan.flops.toLocaleString('en-US')} floating-point operations in products`,
  ].join('\n');
}
