/**
 * What every operation is tried on: odd sizes (1, primes, zero-length), broadcasting, special values, and small compositions. The exact
 * rules are held against central differences and naive formulas with these, and compiled programs against the exact rules.
 */
import { gather, oneHot, scatterAdd } from '../../src/ops/gather.ts';
import { matmul, matmulNT, matmulTN } from '../../src/ops/matmul.ts';
import * as p from '../../src/ops/pointwise.ts';
import { uniform } from '../../src/ops/random.ts';
import { argmax, max, min, sum } from '../../src/ops/reduce.ts';
import * as s from '../../src/ops/shape.ts';
import { constant, type Tensor } from '../../src/ops/tensor.ts';
import { type Build, type Case, type Extra, entry, f, ids, positive, special, still, zeroOne } from './case.ts';
import { composedCases } from './composite-cases.ts';
import { composites, scans } from './loop-cases.ts';
import { rowCases } from './row-cases.ts';

/** Sizes that kernels get wrong first: below, at and above a block of 16 floats, primes, one, none. */
const sizes: readonly (readonly number[])[] = [[], [1], [17], [3, 16], [5, 31], [2, 3, 7], [4, 1], [0], [0, 5], [3, 0]];

function unary(op: string, build: (x: Tensor) => Tensor, domain = f, extra: Extra = {}): Case[] {
  const at: Build = ([x]) => build(x);
  return [
    ...sizes.map((shape) => entry(op, `(${shape})`, [domain(...shape)], at, extra)),
    entry(op, 'special values', [special(37)], at, still),
  ];
}

/** Pairs of shapes: equal, scalar, row, column, both spread, different ranks, none. */
const pairs: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [5, 31],
    [5, 31],
  ],
  [[3, 17], []],
  [[], [2, 7]],
  [[3, 17], [17]],
  [
    [3, 17],
    [1, 17],
  ],
  [
    [3, 17],
    [3, 1],
  ],
  [
    [5, 1],
    [1, 19],
  ],
  [
    [2, 3, 5],
    [3, 1],
  ],
  [
    [2, 3, 5],
    [2, 1, 5],
  ],
  [[1], [1]],
  [
    [7, 1],
    [7, 1],
  ],
  [[0, 3], [3]],
  [[3, 0], [1]],
];

function binary(
  op: string,
  build: (a: Tensor, b: Tensor) => Tensor,
  first = f,
  second = first,
  extra: Extra = {},
): Case[] {
  const at: Build = ([a, b]) => build(a, b);
  return [
    ...pairs.map(([a, b]) => entry(op, `(${a}) with (${b})`, [first(...a), second(...b)], at, extra)),
    entry(op, 'special values', [special(37), special(37)], at, still),
    entry(op, 'special values with every other', [special(19, 1), special(1, 19)], at, still),
    entry(op, 'one operand twice', [first(3, 5)], ([a]) => build(a, a), extra),
  ];
}

/** Cases of greater and greaterEqual, which are the other comparisons with the operands exchanged. */
const turned = (c: Case): Case => ({ ...c, name: `exchanged: ${c.name}` });

const pointwise: Case[] = [
  ...binary('add', p.add),
  ...binary('sub', p.sub),
  ...binary('mul', p.mul),
  ...binary('div', p.div, f, positive, { kernelTolerance: 1e-5 }),
  ...binary('maximum', p.maximum).map((c) => (c.name === 'one operand twice' ? { ...c, ...still } : c)),
  ...binary('minimum', p.minimum).map((c) => (c.name === 'one operand twice' ? { ...c, ...still } : c)),
  ...binary('pow', p.pow, positive, f, { kernelTolerance: 3e-5 }),
  entry('pow', 'whole exponent', [f(3, 7)], ([x]) => p.pow(x, 3), { kernelTolerance: 1e-5 }),
  entry('add', 'a number', [f(3, 7)], ([x]) => p.add(x, 1.5)),
  entry('sub', 'from a number', [f(3, 7)], ([x]) => p.sub(1.5, x)),
  ...unary('neg', p.neg),
  ...unary('identity', p.identity),
  ...unary('abs', p.abs),
  ...unary('sign', p.sign, f, still),
  ...unary('square', p.square),
  ...unary('sqrt', p.sqrt, positive),
  ...unary('rsqrt', p.rsqrt, positive),
  ...unary('reciprocal', p.reciprocal, positive),
  ...unary('exp', p.exp),
  ...unary('log', p.log, positive),
  ...unary('log1p', p.log1p, positive),
  ...unary('tanh', p.tanh),
  ...unary('sigmoid', p.sigmoid),
  ...unary('relu', p.relu),
  ...unary('softplus', p.softplus),
  ...unary('erf', p.erf),
  ...unary('sin', p.sin),
  ...unary('cos', p.cos),
  ...unary('oneMinus', p.oneMinus),
  ...unary('floor', p.floor, f, still),
  ...unary('round', p.round, f, still),
  ...unary('isFinite', p.isFinite, f, still),
  ...binary('dtanh', p.dtanh),
  ...binary('dsigmoid', p.dsigmoid),
  ...binary('drelu', p.drelu, f, f),
  ...binary('less', p.less, f, f, still),
  ...binary('less', p.greater, zeroOne, zeroOne, still).map(turned),
  ...binary('lessEqual', p.lessEqual, zeroOne, zeroOne, still),
  ...binary('lessEqual', p.greaterEqual, f, f, still).map(turned),
  ...binary('equal', p.equal, zeroOne, zeroOne, still),
  ...binary('notEqual', p.notEqual, zeroOne, zeroOne, still),
  entry('select', 'equal shapes', [zeroOne(5, 31), f(5, 31), f(5, 31)], ([c, a, b]) => p.select(c, a, b), {
    differentiable: [false, true, true],
  }),
  entry('select', 'a column decides', [zeroOne(5, 1), f(5, 17), f(17)], ([c, a, b]) => p.select(c, a, b), {
    differentiable: [false, true, true],
  }),
  entry('select', 'the condition spreads a scalar', [zeroOne(3, 7), f(), f(1, 7)], ([c, a, b]) => p.select(c, a, b), {
    differentiable: [false, true, true],
  }),
  entry(
    'select',
    'special values on both sides',
    [zeroOne(37), special(37), special(37)],
    ([c, a, b]) => p.select(c, a, b),
    still,
  ),
  entry('select', 'none', [zeroOne(0, 3), f(0, 3), f(3)], ([c, a, b]) => p.select(c, a, b), {
    differentiable: [false, true, true],
  }),
  entry('fma', 'equal shapes', [f(5, 31), f(5, 31), f(5, 31)], ([a, b, c]) => p.fma(a, b, c)),
  entry('fma', 'row, column, scalar', [f(17), f(3, 1), f()], ([a, b, c]) => p.fma(a, b, c)),
  entry('fnma', 'equal shapes', [f(5, 31), f(5, 31), f(5, 31)], ([a, b, c]) => p.fnma(a, b, c)),
  entry('fnma', 'row, column, scalar', [f(17), f(3, 1), f()], ([a, b, c]) => p.fnma(a, b, c)),
  ...sizes.map((shape) => entry('toFloat', `(${shape})`, [ids(1000, ...shape)], ([x]) => p.toFloat(x), still)),
  ...sizes.map((shape) => entry('toInt', `(${shape})`, [f(...shape)], ([x]) => p.toInt(p.mul(x, 10)), still)),
];

const products: Case[] = [
  [
    [5, 7],
    [7, 3],
  ],
  [
    [1, 1],
    [1, 1],
  ],
  [
    [17, 16],
    [16, 33],
  ],
  [
    [1, 31],
    [31, 64],
  ],
  [
    [2, 3, 5],
    [5, 19],
  ],
  [[7], [7, 5]],
  [
    [6, 13],
    [13, 1],
  ],
  [
    [0, 5],
    [5, 3],
  ],
  [
    [4, 0],
    [0, 3],
  ],
  [
    [4, 5],
    [5, 0],
  ],
].flatMap(([a, [k, n]]) => {
  const name = `(${a}) with ${k} x ${n}`;
  const rows = a.slice(0, -1);
  return [
    entry('matmul', `nn ${name}`, [f(...a), f(k, n)], ([x, y]) => matmul(x, y), { kernelTolerance: 1e-5 }),
    entry('matmul', `nt ${name}`, [f(...a), f(n, k)], ([x, y]) => matmulNT(x, y), { kernelTolerance: 1e-5 }),
    entry('matmul', `tn ${name}`, [f(...a), f(...rows, n)], ([x, y]) => matmulTN(x, y), { kernelTolerance: 1e-5 }),
  ];
});

const reductions: Case[] = [
  ['sum', sum],
  ['max', max],
  ['min', min],
].flatMap(([name, reduce]) => {
  const op = name as string;
  const of = reduce as typeof sum;
  return [
    entry(op, 'all', [f(3, 17)], ([x]) => of(x)),
    entry(op, 'a scalar', [f()], ([x]) => of(x)),
    entry(op, 'last axis', [f(5, 31)], ([x]) => of(x, { axes: [-1] })),
    entry(op, 'last axis kept', [f(2, 3, 16)], ([x]) => of(x, { axes: [2], keepDims: true })),
    entry(op, 'first axis', [f(7, 19)], ([x]) => of(x, { axes: [0] })),
    entry(op, 'middle axis', [f(2, 5, 17)], ([x]) => of(x, { axes: [1] })),
    entry(op, 'middle axis kept', [f(2, 5, 3)], ([x]) => of(x, { axes: [1], keepDims: true })),
    entry(op, 'first and last', [f(3, 5, 7)], ([x]) => of(x, { axes: [0, -1] })),
    entry(op, 'two leading axes', [f(3, 5, 17)], ([x]) => of(x, { axes: [1, 0] })),
    entry(op, 'two last axes', [f(3, 5, 7)], ([x]) => of(x, { axes: [1, 2] })),
    entry(op, 'an axis of one', [f(3, 1)], ([x]) => of(x, { axes: [1] })),
    entry(op, 'nothing on the axis', [f(3, 0)], ([x]) => of(x, { axes: [1] }), still),
    entry(op, 'nothing left', [f(0, 3)], ([x]) => of(x, { axes: [1] })),
    entry(op, 'special values', [special(4, 37)], ([x]) => of(x, { axes: [1] }), still),
    entry(op, 'equal elements', [zeroOne(5, 7)], ([x]) => of(x, { axes: [1] }), op === 'sum' ? {} : still),
  ];
});

const argmaxes: Case[] = [
  entry('argmax', 'last axis', [f(5, 31)], ([x]) => argmax(x), still),
  entry('argmax', 'first of equals', [zeroOne(7, 17)], ([x]) => argmax(x), still),
  entry('argmax', 'one class', [f(3, 1)], ([x]) => argmax(x), still),
  entry('argmax', 'a vector', [f(17)], ([x]) => argmax(x), still),
  entry('argmax', 'another axis', [f(5, 3, 4)], ([x]) => argmax(x, 0), still),
  entry('argmax', 'no rows', [f(0, 3)], ([x]) => argmax(x), still),
];

const moves: Case[] = [
  entry('reshape', 'merge', [f(2, 3, 5)], ([x]) => s.reshape(x, [6, 5])),
  entry('reshape', 'split the last axis', [f(3, 34)], ([x]) => s.reshape(x, [3, 2, 17])),
  entry('reshape', 'open size', [f(4, 3)], ([x]) => s.reshape(x, [2, -1])),
  entry('reshape', 'expandDims and squeeze', [f(4, 3)], ([x]) => s.squeeze(s.expandDims(s.expandDims(x, 1), -1), 1)),
  entry('reshape', 'i32', [ids(99, 4, 3)], ([x]) => s.reshape(x, [3, 4])),
  entry('reshape', 'to a scalar', [f(1, 1)], ([x]) => s.reshape(x, [])),
  entry('reshape', 'none', [f(0, 3)], ([x]) => s.reshape(x, [3, 0])),
  entry('transpose', 'matrix', [f(5, 17)], ([x]) => s.transpose(x)),
  entry('transpose', 'batch and time', [f(3, 5, 17)], ([x]) => s.transpose(x, [1, 0, 2])),
  entry('transpose', 'a cycle', [f(2, 3, 5)], ([x]) => s.transpose(x, [2, 0, 1])),
  entry('transpose', 'i32', [ids(99, 3, 5)], ([x]) => s.transpose(x)),
  entry('transpose', 'none', [f(0, 5)], ([x]) => s.transpose(x)),
  entry('slice', 'columns', [f(3, 34)], ([x]) => s.slice(x, [0, 5], [3, 17])),
  entry('slice', 'rows', [f(7, 5)], ([x]) => s.slice(x, [2, 0], [3, 5])),
  entry('slice', 'a box', [f(3, 5, 7)], ([x]) => s.slice(x, [1, 2, 3], [2, 3, 1])),
  entry('slice', 'nothing', [f(3, 5)], ([x]) => s.slice(x, [1, 5], [2, 0])),
  entry('slice', 'i32', [ids(99, 3, 5)], ([x]) => s.slice(x, [1, 1], [1, 3])),
  entry('pad', 'both sides', [f(3, 5)], ([x]) => s.pad(x, [1, 0], [2, 3])),
  entry('pad', 'columns by sixteen', [f(3, 16)], ([x]) => s.pad(x, [0, 16], [0, 1])),
  entry('pad', 'nothing', [f(0, 2)], ([x]) => s.pad(x, [2, 0], [0, 1])),
  entry('concat', 'columns', [f(3, 5), f(3, 17), f(3, 1)], (parts) => s.concat(parts)),
  entry('concat', 'rows', [f(2, 5), f(1, 5)], (parts) => s.concat(parts, 0)),
  entry('concat', 'middle, one empty', [f(2, 0, 5), f(2, 3, 5)], (parts) => s.concat(parts, 1)),
  entry('concat', 'i32', [ids(9, 2, 3), ids(9, 2, 1)], (parts) => s.concat(parts)),
  entry('matmul', 'and a matrix that is added twice', [f(3, 5), f(5, 4), f(3, 4)], ([x, w, y]) =>
    p.add(p.add(y, p.add(matmul(x, w), y)), y),
  ),
  entry('concat', 'a concatenation and its parts', [f(4, 5), f(3, 5), f(5, 16)], ([x, z, w]) => {
    const [y, v] = [matmul(x, w), matmul(z, w)];
    return s.concat([s.concat([y, v], 0), y, v, y], 0);
  }),
  entry('concat', 'rows of a table, twice', [f(5, 3), ids(5, 1, 4)], ([table, at]) => {
    const y = gather(table, at);
    return s.concat([y, y], 1);
  }),
  entry('split', 'gates', [f(3, 4 * 17)], ([x]) => s.split(x, 4)),
  entry('split', 'gates of one unit', [f(3, 4)], ([x]) => s.split(x, 4)),
  entry('split', 'rows', [f(6, 5)], ([x]) => s.split(x, 3, 0)),
  entry('split', 'one part is used', [f(3, 6)], ([x]) => s.split(x, 3)[1]),
  entry('split', 'nothing', [f(0, 6)], ([x]) => s.split(x, 2)),
  entry('broadcast', 'a scalar', [f()], ([x]) => s.broadcastTo(x, [3, 17])),
  entry('broadcast', 'a row', [f(17)], ([x]) => s.broadcastTo(x, [2, 3, 17])),
  entry('broadcast', 'a column', [f(3, 1)], ([x]) => s.broadcastTo(x, [3, 5])),
  entry('broadcast', 'to nothing', [f(1, 3)], ([x]) => s.broadcastTo(x, [0, 3])),
  entry('broadcast', 'i32', [ids(9, 3)], ([x]) => s.broadcastTo(x, [2, 3])),
  entry('reverse', 'time', [f(5, 2, 3)], ([x]) => s.reverse(x, 0)),
  entry('reverse', 'columns', [f(3, 17)], ([x]) => s.reverse(x, -1)),
  entry('reverse', 'nothing', [f(0, 2)], ([x]) => s.reverse(x, 0)),
  entry('reverse', 'i32', [ids(9, 5)], ([x]) => s.reverse(x, 0)),
  entry('stopGradient', 'passes values', [f(3, 5)], ([x]) => s.stopGradient(x), still),
  entry('constant', 'a vector', [f(3)], ([x]) => p.add(x, constant(x.graph, [1, -2, 3], [3]))),
];

const lookups: Case[] = [
  entry('gather', 'a sequence', [f(11, 17), ids(11, 3, 5)], ([table, x]) => gather(table, x), {
    differentiable: [true, false],
  }),
  entry('gather', 'one index', [f(7, 3), ids(7)], ([table, x]) => gather(table, x), { differentiable: [true, false] }),
  entry('gather', 'one column', [f(7, 1), ids(7, 19)], ([table, x]) => gather(table, x), {
    differentiable: [true, false],
  }),
  entry('gather', 'no index', [f(7, 3), ids(7, 2, 0)], ([table, x]) => gather(table, x), {
    differentiable: [true, false],
  }),
  entry('scatterAdd', 'repeated rows', [ids(5, 3, 7), f(3, 7, 17)], ([x, v]) => scatterAdd(x, v, 5), {
    differentiable: [false, true],
  }),
  entry('scatterAdd', 'one column', [ids(5, 3, 7), f(3, 7, 1)], ([x, v]) => scatterAdd(x, v, 5), {
    differentiable: [false, true],
  }),
  entry('scatterAdd', 'nothing', [ids(5, 0), f(0, 3)], ([x, v]) => scatterAdd(x, v, 5), {
    differentiable: [false, true],
  }),
  ...rowCases,
  entry('oneHot', 'in range', [ids(17, 5)], ([x]) => oneHot(x, 17), still),
  entry('oneHot', 'partly out of range', [ids(9, 2, 7)], ([x]) => oneHot(x, 4), still),
  entry('uniform', 'odd shape', [ids(100000, 2)], ([key]) => uniform(key, [3, 7], 5), still),
  entry('uniform', 'one column', [ids(100000, 2)], ([key]) => uniform(key, [5, 1]), still),
  entry('uniform', 'nothing', [ids(100000, 2)], ([key]) => uniform(key, [0]), still),
];

export const cases: readonly Case[] = [
  ...pointwise,
  ...products,
  ...reductions,
  ...argmaxes,
  ...moves,
  ...lookups,
  ...scans,
  ...composites,
  ...composedCases,
];
