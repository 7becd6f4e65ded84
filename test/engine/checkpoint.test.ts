/** Loops over segments give what whole loops give, and take less memory. */
import { describe, expect, test } from 'vitest';
import { checkTimeMemory, segmentLength, type TimeMemory } from '../../src/engine/3-checkpoint.ts';
import { compileStep, type StepBuilder, type TracedStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { add, mul, select, square, sub, tanh } from '../../src/ops/pointwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { scan } from '../../src/ops/scan.ts';
import { concat, reshape, slice, transpose } from '../../src/ops/shape.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { openMachine } from '../../src/vm/open.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { expectSameBits, onThreads, threadCounts } from '../vm/scene.ts';
import { loopsOf, printedLoops } from './printed-loops.ts';
import { type Sizes, spaceOf, stepCells, trainingStep } from './training-step.ts';

const machine = await openMachine();
const oracle = await openMachine({ host: 'oracle' });
const weightNames = ['kernel', 'recurrent', 'bias'];
const wave = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(k + i * 1.7));

interface Case {
  readonly memory: TimeMemory;
  readonly reverse?: boolean;
  readonly mask?: 'none' | 'left' | 'right' | 'holes';
  /** Whether the compiler is told that the rows come longest first. */
  readonly ordered?: boolean;
  /** All outputs, or the last state alone. */
  readonly sequences?: boolean;
}

/** One layer over time: its outputs, and the gradients of everything that enters it. */
function gradientStep(name: string, { batch, time, features, units }: Sizes, c: Case) {
  const cell = stepCells[name];
  const { mask: side = 'none', reverse = false, sequences = false, ordered = false } = c;
  return (b: StepBuilder): TracedStep => {
    const x = b.input('x', [time, batch, features]);
    const y = b.input('y', sequences ? [time, batch, units] : [batch, units]);
    const starts = Array.from({ length: cell.carries }, (_, i) => b.input(`start${i}`, [batch, units]));
    const mask = side === 'none' ? null : b.input('mask', [batch, time], 'f32', { orderedRows: ordered });
    const weights = weightNames.map((key) => b.state(key));
    const [w, u, biases] = weights;
    const wide = cell.gates * units;
    const rows = Array.from({ length: cell.biases }, (_, i) => reshape(slice(biases, [i, 0], [1, wide]), [wide]));
    const walked = scan(
      {
        init: starts,
        sequences: mask ? [x, transpose(mask, [1, 0])] : [x],
        constants: [w, u, ...rows],
        length: time,
        reverse,
      },
      (carry, [now, valid], constants) => {
        const next = cell.step(carry, now, constants);
        const kept = valid ? next.map((v, i) => select(reshape(valid, [batch, 1]), v, carry[i])) : next;
        return { carry: kept, outputs: sequences ? [kept[0]] : [] };
      },
    );
    const result = sequences ? walked.outputs[0] : walked.carry[0];
    // The last states are part of the loss too, so that a gradient enters every carry.
    const losses = walked.carry.map((h) => sum(square(h)));
    const loss = [sum(square(sub(result, y))), ...losses].reduce((a, v) => add(a, v));
    const wrt = [...weights, x, ...starts];
    const names = [...weightNames, 'x', ...starts.map((_, i) => `start${i}`)];
    const found = gradients([loss], [b.constant(1)], wrt, { memory: c.memory });
    const gradient = Object.fromEntries(found.map((g, i) => [`d${names[i]}`, g ?? mul(wrt[i], 0)]));
    return { outputs: { loss, result, ...gradient } };
  };
}

function feedOf(name: string, { batch, time, features, units }: Sizes, { mask = 'none', sequences = false }: Case) {
  const valid = new Float32Array(batch * time);
  for (let r = 0; r < batch; r++) {
    const length = Math.floor((time * (batch - 1 - r)) / Math.max(1, batch - 1)); // longest first, the last row empty
    for (let t = 0; t < time; t++) {
      if (mask === 'holes') valid[r * time + t] = (r * 5 + t * 3) % 4 ? 1 : 0;
      else valid[r * time + t] = (mask === 'left' ? time - 1 - t : t) < length ? 1 : 0;
    }
  }
  const starts = Array.from({ length: stepCells[name].carries }, (_, i) => [`start${i}`, wave(batch * units, 5 + i)]);
  return {
    x: wave(time * batch * features, 1),
    y: wave((sequences ? time : 1) * batch * units, 2),
    ...Object.fromEntries(starts),
    ...(mask !== 'none' && { mask: valid }),
  };
}

function run(on: Machine, name: string, sizes: Sizes, c: Case) {
  const step = compileStep(spaceOf(on, stepCells[name], sizes), name, gradientStep(name, sizes, c));
  return step.runSync([feedOf(name, sizes, c)])[0];
}

/** Weight gradients are sums over time in another order; all else is the same arithmetic, up to the number of rows of a product. */
function expectClose(got: Record<string, ArrayLike<number>>, want: Record<string, ArrayLike<number>>, near: number) {
  expect(Object.keys(got)).toEqual(Object.keys(want));
  for (const [key, values] of Object.entries(want)) {
    const largest = Math.max(1, ...Array.from(values, Math.abs));
    for (let i = 0; i < values.length; i++)
      if (!(Math.abs(got[key][i] - values[i]) <= near * largest))
        expect.fail(`${key}[${i}]: ${got[key][i]}, wanted ${values[i]}`);
  }
}

const isExact = machine.traits.host === 'oracle';
const near = isExact ? 1e-12 : 2e-6;
const memories: TimeMemory[] = ['sqrt', 1, 5];

describe('segments of a loop', () => {
  test.each([
    ['full', 100, null],
    ['sqrt', 0, null],
    ['sqrt', 3, null],
    ['sqrt', 4, 2],
    ['sqrt', 100, 10],
    ['sqrt', 10_000, 100],
    ['sqrt', 1000, 40],
    ['sqrt', 500, 25],
    ['sqrt', 101, 11],
    [7, 100, 7],
    [100, 100, null],
    [1, 1, null],
    [1, 2, 1],
  ] as const)('%s of %d steps: %s', (memory, length, steps) => {
    expect(segmentLength(memory, length)).toBe(steps);
  });

  test.each([0, -1, 1.5, Number.NaN, 'half', null, true])('%s is refused', (memory) => {
    expect(() => checkTimeMemory(memory, 'compile: memory')).toThrowError(
      /compile: memory: expected 'full', 'sqrt' or a whole number of steps from 1 on, received/,
    );
  });
});

describe('gradients over segments', () => {
  for (const name of Object.keys(stepCells))
    for (const memory of memories)
      test.each([
        { batch: 17, time: 12, features: 5, units: 19 },
        { batch: 16, time: 13, features: 16, units: 32 },
        { batch: 3, time: 7, features: 1, units: 1 },
        { batch: 1, time: 9, features: 3, units: 16 },
        { batch: 2, time: 1, features: 3, units: 4 },
        { batch: 2, time: 0, features: 3, units: 4 },
      ])(`${name}, memory ${memory}, %o`, (sizes) => {
        for (const reverse of [false, true])
          for (const sequences of [false, true]) {
            const c = { memory, reverse, sequences };
            const [got, want] = [c, { ...c, memory: 'full' as const }].map((own) => run(machine, name, sizes, own));
            expectClose(got, want, near);
            if (!isExact && memory === 'sqrt') expectClose(got, run(oracle, name, sizes, c), 2e-5);
            // From 16 rows on no product leaves the loop: its bits do not depend on how many steps there are.
            if (sizes.batch < 16) continue;
            for (const key of ['loss', 'result', 'dx', 'dstart0']) expectSameBits(got[key], want[key], key);
          }
      });

  for (const name of Object.keys(stepCells))
    for (const mask of ['left', 'right', 'holes'] as const)
      for (const memory of name === 'lstm' ? (['sqrt', 3] as const) : (['sqrt'] as const))
        test.each([
          { batch: 17, time: 11, features: 5, units: 19 },
          { batch: 4, time: 12, features: 2, units: 16 },
          { batch: 3, time: 8, features: 1, units: 1 },
        ])(`${name}, mask ${mask}, memory ${memory}, %o`, (sizes) => {
          for (const reverse of [false, true])
            for (const sequences of [false, true])
              for (const ordered of mask === 'holes' ? [false] : [false, true]) {
                const c = { memory, reverse, sequences, mask, ordered };
                const [got, want] = [c, { ...c, memory: 'full' as const }].map((own) => run(machine, name, sizes, own));
                expectClose(got, want, near);
                if (!isExact) expectClose(got, run(oracle, name, sizes, c), 2e-5);
              }
        });
});

/** Two loops over each other, the second of them in the other direction beside the first: what a deep bidirectional model has. */
function deepStep(sizes: Sizes, memory: TimeMemory) {
  const { batch, time, features, units } = sizes;
  const cell = stepCells.lstm;
  return (b: StepBuilder): TracedStep => {
    const x = b.input('x', [time, batch, features]);
    const kernels = ['kernel', 'second'].map((key) => b.state(key));
    const [recurrent, bias] = ['recurrent', 'bias'].map((key) => b.state(key));
    const start = b.input('start', [batch, units]);
    const walk = (sequence: Tensor, kernel: Tensor, reverse: boolean) =>
      scan(
        {
          init: [start, start],
          sequences: [sequence],
          constants: [kernel, recurrent, reshape(bias, [4 * units])],
          length: time,
          reverse,
        },
        (carry, [now], constants) => {
          const next = cell.step(carry, now, constants);
          return { carry: next, outputs: [next[0]] };
        },
      ).outputs[0];
    const both = concat([walk(x, kernels[0], false), walk(x, kernels[0], true)], -1);
    const top = walk(both, kernels[1], false);
    const loss = sum(square(top));
    const wrt = [...kernels, recurrent, bias, x, start];
    const found = gradients([loss], [b.constant(1)], wrt, { memory });
    return { outputs: { loss, top, ...Object.fromEntries(found.map((g, i) => [`d${i}`, g as Tensor])) } };
  };
}

test.each([
  ['sqrt', 12],
  ['sqrt', 13],
  [5, 12],
] as const)('deep and in both directions, memory %s, %d steps', (memory, time) => {
  const sizes = { batch: 16, time, features: 6, units: 8 };
  const made = (on: Machine, kept: TimeMemory) => {
    const space = spaceOf(on, stepCells.lstm, sizes);
    space.declare('second', [16, 32], { groups: 4 });
    space.set('second', wave(512, 3));
    const step = compileStep(space, 'deep', deepStep(sizes, kept));
    return step.runSync([{ x: wave(time * 16 * 6, 1), start: wave(128, 4) }])[0];
  };
  const [got, want] = [memory, 'full' as const].map((kept) => made(machine, kept));
  expectClose(got, want, near);
  expectSameBits(got.top, want.top, 'outputs');
  expectClose(got, made(oracle, memory), 2e-5);
});

/** A loop whose body has a loop of its own: some rounds of attention to the state at every step. */
function loopInLoop({ batch, time, units }: Sizes, memory: TimeMemory) {
  return (b: StepBuilder): TracedStep => {
    const x = b.input('x', [time, batch, units]);
    const start = b.input('start', [batch, units]);
    const u = b.state('recurrent');
    const { carry, outputs } = scan(
      { init: [start], sequences: [x], constants: [u], length: time },
      ([h], [now], [w]) => {
        const inner = scan({ init: [h], sequences: [], constants: [w, now], length: 3 }, ([g], _, [v, y]) => {
          const next = tanh(add(matmul(g, v), y));
          return { carry: [next], outputs: [] };
        });
        return { carry: inner.carry, outputs: inner.carry };
      },
    );
    const loss = add(sum(square(outputs[0])), sum(square(carry[0])));
    const found = gradients([loss], [b.constant(1)], [x, start, u], { memory });
    return { outputs: { loss, ...Object.fromEntries(found.map((g, i) => [`d${i}`, g as Tensor])) } };
  };
}

test.each(['sqrt', 2, 5] as const)('a loop in the body of a loop, memory %s', (memory) => {
  const sizes = { batch: 3, time: 7, features: 4, units: 4 };
  const made = (on: Machine, kept: TimeMemory) => {
    const space = new StateSpace(on);
    space.declare('recurrent', [4, 4]);
    space.set('recurrent', wave(16, 3));
    return compileStep(space, 'loops', loopInLoop(sizes, kept)).runSync([{ x: wave(84, 1), start: wave(12, 2) }])[0];
  };
  expectClose(made(machine, memory), made(machine, 'full'), near);
  expectClose(made(machine, memory), made(oracle, memory), 2e-5);
});

describe.skipIf(isExact)('programs over segments', () => {
  const sizes = { batch: 32, time: 100, features: 24, units: 48 };
  const made = (name: string, memory: TimeMemory, some = sizes) =>
    compileStep(spaceOf(machine, stepCells[name], some), name, trainingStep(stepCells[name], some, { memory }));

  test.each(Object.keys(stepCells))('%s: the loops of a segment are those of a whole loop', (name) => {
    const [whole, segments] = (['full', 'sqrt'] as const).map((memory) => made(name, memory).explain());
    const [forward, backward] = loopsOf(whole);
    const [inner, outer] = [true, false].map((innermost) =>
      printedLoops(segments)
        .filter((loop) => loop.innermost === innermost)
        .map(({ instructions }) => instructions.sort()),
    );
    // Forward, forward again, and back.
    expect(inner).toEqual([forward, forward, backward]);
    expect(outer).toHaveLength(2);
    // Weight gradients are products over the rows of a segment, and nothing is packed in a loop.
    const count = (text: string, line: string) =>
      text.split('\n').filter((own) => own.trim().startsWith(`${line} `)).length;
    expect(outer[1].filter((line) => line === 'PRODUCT_TN')).toHaveLength(count(whole, 'PRODUCT_TN'));
    expect(count(segments, 'PRODUCT_TN')).toBe(count(whole, 'PRODUCT_TN'));
    expect(outer.flat()).not.toContain('PACK');
    expect(outer[0].filter((line) => line !== 'COPY' && line !== 'PRODUCT')).toEqual([]);
  });

  test('the arena grows with the root of the length', () => {
    // Outputs and their gradients keep their steps, so the last state alone is asked for.
    const arena = (memory: TimeMemory, time: number) => {
      const some = { ...sizes, time };
      const space = spaceOf(machine, stepCells.lstm, some);
      return compileStep(space, 'lstm', gradientStep('lstm', some, { memory })).plan.arenaBytes;
    };
    const step = 32 * 48 * 4;
    const dx = 32 * 32 * 4; // of a step
    expect(arena('full', 10_000)).toBeGreaterThan(10_000 * 6 * step);
    // Two carries at the borders, six values in a segment, and what does not depend on the length; dx is asked for.
    expect(arena('sqrt', 10_000)).toBeLessThan(10_000 * dx + 100 * 9 * step + 1e6);
    expect(arena('sqrt', 10_000) - 10_000 * dx).toBeLessThan(0.03 * arena('full', 10_000));
    expect(arena(1000, 10_000)).toBeGreaterThan(arena('sqrt', 10_000));
  });

  test('segments leave out padding as whole loops do', () => {
    const some = { batch: 8, time: 12, features: 5, units: 16 };
    const text = (ordered: boolean) =>
      compileStep(
        spaceOf(machine, stepCells.lstm, some),
        'lstm',
        gradientStep('lstm', some, { memory: 5, mask: 'left', ordered }),
      ).explain();
    // Two whole segments of five steps and one of two; forward, forward again and back, the last one forward and back.
    expect(text(true).match(/LOOP .*activeRows=8/g)).toHaveLength(5);
    expect(text(false).match(/LOOP .*activeRows=0/g)).toHaveLength(7);
  });

  test.skipIf(machine.traits.host !== 'native')('the same bits on any number of threads', () => {
    const some = { batch: 13, time: 11, features: 5, units: 33 };
    for (const mask of ['none', 'right'] as const)
      for (const sequences of [false, true]) {
        const train = () =>
          Object.values(run(machine, 'gru', some, { memory: 'sqrt', sequences, mask, ordered: true }));
        const one = onThreads(1, train);
        for (const threads of threadCounts)
          for (const [i, values] of onThreads(threads, train).entries())
            expectSameBits(values, one[i], `result ${i} on ${threads} threads`);
      }
  });
});
