/** What all benchmarks share: medians of interleaved runs, a table on the screen, and a JSON file that says on what it was measured. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/** Compiled programs stand in build/programs/bench. */
export const benchFolder = new URL('../../../bench/', import.meta.url);

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Runs the contestants in turn, `rounds` times; gives all measurements of each. A contestant gives its own time, in milliseconds. */
export async function interleave<K extends string>(
  contestants: Readonly<Record<K, () => Promise<number>>>,
  rounds: number,
): Promise<Record<K, number[]>> {
  const names = Object.keys(contestants) as K[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>;
  for (const name of names) await contestants[name](); // warm
  for (let round = 0; round < rounds; round++) for (const name of names) times[name].push(await contestants[name]());
  return times;
}

export type Row = Readonly<Record<string, string | number>>;

/** Four digits of a number. */
export function cellText(x: string | number | null | undefined): string {
  return typeof x === 'number' ? String(Number(x.toPrecision(4))) : (x ?? '');
}

export function printTable(rows: readonly Row[]): void {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const widths = columns.map((c) => Math.max(c.length, ...rows.map((row) => cellText(row[c]).length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd();
  console.log(line(columns));
  console.log(widths.map((w) => '-'.repeat(w)).join('  '));
  for (const row of rows) console.log(line(columns.map((c) => cellText(row[c]))));
}

function processor(): string {
  return cpus()[0]?.model ?? 'unknown';
}

/** Prints the rows, and the figures that sum them up, and writes them to bench/results/NAME.json. */
export function report(
  name: string,
  rows: readonly Row[],
  details: Readonly<Record<string, unknown>> = {},
  summary: readonly Row[] = [],
): void {
  printTable(rows);
  if (summary.length > 0) {
    console.log('');
    printTable(summary);
  }
  const { version } = JSON.parse(readFileSync(new URL('../package.json', benchFolder), 'utf8'));
  const machine = {
    processor: processor(),
    cores: cpus().length,
    memoryGB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
  };
  const result = {
    name,
    date: new Date().toISOString(),
    unrolled: version,
    node: process.versions.node,
    machine,
    cpus: process.env.UNROLLED_BENCH_PINNED || null,
    ...details,
    rows,
    ...(summary.length > 0 && { summary }),
  };
  const folder = new URL('results/', benchFolder);
  mkdirSync(folder, { recursive: true });
  const path = fileURLToPath(new URL(`${name}.json`, folder));
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`\n${path}`);
}
