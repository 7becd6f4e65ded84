/** Writes bench/RESULTS.md from the files in bench/results: every row of the design's table with the figure that was reached beside its target. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { designPoints, labelOf } from './points.ts';
import { benchFolder, cellText, type Row } from './report.ts';
import { targets, yesOrNo } from './targets.ts';

interface Result {
  readonly date: string;
  readonly unrolled: string;
  readonly node: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly selection?: string;
  readonly isa?: string;
  readonly peak?: number;
  readonly peers?: readonly { readonly name: string; readonly version: string }[];
  readonly rows: readonly Row[];
  readonly summary?: readonly Row[];
}

function resultOf(name: string): Result | null {
  const path = new URL(`results/${name}.json`, benchFolder);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Result) : null;
}

function table(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map((column) => column.trim())),
    line(columns.map(() => '---')),
    ...rows.map((row) => line(columns.map((column) => cellText(row[column])))),
  ].join('\n');
}

/** One line of the design's table: a figure, what is asked of it, and whether it is reached. */
interface Claim {
  readonly figure: string;
  readonly reached: string | number;
  readonly target: string | number;
  readonly met: string;
}

const missing = 'not measured';

/** @param value null where it was not measured */
function claim(figure: string, value: number | null, target: number, atLeast: boolean, unit = ''): Claim {
  const met = value === null ? null : atLeast ? value >= target : value <= target;
  const text = (x: number) => `${cellText(x)}${unit}`;
  return {
    figure,
    reached: value === null ? missing : text(value),
    target: `${atLeast ? 'at least' : 'at most'} ${text(target)}`,
    met: yesOrNo(met),
  };
}

/** The extreme of a column over the rows that pass, null where there is none. */
function extreme(
  name: string,
  column: string,
  pick: (...x: number[]) => number,
  of: (row: Row) => boolean = () => true,
) {
  const values = (resultOf(name)?.rows ?? [])
    .filter(of)
    .map((row) => Number(row[column]))
    .filter(Number.isFinite);
  return values.length > 0 ? pick(...values) : null;
}

function summaryClaims(name: string, what: string): Claim[] {
  const rows = resultOf(name)?.summary ?? [];
  if (rows.length === 0) return [{ figure: what, reached: missing, target: '-', met: '-' }];
  return rows.map((row) => ({
    figure: `${what}: ${row.figure}`,
    reached: row.value,
    target: row.target === '-' ? '-' : `at least ${row.target}`,
    met: String(row.met),
  }));
}

function packedMegabytes(): number | null {
  const { status, stdout } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: fileURLToPath(new URL('../', benchFolder)),
    encoding: 'utf8',
  });
  if (status !== 0) return null;
  const size = /"unpackedSize":\s*(\d+)/.exec(stdout);
  return size ? Number(size[1]) / 1e6 : null;
}

function wasmClaims(): Claim[] {
  const { simd128, relaxed, peak } = targets.wasm;
  const result = resultOf('lstm-step-wasm');
  const isRelaxed = result?.isa === 'relaxed';
  const row = result?.rows.find(({ name }) => String(name).startsWith('unrolled'));
  const against = result?.rows.find(({ name }) => String(name).startsWith('tfjs-wasm /'));
  const own = row ? Number(row['GFLOP/s']) : null;
  return [
    claim(
      `WebAssembly (${isRelaxed ? 'relaxed' : 'SIMD128'}), LSTM training at 32 x 100 x 128, where the addon's peak is ${peak}`,
      own,
      isRelaxed ? relaxed : simd128,
      true,
      ' GFLOP/s',
    ),
    claim('the same against tfjs-wasm', against ? Number(against['ms per step']) : null, targets.tensorFlow, true, 'x'),
  ];
}

function claims(): Claim[] {
  const largest = Math.max;
  const smallest = Math.min;
  const oneRow = (row: Row) => String(row.size).startsWith('1 x');
  const trains = (row: Row) => row.work === 'train';
  const isUniform = (row: Row) => String(row.lengths).startsWith('uniform');
  const atPoint = (row: Row) => /^(lstm|gru|simple-rnn) /.test(String(row.point)) && row.target !== '-';
  const wide = (row: Row) => atPoint(row) && row.target === '1.8x';
  const narrow = (row: Row) => atPoint(row) && row.target === '1.6x';
  const first = (row: Row) => row.until === 'first training step finished';
  const threeLayers = (row: Row) => ['embedding, lstm, dense', 'lstm, lstm, dense'].includes(String(row.model));
  const streamed = (row: Row) => row.model === 'lstm(64), dense(1)' && row.rows === 1;
  const stream = 'stream-native';
  return [
    ...summaryClaims('train', 'training'),
    ...summaryClaims('infer', 'inference'),
    claim(
      "a user's cell over the built-in one, slowest, batch above 1",
      extreme('custom-cell', 'own / built-in', largest, (row) => trains(row) && !oneRow(row)),
      targets.ownCell,
      false,
      'x',
    ),
    claim(
      "a user's cell over the built-in one, slowest, batch 1",
      extreme('custom-cell', 'own / built-in', largest, (row) => trains(row) && oneRow(row)),
      targets.ownCellOneRow,
      false,
      'x',
    ),
    claim(
      'lengths uniform in 1..T, over the same padded, smallest gain',
      extreme('unequal', 'gain of the slower side', smallest, isUniform),
      targets.unequal,
      true,
      'x',
    ),
    claim(
      'two threads over one, hidden 128 and more, lowest',
      extreme('train-2-threads', 'speed-up', smallest, wide),
      1.8,
      true,
      'x',
    ),
    claim(
      'two threads over one, hidden 32, lowest',
      extreme('train-2-threads', 'speed-up', smallest, narrow),
      1.6,
      true,
      'x',
    ),
    ...wasmClaims(),
    claim(
      'streaming, one step of LSTM(64), median',
      extreme(stream, 'median µs', largest, streamed),
      targets.streamMicroseconds,
      false,
      ' µs',
    ),
    claim(
      'streaming, bytes left behind per step',
      extreme(stream, 'bytes per step', largest, streamed),
      0,
      false,
      ' B',
    ),
    claim(
      'import to first finished training step, median',
      extreme('startup', 'median ms', largest, first),
      targets.startupMilliseconds,
      false,
      ' ms',
    ),
    claim(
      'compile of a 3-layer model for a new shape, median',
      extreme('compile-native', 'median', largest, threeLayers),
      targets.compileMilliseconds,
      false,
      ' ms',
    ),
    claim(
      "peak memory of a training step over the plan's figure, largest",
      extreme('training-memory', 'process / plan', largest),
      targets.memoryOverPlan,
      false,
      'x',
    ),
    claim(
      "peak memory over PyTorch's, largest",
      extreme('training-memory', 'process / PyTorch', largest),
      targets.memoryOverTorch,
      false,
      'x',
    ),
    claim('published package, unpacked', packedMegabytes(), targets.packageMegabytes, false, ' MB'),
  ];
}

/** The twelve rows of the design, in its order. */
function designTable(name: 'train' | 'infer'): string {
  const rows = resultOf(name)?.rows ?? [];
  const found = designPoints.map(
    (point) => rows.find((row) => row.point === labelOf(point)) ?? { point: labelOf(point), ms: missing },
  );
  return table(found);
}

const others: Readonly<Record<string, string>> = {
  peak: 'FMA rate and bandwidth of one core',
  profile: 'What the time goes to',
  train: 'Training, the whole grid, one thread',
  'train-2-threads': 'Training, two threads',
  infer: 'Inference, the whole grid, one thread',
  'infer-2-threads': 'Inference, two threads',
  'lstm-step-native': 'One LSTM training step, native',
  'lstm-step-wasm': 'One LSTM training step, WebAssembly',
  'custom-cell': "A user's cells against the built-in ones",
  unequal: 'Batches of unequal length',
  scale: 'How time and memory grow',
  memory: 'Memory over many training steps',
  'training-memory': 'Peak memory of a training step',
  'long-sequences': 'Training on 10,000 steps',
  'stream-native': 'Streaming',
  startup: 'Start-up',
  'compile-native': 'Compiling a new shape',
  'event-loop': 'Delay of the event loop',
  layers: 'Every layer, worst first',
};

function heading(): string {
  const results = Object.keys(others).flatMap((name) => resultOf(name) ?? []);
  const main = resultOf('train') ?? results[0];
  if (!main) throw new Error('There are no results: run npm run bench -- all first.');
  const dates = results.map(({ date }) => date).sort();
  const peers = new Map(results.flatMap((one) => one.peers ?? []).map(({ name, version }) => [name, version]));
  const { processor, cores, memoryGB, system } = main.machine;
  const selected = main.selection && main.selection !== 'all' ? ` (the selection ${main.selection} alone)` : '';
  return [
    '# Results',
    '',
    'Written by `npm run bench -- report` from the last results of each benchmark. Ratios are times of the peer over ours, both measured in turn',
    'in the same run; `x PyTorch` of 2 is twice as fast. Times are medians. `of peak` is the share of the FMA rate that was measured in that run;',
    'operations are counted without the gradient of the input. Training is measured through `fit`, inference through `predict`, which writes over the',
    'results of the last time (`out`), as the loops of the peers have the memory of results again that they drop; `ms, new array` is without it.',
    '',
    table([
      { what: 'machine', is: `${processor}, ${cores} cores, ${memoryGB} GB, ${system}` },
      { what: 'peak', is: main.peak ? `${cellText(main.peak)} GFLOP/s, ${main.isa}` : missing },
      { what: 'unrolled', is: main.unrolled },
      { what: 'Node', is: main.node },
      ...[...peers].map(([name, version]) => ({ what: name, is: version })),
      { what: 'date', is: `${dates[0]} to ${dates.at(-1)}` },
      { what: 'command', is: `\`npm run bench:setup && npm run bench -- all && npm run bench -- report\`${selected}` },
    ]),
  ].join('\n');
}

export async function writeResults(): Promise<void> {
  const sections = [
    heading(),
    `## Targets\n\n${table(claims().map((one) => ({ ...one })))}`,
    'What the rows that fall short spend their time on, and what was tried: [shortfalls.md](shortfalls.md), and "What the time goes to" below.',
    `## Training: the twelve rows of the design\n\n${designTable('train')}`,
    `## Inference: the same rows\n\n${designTable('infer')}`,
    ...Object.entries(others).map(([name, title]) => {
      const result = resultOf(name);
      if (!result) return `## ${title}\n\nNot measured.`;
      const summary = result.summary ? `\n\n${table(result.summary)}` : '';
      return `## ${title}\n\n${result.date}\n\n${table(result.rows)}${summary}`;
    }),
  ];
  const path = fileURLToPath(new URL('RESULTS.md', benchFolder));
  writeFileSync(path, `${sections.join('\n\n')}\n`);
  console.log(path);
}
