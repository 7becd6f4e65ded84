/**
 * The table of a model, as Keras prints it: `keras3` in the box of its table library, `keras2` in plain rules.
 * Source: Keras 3, `keras/src/utils/summary_utils.py` (with the column rules of rich 13), and tf-keras, `layer_utils.print_summary`.
 */
import { sizeOf } from '../core/shape.ts';
import type { OpenShape } from '../layers/layer.ts';
import type { Architecture } from './model-options.ts';
import { nestedModelOf } from './nested.ts';
import type { Network, PlacedLayer } from './network.ts';

export interface SummaryRow {
  readonly name: string;
  /** How many models of the model it stands in: 0 for the model's own layers. */
  readonly level: number;
  readonly className: string;
  /** null: not known before the model is built. */
  readonly shapes: readonly OpenShape[] | null;
  /** null: not known before the model is built. */
  readonly parameters: number | null;
  /** Whether training changes its weights; null: it has none. */
  readonly trainable: boolean | null;
  /** What its calls take: `embedding[0][0]`, the layer, which of its calls, which output. */
  readonly connections: readonly string[];
}

export interface SummaryTotals {
  readonly trainable: number;
  readonly nonTrainable: number;
  /** Values that the optimizer keeps; null: it has none yet. */
  readonly optimizer: number | null;
}

export interface SummaryTable {
  readonly name: string;
  readonly rows: readonly SummaryRow[];
  /** Whether the layers stand in a row, so that a column of connections says nothing. */
  readonly row: boolean;
  readonly totals: SummaryTotals;
}

export interface SummaryOptions {
  /** Default `keras3`. */
  readonly style?: 'keras3' | 'keras2';
  /** Width in characters. Default: 88 (Keras 3; less where the terminal is narrower) or 65 (Keras 2). */
  readonly lineLength?: number;
  /** A column that tells which layers are trained. Default false. */
  readonly showTrainable?: boolean;
  /** List the layers of models within the model. Default false. */
  readonly expandNested?: boolean;
  /** Where the text goes; null: nowhere, it is only returned. Default: the console. */
  readonly print?: ((text: string) => void) | null;
}

/** `embedding[0][0]` for everything that the calls of a layer look at. */
function connectionsOf({ layers, calls }: Network, layer: number): string[] {
  const own = calls.map((call, i) => calls.slice(0, i).filter((before) => before.layer === call.layer).length);
  return calls
    .filter((call) => call.layer === layer)
    .flatMap(({ inputs, masks = [] }) => [...inputs, ...masks.filter((mask) => mask !== null)])
    .map((r) => `${layers[calls[r.call].layer].name}[${own[r.call]}][${r.output}]`);
}

/** Whether every layer is called once, on the one before it. */
function inRow({ layers, calls }: Network): boolean {
  return (
    calls.length === layers.length &&
    calls.every(({ inputs, masks = [] }, i) =>
      i === 0 ? inputs.length === 0 : inputs.length === 1 && inputs[0].call === i - 1 && !masks.some((mask) => mask),
    )
  );
}

function rowsOf(
  layers: readonly PlacedLayer[],
  network: Network | null,
  showInputs: boolean,
  expand: boolean,
  level: number,
): SummaryRow[] {
  return (network?.layers ?? layers).flatMap(({ layer, name: own }, index): SummaryRow[] => {
    // Keras leaves the input of a sequential model out.
    if (layer.className === 'InputLayer' && !showInputs) return [];
    const weights = network?.weights.filter((w) => w.layer === index);
    const inner = expand ? nestedModelOf(layer) : null;
    const call = network?.calls.findLast((one) => one.layer === index);
    const given = call?.inputs.map((r) => network?.calls[r.call].shapes[r.output] as OpenShape);
    return [
      {
        name: own,
        level,
        className: layer.definition.shownName ?? layer.className,
        shapes: call?.shapes ?? null,
        parameters: weights ? weights.reduce((n, { spec }) => n + sizeOf(spec.shape), 0) : null,
        trainable: weights?.length ? layer.trainable : null,
        connections: network && !level ? connectionsOf(network, index) : [],
      },
      ...(inner
        ? rowsOf(
            inner.architecture.layers,
            inner.architecture.arrange(given?.[0] ?? null),
            inner.architecture.className === 'Functional',
            expand,
            level + 1,
          )
        : []),
    ];
  });
}

/** The rows and totals of a model. @param optimizer values that the optimizer keeps; null: none yet */
export function summaryTable(
  name: string,
  { className, layers }: Architecture,
  network: Network | null,
  optimizer: number | null,
  expandNested = false,
): SummaryTable {
  const functional = className === 'Functional';
  const rows = rowsOf(layers, network, functional, expandNested, 0);
  const count = (trainable: boolean) =>
    (network?.weights ?? []).reduce((n, w) => n + (w.trainable === trainable ? sizeOf(w.spec.shape) : 0), 0);
  const row = !functional || !network || inRow(network);
  return { name, rows, row, totals: { trainable: count(true), nonTrainable: count(false), optimizer } };
}

/** `(None, 7, 100)`: Python's way, as in Keras's tables. */
function pythonShape(shape: OpenShape): string {
  const sizes = shape.map((d) => (d === null ? 'None' : String(d)));
  return sizes.length === 1 ? `(${sizes[0]},)` : `(${sizes.join(', ')})`;
}

/** `110.27 KB`. */
function memory(count: number, byte: string): string {
  let size = count * 4;
  const units = [byte, 'KB', 'MB', 'GB', 'TB', 'PB'];
  let k = 0;
  while (size >= 1024 && k < units.length - 1) {
    size /= 1024;
    k++;
  }
  return `${size.toFixed(2)} ${units[k]}`;
}

const grouped = (n: number) => String(n).replace(/\B(?=(\d{3})+$)/g, ',');

export function formatSummary(table: SummaryTable, options: SummaryOptions = {}): string {
  return options.style === 'keras2' ? keras2(table, options) : keras3(table, options);
}

/** Python's rounding: halves to the even neighbour. */
function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/** Contents of the columns, without their padding, for a table that is `lineLength` wide. */
function columnWidths(positions: readonly number[], lineLength: number): number[] {
  let current = 0;
  const padded = positions.map((p) => {
    const width = Math.trunc(p * lineLength) - current;
    current += width;
    return width + 2;
  });
  // Borders and padding are over; each column gives up its part.
  let excess = padded.reduce((a, b) => a + b, 0) + padded.length + 1 - lineLength;
  return padded.map((width, i) => {
    const share = Math.min(width, roundHalfEven(excess / (padded.length - i)));
    excess -= share;
    return width - share - 2;
  });
}

/** Words into lines; a word that does not fit alone ends in an ellipsis. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line: string | null = null;
  for (const word of text.split(' ')) {
    const next: string = line === null ? word : `${line} ${word}`;
    if (next.length <= width || line === null) line = next;
    else {
      lines.push(line);
      line = word;
    }
  }
  lines.push(line ?? '');
  return lines.map((l) => (l.length > width ? `${l.slice(0, width - 1)}…` : l));
}

type Alignment = 'left' | 'right' | 'center';

function align(text: string, width: number, how: Alignment): string {
  if (how === 'left') return text.padEnd(width);
  if (how === 'right') return text.padStart(width);
  const left = Math.floor((width - text.length) / 2);
  return ' '.repeat(left) + text.padEnd(width - left);
}

function terminalWidth(): number {
  const columns = typeof process !== 'undefined' ? Number(process.env.COLUMNS) || process.stdout?.columns : undefined;
  return columns || 80;
}

function keras3(
  { name, rows, row: inRow, totals }: SummaryTable,
  { lineLength, showTrainable = false }: SummaryOptions,
): string {
  const width = lineLength ?? Math.min((inRow ? 88 : 108) + (showTrainable ? 12 : 0), terminalWidth() - 4);
  const base = inRow ? [0.45, 0.8, 1] : [0.3, 0.56, 0.74, 1];
  const widths = columnWidths(showTrainable ? [...base.map((p) => p * 0.9), 1] : base, width);
  const alignment: Alignment[] = ['left', 'left', 'right', ...(inRow ? [] : (['left'] as const)), 'center'];
  const cells = rows.map((row) => [
    `${row.level ? `${'   '.repeat(row.level)}└ ` : ''}${row.name} (${row.className})`,
    row.shapes === null
      ? '?'
      : row.shapes.length === 1
        ? pythonShape(row.shapes[0])
        : `[${row.shapes.map(pythonShape).join(', ')}]`,
    row.parameters === null ? '0 (unbuilt)' : grouped(row.parameters),
    ...(inRow ? [] : [row.connections.join(', ') || '-']),
    ...(showTrainable ? [row.trainable === null ? '-' : row.trainable ? 'Y' : 'N'] : []),
  ]);
  const header = [
    'Layer (type)',
    'Output Shape',
    'Param #',
    ...(inRow ? [] : ['Connected to']),
    ...(showTrainable ? ['Trainable'] : []),
  ];
  const rule = (left: string, line: string, middle: string, right: string) =>
    left + widths.map((w) => line.repeat(w + 2)).join(middle) + right;
  const block = (fields: readonly string[], bar: string) => {
    const wrapped = fields.map((field, i) => wrap(field, widths[i]));
    const height = Math.max(...wrapped.map((l) => l.length));
    return Array.from(
      { length: height },
      (_, k) => bar + wrapped.map((l, i) => ` ${align(l[k] ?? '', widths[i], alignment[i])} `).join(bar) + bar,
    );
  };
  const body = cells.flatMap((fields, i) => [...(i ? [rule('├', '─', '┼', '┤')] : []), ...block(fields, '│')]);
  const total = totals.trainable + totals.nonTrainable + (totals.optimizer ?? 0);
  const line = (what: string, count: number) => ` ${what} params: ${grouped(count)} (${memory(count, 'B')})`;
  return [
    `Model: "${name}"`,
    rule('┏', '━', '┳', '┓'),
    ...block(header, '┃'),
    rule('┡', '━', '╇', '┩'),
    ...body,
    rule('└', '─', '┴', '┘'),
    line('Total', total),
    line('Trainable', totals.trainable),
    line('Non-trainable', totals.nonTrainable),
    ...(totals.optimizer === null ? [] : [line('Optimizer', totals.optimizer)]),
  ].join('\n');
}

/** Texts that end a line of a cell in Keras 2's tables. */
const cellBreaks = ['),', '},', '],', "',"];

/** @param level bars at both ends, so many */
function keras2Row(fields: readonly string[], positions: readonly number[], level = 0): string[] {
  const left = [...fields];
  const lines: string[] = [];
  while (left.some((text) => text !== '')) {
    let line = '';
    left.forEach((text, i) => {
      const isLast = i === positions.length - 1;
      let cutoff = positions[i] - (i ? positions[i - 1] : 0) - (isLast ? 0 : 3) - (i ? 0 : level);
      const fitting = text.slice(0, Math.max(0, cutoff));
      const breaks = cellBreaks.flatMap((mark) =>
        fitting.includes(mark) ? [fitting.indexOf(mark) + mark.length] : [],
      );
      if (breaks.length) cutoff = Math.min(...breaks);
      if (i === 0) line += `${'|'.repeat(level)} `;
      line = `${line}${text.slice(0, cutoff)}${isLast ? '' : '  '}`.padEnd(positions[i] - (isLast ? level : 0));
      left[i] = text.slice(cutoff);
    });
    lines.push(line + '|'.repeat(level));
  }
  return lines;
}

/** A shape or a list of them; Keras 2 has a list for inputs too. */
function keras2Shape({ shapes, className }: SummaryRow): string {
  if (shapes === null) return '?';
  const isOne = shapes.length === 1 && className !== 'InputLayer';
  return isOne ? pythonShape(shapes[0]) : `[${shapes.map(pythonShape).join(', ')}]`;
}

function keras2(
  { name, rows, row: inRow, totals }: SummaryTable,
  { lineLength, showTrainable = false }: SummaryOptions,
): string {
  let width = lineLength ?? (inRow ? 65 : 98);
  let positions = (inRow ? [0.45, 0.85, 1] : [0.3, 0.6, 0.7, 1]).map((p) => Math.trunc(width * p));
  if (showTrainable) {
    width += 11;
    positions = [...positions, width];
  }
  const fieldsOf = (row: SummaryRow) => [
    `${row.name} (${row.className})`,
    keras2Shape(row),
    row.parameters === null ? '0 (unused)' : String(row.parameters),
    ...(inRow ? [] : [`[${row.connections.map((c) => `'${c}'`).join(', ')}]`]),
    ...(showTrainable ? [row.trainable === false ? 'N' : 'Y'] : []),
  ];
  const between = (fill: string, level: number) => {
    const bars = '|'.repeat(level);
    return bars + fill.repeat(width - 2 * level) + bars;
  };
  const lines: string[] = [];
  // A model in a model stands between rules, and has no empty line after it.
  const list = (from: number, level: number): number => {
    let at = from;
    while (at < rows.length && rows[at].level === level) {
      lines.push(...keras2Row(fieldsOf(rows[at]), positions, level));
      at++;
      if (rows[at]?.level > level) {
        lines.push(between('¯', level + 1));
        at = list(at, level + 1);
        lines.push(between('¯', level));
      } else if (!level || rows[at]?.level === level) lines.push(between(' ', level));
    }
    return at;
  };
  list(0, 0);
  const line = (what: string, count: number) => `${what} params: ${count} (${memory(count, 'Byte')})`;
  return [
    `Model: "${name}"`,
    between('_', 0),
    ...keras2Row(
      [
        'Layer (type)',
        'Output Shape',
        'Param #',
        ...(inRow ? [] : ['Connected to']),
        ...(showTrainable ? ['Trainable'] : []),
      ],
      positions,
    ),
    between('=', 0),
    ...lines,
    between('=', 0),
    line('Total', totals.trainable + totals.nonTrainable),
    line('Trainable', totals.trainable),
    line('Non-trainable', totals.nonTrainable),
    between('_', 0),
  ].join('\n');
}
