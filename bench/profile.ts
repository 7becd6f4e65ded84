/**
 * What the time of each row of the design's table goes to: samples of Linux' `perf` over a warm `fit` or `predict`, by what the code does. The
 * program that is sampled does nothing else; without `perf` it is skipped.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OwnModel } from './own-model.ts';
import { designPoints, labelOf, type Point, type Work } from './points.ts';
import { type Row, report } from './report.ts';
import { settings } from './settings.ts';

/** Milliseconds that are not sampled (the import, compiling, V8's own optimising), and those that are. */
const warm = 2500;
const sampled = 3000;

/** What code does, by the library that it stands in and the name of its function; the first that fits. */
const groups: readonly (readonly [name: string, library: RegExp, symbol: RegExp])[] = [
  ['products', /unrolled\.node/, /[tT]ile|Panels|Periods|runProduct|runMatvec/],
  ['packing for products', /unrolled\.node/, /productTN|runPack|packRows|packColumns/],
  ['pointwise', /unrolled\.node/, /Chain|chain/],
  ['data in and out', /unrolled\.node/, /copyRows|copyBoxes|::copy$|isFinite/],
  ['rest of the machine', /unrolled\.node/, /./],
  ['data in and out', /libc/, /memmove|memcpy|memset/],
  ['data in and out', /kernel/, /clear_page|fault|copy_page/],
  ['garbage collection', /node/, /Mark|Sweep|Scaveng|Evacuat|GarbageCollect|HeapObject|Heap::/],
  ['JavaScript', /JIT|perf-|node|libstdc/, /./],
  ['system', /./, /./],
];
const names = [...new Set(groups.map(([name]) => name))];

interface Order {
  readonly point: Point;
  readonly work: Work;
}

/** Fits (or predicts) until the time is over. */
async function work({ point, work: kind }: Order): Promise<void> {
  const model = new OwnModel(point, kind, 1);
  const steps = Math.max(
    3,
    Math.min(2000, Math.floor(3e7 / (point.batch * point.time * (point.features + 2 * point.units)))),
  );
  const end = performance.now() + warm + sampled + 500;
  while (performance.now() < end) await model.run({ steps });
}

/** Share of each group; null where nothing could be sampled. */
function sharesOf(order: Order, folder: string): ReadonlyMap<string, number> | null {
  const data = join(folder, 'perf.data');
  const program = [process.execPath, '--perf-basic-prof', fileURLToPath(import.meta.url), JSON.stringify(order)];
  const recorded = spawnSync('perf', ['record', '-q', '-F', '1999', '-D', String(warm), '-o', data, '--', ...program], {
    encoding: 'utf8',
    cwd: folder,
  });
  const script = spawnSync('perf', ['script', '-i', data, '-F', 'ip,sym,dso'], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  if (recorded.status !== 0 || script.status !== 0) {
    console.log(`profile of ${labelOf(order.point)} skipped: ${(recorded.stderr || script.stderr).split('\n')[0]}`);
    return null;
  }
  const counts = new Map<string, number>();
  let all = 0;
  for (const line of script.stdout.split('\n')) {
    const [, symbol, library] = /^\s*[0-9a-f]+ (.*) \((.*)\)$/.exec(line) ?? [];
    if (!library) continue;
    const group = groups.find(([, inLibrary, named]) => inLibrary.test(library) && named.test(symbol));
    const name = group?.[0] ?? 'system';
    counts.set(name, (counts.get(name) ?? 0) + 1);
    all++;
  }
  return all ? new Map([...counts].map(([name, count]) => [name, count / all])) : null;
}

export async function profile(): Promise<void> {
  if (spawnSync('perf', ['--version']).error) {
    console.log('profile skipped: there is no perf (Debian: linux-perf).');
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'unrolled-profile-'));
  const rows: Row[] = [];
  for (const kind of ['train', 'infer'] as const)
    for (const point of designPoints) {
      if (!`${kind} ${labelOf(point)}`.includes(settings.only)) continue;
      const shares = sharesOf({ point, work: kind }, folder);
      if (!shares) continue;
      const percent = (name: string) => `${(100 * (shares.get(name) ?? 0)).toFixed(0)} %`;
      rows.push({
        work: kind,
        point: labelOf(point),
        ...Object.fromEntries(names.map((name) => [name, percent(name)])),
      });
      console.log(`profile ${kind} ${labelOf(point)}: products ${percent('products')}`);
    }
  rmSync(folder, { recursive: true });
  report('profile', rows, { warm, sampled });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await work(JSON.parse(process.argv[2]) as Order);
