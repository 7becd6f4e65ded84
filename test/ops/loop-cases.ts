/** Cases of scan and of small compositions. */
import { gather, oneHot } from '../../src/ops/gather.ts';
import { matmul } from '../../src/ops/matmul.ts';
import * as p from '../../src/ops/pointwise.ts';
import { mean, sum } from '../../src/ops/reduce.ts';
import { scan } from '../../src/ops/scan.ts';
import * as s from '../../src/ops/shape.ts';
import { logSoftmax, softmax } from '../../src/ops/softmax.ts';
import { type Build, type Case, type CaseInput, type Extra, entry, f, ids, zeroOne } from './case.ts';

/** h' = tanh(x W + h U + b) where the mask is 1, else h. */
const recurrence =
  (reverse: boolean): Build =>
  ([x, mask, h0, w, u, b]) => {
    const { carry, outputs } = scan(
      { init: [h0], sequences: [x, mask], constants: [w, u, b], length: x.shape[0], reverse },
      ([h], [now, m], [kernel, recurrent, bias]) => {
        const next = p.select(m, p.tanh(p.add(p.add(matmul(now, kernel), matmul(h, recurrent)), bias)), h);
        return { carry: [next], outputs: [next] };
      },
    );
    return [...carry, ...outputs];
  };
const recurrenceInputs = (T: number, B: number, F: number, U: number): CaseInput[] => [
  f(T, B, F),
  zeroOne(T, B, 1),
  f(B, U),
  f(F, U),
  f(U, U),
  f(U),
];
const unmasked: Extra = { differentiable: [true, false, true, true, true, true], kernelTolerance: 2e-5 };

/** An LSTM without mask: gates i, f, g, o. */
const lstm: Build = ([x, h0, c0, w, u, b]) => {
  const { carry, outputs } = scan(
    { init: [h0, c0], sequences: [x], constants: [w, u, b], length: x.shape[0] },
    ([h, c], [now], [kernel, recurrent, bias]) => {
      const [i, forget, g, o] = s.split(p.add(p.add(matmul(now, kernel), matmul(h, recurrent)), bias), 4);
      const cell = p.add(p.mul(p.sigmoid(forget), c), p.mul(p.sigmoid(i), p.tanh(g)));
      const hidden = p.mul(p.sigmoid(o), p.tanh(cell));
      return { carry: [hidden, cell], outputs: [hidden] };
    },
  );
  return [...carry, ...outputs];
};

export const scans: Case[] = [
  entry('scan', 'masked recurrence', recurrenceInputs(5, 3, 2, 4), recurrence(false), unmasked),
  entry('scan', 'masked recurrence, reverse', recurrenceInputs(5, 3, 2, 4), recurrence(true), unmasked),
  entry('scan', 'masked recurrence, 17 units', recurrenceInputs(3, 7, 5, 17), recurrence(false), unmasked),
  entry('scan', 'one step, one row, one unit', recurrenceInputs(1, 1, 1, 1), recurrence(false), unmasked),
  entry('scan', 'no steps', recurrenceInputs(0, 2, 3, 4), recurrence(false), unmasked),
  entry('scan', 'lstm', [f(5, 3, 2), f(3, 4), f(3, 4), f(2, 16), f(4, 16), f(16)], lstm, { kernelTolerance: 2e-5 }),
  entry('scan', 'lstm of 17 units', [f(3, 5, 7), f(5, 17), f(5, 17), f(7, 68), f(17, 68), f(68)], lstm, {
    kernelTolerance: 2e-5,
  }),
  entry(
    'scan',
    'running sum, outputs alone',
    [f(7, 2, 3), f(2, 3)],
    ([x, zero]) =>
      scan({ init: [zero], sequences: [x], constants: [], length: 7 }, ([total], [now]) => {
        const next = p.add(total, now);
        return { carry: [next], outputs: [total] };
      }).outputs,
  ),
  entry(
    'scan',
    'no carry',
    [f(4, 3)],
    ([x]) =>
      scan({ init: [], sequences: [x], constants: [], length: 4 }, (_, [now]) => ({
        carry: [],
        outputs: [p.exp(now), p.neg(now)],
      })).outputs,
  ),
  entry(
    'scan',
    'no sequence',
    [f(2, 3), f(2, 3)],
    ([x, rate]) =>
      scan({ init: [x], sequences: [], constants: [rate], length: 3 }, ([a], _, [k]) => ({
        carry: [p.mul(a, p.sin(k))],
        outputs: [],
      })).carry,
  ),
  entry(
    'scan',
    'indices',
    [f(7, 3), ids(7, 4, 2), f(2, 3)],
    ([table, x, zero]) =>
      scan({ init: [zero], sequences: [x], constants: [table], length: 4 }, ([h], [now], [rows]) => {
        const next = p.tanh(p.add(h, gather(rows, now)));
        return { carry: [next], outputs: [next] };
      }).outputs,
    { differentiable: [true, false, true] },
  ),
  entry(
    'scan',
    'scan in a scan',
    [f(3, 4, 2), f(2)],
    ([x, zero]) =>
      scan({ init: [zero], sequences: [x], constants: [], length: 3 }, ([outer], [rows]) => {
        const inner = scan(
          { init: [outer], sequences: [rows], constants: [], length: 4, reverse: true },
          ([h], [now]) => {
            const next = p.sin(p.add(p.mul(h, 0.5), now));
            return { carry: [next], outputs: [] };
          },
        );
        return { carry: inner.carry, outputs: inner.carry };
      }).outputs,
  ),
];

export const composites: Case[] = [
  entry('composite', 'mean of all', [f(3, 17)], ([x]) => mean(x)),
  entry('composite', 'mean of an axis', [f(3, 17)], ([x]) => mean(x, { axes: [0], keepDims: true })),
  entry('composite', 'softmax', [f(5, 17)], ([x]) => softmax(x)),
  entry('composite', 'softmax of large values', [f(3, 7)], ([x]) => softmax(p.mul(x, 200)), {
    tolerance: 1e-5,
    kernelTolerance: 2e-4,
  }),
  entry('composite', 'softmax of one class', [f(5, 1)], ([x]) => softmax(x)),
  entry('composite', 'logSoftmax', [f(2, 3, 17)], ([x]) => logSoftmax(x)),
  entry('composite', 'dense layer', [f(5, 7), f(7, 3), f(3)], ([x, w, b]) => p.relu(p.add(matmul(x, w), b)), {
    kernelTolerance: 1e-5,
  }),
  entry(
    'composite',
    'cross-entropy of labels',
    [f(5, 7), ids(7, 5)],
    ([x, y]) => p.neg(mean(sum(p.mul(oneHot(y, 7), logSoftmax(x)), { axes: [-1] }))),
    { differentiable: [true, false] },
  ),
  entry(
    'composite',
    'normalised rows',
    [f(5, 17)],
    ([x]) => {
      const centred = p.sub(x, mean(x, { axes: [-1], keepDims: true }));
      return p.mul(centred, p.rsqrt(p.add(mean(p.square(centred), { axes: [-1], keepDims: true }), 1e-3)));
    },
    { kernelTolerance: 1e-5 },
  ),
  entry('composite', 'a chain with every kind of operand', [f(3, 17), f(17), f(3, 1), f()], ([x, row, column, one]) =>
    p.sigmoid(p.fma(p.tanh(p.add(x, row)), column, p.mul(one, x))),
  ),
];
