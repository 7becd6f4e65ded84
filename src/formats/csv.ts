/** Lines of comma-separated values. Source: RFC 4180; other separators as Python's `csv` module has them. */

/** A value as it stands in a line: in quotes where it holds the separator, a quote or the end of a line. */
function field(value: string, separator: string): string {
  return value.includes(separator) || /["\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}

/** One line with its end. */
export function csvLine(values: readonly string[], separator = ','): string {
  // A line of one empty value would be an empty line.
  if (values.length === 1 && values[0] === '') return '""\r\n';
  return `${values.map((value) => field(value, separator)).join(separator)}\r\n`;
}
