/**
 * Rules that move transposes until they meet another one or an end of the graph. Layers walk over time with the time in front and show the
 * batch in front to each other, so a graph is full of them; a transpose that stays is a copy.
 *
 * They go towards the results: `f(x^p, y^p)` becomes `f(x, y)^p`. A transpose whose operand has one operand that undoes it goes the
 * other way. Only those that leave the last axis where it is move past operations: the machine works on whole rows.
 */
import { sameShape, sizeOf } from '../core/shape.ts';
import type { Value } from '../ir/graph.ts';
import { gather, oneHot, scatterAdd } from '../ops/gather.ts';
import { matmul, matmulNT, matmulTN, precisionOf } from '../ops/matmul.ts';
import { operationOf } from '../ops/op.ts';
import { broadcastTo, concat, pad, reshape, reverse, slice, split, transpose } from '../ops/shape.ts';
import { apply, constant, type Tensor } from '../ops/tensor.ts';
import { isPointwise } from './operands.ts';
import { tensorOf } from './rewrite.ts';
import { type Candidate, everywhere, numbers, on, type Rule } from './rule.ts';

type Permutation = readonly number[];

const identity = (perm: Permutation) => perm.every((p, i) => p === i);
const inverse = (perm: Permutation) => perm.map((_, i) => perm.indexOf(i));
const keepsLast = (perm: Permutation) => perm[perm.length - 1] === perm.length - 1;
const permuted = (values: readonly number[], perm: Permutation) => perm.map((p) => values[p]);

interface Moved {
  readonly from: Tensor;
  readonly perm: Permutation;
}

/** A tensor as another one whose axes are moved; null where it is none. */
function anyMoved({ graph, value: { node } }: Tensor): Moved | null {
  return node.op === 'transpose' ? { from: tensorOf(graph, node.inputs[0]), perm: numbers(node, 'perm') } : null;
}

/** The same, null too where the last axis moves. */
function moved(t: Tensor): Moved | null {
  const own = anyMoved(t);
  return own && keepsLast(own.perm) ? own : null;
}

/** What all tensors are transposes of, by one permutation. */
function movedAlike(all: readonly Tensor[]): { readonly from: Tensor[]; readonly perm: Permutation } | null {
  const parts = all.map(moved);
  const [first] = parts;
  if (!first || parts.some((part) => !part || !sameShape(part.perm, first.perm))) return null;
  return { from: parts.map((part) => (part as Moved).from), perm: first.perm };
}

// ---- towards the results

/** f(x^p, y^p, ...) -> f(x, y, ...)^p */
export const behindPointwise = on(['transpose'], (c) => {
  const shape = c.outputs[0].type.shape;
  const whole = c.x.find((t) => sameShape(t.shape, shape) && anyMoved(t));
  const perm = whole && anyMoved(whole)?.perm;
  if (!perm) return null;
  const operands = c.x.map((t) => {
    const own = anyMoved(t);
    if (own && sameShape(own.perm, perm)) return own.from;
    if (sizeOf(t.shape) === 1 || (t.rank === 1 && keepsLast(perm))) return t;
    const value = everywhere(t);
    return value === null ? null : constant(c.graph, value);
  });
  if (operands.some((t) => t === null)) return null;
  return transpose(apply(operationOf(c.op), operands as Tensor[], c.attributes)[0], perm);
});

/** reduce(x^p) -> reduce(x)^q */
const behindReduction = on(['transpose'], (c) => {
  const own = anyMoved(c.x[0]);
  if (!own) return null;
  const { from, perm } = own;
  const kept = c.attributes.keepDims === true;
  const axes = numbers(c, 'axes')
    .map((axis) => perm[axis])
    .sort((a, b) => a - b);
  const reduced = apply(operationOf(c.op), [from], { ...c.attributes, axes })[0];
  if (kept) return transpose(reduced, perm);
  const left = perm.filter((axis) => !axes.includes(axis));
  const order = [...left].sort((a, b) => a - b);
  return transpose(
    reduced,
    left.map((axis) => order.indexOf(axis)),
  );
});

/** argmax(x^p) -> argmax(x)^q, along the last axis */
const behindArgmax = on(['transpose'], (c) => {
  const own = moved(c.x[0]);
  return own && transpose(apply(operationOf(c.op), [own.from], c.attributes)[0], own.perm.slice(0, -1));
});

/** x^p W -> (x W)^p, and (x^p)' y^p -> x' y */
const behindMatmul = on(['transpose'], (c) => {
  const [a, b] = c.x;
  const precision = precisionOf(c.attributes);
  if (c.attributes.form === 'tn') {
    const both = movedAlike([a, b]);
    return both && matmulTN(both.from[0], both.from[1], precision);
  }
  const own = moved(a);
  return own && transpose((c.attributes.form === 'nn' ? matmul : matmulNT)(own.from, b, precision), own.perm);
});

/** oneHot(ids^p) -> oneHot(ids)^p */
const behindOneHot = on(['transpose'], (c) => {
  const own = anyMoved(c.x[0]);
  return own && transpose(oneHot(own.from, c.attributes.depth as number), [...own.perm, own.perm.length]);
});

/** Axes of size 1 at the end come and go. */
const behindReshape = on(['transpose'], (c) => {
  const own = anyMoved(c.x[0]);
  if (!own) return null;
  const { from, perm } = own;
  const [before, after] = [c.x[0].shape, c.outputs[0].type.shape];
  const rank = Math.min(before.length, after.length);
  const ones = (shape: readonly number[]) => shape.slice(rank).every((d) => d === 1);
  const same = sameShape(before.slice(0, rank), after.slice(0, rank)) && ones(before) && ones(after);
  if (rank < 2 || !same || perm.slice(rank).some((p, i) => p !== rank + i)) return null;
  const order = after.map((_, i) => (i < rank ? perm[i] : i));
  return transpose(reshape(from, permuted(after, inverse(order))), order);
});

/** What works along axes. */
const behindBroadcast = on(['transpose'], (c) => {
  const own = moved(c.x[0]);
  const shape = c.outputs[0].type.shape;
  if (!own || shape.length !== own.perm.length) return null;
  return transpose(broadcastTo(own.from, permuted(shape, inverse(own.perm))), own.perm);
});

const behindSlice = on(['transpose'], (c) => {
  const own = moved(c.x[0]);
  if (!own) return null;
  const back = inverse(own.perm);
  const part = slice(own.from, permuted(numbers(c, 'start'), back), permuted(numbers(c, 'size'), back));
  return transpose(part, own.perm);
});

const behindPad = on(['transpose'], (c) => {
  const own = moved(c.x[0]);
  if (!own) return null;
  const back = inverse(own.perm);
  const padded = pad(own.from, permuted(numbers(c, 'before'), back), permuted(numbers(c, 'after'), back));
  return transpose(padded, own.perm);
});

const behindReverse = on(['transpose'], (c) => {
  const own = moved(c.x[0]);
  return own && transpose(reverse(own.from, own.perm[c.attributes.axis as number]), own.perm);
});

const behindConcat = on(['transpose'], (c) => {
  const all = movedAlike(c.x);
  return all && transpose(concat(all.from, all.perm[c.attributes.axis as number]), all.perm);
});

const behindSplit = on(['transpose'], (c) => {
  const own = moved(c.x[0]);
  if (!own) return null;
  const parts = split(own.from, c.outputs.length, own.perm[c.attributes.axis as number]);
  return parts.map((part) => transpose(part, own.perm));
});

/** scatter(ids, x^p) -> scatter(ids^-p, x) */
const behindScatter = on(['transpose'], (c) => {
  const own = moved(c.x[1]);
  if (!own) return null;
  return scatterAdd(transpose(c.x[0], inverse(own.perm).slice(0, -1)), own.from, c.attributes.rows as number);
});

// ---- transposes themselves

/** A permutation that only moves axes of size 1 is a reshape. */
function movesOnlyOnes(shape: readonly number[], perm: Permutation): boolean {
  const kept = perm.filter((p) => shape[p] !== 1);
  return kept.every((p, i) => i === 0 || p > kept[i - 1]);
}

/** f(x^-p, y)^p -> f(x, y^p) */
function beforePointwise(c: Candidate): Tensor | null {
  const perm = numbers(c, 'perm');
  const { node } = c.x[0].value;
  if (!isPointwise(node)) return null;
  const back = inverse(perm);
  const cancels = (v: Value) => v.node.op === 'transpose' && sameShape(v.node.attributes.perm as number[], back);
  if (!node.inputs.some(cancels)) return null;
  const operands = node.inputs.map((v) => {
    const t = tensorOf(c.graph, v);
    if (t.rank === perm.length) return transpose(t, perm);
    return sizeOf(t.shape) === 1 || (t.rank === 1 && keepsLast(perm)) ? t : null;
  });
  return operands.every((t) => t) ? apply(operationOf(node.op), operands as Tensor[], node.attributes)[0] : null;
}

/** gather(t, ids)^p -> gather(t, ids^p) */
function beforeGather(c: Candidate): Tensor | null {
  const { node } = c.x[0].value;
  const perm = numbers(c, 'perm');
  if (node.op !== 'gather' || !keepsLast(perm)) return null;
  const [table, ids] = node.inputs.map((v) => tensorOf(c.graph, v));
  return gather(table, transpose(ids, perm.slice(0, -1)));
}

/** By operation; those of pointwise ones are `behindPointwise`. */
export const transposeRules: Readonly<Record<string, readonly Rule[]>> = {
  transpose: [
    (c) => (identity(numbers(c, 'perm')) ? c.x[0] : null), // (x^p) with p = identity -> x
    (c) => {
      const { node } = c.x[0].value;
      if (node.op !== 'transpose') return null;
      return transpose(tensorOf(c.graph, node.inputs[0]), permuted(numbers(node, 'perm'), numbers(c, 'perm')));
    }, // (x^p)^q -> x^(pq)
    (c) => (movesOnlyOnes(c.x[0].shape, numbers(c, 'perm')) ? reshape(c.x[0], c.outputs[0].type.shape) : null), // moves sizes of 1 alone
    beforeGather,
    beforePointwise,
  ],
  sum: [behindReduction],
  max: [behindReduction],
  min: [behindReduction],
  argmax: [behindArgmax],
  matmul: [behindMatmul],
  oneHot: [behindOneHot],
  reshape: [behindReshape],
  broadcast: [behindBroadcast],
  slice: [behindSlice],
  pad: [behindPad],
  reverse: [behindReverse],
  concat: [behindConcat],
  split: [behindSplit],
  scatterAdd: [behindScatter],
};
