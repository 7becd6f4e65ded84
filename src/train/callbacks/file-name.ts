/**
 * Names of files with places for numbers, in Python's language of formats: `{epoch:02d}-{val_loss:.2f}`. Source: the Python library reference,
 * "Format Specification Mini-Language"; of its types those for numbers: d, e, E, f, F, g, G, %.
 */
import { fail } from '../../core/errors.ts';
import { exponential, fixed } from '../decimals.ts';

interface Specification {
  readonly fill: string;
  readonly align: '<' | '>' | '^' | '=';
  readonly sign: '+' | '-' | ' ';
  readonly width: number;
  readonly grouping: '' | ',' | '_';
  readonly precision: number | null;
  readonly type: string;
}

const grammar = /^(?:(.)?([<>^=]))?([+\- ])?(0)?(\d{1,3})?([,_])?(?:\.(\d{1,2}))?([deEfFgG%])?$/u;

function parse(specification: string, where: string): Specification {
  const found = grammar.exec(specification);
  if (!found) fail('ARGUMENT', where, 'a format such as 02d or .4f', `'${specification}'`);
  const [, fill, align, sign, zero, width, grouping, precision, type] = found;
  return {
    fill: fill ?? (zero ? '0' : ' '),
    align: (align as Specification['align']) ?? (zero ? '=' : '>'),
    sign: (sign as Specification['sign']) ?? '-',
    width: Number(width ?? 0),
    grouping: (grouping as Specification['grouping']) ?? '',
    precision: precision === undefined ? null : Number(precision),
    type: type ?? '',
  };
}

/** Python writes at least two digits of exponent. */
const pythonExponent = (text: string) => text.replace(/e([+-])(\d)$/, 'e$10$2');

/** `repr` of a Python float: 0.5, 1.0, 1e-05. */
export function pythonFloat(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const exponent = Number(value.toExponential().split('e')[1]);
  if (exponent < -4 || exponent >= 16) return pythonExponent(value.toExponential());
  const digits = Math.max(0, value.toExponential().split('e')[0].replace(/[-.]/g, '').length - 1 - exponent);
  const text = digits > 100 ? String(value) : value.toFixed(digits);
  return text.includes('.') ? text : `${text}.0`;
}

/** Python's `g`: so many significant digits, without trailing zeros. @param most from this exponent of ten on it is written */
function general(size: number, precision: number, most = Math.max(1, precision)): string {
  const digits = Math.max(1, precision);
  const rounded = exponential(size, digits - 1);
  const exponent = Number(rounded.split('e')[1]);
  const trim = (text: string) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  if (exponent >= -4 && exponent < most) return trim(fixed(size, digits - 1 - exponent));
  const [mantissa, power] = rounded.split('e');
  return `${trim(mantissa)}e${power}`;
}

/** Without a type a float is written as by `g`, keeps a digit behind the point, and goes over to the exponent one digit earlier. */
function untyped(size: number, precision: number): string {
  const text = general(size, precision, Math.max(1, precision) - 1);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

const group = (digits: string, separator: string) =>
  digits.replace(/^\d+/, (part) => part.replace(/\B(?=(\d{3})+$)/g, separator));

/** The digits of a number that is not negative. */
function digitsOf(size: number, { type, precision }: Specification, whole: boolean): string {
  if (!Number.isFinite(size)) return Number.isNaN(size) ? 'nan' : 'inf';
  const places = precision ?? 6;
  switch (type) {
    case 'd':
      return String(size);
    case 'f':
    case 'F':
      return fixed(size, places);
    case 'e':
    case 'E':
      return exponential(size, places);
    case '%':
      return `${fixed(size * 100, places)}%`;
    case 'g':
    case 'G':
      return general(size, places);
    default:
      if (whole) return String(size);
      if (precision === null) return pythonFloat(size);
      return untyped(size, precision);
  }
}

/** One number in Python's format. @param whole whether Python would hold it as an int */
export function formatNumber(value: number, specification: string, whole: boolean, where: string): string {
  const parsed = parse(specification, where);
  const { fill, align, sign, width, grouping, type, precision } = parsed;
  if (type === 'd' && !whole)
    fail('ARGUMENT', where, 'a format for a number with a fraction', `'${specification}'`, 'Use `.4f`, or no format.');
  if (whole && precision !== null && (type === '' || type === 'd'))
    fail('ARGUMENT', where, 'a format for a whole number', `'${specification}'`, 'Use `02d`.');
  const negative = value < 0 || Object.is(value, -0);
  let digits = digitsOf(Math.abs(value), parsed, whole);
  if (grouping) {
    // Zeros that fill the width are grouped with the digits.
    if (align === '=' && fill === '0')
      while (group(digits, grouping).length + (negative || sign !== '-' ? 1 : 0) < width) digits = `0${digits}`;
    digits = group(digits, grouping);
  }
  if (/[EFG]/.test(type)) digits = digits.toUpperCase();
  const mark = negative ? '-' : sign === '-' ? '' : sign;
  const room = Math.max(0, width - mark.length - digits.length);
  const pad = fill.repeat(room);
  if (align === '=') return `${mark}${pad}${digits}`;
  if (align === '<') return `${mark}${digits}${pad}`;
  if (align === '>') return `${pad}${mark}${digits}`;
  const left = Math.floor(room / 2);
  return `${fill.repeat(left)}${mark}${digits}${fill.repeat(room - left)}`;
}

/**
 * Fills the places of a name. `{{` and `}}` stand for braces. Throws ARGUMENT for a name that is not there, with those that are, and for a
 * format that does not fit.
 *
 * @param whole names of what is counted: `epoch`, `batch`
 * @example fileName('{epoch:02d}-{val_loss:.2f}', { epoch: 3, val_loss: 0.456 }, ['epoch'], 'here') // 03-0.46
 */
export function fileName(
  template: string,
  values: Readonly<Record<string, number>>,
  whole: readonly string[],
  where: string,
): string {
  return template.replace(
    /\{\{|\}\}|\{([^{}:!]*)(![^{}:]*)?(?::([^{}]*))?\}|[{}]/g,
    (all, name, conversion, format) => {
      if (all === '{{' || all === '}}') return all[0];
      if (name === undefined || conversion) fail('ARGUMENT', where, 'places such as {epoch:02d}', `'${template}'`);
      if (!Object.hasOwn(values, name))
        fail('ARGUMENT', where, `places among ${Object.keys(values).join(', ')}`, `'{${name}}' in '${template}'`);
      return formatNumber(values[name], format ?? '', whole.includes(name), `${where}: '${all}'`);
    },
  );
}
