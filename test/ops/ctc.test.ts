/** CTC against PyTorch (test/golden/losses.py), and against all alignments written out; masks, padding, lengths. */
import { describe, expect, it } from 'vitest';
import { losses } from '../../src/layers/losses/all.ts';
import { ctcLoss } from '../../src/ops/ctc.ts';
import { logSoftmax } from '../../src/ops/softmax.ts';
import { goldenMachines, readGolden, relativeDistance } from '../golden/golden.ts';
import { flat, type Nested, runGraph, runLoss } from '../layers/loss-run.ts';

interface Case {
  title: string;
  blank: number;
  zeroInfinity: boolean;
  lengths: number[];
  labels: number[][];
  x: number[][][];
  values: (number | null)[];
  gradient: number[][][];
}
const { ctc: cases } = readGolden<{ ctc: Case[] }>('losses.json');
const machines = await goldenMachines();

const maskOf = (lengths: number[], steps: number) =>
  lengths.map((n) => Array.from({ length: steps }, (_, t) => (t < n ? 1 : 0)));

function run(
  machine: (typeof machines)[number],
  c: Case,
  labels = c.labels,
  mask: number[][] = maskOf(c.lengths, c.x[0].length),
) {
  const valid = labels.map((row) => row.map((v) => (v === -1 ? 0 : 1)));
  const ids = labels.map((row) => row.map((v) => Math.max(0, v)));
  return runGraph(machine, { x: c.x, mask, valid }, { y: ids }, ({ x, y, mask: m, valid: v }) => ({
    values: ctcLoss(logSoftmax(x), y, { blank: c.blank, labelMask: v, mask: m, zeroInfinity: c.zeroInfinity }),
  }));
}

/** -log of the sum over all sequences of classes whose reading is the labels. */
function enumerated(x: number[][], labels: readonly number[], blank: number): number {
  const p = x.map((row) => {
    const e = row.map(Math.exp);
    const total = e.reduce((a, b) => a + b);
    return e.map((v) => v / total);
  });
  const classes = x[0].length;
  let total = 0;
  for (let code = 0; code < classes ** x.length; code++) {
    const path = x.map((_, t) => Math.floor(code / classes ** t) % classes);
    const read = path.filter((v, t) => v !== blank && v !== path[t - 1]);
    if (read.length === labels.length && read.every((v, i) => v === labels[i]))
      total += path.reduce((product, v, t) => product * p[t][v], 1);
  }
  return -Math.log(total);
}

describe.each(machines.map((machine) => [machine.traits.host, machine] as const))('CTC on %s', (host, machine) => {
  const tolerance = host === 'oracle' ? 1e-9 : 1e-5;

  it.each(cases)('is as in PyTorch: $title', async (c) => {
    const { results, gradients } = await run(machine, c);
    c.values.forEach((v, i) => {
      if (v === null) expect(results.values[i]).toBe(Number.POSITIVE_INFINITY);
      else expect(Math.abs(results.values[i] - v)).toBeLessThan(tolerance * Math.max(1, Math.abs(v)));
    });
    expect(relativeDistance(gradients.x, flat(c.gradient))).toBeLessThan(tolerance);
  });

  it('takes padding and masked steps wherever they stand', async () => {
    const c = cases.find(({ title }) => title.startsWith('lengths and')) as Case;
    const plain = await run(machine, c);
    // Rows of six steps stretched to eight, and labels to six, with holes in front and within.
    const places = [0, 2, 3, 5, 6, 7];
    const x = c.x.map((row) => Array.from({ length: 8 }, (_, t) => row[places.indexOf(t)] ?? [9, -9, 3, 9, 1]));
    const mask = maskOf(c.lengths, 6).map((row) => Array.from({ length: 8 }, (_, t) => row[places.indexOf(t)] ?? 0));
    const labels = c.labels.map((row) => [-1, row[0], -1, row[1], row[2], row[3]]);
    const holes = await run(machine, { ...c, x }, labels, mask);
    expect(relativeDistance(holes.results.values, plain.results.values)).toBeLessThan(1e-6);
    const back = c.x.flatMap((_, b) =>
      places.flatMap((t) => holes.gradients.x.slice((b * 8 + t) * 5, (b * 8 + t + 1) * 5)),
    );
    expect(relativeDistance(back, plain.gradients.x)).toBeLessThan(1e-5);
  });

  it('is the sum over all alignments', async () => {
    const x = [
      [0.3, -1, 0.5],
      [0.2, 0.9, -0.4],
      [1.2, 0.1, -0.6],
      [0.8, 0.7, -0.2],
    ];
    for (const [blank, labels] of [
      [0, [1, 2]],
      [0, [2, 2]],
      [2, [0]],
      [1, []],
    ] as const) {
      const padded = [[...labels, -1, -1].slice(0, 2)];
      const c = {
        title: '',
        blank,
        zeroInfinity: false,
        lengths: [4],
        labels: padded,
        x: [x],
        values: [],
        gradient: [],
      };
      const { results } = await run(machine, c);
      expect(results.values[0]).toBeCloseTo(enumerated(x, labels, blank), 5);
    }
  });

  it('of no steps is certain of no labels, and of no others', async () => {
    const c = cases[0];
    const none = c.x.map((row) => row.map(() => 0));
    const { results, gradients } = await run(machine, c, [[-1], [1]], none);
    expect(results.values).toEqual([0, Number.POSITIVE_INFINITY]);
    expect(gradients.x.every((g) => g === 0)).toBe(true);
  });

  it('stays finite over many steps', async () => {
    const steps = 400;
    const x = [
      Array.from({ length: steps }, (_, t) => Array.from({ length: 5 }, (_, c) => 30 * Math.sin(t * 7 + c * c))),
    ];
    const y = [Array.from({ length: 60 }, (_, k) => 1 + (k % 4))];
    const { results, gradients } = await runGraph(machine, { x }, { y }, (t) => ({ v: ctcLoss(logSoftmax(t.x), t.y) }));
    expect(results.v[0]).toBeGreaterThan(0);
    expect(gradients.x.every(Number.isFinite)).toBe(true);
    // The gradient of a logit is p - its share of the alignments: the sum over the classes is 0 at every step.
    for (let t = 0; t < steps; t += 37)
      expect(Math.abs(gradients.x.slice(5 * t, 5 * t + 5).reduce((a, b) => a + b))).toBeLessThan(1e-4);
  });

  it('takes probabilities of zero', async () => {
    const low = -1000;
    const x: Nested = [
      [
        [0, low, low],
        [low, 0, low],
        [low, low, 0],
      ],
    ];
    const { results, gradients } = await runGraph(machine, { x }, { y: [[1, 2]] }, (t) => ({
      v: ctcLoss(logSoftmax(t.x), t.y),
    }));
    expect(results.v[0]).toBeCloseTo(0, 5);
    expect(gradients.x.every(Number.isFinite)).toBe(true);
  });
});

describe.each(machines.map((machine) => [machine.traits.host, machine] as const))(
  'losses.ctc on %s',
  (_host, machine) => {
    const c = cases.find(({ title }) => title.startsWith('lengths and')) as Case;
    const finite = c.values as number[];

    it('takes lengths out of masks and padding', async () => {
      const { total } = await runLoss(machine, losses.ctc({ blank: 2 }), {
        y: c.labels,
        p: c.x,
        mask: maskOf(c.lengths, 6),
      });
      expect(total).toBeCloseTo(finite.reduce((a, b) => a + b) / 4, 4);
    });
    it('takes the blank for padding too, as Keras does', async () => {
      const y = c.labels.map((row) => row.map((v) => (v === -1 ? 2 : v)));
      const { total } = await runLoss(machine, losses.ctc({ blank: 2 }), { y, p: c.x, mask: maskOf(c.lengths, 6) });
      expect(total).toBeCloseTo(finite.reduce((a, b) => a + b) / 4, 4);
    });
    it('leaves out blanks in front', async () => {
      const x = [cases[1].x[0]];
      const valueOf = async (row: number[]) => (await runLoss(machine, losses.ctc(), { y: [row], p: x })).total;
      const expected = await valueOf([3, 1, -1, -1]);
      for (const row of [
        [0, 0, 3, 1],
        [0, 3, 1, 0],
        [-1, 3, -1, 1],
      ])
        expect(await valueOf(row)).toBeCloseTo(expected, 5);
    });
    it('takes lengths out of the targets', async () => {
      const counts = c.labels.map((row) => row.filter((v) => v !== -1).length);
      const y = c.labels.map((row, i) => [c.lengths[i], counts[i], ...row.map((v) => Math.max(0, v))]);
      const loss = losses.ctc({ blank: 2, lengthsInTargets: true, reduction: 'sum' });
      const { total } = await runLoss(machine, loss, { y, p: c.x });
      expect(total).toBeCloseTo(
        finite.reduce((a, b) => a + b),
        4,
      );
      const perLabel = losses.ctc({ blank: 2, lengthsInTargets: true, perLabel: true });
      const mean = finite.reduce((a, b, i) => a + b / counts[i], 0) / 4;
      expect((await runLoss(machine, perLabel, { y, p: c.x })).total).toBeCloseTo(mean, 4);
    });
    it('takes weights per row, a blank from the end, another padding, and probabilities', async () => {
      const first = cases[0];
      const e = first.x.map((row) => row.map((step) => step.map(Math.exp)));
      const p = e.map((row) => row.map((step) => step.map((v) => v / step.reduce((a, b) => a + b))));
      const weight = [0.5, 2];
      const loss = losses.ctc({ blank: -3, padding: 9, fromLogits: false, reduction: 'sum' });
      const { total } = await runLoss(machine, loss, { y: first.labels.map((row) => [9, ...row]), p, weight });
      const values = first.values as number[];
      expect(total).toBeCloseTo(0.5 * values[0] + 2 * values[1], 4);
    });
  },
);
