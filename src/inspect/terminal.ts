/** Pictures as lines of text: curves as marks on a grid, heat maps as blocks, coloured where that is wanted. */
import { hues, powerOfTen, scales } from './picture.ts';

export interface TextCurve {
  readonly name: string;
  /** Values that are not finite (or not positive, on a logarithmic axis) are left out. */
  readonly values: readonly number[];
}

export interface TextChart {
  readonly title: string;
  /** Below the axis: `epoch`. */
  readonly xName: string;
  /** Of the first value; or of the first and the last one. */
  readonly xFrom: number | readonly [string, string];
  readonly logarithmic?: boolean;
  /** Characters of the grid. Default 60. */
  readonly width?: number;
  /** Lines of the grid. Default 12. */
  readonly height?: number;
  readonly color: boolean;
}

const marks = ['●', '○', '×', '+', '▲', '△', '■'];
const rgb = (hex: string) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
const painted = (text: string, hex: string, background = false) =>
  `\u001b[${background ? 48 : 38};2;${rgb(hex).join(';')}m${text}\u001b[0m`;

const short = (x: number, logarithmic: boolean) => (logarithmic ? powerOfTen(x) : Number(x.toPrecision(3)).toString());

/** Curves over 1, 2, 3, ... as a grid of marks. */
export function textCurves(curves: readonly TextCurve[], chart: TextChart): string {
  const { title, xName, xFrom, logarithmic = false, width = 60, height = 12, color } = chart;
  const shown = (y: number) => Number.isFinite(y) && (!logarithmic || y > 0);
  const scaled = (y: number) => (logarithmic ? Math.log10(y) : y);
  const all = curves.flatMap(({ values }) => values.filter(shown).map(scaled));
  const round = logarithmic ? [Math.floor, Math.ceil] : [(v: number) => v, (v: number) => v];
  let [low, high] = all.length ? [round[0](Math.min(...all)), round[1](Math.max(...all))] : [0, 1];
  if (low === high) [low, high] = [low - 0.5, high + 0.5];
  const count = Math.max(1, ...curves.map(({ values }) => values.length));
  const grid = Array.from({ length: height }, () => new Array<string>(width).fill(' '));
  curves.forEach(({ values }, c) => {
    const mark = marks[c % marks.length];
    values.forEach((y, i) => {
      if (!shown(y)) return;
      const column = count === 1 ? 0 : Math.round((i / (count - 1)) * (width - 1));
      const row = Math.round(((high - scaled(y)) / (high - low)) * (height - 1));
      grid[row][column] = color ? painted(mark, hues[c % hues.length]) : mark;
    });
  });
  const value = (row: number) => {
    const y = high - (row / (height - 1)) * (high - low);
    return short(logarithmic ? 10 ** y : y, logarithmic);
  };
  const labelled = [0, Math.floor((height - 1) / 2), height - 1];
  const labels = grid.map((_, row) => (labelled.includes(row) ? value(row) : ''));
  const space = Math.max(...labels.map((label) => label.length));
  const legend = curves.map(({ name }, c) => {
    const mark = marks[c % marks.length];
    return `${color ? painted(mark, hues[c % hues.length]) : mark} ${name}`;
  });
  const [from, to] = typeof xFrom === 'number' ? [String(xFrom), String(xFrom + count - 1)] : xFrom;
  const gap = Math.max(2, width - from.length - to.length - xName.length);
  const left = ' '.repeat(Math.floor(gap / 2));
  return [
    title,
    legend.join('   '),
    ...grid.map((line, row) => `${labels[row].padStart(space)} ┤${line.join('').trimEnd()}`),
    `${' '.repeat(space)} └${'─'.repeat(width)}`,
    `${' '.repeat(space + 2)}${from}${left}${xName}${' '.repeat(gap - left.length)}${to}`,
  ].join('\n');
}

const levels = '▁▂▃▄▅▆▇█';

/** The colour of a share from 0 to 1 on a scale. */
function colourAt(scale: readonly string[], share: number): string {
  const at = Math.min(scale.length - 1.000001, Math.max(0, share * (scale.length - 1)));
  const [a, b] = [rgb(scale[Math.floor(at)]), rgb(scale[Math.floor(at) + 1])];
  const mixed = a.map((v, i) => Math.round(v + (b[i] - v) * (at - Math.floor(at))));
  return `#${mixed.map((v) => v.toString(16).padStart(2, '0')).join('')}`;
}

export interface TextHeatMap {
  readonly title: string;
  readonly rowLabels: readonly string[];
  readonly columnLabels: readonly string[];
  /** rows x columns; null: not there. */
  readonly values: readonly (readonly (number | null)[])[];
  readonly low: number;
  readonly high: number;
}

/** A heat map: in colours, or as blocks whose height is the value; `·` is a step that does not count. Columns are named below, upright. */
export function textHeatMap(map: TextHeatMap, color: boolean): string {
  const { title, rowLabels, columnLabels, values, low, high } = map;
  const scale = low < 0 ? scales.diverging : scales.sequential;
  const space = Math.max(0, ...rowLabels.map((label) => label.length));
  // Short columns may have their names below them; many names stand in a line of their own.
  const wide = Math.max(1, ...columnLabels.map((label) => label.length));
  const cell = columnLabels.length * (wide + 1) <= 100 ? wide + 1 : 1;
  const block = (value: number | null) => {
    if (value === null) return '·'.padEnd(cell);
    if (!Number.isFinite(value)) return '!'.padEnd(cell);
    const share = high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0.5;
    if (color) return painted(' '.repeat(cell), colourAt(scale, share), true);
    return levels[Math.min(7, Math.floor(share * 8))].repeat(Math.max(1, cell - 1)).padEnd(cell);
  };
  const lines = values.map((row, i) => `${rowLabels[i].padStart(space)} ${row.map(block).join('')}`);
  const names = columnLabels.map((label) => label.padEnd(cell)).join('');
  const numbers = (x: number) => Number(x.toPrecision(3)).toString();
  const legend = color
    ? `${numbers(low)} ${Array.from({ length: 16 }, (_, i) => painted(' ', colourAt(scale, i / 15), true)).join('')} ${numbers(high)}`
    : `${numbers(low)} ${levels} ${numbers(high)}`;
  return [
    title,
    ...lines,
    ...(cell > 1 ? [`${' '.repeat(space)} ${names.trimEnd()}`] : []),
    `${' '.repeat(space)} ${legend}`,
  ].join('\n');
}
