/** Numbers as text, as C and Python round them: what stands exactly between two goes to the even one, where JavaScript takes the larger. */

/** The last digit of a text one lower, where the number stood exactly between it and the one below, and it is odd. */
function toEven(rounded: string, exact: string): string {
  const at = rounded.length - 1;
  const between = /^50*$/.test(exact.slice(rounded.length).replace('.', ''));
  const digit = Number(rounded[at]);
  return between && digit % 2 === 1 && exact[at] !== rounded[at] ? `${rounded.slice(0, at)}${digit - 1}` : rounded;
}

/** `%.{places}f`. */
export function fixed(value: number, places: number): string {
  const rounded = value.toFixed(places);
  if (!Number.isFinite(value)) return rounded;
  // So large a number is whole, and JavaScript would write it with an exponent.
  if (Math.abs(value) >= 1e21) return `${BigInt(value)}${places ? `.${'0'.repeat(places)}` : ''}`;
  return toEven(rounded, value.toFixed(100));
}

/** `%.{places}e`: with at least two digits of exponent. */
export function exponential(value: number, places: number): string {
  if (!Number.isFinite(value)) return String(value);
  const [rounded, exponent] = value.toExponential(places).split('e');
  const [exact, own] = value.toExponential(100).split('e');
  const mantissa = exponent === own ? toEven(rounded, exact) : rounded;
  return `${mantissa}e${exponent.replace(/^([+-])(\d)$/, '$10$2')}`;
}
