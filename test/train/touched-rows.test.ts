/**
 * Gradients of tables as the rows that a batch touched: the same bits as with the whole gradient, under every optimizer. A step that also gives the
 * gradient out needs all of it, so it is the other route.
 */
import { describe, expect, it } from 'vitest';
import { RandomKey } from '../../src/core/random.ts';
import { compileStep, type StepBuilder } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { gather } from '../../src/ops/gather.ts';
import { matmulNT } from '../../src/ops/matmul.ts';
import { add, isFinite, maximum, mul, oneMinus, select, square, tanh } from '../../src/ops/pointwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { scan } from '../../src/ops/scan.ts';
import { broadcastTo, reshape } from '../../src/ops/shape.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { optimizers } from '../../src/train/optimizers/all.ts';
import type { Optimizer } from '../../src/train/optimizers/optimizer.ts';
import { sharedLeaf, slotLeaf } from '../../src/train/optimizers/slots.ts';
import { traceOptimizer } from '../../src/train/optimizers/step.ts';
import { openMachine } from '../../src/vm/open.ts';
import { onThreads } from '../vm/scene.ts';

const machine = await openMachine();
const oracle = await openMachine({ host: 'oracle' });
const isOracle = machine.traits.host === 'oracle';

const ROWS = 90;
const COLUMNS = 20;
const table = { path: 'embedding/embeddings', shape: [ROWS, COLUMNS], groups: 1 };
const bias = { path: 'dense/bias', shape: [COLUMNS], groups: 1 };
const steps = 5;
const key = RandomKey.from(7);

type Lookup = (b: StepBuilder, table: Tensor, ids: Tensor) => Tensor;
/** What a model makes of a table, as one number. */
const lookups = {
  'one lookup': (_, t, ids) => sum(square(tanh(gather(t, ids)))),
  'two lookups of the same ids': (_, t, ids) => add(sum(square(gather(t, ids))), sum(tanh(gather(t, ids)))),
  'two lookups of other ids': (b, t, ids) =>
    add(sum(square(gather(t, ids))), sum(tanh(gather(t, b.input('more', [4], 'i32'))))),
  'one index': (b, t) => sum(square(gather(t, b.input('one', [], 'i32')))),
  'a lookup in every step of a loop': (b, t, ids) => {
    const start = broadcastTo(b.constant(0), [5, COLUMNS]);
    const step = ([h]: readonly Tensor[], [x]: readonly Tensor[], [w]: readonly Tensor[]) => ({
      carry: [tanh(add(h, gather(w, x)))],
      outputs: [],
    });
    return sum(square(scan({ init: [start], sequences: [ids], constants: [t], length: 3 }, step).carry[0]));
  },
  'a lookup and a penalty': (_, t, ids) => add(sum(square(gather(t, ids))), mul(sum(square(t)), 0.01)),
  'a lookup and a product': (_, t, ids) => {
    const x = reshape(gather(t, ids), [15, COLUMNS]);
    return mul(sum(square(tanh(matmulNT(x, t)))), 0.01);
  },
} as const satisfies Record<string, Lookup>;

interface Options {
  readonly optimizer: Optimizer;
  readonly lookup?: Lookup;
  readonly project?: (w: Tensor) => Tensor;
  /** The whole gradient is given out. */
  readonly whole?: boolean;
  readonly on?: typeof machine;
  readonly ids?: (step: number) => Int32Array;
  /** What a step's gradient is multiplied by. */
  readonly factor?: (step: number) => number;
}

const randomIds = (step: number) =>
  Int32Array.from(key.split('ids').split(step).uniform(15), (u, i) => (i % 4 ? Math.floor(u * u * ROWS) : 3));

/** Some steps: all leaves afterwards, and the text of the program. */
function run({ optimizer, lookup = lookups['one lookup'], project, whole = false, on = machine, ...feeds }: Options) {
  const space = new StateSpace(on);
  const start = (shape: readonly number[], name: string) =>
    key
      .split(name)
      .normal(shape.reduce((a, b) => a * b))
      .map((x) => x * 0.3);
  for (const weight of [table, bias]) {
    space.declare(weight.path, weight.shape);
    space.set(weight.path, start(weight.shape, weight.path));
    for (const [slot, { shape, initial }] of Object.entries(optimizer.slots(weight))) {
      space.declare(slotLeaf(weight.path, slot), shape);
      const size = shape.reduce((a, b) => a * b, 1);
      space.set(
        slotLeaf(weight.path, slot),
        initial === 'weight' ? start(weight.shape, weight.path) : new Float64Array(size).fill(initial),
      );
    }
  }
  for (const [name, initial] of Object.entries(optimizer.shared)) {
    space.declare(sharedLeaf(name), []);
    space.set(sharedLeaf(name), [initial]);
  }
  const step = compileStep(space, 'step', (b) => {
    const ids = b.input('ids', [3, 5], 'i32');
    const factor = b.input('factor', []);
    const names = Object.keys(optimizer.scalars(0, 0.1));
    const scalars = Object.fromEntries(names.map((name) => [name, b.input(name, [])]));
    const loss = mul(add(lookup(b, b.state(table.path), ids), sum(square(b.state(bias.path)))), factor);
    const found = gradients([loss], [b.constant(1)], [b.state(table.path), b.state(bias.path)]) as Tensor[];
    const good = isFinite(found.reduce((total, g) => add(total, sum(g)), loss));
    const updates: Record<string, Tensor> = {};
    const weights = [table, bias].map((weight, i) => ({
      ...weight,
      gradient: found[i],
      project: i ? null : (project ?? null),
    }));
    traceOptimizer(b, optimizer, weights, scalars, (leaf, next) => {
      updates[leaf] = select(good, next, b.state(leaf));
    });
    return { outputs: { loss, good, ...(whole && { gradient: found[0] }) }, updates };
  });
  const more = Int32Array.of(3, 88, 88, 0);
  const results = step.runSync(
    Array.from({ length: steps }, (_, i) => ({
      ids: (feeds.ids ?? randomIds)(i),
      factor: [feeds.factor?.(i) ?? 1],
      ...(lookup === lookups['two lookups of other ids'] && { more }),
      ...(lookup === lookups['one index'] && { one: Int32Array.of(7 * i) }),
      ...Object.fromEntries(Object.entries(optimizer.scalars(i, 0.1)).map(([name, x]) => [name, [x]])),
    })),
  );
  const leaves = Object.fromEntries(space.names().map((name) => [name, space.get(name)]));
  return { leaves, results, text: step.explain() };
}

function expectClose(got: Record<string, ArrayLike<number>>, want: Record<string, ArrayLike<number>>, within: number) {
  for (const [name, values] of Object.entries(want)) {
    const apart = Array.from(values, (x, i) => Math.abs(got[name][i] - x) / Math.max(1, Math.abs(x)));
    expect(Math.max(...apart), name).toBeLessThanOrEqual(within);
  }
}

/** 0 and -0 are the same number. */
const numbers = (leaves: Record<string, ArrayLike<number>>) =>
  Object.fromEntries(Object.entries(leaves).map(([name, x]) => [name, Array.from(x, (v) => v + 0)]));

/** Instructions that go over all rows of the table. */
function wholePasses(text: string): string[] {
  const vectors = ROWS * 2;
  return text.split('\n').filter((line) => {
    const of = (name: string) => Number(line.match(`\\b${name}=(\\d+)`)?.[1] ?? 0);
    const isRead = /^\s*(GATHER|DISTINCT) /.test(line);
    return (
      !isRead &&
      /^\s*[A-Z_]+ /.test(line) &&
      [of('vectors') / vectors, of('middle') / ROWS, of('vocabulary') / ROWS, of('count') / (ROWS * 32)].some(
        (x) => x >= 1,
      )
    );
  });
}

const { sgd, adagrad, ...others } = optimizers;

describe('touched rows', () => {
  describe.each([
    ['sgd', sgd({})],
    ['adagrad', adagrad({})],
    ['sgd, values clipped', sgd({ clipvalue: 0.05 })],
    ['sgd, scaled loss', sgd({ lossScaleFactor: 8 })],
  ] as const)('%s', (_, optimizer) => {
    it.each(['one lookup', 'two lookups of the same ids', 'two lookups of other ids', 'one index'] as const)(
      'no pass over the whole table, and the same bits: %s',
      (name) => {
        const lookup = lookups[name];
        const rows = run({ optimizer, lookup });
        const whole = run({ optimizer, lookup, whole: true });
        expect(numbers(rows.leaves)).toEqual(numbers(whole.leaves));
        expectClose(rows.leaves, run({ optimizer, lookup, on: oracle }).leaves, 2e-5);
        if (isOracle) return;
        expect(wholePasses(rows.text)).toEqual([]);
        expect(wholePasses(whole.text).length).toBeGreaterThan(1);
      },
    );
  });

  const dense: [string, Optimizer][] = [
    ...Object.entries(others).map(([name, make]): [string, Optimizer] => [name, make({})]),
    ['sgd with momentum', sgd({ momentum: 0.9 })],
    ['sgd with Nesterov momentum', sgd({ momentum: 0.9, nesterov: true })],
    ['sgd with decay', sgd({ weightDecay: 0.01 })],
    ['sgd with averages', sgd({ useEma: true, emaMomentum: 0.9, emaOverwriteFrequency: 2 })],
    ['sgd, gradients gathered', sgd({ gradientAccumulationSteps: 2 })],
    ['adagrad with decay', adagrad({ weightDecay: 0.01 })],
    ['adam with amsgrad', optimizers.adam({ amsgrad: true })],
    ['rmsprop, centered, with momentum', optimizers.rmsprop({ centered: true, momentum: 0.5 })],
    ['adam, gradients gathered, averages', optimizers.adam({ gradientAccumulationSteps: 2, useEma: true })],
  ];
  it.each(dense)('%s: the same bits from a pass that reads the gradient by row', (name, optimizer) => {
    const rows = run({ optimizer });
    const whole = run({ optimizer, whole: true });
    // What looks at sums over a whole matrix has them in another order.
    if (['lamb', 'adafactor', 'muon'].includes(name)) expectClose(rows.leaves, whole.leaves, 2e-6);
    else expect(numbers(rows.leaves)).toEqual(numbers(whole.leaves));
    if (isOracle || name === 'muon') return;
    expect(rows.text).toMatch('LOAD_INDEXED');
    expect(rows.text).not.toMatch(/SCATTER_ADD .*vocabulary=90/);
  });

  it.each([
    ['clipnorm', sgd({ clipnorm: 0.5 }), true],
    ['globalClipnorm', adagrad({ globalClipnorm: 0.5 }), true],
    ['clipnorm of adam', optimizers.adam({ clipnorm: 0.5 }), false],
    ['globalClipnorm with momentum', sgd({ momentum: 0.9, globalClipnorm: 0.1 }), false],
  ])('%s: the norm is that of the whole gradient', (_, optimizer, alone) => {
    for (const lookup of [lookups['one lookup'], lookups['two lookups of other ids']]) {
      const rows = run({ optimizer, lookup });
      expectClose(rows.leaves, run({ optimizer, lookup, whole: true }).leaves, 1e-6);
      expectClose(rows.leaves, run({ optimizer, lookup, on: oracle }).leaves, 2e-5);
      if (!isOracle) expect(wholePasses(rows.text).length).toBe(alone ? 0 : 1);
    }
  });

  it.each(['a lookup and a penalty', 'a lookup and a product', 'a lookup in every step of a loop'] as const)(
    '%s',
    (name) => {
      for (const optimizer of [sgd({}), adagrad({}), optimizers.adam({})]) {
        const rows = run({ optimizer, lookup: lookups[name] });
        const whole = run({ optimizer, lookup: lookups[name], whole: true });
        expectClose(rows.leaves, whole.leaves, 1e-6);
        expectClose(rows.leaves, run({ optimizer, lookup: lookups[name], on: oracle }).leaves, 1e-4);
        if (!isOracle && name.endsWith('loop') && optimizer.className !== 'Adam')
          expect(wholePasses(rows.text)).toEqual([]);
      }
    },
  );

  it.each<[string, (w: Tensor) => Tensor]>([
    ['not below zero', (w) => maximum(w, 0)],
    ['by the squares of each row', (w) => mul(w, shrinking(w, 1))],
    ['by the squares of each column', (w) => mul(w, shrinking(w, 0))],
  ])('a constraint holds for the whole table: %s', (_, project) => {
    const rows = run({ optimizer: sgd({}), project });
    expectClose(rows.leaves, run({ optimizer: sgd({}), project, whole: true }).leaves, 1e-6);
    expectClose(rows.leaves, run({ optimizer: sgd({}), project, on: oracle }).leaves, 2e-5);
  });

  it('only padding in the batch', () => {
    const ids = () => new Int32Array(15);
    for (const optimizer of [sgd({}), adagrad({}), optimizers.adam({})])
      expect(numbers(run({ optimizer, ids }).leaves)).toEqual(numbers(run({ optimizer, ids, whole: true }).leaves));
  });

  it('every id another row', () => {
    const ids = (step: number) => Int32Array.from({ length: 15 }, (_, i) => ROWS - 1 - 6 * i - (step % 5));
    expect(numbers(run({ optimizer: adagrad({}), ids }).leaves)).toEqual(
      numbers(run({ optimizer: adagrad({}), ids, whole: true }).leaves),
    );
  });

  it('an id outside of the table is refused', () => {
    for (const id of [-1, ROWS]) {
      const ids = (step: number) => randomIds(step).fill(id, 14);
      expect(() => run({ optimizer: sgd({}), ids })).toThrow(expect.objectContaining({ code: 'DATA' }));
    }
  });

  it('weights and slots stay as they were where a gradient is not finite', () => {
    for (const optimizer of [sgd({}), adagrad({ clipnorm: 1 }), optimizers.adam({})]) {
      const broken = (from: number) => (step: number) => (step < from ? 1 : Number.NaN);
      const ids = () => randomIds(0);
      const rows = run({ optimizer, factor: broken(1), ids });
      expect(rows.results.map(({ good }) => good[0])).toEqual([1, 0, 0, 0, 0]);
      const whole = run({ optimizer, factor: broken(1), ids, whole: true });
      expectClose(rows.leaves, whole.leaves, 1e-6);
      expect(Object.values(rows.leaves).every((x) => Array.from(x).every(Number.isFinite))).toBe(true);
    }
  });

  it.skipIf(machine.traits.host !== 'native')('the same bits for every number of threads', () => {
    for (const optimizer of [sgd({}), adagrad({ clipnorm: 0.5 }), optimizers.adam({})]) {
      const one = run({ optimizer });
      for (const threads of [2, 3]) expect(onThreads(threads, () => run({ optimizer })).leaves).toEqual(one.leaves);
    }
  });

  it("a gradient that is not the table's alone stays whole where something else reads it", () => {
    const rows = run({ optimizer: sgd({}), whole: true });
    const [first] = rows.results;
    expect(first.gradient).toHaveLength(ROWS * COLUMNS);
  });
});

function shrinking(w: Tensor, axis: number): Tensor {
  const squares = sum(square(w), { axes: [axis], keepDims: true });
  return oneMinus(mul(tanh(squares), 0.5));
}
