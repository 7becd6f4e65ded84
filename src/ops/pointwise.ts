/**
 * Operations on one element at a time. Operands broadcast by NumPy's rule and are f32; a number stands for a scalar.
 * Comparisons give 0 or 1. Every row has the operation's rules side by side: the name of its step in a chain, the exact
 * formula, and for each operand the product of the cotangent `d` with the derivative, given the result `y` and the operands.
 *
 * Where a derivative does not exist: equal operands of maximum and minimum get half each (as in JAX), abs and relu have the
 * derivative 0 at 0 (abs as in PyTorch; JAX has 1), and pow has 0 for an exponent of 0, also at 0.
 */
import { erf as exactErf } from '../core/erf.ts';
import { fail } from '../core/errors.ts';
import { broadcastShapes, formatShape, type Shape } from '../core/shape.ts';
import type { DType, Type } from '../ir/graph.ts';
import { mapDense } from './dense.ts';
import { defineOperation, type Operation } from './op.ts';
import { sumTo } from './sum-to.ts';
import { apply, type Tensor, type TensorLike } from './tensor.ts';

type Formula = (a: number, b: number, c: number) => number;
/** The cotangent of one operand; null where nothing flows. */
type Rule = ((d: Tensor, y: Tensor, a: Tensor, b: Tensor, c: Tensor) => Tensor) | null;

function pointwise(
  name: string,
  chain: string,
  formula: Formula,
  rules: readonly Rule[] | null,
  from: DType = 'f32',
  to: DType = 'f32',
): Operation {
  const base: Operation = {
    name,
    pointwise: { chain, formula },
    infer(inputs: readonly Type[]) {
      let shape: Shape = [];
      for (let i = 0; i < inputs.length; i++) {
        const input = inputs[i];
        if (input.dtype !== from)
          fail(
            'ARGUMENT',
            name,
            `${from} operands`,
            `${input.dtype}${formatShape(input.shape)} as operand ${i}`,
            `Convert it with ${from === 'f32' ? 'toFloat' : 'toInt'}(x).`,
          );
        shape = i ? broadcastShapes(shape, input.shape, name) : input.shape;
      }
      return [{ dtype: to, shape }];
    },
    evaluate: (inputs) => [mapDense(inputs, formula)],
  };
  if (!rules) return defineOperation(base);
  return defineOperation({
    ...base,
    vjp({ inputs, outputs, needed }, [d]) {
      if (!d) return inputs.map(() => null);
      const [a, b, c] = inputs;
      return inputs.map((x, i) => {
        const rule = rules[i];
        return rule && needed[i] ? sumTo(rule(d, outputs[0], a, b, c), x.shape) : null;
      });
    },
  });
}

const one = (operation: Operation, ...operands: TensorLike[]): Tensor => apply(operation, operands)[0];

// ---- arithmetic

const addOperation = pointwise('add', 'ADD', (a, b) => a + b, [(d) => d, (d) => d]);
/** a + b */
export const add = (a: TensorLike, b: TensorLike): Tensor => one(addOperation, a, b);

const subOperation = pointwise('sub', 'SUB', (a, b) => a - b, [(d) => d, (d) => neg(d)]);
/** a - b */
export const sub = (a: TensorLike, b: TensorLike): Tensor => one(subOperation, a, b);

const mulOperation = pointwise('mul', 'MUL', (a, b) => a * b, [(d, _y, _a, b) => mul(d, b), (d, _y, a) => mul(d, a)]);
/** a * b */
export const mul = (a: TensorLike, b: TensorLike): Tensor => one(mulOperation, a, b);

const divOperation = pointwise('div', 'DIV', (a, b) => a / b, [
  (d, _y, _a, b) => div(d, b),
  (d, y, _a, b) => neg(div(mul(d, y), b)),
]);
/** a / b */
export const div = (a: TensorLike, b: TensorLike): Tensor => one(divOperation, a, b);

/** The share of the cotangent that the larger (`first` is less than `second`: the second) of two operands gets. */
const shareOfSecond = (first: Tensor, second: Tensor): Tensor => select(equal(first, second), 0.5, less(first, second));

const maximumOperation = pointwise(
  'maximum',
  'MAX',
  (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : a > b ? a : b),
  [(d, _y, a, b) => mul(d, shareOfSecond(b, a)), (d, _y, a, b) => mul(d, shareOfSecond(a, b))],
);
/** The larger of a and b; NaN if either is. */
export const maximum = (a: TensorLike, b: TensorLike): Tensor => one(maximumOperation, a, b);

const minimumOperation = pointwise(
  'minimum',
  'MIN',
  (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : a < b ? a : b),
  [(d, _y, a, b) => mul(d, shareOfSecond(a, b)), (d, _y, a, b) => mul(d, shareOfSecond(b, a))],
);
/** The smaller of a and b; NaN if either is. */
export const minimum = (a: TensorLike, b: TensorLike): Tensor => one(minimumOperation, a, b);

const powOperation = pointwise('pow', 'POW', (a, b) => a ** b, [
  // b * a ** (b - 1), and 0 where b is 0, also for a = 0
  (d, _y, a, b) => mul(d, select(equal(b, 0), 0, mul(b, pow(a, select(equal(b, 0), 1, sub(b, 1)))))),
  // ln(a) * a ** b; at a = 0 the power is 0 and the limit too
  (d, y, a) => mul(d, mul(log(select(equal(a, 0), 1, a)), y)),
]);
/** a ** b */
export const pow = (a: TensorLike, b: TensorLike): Tensor => one(powOperation, a, b);

const fmaOperation = pointwise('fma', 'FMA', (a, b, c) => a * b + c, [
  (d, _y, _a, b) => mul(d, b),
  (d, _y, a) => mul(d, a),
  (d) => d,
]);
/** a * b + c, rounded once on machines that can */
export const fma = (a: TensorLike, b: TensorLike, c: TensorLike): Tensor => one(fmaOperation, a, b, c);

const fnmaOperation = pointwise('fnma', 'FNMA', (a, b, c) => c - a * b, [
  (d, _y, _a, b) => neg(mul(d, b)),
  (d, _y, a) => neg(mul(d, a)),
  (d) => d,
]);
/** c - a * b */
export const fnma = (a: TensorLike, b: TensorLike, c: TensorLike): Tensor => one(fnmaOperation, a, b, c);

const oneMinusOperation = pointwise('oneMinus', 'ONE_MINUS', (a) => 1 - a, [(d) => neg(d)]);
/** 1 - x */
export const oneMinus = (x: Tensor): Tensor => one(oneMinusOperation, x);

const negOperation = pointwise('neg', 'NEG', (a) => -a, [(d) => neg(d)]);
/** -x */
export const neg = (x: Tensor): Tensor => one(negOperation, x);

const absOperation = pointwise('abs', 'ABS', Math.abs, [(d, _y, a) => mul(d, sign(a))]);
/** |x| */
export const abs = (x: Tensor): Tensor => one(absOperation, x);

const signOperation = pointwise('sign', 'SIGN', Math.sign, null);
/** -1, 0 or 1 */
export const sign = (x: Tensor): Tensor => one(signOperation, x);

// ---- powers and roots

const squareOperation = pointwise('square', 'SQUARE', (a) => a * a, [(d, _y, a) => mul(mul(d, a), 2)]);
/** x * x */
export const square = (x: Tensor): Tensor => one(squareOperation, x);

const sqrtOperation = pointwise('sqrt', 'SQRT', Math.sqrt, [(d, y) => div(mul(d, 0.5), y)]);
/** The square root; NaN below zero. */
export const sqrt = (x: Tensor): Tensor => one(sqrtOperation, x);

const rsqrtOperation = pointwise('rsqrt', 'RSQRT', (a) => 1 / Math.sqrt(a), [
  (d, y) => mul(mul(d, -0.5), mul(y, square(y))),
]);
/** 1 / sqrt(x) */
export const rsqrt = (x: Tensor): Tensor => one(rsqrtOperation, x);

const reciprocalOperation = pointwise('reciprocal', 'RECIPROCAL', (a) => 1 / a, [(d, y) => neg(mul(d, square(y)))]);
/** 1 / x */
export const reciprocal = (x: Tensor): Tensor => one(reciprocalOperation, x);

// ---- exponentials and activations

const identityOperation = pointwise('identity', 'MOVE', (a) => a, [(d) => d]);
/** The same values in memory of their own: how a chain stores what stands elsewhere, at no cost of a pass of its own. */
export const identity = (x: Tensor): Tensor => one(identityOperation, x);

const expOperation = pointwise('exp', 'EXP', Math.exp, [(d, y) => mul(d, y)]);
/** e ** x */
export const exp = (x: Tensor): Tensor => one(expOperation, x);

const logOperation = pointwise('log', 'LOG', Math.log, [(d, _y, a) => div(d, a)]);
/** The natural logarithm; -inf at zero, NaN below. */
export const log = (x: Tensor): Tensor => one(logOperation, x);

const log1pOperation = pointwise('log1p', 'LOG1P', Math.log1p, [(d, _y, a) => div(d, add(a, 1))]);
/** ln(1 + x), exact for small x */
export const log1p = (x: Tensor): Tensor => one(log1pOperation, x);

const tanhOperation = Object.assign(pointwise('tanh', 'TANH', Math.tanh, [(d, y) => dtanh(d, y)]), {
  range: [-1, 1] as const,
});
/** The hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => one(tanhOperation, x);

function sigmoidFormula(a: number): number {
  if (a >= 0) return 1 / (1 + Math.exp(-a));
  const e = Math.exp(a); // does not overflow below zero
  return e / (1 + e);
}

const sigmoidOperation = Object.assign(pointwise('sigmoid', 'SIGMOID', sigmoidFormula, [(d, y) => dsigmoid(d, y)]), {
  range: [0, 1] as const,
});
/** 1 / (1 + exp(-x)) */
export const sigmoid = (x: Tensor): Tensor => one(sigmoidOperation, x);

const reluOperation = pointwise('relu', 'RELU', (a) => (Number.isNaN(a) ? a : a > 0 ? a : 0), [(d, y) => drelu(d, y)]);
/** max(x, 0); NaN stays NaN. */
export const relu = (x: Tensor): Tensor => one(reluOperation, x);

const softplusOperation = pointwise(
  'softplus',
  'SOFTPLUS',
  (a) => (a > 0 ? a : 0) + Math.log1p(Math.exp(-Math.abs(a))),
  [(d, _y, a) => mul(d, sigmoid(a))],
);
/** ln(1 + exp(x)), without overflow */
export const softplus = (x: Tensor): Tensor => one(softplusOperation, x);

const erfOperation = pointwise('erf', 'ERF', exactErf, [
  (d, _y, a) => mul(d, mul(exp(neg(square(a))), 2 / Math.sqrt(Math.PI))),
]);
/** The error function. */
export const erf = (x: Tensor): Tensor => one(erfOperation, x);

const sinOperation = pointwise('sin', 'SIN', Math.sin, [(d, _y, a) => mul(d, cos(a))]);
/** The sine of x in radians. */
export const sin = (x: Tensor): Tensor => one(sinOperation, x);

const cosOperation = pointwise('cos', 'COS', Math.cos, [(d, _y, a) => neg(mul(d, sin(a)))]);
/** The cosine of x in radians. */
export const cos = (x: Tensor): Tensor => one(cosOperation, x);

// ---- the derivatives of activations, as single steps of a chain

const dtanhOperation = pointwise('dtanh', 'DTANH', (d, y) => d * (1 - y * y), [
  (g, _r, _d, y) => dtanh(g, y),
  (g, _r, d, y) => mul(mul(g, d), mul(y, -2)),
]);
/** d * (1 - y * y): the cotangent of x for y = tanh(x) */
export const dtanh = (d: TensorLike, y: TensorLike): Tensor => one(dtanhOperation, d, y);

const dsigmoidOperation = pointwise('dsigmoid', 'DSIGMOID', (d, y) => d * (y - y * y), [
  (g, _r, _d, y) => dsigmoid(g, y),
  (g, _r, d, y) => mul(mul(g, d), fnma(y, 2, 1)),
]);
/** d * y * (1 - y): the cotangent of x for y = sigmoid(x) */
export const dsigmoid = (d: TensorLike, y: TensorLike): Tensor => one(dsigmoidOperation, d, y);

const dreluOperation = pointwise('drelu', 'DRELU', (d, y) => (y > 0 ? d : 0), [(g, _r, _d, y) => drelu(g, y), null]);
/** d where y > 0, else 0: the cotangent of x for y = relu(x) */
export const drelu = (d: TensorLike, y: TensorLike): Tensor => one(dreluOperation, d, y);

// ---- rounding

const floorOperation = pointwise('floor', 'FLOOR', Math.floor, null);
/** The largest whole number that is not above x. */
export const floor = (x: Tensor): Tensor => one(floorOperation, x);

function roundHalfToEven(a: number): number {
  const below = Math.floor(a);
  const rest = a - below;
  if (rest < 0.5) return below;
  return rest === 0.5 && below % 2 === 0 ? below : below + 1;
}

const roundOperation = pointwise('round', 'ROUND', roundHalfToEven, null);
/** The nearest whole number; halves go to the even one. */
export const round = (x: Tensor): Tensor => one(roundOperation, x);

// ---- comparisons and choice

const truth = (condition: boolean): number => (condition ? 1 : 0);

const lessOperation = pointwise('less', 'LESS', (a, b) => truth(a < b), null);
/** 1 where a < b, else 0 */
export const less = (a: TensorLike, b: TensorLike): Tensor => one(lessOperation, a, b);
/** 1 where a > b, else 0 */
export const greater = (a: TensorLike, b: TensorLike): Tensor => one(lessOperation, b, a);

const lessEqualOperation = pointwise('lessEqual', 'LESS_EQUAL', (a, b) => truth(a <= b), null);
/** 1 where a <= b, else 0 */
export const lessEqual = (a: TensorLike, b: TensorLike): Tensor => one(lessEqualOperation, a, b);
/** 1 where a >= b, else 0 */
export const greaterEqual = (a: TensorLike, b: TensorLike): Tensor => one(lessEqualOperation, b, a);

const equalOperation = pointwise('equal', 'EQUAL', (a, b) => truth(a === b), null);
/** 1 where a equals b, else 0 */
export const equal = (a: TensorLike, b: TensorLike): Tensor => one(equalOperation, a, b);

const notEqualOperation = pointwise('notEqual', 'NOT_EQUAL', (a, b) => truth(a !== b), null);
/** 1 where a differs from b (also where either is NaN), else 0 */
export const notEqual = (a: TensorLike, b: TensorLike): Tensor => one(notEqualOperation, a, b);

const selectOperation = pointwise('select', 'SELECT', (a, b, c) => (a !== 0 ? b : c), [
  null,
  (d, _y, condition) => select(condition, d, 0),
  (d, _y, condition) => select(condition, 0, d),
]);
/** a where the condition is not 0, else b; the other one has no influence, also if it is NaN. */
export const select = (condition: TensorLike, a: TensorLike, b: TensorLike): Tensor =>
  one(selectOperation, condition, a, b);

const isFiniteOperation = pointwise('isFinite', 'IS_FINITE', (a) => truth(Number.isFinite(a)), null);
/** 1 where x is neither NaN nor infinite, else 0 */
export const isFinite = (x: Tensor): Tensor => one(isFiniteOperation, x);

// ---- conversions

const toFloatOperation = pointwise('toFloat', 'TO_FLOAT', (a) => a, null, 'i32', 'f32');
/** An i32 tensor as f32; an f32 tensor as it is. */
export const toFloat = (x: Tensor): Tensor => (x.dtype === 'f32' ? x : one(toFloatOperation, x));

const toIntOperation = pointwise('toInt', 'TO_INT', Math.trunc, null, 'f32', 'i32');
/** An f32 tensor as i32, rounded towards zero; an i32 tensor as it is. */
export const toInt = (x: Tensor): Tensor => (x.dtype === 'i32' ? x : one(toIntOperation, x));
