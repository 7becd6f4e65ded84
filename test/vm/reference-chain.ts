/** The operations of a chain in float64, from the formulas of the treaty; independent of the machine's own code. */

/** erf by its series, and for large arguments by the continued fraction of erfc; both to about 1e-14. */
export function erf(x: number): number {
  const t = Math.abs(x);
  if (!(t < 3)) {
    if (t > 6 || Number.isNaN(t)) return Number.isNaN(t) ? t : Math.sign(x);
    let fraction = 0;
    for (let n = 200; n > 0; n--) fraction = n / 2 / (t + fraction);
    return Math.sign(x) * (1 - Math.exp(-t * t) / Math.sqrt(Math.PI) / (t + fraction));
  }
  let term = x;
  let sum = x;
  for (let n = 1; n < 200; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

function roundHalfToEven(x: number): number {
  if (!Number.isFinite(x)) return x;
  const low = Math.floor(x);
  const rest = x - low;
  if (rest !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

function toInteger(x: number): number {
  if (Number.isNaN(x)) return 0;
  return Math.min(2147483647, Math.max(-2147483648, Math.trunc(x)));
}

const truth = (x: boolean) => (x ? 1 : 0);
const either = (a: number, b: number, f: () => number) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : f());

type Formula = (a: number, b: number, c: number) => number;

export const chainFormulas: Readonly<Record<string, Formula>> = {
  MOVE: (a) => a,
  ADD: (a, b) => a + b,
  SUB: (a, b) => a - b,
  MUL: (a, b) => a * b,
  DIV: (a, b) => a / b,
  FMA: (a, b, c) => a * b + c,
  FNMA: (a, b, c) => c - a * b,
  ONE_MINUS: (a) => 1 - a,
  MAX: (a, b) => either(a, b, () => (a > b ? a : b)),
  MIN: (a, b) => either(a, b, () => (a < b ? a : b)),
  NEG: (a) => -a,
  ABS: (a) => Math.abs(a),
  SIGN: (a) => Math.sign(a),
  SQUARE: (a) => a * a,
  SQRT: (a) => Math.sqrt(a),
  RSQRT: (a) => 1 / Math.sqrt(a),
  RECIPROCAL: (a) => 1 / a,
  EXP: (a) => Math.exp(a),
  LOG: (a) => Math.log(a),
  LOG1P: (a) => Math.log1p(a),
  POW: (a, b) => a ** b,
  TANH: (a) => Math.tanh(a),
  SIGMOID: (a) => 1 / (1 + Math.exp(-a)),
  DTANH: (a, b) => a * (1 - b * b),
  DSIGMOID: (a, b) => a * b * (1 - b),
  RELU: (a) => (Number.isNaN(a) ? a : a > 0 ? a : 0),
  DRELU: (a, b) => (b > 0 ? a : 0),
  SOFTPLUS: (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))),
  ERF: erf,
  SIN: (a) => Math.sin(a),
  COS: (a) => Math.cos(a),
  FLOOR: (a) => Math.floor(a),
  ROUND: roundHalfToEven,
  LESS: (a, b) => truth(a < b),
  LESS_EQUAL: (a, b) => truth(a <= b),
  EQUAL: (a, b) => truth(a === b),
  NOT_EQUAL: (a, b) => truth(a !== b),
  SELECT: (a, b, c) => (a !== 0 ? b : c),
  IS_FINITE: (a) => truth(Number.isFinite(a)),
  TO_FLOAT: (a) => a,
  TO_INT: toInteger,
};

/**
 * How far the machine may be from the formula, in float32: `relative` to the size that `scale` gives (by default that of the result), plus
 * `absolute`. An operation of one rounding needs 6e-8.
 */
export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
  readonly scale?: Formula;
}

const oneRounding: Tolerance = { relative: 6.1e-8, absolute: 0 };
const smallest = 1.5e-45;
export const chainTolerances: Readonly<Record<string, Tolerance>> = {
  // With or without a fused multiply-add.
  FMA: { relative: 1.3e-7, absolute: smallest, scale: (a, b, c) => Math.abs(a * b) + Math.abs(c) },
  FNMA: { relative: 1.3e-7, absolute: smallest, scale: (a, b, c) => Math.abs(a * b) + Math.abs(c) },
  DTANH: { relative: 2e-7, absolute: 2 * smallest, scale: (a, b) => (Math.abs(a) + 1.2e-38) * (1 + b * b) },
  DSIGMOID: { relative: 2e-7, absolute: 2e-38, scale: (a, b) => Math.abs(a) * (Math.abs(b) + b * b) },
  RSQRT: { relative: 1.3e-7, absolute: 0 },
  EXP: { relative: 1.5e-7, absolute: smallest },
  LOG: { relative: 1.5e-7, absolute: 0 },
  LOG1P: { relative: 2.5e-7, absolute: smallest },
  POW: { relative: 7e-8, absolute: smallest },
  // Its rational form loses bits where x is so small that a thousandth of it is denormal.
  TANH: { relative: 3e-7, absolute: 1e-42 },
  // The rounding of x / ln 2 grows with x, where the result is small.
  SIGMOID: {
    relative: 2.5e-7,
    absolute: 1.2e-38,
    scale: (a) => (1 + Math.min(Math.abs(a), 200) / 3) / (1 + Math.exp(-a)),
  },
  SOFTPLUS: { relative: 3e-7, absolute: 2 * smallest },
  ERF: { relative: 2e-7, absolute: 2 * smallest },
  SIN: { relative: 7e-8, absolute: 1e-9 },
  COS: { relative: 7e-8, absolute: 1e-9 },
};

export function toleranceOf(name: string): Tolerance {
  return chainTolerances[name] ?? { ...oneRounding, absolute: smallest };
}
