/**
 * Files of a label and a text per line, separated by tabs, plain or gzipped (`.gz`). There is no quoting: a tab always separates, a line
 * end always ends a row. Blank lines are skipped.
 *
 * Which column is which: by a header line that names `label` and `text`, else by the options, else by content. Without a header the label
 * is the first column that holds whole numbers alone, and the text the last other one (so rating columns between them are kept as extra
 * columns).
 */
import { fail } from '../core/errors.ts';

/** A column by name (files with a header) or by position from 0. */
export type ColumnChoice = string | number;

export interface LabelledTextOptions {
  /** Default: the column `label` of the header, or found by content. */
  labelColumn?: ColumnChoice;
  /** Default: the column `text` of the header, or found by content. */
  textColumn?: ColumnChoice;
}

export interface LabelledTexts {
  readonly texts: string[];
  /** Class numbers from 0 on: positions in `classes`. */
  readonly labels: number[];
  /** The labels as they stand in the file, numbers in ascending order, else by code point. */
  readonly classes: string[];
  /** All other columns, by the header's name or by position. */
  readonly columns: Readonly<Record<string, string[]>>;
}

interface Row {
  readonly line: number;
  readonly fields: readonly string[];
}

const whole = /^[+-]?\d+$/;

function shorten(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}...` : text);
}

function rowsOf(content: string, name: string): Row[] {
  const rows: Row[] = [];
  content
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n/)
    .forEach((text, i) => {
      if (text.trim() !== '') rows.push({ line: i + 1, fields: text.split('\t') });
    });
  if (rows.length === 0) fail('DATA', name, 'rows of label and text', 'an empty file');
  const { fields, line } = rows[0];
  if (fields.length < 2)
    fail(
      'DATA',
      `${name}, line ${line}`,
      'at least two columns separated by tabs',
      `one column, ${shorten(fields[0])}`,
    );
  for (const row of rows)
    if (row.fields.length !== fields.length)
      fail(
        'DATA',
        `${name}, line ${row.line}`,
        `${fields.length} columns, as in line ${line}`,
        `${row.fields.length}, starting with ${shorten(row.fields[0])}`,
        'Fields are separated by one tab, and a text may hold none.',
      );
  return rows;
}

function headerOf(first: Row, options: LabelledTextOptions): string[] | null {
  const names = first.fields.map((field) => field.trim().toLowerCase());
  const wanted = [options.labelColumn ?? 'label', options.textColumn ?? 'text'];
  const named = wanted.filter((column): column is string => typeof column === 'string');
  const expected = named.length > 0 ? named : ['label', 'text'];
  const found = expected.every((column) => names.includes(column.toLowerCase()));
  return found ? names : null;
}

function columnOf(choice: ColumnChoice, header: string[] | null, count: number, where: string): number {
  if (typeof choice === 'string') {
    if (header) return header.indexOf(choice.toLowerCase());
    return fail(
      'DATA',
      where,
      `a header line that names the column "${choice}"`,
      'none',
      'Give the position of the column, from 0, instead.',
    );
  }
  if (Number.isInteger(choice) && choice >= 0 && choice < count) return choice;
  return fail('ARGUMENT', where, `a column in 0..${count - 1}`, String(choice));
}

/** The first column of whole numbers alone; the message names the line that spoils the best candidate. */
function findLabelColumn(rows: readonly Row[], taken: number | null, name: string): number {
  let best = { column: -1, good: 0, row: rows[0] };
  for (let column = 0; column < rows[0].fields.length; column++) {
    if (column === taken) continue;
    const spoiler = rows.find((row) => !whole.test(row.fields[column].trim()));
    if (!spoiler) return column;
    const good = rows.reduce((n, row) => n + (whole.test(row.fields[column].trim()) ? 1 : 0), 0);
    if (good > best.good || best.column < 0) best = { column, good, row: spoiler };
  }
  return fail(
    'DATA',
    `${name}, line ${best.row.line}, column ${best.column}`,
    'a label that is a whole number',
    shorten(best.row.fields[best.column]),
    'Labels that are words need a first line "label<tab>text", or the positions of the columns.',
  );
}

/**
 * Reads the content of a file; `name` stands in messages.
 *
 * @example parseLabelledTexts('1\tgood\n0\tbad\n', 'films.tsv').texts // ['good', 'bad']
 */
export function parseLabelledTexts(content: string, name: string, options: LabelledTextOptions = {}): LabelledTexts {
  const all = rowsOf(content, name);
  const header = headerOf(all[0], options);
  const rows = header ? all.slice(1) : all;
  if (rows.length === 0) fail('DATA', name, 'rows below the header', 'none');
  const count = rows[0].fields.length;
  const choose = (choice: ColumnChoice | undefined, byName: string): number | null => {
    if (choice !== undefined) return columnOf(choice, header, count, `${name}, ${byName}Column`);
    return header?.includes(byName) ? header.indexOf(byName) : null;
  };
  const chosenText = choose(options.textColumn, 'text');
  const label = choose(options.labelColumn, 'label') ?? findLabelColumn(rows, chosenText, name);
  const text = chosenText ?? (label === count - 1 ? count - 2 : count - 1);
  if (label === text) fail('ARGUMENT', name, 'two columns for label and text', `column ${label} for both`);
  const raw = rows.map((row) => {
    const value = row.fields[label].trim();
    if (value === '') fail('DATA', `${name}, line ${row.line}`, 'a label', 'an empty field');
    return value;
  });
  const numeric = raw.every((value) => whole.test(value));
  const spelled = numeric ? raw.map((value) => String(Number(value))) : raw;
  const classes = [...new Set(spelled)].sort((a, b) => (numeric ? Number(a) - Number(b) : a < b ? -1 : 1));
  const classOf = new Map(classes.map((c, i) => [c, i]));
  const columns: Record<string, string[]> = Object.create(null);
  for (let c = 0; c < count; c++)
    if (c !== label && c !== text) columns[header?.[c] ?? String(c)] = rows.map((row) => row.fields[c]);
  return {
    texts: rows.map((row) => row.fields[text]),
    labels: spelled.map((value) => classOf.get(value) as number),
    classes,
    columns,
  };
}

/** Reads a file from disk (Node only); `.gz` is unpacked. Throws with code IO where it cannot be read, FORMAT where it is not UTF-8 or gzip. */
export async function readLabelledTexts(path: string, options: LabelledTextOptions = {}): Promise<LabelledTexts> {
  const { readFile } = await import('node:fs/promises');
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    fail('IO', path, 'a file that can be read', (cause as Error).message);
  }
  if (path.endsWith('.gz')) {
    const { gunzipSync } = await import('node:zlib');
    try {
      bytes = gunzipSync(bytes);
    } catch (cause) {
      fail('FORMAT', path, 'a gzip file', `one that cannot be unpacked (${(cause as Error).message})`);
    }
  }
  let content: string;
  try {
    content = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    fail('FORMAT', path, 'UTF-8 text', 'bytes that are not');
  }
  return parseLabelledTexts(content, path, options);
}
