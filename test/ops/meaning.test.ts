/**
 * The exact rule of every operation against an independent one: the result at an index as a formula of the operands at indices. No
 * strides, no walking, other formulas for the functions.
 */
import { describe, expect, it } from 'vitest';
import { RandomKey } from '../../src/core/random.ts';
import { sizeOf } from '../../src/core/shape.ts';
import { evaluateGraph } from '../../src/engine/oracle.ts';
import type { Node, Value } from '../../src/ir/graph.ts';
import { type Dense, definedOperations } from '../../src/ops/op.ts';
import { buildCase, type Case } from './case.ts';
import { cases } from './cases.ts';
import { drawInputs } from './inputs.ts';

type Index = readonly number[];
/** The element of result `which` at an index. */
type Meaning = (operands: readonly Dense[], index: Index, node: Node, which: number) => number;

/** The element of x at an index, by NumPy's broadcasting rule. */
function read(x: Dense, index: Index): number {
  const own = index.slice(index.length - x.shape.length);
  return x.data[own.reduce((flat, i, d) => flat * x.shape[d] + (x.shape[d] === 1 ? 0 : i), 0)];
}

function indexAt(flat: number, shape: Index): number[] {
  const index: number[] = [];
  let rest = flat;
  for (const d of [...shape].reverse()) {
    index.unshift(rest % d);
    rest = Math.floor(rest / d);
  }
  return index;
}

const list = (node: Node, name: string): readonly number[] => node.attributes[name] as number[];
const number = (node: Node, name: string): number => node.attributes[name] as number;
const range = (n: number): number[] => [...Array(n).keys()];
const total = (terms: number[]): number => terms.reduce((a, b) => a + b, 0);
const put = (index: Index, axis: number, change: (i: number) => number): number[] =>
  index.map((i, d) => (d === axis ? change(i) : i));

function pointwise(formula: (a: number, b: number, c: number) => number): Meaning {
  return (operands, index) => {
    const [a, b, c] = operands.map((x) => read(x, index));
    return formula(a, b, c);
  };
}

/** Simpson's rule over 2000 pieces; the rest beyond 6 is below 2e-17. */
function integratedErf(x: number): number {
  const end = Math.max(-6, Math.min(6, x));
  if (Number.isNaN(end)) return end;
  const n = 2000;
  const h = end / n;
  const at = (i: number) => Math.exp(-((i * h) ** 2)) * (i === 0 || i === n ? 1 : i % 2 ? 4 : 2);
  return (2 / Math.sqrt(Math.PI)) * (h / 3) * total(range(n + 1).map(at));
}

/** All elements that a reduction puts together for one element of its result. */
function reduced(x: Dense, node: Node, index: Index): number[] {
  const axes = list(node, 'axes');
  const kept = node.attributes.keepDims as boolean;
  const members: number[] = [];
  x.data.forEach((value, flat) => {
    const at = indexAt(flat, x.shape);
    const target = kept ? at.map((i, d) => (axes.includes(d) ? 0 : i)) : at.filter((_, d) => !axes.includes(d));
    if (target.every((i, d) => i === index[d])) members.push(value);
  });
  return members;
}

const meanings: Readonly<Record<string, Meaning>> = {
  add: pointwise((a, b) => a - -b),
  sub: pointwise((a, b) => a + -b),
  mul: pointwise((a, b) => a * b),
  div: pointwise((a, b) => a / b),
  maximum: pointwise((a, b) => Math.max(a, b)),
  minimum: pointwise((a, b) => Math.min(a, b)),
  pow: pointwise((a, b) => a ** b),
  fma: pointwise((a, b, c) => c + a * b),
  fnma: pointwise((a, b, c) => -(a * b) + c),
  oneMinus: pointwise((a) => -(a - 1)),
  neg: pointwise((a) => 0 - a),
  identity: pointwise((a) => a),
  abs: pointwise((a) => (a < 0 ? -a : a)),
  sign: pointwise((a) => (a > 0 ? 1 : a < 0 ? -1 : a)),
  square: pointwise((a) => a ** 2),
  sqrt: pointwise((a) => (a === Number.NEGATIVE_INFINITY ? Number.NaN : a ** 0.5)),
  rsqrt: pointwise((a) => (a === Number.NEGATIVE_INFINITY ? Number.NaN : Object.is(a, -0) ? a ** -1 : a ** -0.5)),
  reciprocal: pointwise((a) => a ** -1),
  exp: pointwise((a) => Math.E ** a),
  log: pointwise((a) => Math.log2(a) * Math.LN2),
  log1p: pointwise((a) => (Math.abs(a) < 1e-8 ? a : Math.log(1 + a))),
  tanh: pointwise((a) => (Math.abs(a) < 1e-8 ? a : 1 - 2 / (Math.exp(2 * a) + 1))),
  sigmoid: pointwise((a) => (a < -50 ? Math.exp(a) : (1 + Math.tanh(a / 2)) / 2)),
  relu: pointwise((a) => (a <= 0 ? 0 : a)),
  softplus: pointwise((a) => (a > 50 ? a : a < -30 ? Math.exp(a) : Math.log(1 + Math.exp(a)))),
  erf: pointwise(integratedErf),
  sin: pointwise((a) => 2 * Math.sin(a / 2) * Math.cos(a / 2)),
  cos: pointwise((a) => 1 - 2 * Math.sin(a / 2) ** 2),
  dtanh: pointwise((d, y) => d * (1 - y ** 2)),
  dsigmoid: pointwise((d, y) => d * (y - y * y)),
  drelu: pointwise((d, y) => (y > 0 ? d : 0)),
  floor: pointwise((a) =>
    Number.isInteger(a) || Math.abs(a) === Number.POSITIVE_INFINITY ? a : a - (((a % 1) + 1) % 1),
  ),
  round: pointwise((a) => (Math.abs(a % 1) === 0.5 ? 2 * Math.round(a / 2) : Math.round(a))),
  less: pointwise((a, b) => Number(b > a)),
  lessEqual: pointwise((a, b) => Number(b >= a)),
  equal: pointwise((a, b) => Number(a <= b && a >= b)),
  notEqual: pointwise((a, b) => Number(!(a <= b && a >= b))),
  select: pointwise((condition, a, b) => (condition === 0 ? b : a)),
  isFinite: pointwise((a) => Number(a - a === 0)),
  toFloat: pointwise((a) => a),
  toInt: pointwise((a) => (a < 0 ? Math.ceil(a) : Math.floor(a))),
  slidingProduct([x, kernel], [row, filter], node) {
    const [taps, channels] = kernel.shape;
    const offsets = list(node, 'offsets');
    return total(
      range(taps * channels).map((k) => {
        const [t, c] = [Math.floor(k / channels), k % channels];
        return read(x, [row + offsets[t], c]) * read(kernel, [t, c, filter]);
      }),
    );
  },
  matmul([a, b], index, node) {
    const rows = index.slice(0, -1);
    const j = index[index.length - 1];
    const form = node.attributes.form as string;
    if (form === 'tn') {
      const outer = a.shape.slice(0, -1);
      return total(
        range(sizeOf(outer)).map((r) => read(a, [...indexAt(r, outer), index[0]]) * read(b, [...indexAt(r, outer), j])),
      );
    }
    const depth = a.shape[a.shape.length - 1];
    return total(range(depth).map((k) => read(a, [...rows, k]) * read(b, form === 'nn' ? [k, j] : [j, k])));
  },
  sum: ([x], index, node) => total(reduced(x, node, index)),
  max: ([x], index, node) => Math.max(...reduced(x, node, index)),
  min: ([x], index, node) => Math.min(...reduced(x, node, index)),
  argmax([x], index) {
    const row = range(x.shape[x.shape.length - 1]).map((c) => read(x, [...index, c]));
    return row.indexOf(Math.max(...row));
  },
  reshape: ([x], index, node) => x.data[index.reduce((flat, i, d) => flat * node.outputs[0].type.shape[d] + i, 0)],
  transpose: ([x], index, node) =>
    read(
      x,
      x.shape.map((_, d) => index[list(node, 'perm').indexOf(d)]),
    ),
  slice: ([x], index, node) =>
    read(
      x,
      index.map((i, d) => i + list(node, 'start')[d]),
    ),
  pad([x], index, node) {
    const from = index.map((i, d) => i - list(node, 'before')[d]);
    return from.every((i, d) => i >= 0 && i < x.shape[d]) ? read(x, from) : 0;
  },
  concat(parts, index, node) {
    const axis = number(node, 'axis');
    let i = index[axis];
    const part = parts.find((x) => {
      if (i < x.shape[axis]) return true;
      i -= x.shape[axis];
      return false;
    }) as Dense;
    return read(
      part,
      put(index, axis, () => i),
    );
  },
  split([x], index, node, which) {
    const axis = number(node, 'axis');
    return read(
      x,
      put(index, axis, (i) => i + (which * x.shape[axis]) / number(node, 'parts')),
    );
  },
  broadcast: ([x], index) => read(x, index),
  reverse: ([x], index, node) =>
    read(
      x,
      put(index, number(node, 'axis'), (i) => x.shape[number(node, 'axis')] - 1 - i),
    ),
  stopGradient: ([x], index) => read(x, index),
  constant: (_, index, node) => (node.attributes.data as Float64Array)[index[0] ?? 0],
  gather: ([table, ids], index) => read(table, [read(ids, index.slice(0, -1)), index[index.length - 1]]),
  scatterAdd: ([ids, values], [row, column]) =>
    total([...ids.data].map((id, r) => (id === row ? read(values, [...indexAt(r, ids.shape), column]) : 0))),
  distinct: ([ids], index, _node, which) => {
    const names = [...new Set(ids.data)];
    if (which === 1) return names.indexOf(read(ids, index));
    return [names[index[0]] ?? -1, 0, names.length, names.indexOf(index[0])][which];
  },
  pickRows: ([table, list], [row, column]) => (list.data[row] < 0 ? 0 : read(table, [list.data[row], column])),
  putRows: ([table, list, values], [row, column]) =>
    list.data.includes(row) ? read(values, [list.data.indexOf(row), column]) : read(table, [row, column]),
  oneHot: ([ids], index) => Number(read(ids, index.slice(0, -1)) === index[index.length - 1]),
  uniform([key], index, node) {
    const shape = node.outputs[0].type.shape;
    const flat = index.reduce((sum, i, d) => sum * shape[d] + i, 0);
    return new RandomKey(key.data[0], key.data[1]).uniform(sizeOf(shape), number(node, 'stream'))[flat];
  },
};

function close(found: number, wanted: number): boolean {
  if (Number.isNaN(wanted)) return Number.isNaN(found);
  return found === wanted || Math.abs(found - wanted) <= 1e-13 * Math.max(1, Math.abs(wanted));
}

function hold(entry: Case): void {
  const { graph, inputs } = buildCase(entry);
  const given = drawInputs(entry, 3);
  const values = evaluateGraph(graph, new Map(inputs.map((t, i): [Value, Dense] => [t.value, given[i]])));
  for (const node of graph.nodes) {
    const meaning = meanings[node.op];
    if (!meaning) continue;
    const operands = node.inputs.map((v) => values.get(v) as Dense);
    node.outputs.forEach((out, which) => {
      const { data } = values.get(out) as Dense;
      data.forEach((found, flat) => {
        const index = indexAt(flat, out.type.shape);
        const wanted = meaning(operands, index, node, which);
        if (!close(found, wanted))
          expect.fail(
            `${node.op} at [${index}]: ${found}, wanted ${wanted} from ${operands.map((x) => (x.data.length < 9 ? x.data : read(x, index)))}`,
          );
      });
    });
  }
}

describe('meaning of operations', () => {
  it('is given for all but scan', () => {
    expect(
      definedOperations()
        .map((o) => o.name)
        .filter((name) => !meanings[name]),
    ).toEqual(['scan']);
  });

  it.each(cases.filter((c) => c.op !== 'scan').map((c) => [`${c.op}: ${c.name}`, c] as const))('%s', (_, entry) =>
    hold(entry),
  );
});
