/** What can be pinned of the compiler's work without a clock: what stands in the loops, what is refused, what is printed. */
import { describe, expect, test } from 'vitest';
import { compileStep } from '../../src/engine/compile.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { add, tanh } from '../../src/ops/pointwise.ts';
import { scan } from '../../src/ops/scan.ts';
import { openMachine } from '../../src/vm/open.ts';
import { loopsOf } from './printed-loops.ts';
import { spaceOf, stepCells, trainingStep } from './training-step.ts';

const machine = await openMachine();
const oracle = await openMachine({ host: 'oracle' });
const sizes = { batch: 32, time: 10, features: 24, units: 48 };

describe.skipIf(machine.traits.host === 'oracle')('programs', () => {
  for (const [name, cell] of Object.entries(stepCells)) {
    test.each([1, 16, 32])(`${name}: one product and one chain in each loop, nothing copied, %d rows`, (batch) => {
      const own = { ...sizes, batch };
      const step = compileStep(spaceOf(machine, cell, own), name, trainingStep(cell, own));
      const [forward, backward, ...others] = loopsOf(step.explain());
      expect(others).toEqual([]);
      expect(forward).toEqual(['CHAIN', 'PRODUCT']);
      expect(backward).toEqual(['CHAIN', 'PRODUCT']);
    });

    test.each([
      { batch: 32, time: 10, features: 24, units: 48 },
      { batch: 1, time: 7, features: 1, units: 32 },
      { batch: 3, time: 5, features: 2, units: 1 },
      { batch: 17, time: 4, features: 31, units: 19 },
      { batch: 2, time: 1, features: 3, units: 16 },
    ])(`${name}: ten training steps as on the oracle, %o`, (some) => {
      const spaces = [machine, oracle].map((m) => spaceOf(m, cell, some));
      const steps = spaces.map((space) => compileStep(space, name, trainingStep(cell, some)));
      const wave = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(k + i * 1.7));
      const { batch, time, features, units } = some;
      const feed = { x: wave(time * batch * features, 1), y: wave(time * batch * units, 2) };
      const [got, want] = steps.map((step) => step.runSync(Array.from({ length: 10 }, () => feed)));
      got.forEach((result, i) => {
        expect(result.loss[0]).toBeCloseTo(want[i].loss[0], 4);
        result.last.forEach((v, j) => {
          if (Math.abs(v - want[i].last[j]) > 2e-5)
            expect.fail(`step ${i}, output ${j}: ${v}, wanted ${want[i].last[j]}`);
        });
      });
      for (const leaf of spaces[0].names()) {
        const [a, b] = spaces.map((space) => space.get(leaf));
        a.forEach((v, j) => {
          if (Math.abs(v - b[j]) > 2e-5) expect.fail(`${leaf}[${j}]: ${v}, wanted ${b[j]}`);
        });
      }
    });
  }

  // Stacks of units: the gradients of the gates over their activations, and the states. The states of a simple RNN are its activations, and a
  // function of a state is not stacked. The scratch of a product and the derivative of the loss are small beside them.
  test.each([
    ['lstm', 6],
    ['gru', 5],
    ['simpleRnn', 2],
  ])('the arena of a training step of %s holds %i stacks', (name, stacks) => {
    const long = { ...sizes, time: 400, units: 64 };
    const cell = stepCells[name];
    const { arenaBytes } = compileStep(spaceOf(machine, cell, long), name, trainingStep(cell, long)).plan;
    expect(arenaBytes / (long.batch * long.time * long.units * 4)).toBeLessThan(stacks + 0.5);
  });

  test.each([false, true])(
    'what a recurrence returns of all its steps is made where the results stand, reverse %s',
    (reverse) => {
      const { batch, time, units } = sizes;
      const spaces = [machine, oracle].map((m) => new StateSpace(m));
      const [step, exact] = spaces.map((space) => {
        space.declare('w', [units, units]);
        space.set(
          'w',
          Float32Array.from({ length: units * units }, (_, i) => Math.sin(i) / 8),
        );
        return compileStep(space, 'all steps', (b) => {
          const { carry, outputs } = scan(
            {
              init: [b.input('start', [batch, units])],
              sequences: [b.input('x', [time, batch, units])],
              constants: [b.state('w')],
              length: time,
              reverse,
            },
            ([h], [x], [w]) => {
              const next = tanh(add(x, matmul(h, w)));
              return { carry: [next], outputs: [next, h] };
            },
          );
          return { outputs: { after: outputs[0], last: carry[0], before: outputs[1] } };
        });
      });
      const wave = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(k + i * 1.7));
      const feeds = [1, 2].map((k) => ({ x: wave(time * batch * units, k), start: wave(batch * units, -k) }));
      const [got, want] = [step.runSync(feeds), exact.runSync(feeds)];
      want.forEach((result, i) => {
        for (const [name, values] of Object.entries(result))
          values.forEach((v, j) => expect(got[i][name][j], `${i}: ${name}[${j}]`).toBeCloseTo(v, 5));
      });
      // The start, the last state and the stack of the states before; not the stack of those after.
      expect(step.explain().match(/^ *COPY /gm)).toHaveLength(3);
      expect(step.plan.arenaBytes).toBeLessThan(time * batch * units * 4);
    },
  );

  test('the arena is as large as its map says, and a plan that does not fit is refused with the figure', () => {
    const cell = stepCells.lstm;
    const step = compileStep(spaceOf(machine, cell, sizes), 'lstm', trainingStep(cell, sizes));
    expect(step.explain()).toContain('arena map');
    expect(step.plan.arenaBytes).toBeGreaterThan(10 * 32 * 4 * 48 * 4);
    const { arenaBytes, ioBytes, stateBytes } = step.plan;
    const total = arenaBytes + ioBytes + stateBytes;
    const limited = () =>
      compileStep(spaceOf(machine, cell, sizes), 'lstm', trainingStep(cell, sizes), { memoryLimit: total - 1 });
    expect(limited).toThrowError(new RegExp(`${total} bytes`));
  });

  test('operations of the products are counted', () => {
    const { batch, time, features, units } = sizes;
    const step = compileStep(spaceOf(machine, stepCells.lstm, sizes), 'lstm', trainingStep(stepCells.lstm, sizes));
    const gates = 4 * units;
    expect(step.plan.flops).toBe(2 * batch * time * gates * (2 * (features + units) + units));
  });

  test('a feed of the wrong size is refused', () => {
    const step = compileStep(new StateSpace(machine), 'product', (b) => ({
      outputs: { y: matmul(b.input('x', [2, 3]), b.input('w', [3, 4])) },
    }));
    expect(() => step.runSync([{ x: [1, 2, 3, 4, 5], w: new Array(12).fill(1) }])).toThrowError(
      /input x: expected 6 values, received 5/,
    );
  });
});

test('the oracle walks the graph as it was traced', () => {
  const step = compileStep(new StateSpace(oracle), 'product', (b) => ({
    outputs: { y: matmul(b.input('x', [1, 2]), b.input('w', [2, 1])) },
  }));
  expect(Array.from(step.runSync([{ x: [3, 4], w: [5, 6] }])[0].y)).toEqual([39]);
});
