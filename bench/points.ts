/** The points that training and inference are measured at: the table of the design, and the grid around it. */

export type Kind = 'lstm' | 'gru' | 'simple-rnn' | 'bidirectional' | 'two-layer';
export type Work = 'train' | 'infer';

/** A recurrent layer (or two) of `units` over sequences of `features`, all outputs returned. `bidirectional` and `two-layer` are LSTMs. */
export interface Point {
  readonly kind: Kind;
  readonly batch: number;
  readonly time: number;
  readonly features: number;
  readonly units: number;
}

/** What is measured at once: the table, a five-minute selection, or everything. */
export type Selection = 'design' | 'quick' | 'all';

export const cells = ['lstm', 'gru', 'simple-rnn'] as const satisfies readonly Kind[];
const gates: Readonly<Record<Kind, number>> = { lstm: 4, gru: 3, 'simple-rnn': 1, bidirectional: 4, 'two-layer': 4 };

export function labelOf({ kind, batch, time, features, units }: Point): string {
  return `${kind} ${batch} x ${time} x ${features}, ${units} units`;
}

/** Floating-point operations of the products of a step; the gradient of the model's input, which no one asks for, is not counted. */
export function flopsOf({ kind, batch, time, features, units }: Point, work: Work): number {
  const product = (from: number) => 2 * batch * time * gates[kind] * units * from;
  const passes = work === 'train' ? 3 : 1;
  const first = product(features) * (work === 'train' ? 2 : 1) + product(units) * passes;
  if (kind === 'bidirectional') return 2 * first;
  return kind === 'two-layer' ? first + passes * product(2 * units) : first;
}

function point(kind: Kind, batch: number, time: number, units: number, features = units): Point {
  return { kind, batch, time, features, units };
}

/** The twelve rows of the design's table. */
export const designPoints: readonly Point[] = cells.flatMap((kind) => [
  point(kind, 1, 100, 32, 1),
  point(kind, 32, 100, 32),
  point(kind, 32, 100, 128),
  point(kind, 64, 100, 256),
]);

const stacked: readonly Point[] = (['bidirectional', 'two-layer'] as const).flatMap((kind) => [
  point(kind, 1, 100, 32),
  point(kind, 32, 100, 32),
  point(kind, 32, 100, 128),
  point(kind, 64, 100, 256),
]);

const shortAndLong: readonly Point[] = cells.flatMap((kind) => [
  point(kind, 1, 10, 32, 1),
  point(kind, 32, 10, 128),
  point(kind, 1, 1000, 32, 1),
  point(kind, 32, 1000, 32),
]);

/** Batch 1, 8, 32, 128 against 16 to 1,024 units, all of them for the LSTM, every other one for the rest. */
const batchesAndUnits: readonly Point[] = [
  ...[
    [1, 16],
    [1, 128],
    [1, 512],
    [1, 1024],
    [8, 16],
    [8, 64],
    [8, 256],
    [32, 16],
    [32, 512],
    [128, 16],
    [128, 64],
    [128, 128],
  ].flatMap(([batch, units], i) => (i % 2 ? cells : (['lstm'] as const)).map((kind) => point(kind, batch, 100, units))),
  // 1,024 units at more rows than one: ten steps take as long as a hundred of the others
  ...cells.map((kind) => point(kind, 8, 10, 1024)),
  point('lstm', 32, 10, 1024),
  point('lstm', 128, 10, 512),
];

const everything = [...designPoints, ...stacked, ...shortAndLong, ...batchesAndUnits];

/** Two threads are measured on the table and where there are many or few rows to share. */
const forTwoThreads = [...designPoints, ...stacked.filter(({ batch }) => batch > 1), ...batchesAndUnits.slice(-5)];

/** @param threads the points for more than one are fewer */
export function pointsOf(selection: Selection, threads: number): readonly Point[] {
  if (selection === 'design') return designPoints;
  if (selection === 'quick')
    return threads > 1 ? designPoints.filter(({ batch, kind }) => batch > 1 && kind === 'lstm') : designPoints;
  return threads > 1 ? forTwoThreads : everything;
}
