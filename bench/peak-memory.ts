/** The highest resident memory of a process between two moments. */
import { readFileSync, writeFileSync } from 'node:fs';

function resident(): number {
  return process.memoryUsage().rss;
}

/** What the system keeps as the highest since it was last told to forget; the highest of all where it cannot be told. */
function highest(): number {
  try {
    const found = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
    if (found) return Number(found[1]) * 1024;
  } catch {
    // not Linux
  }
  return process.resourceUsage().maxRSS * 1024;
}

/** Starts to watch; the result gives the bytes by which the peak since then stands above what was there. */
export function watchMemory(): () => number {
  globalThis.gc?.();
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // not Linux
  }
  const before = resident();
  return () => Math.max(0, highest() - before);
}
