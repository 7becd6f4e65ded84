/**
 * Transposes move until they meet another one or an end of the graph; what is fed and given back then stands with the time in front. Held
 * against the oracle, which walks over the graph as it was traced, and by the copies that are left in the program.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CompiledStep, compileStep, type StepBuilder } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { oneHot } from '../../src/ops/gather.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { add, exp, mul, sigmoid, square, sub, tanh } from '../../src/ops/pointwise.ts';
import { argmax, max, mean, sum } from '../../src/ops/reduce.ts';
import { scan } from '../../src/ops/scan.ts';
import {
  broadcastTo,
  concat,
  expandDims,
  pad,
  reshape,
  reverse,
  slice,
  split,
  transpose,
} from '../../src/ops/shape.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { openMachine } from '../../src/vm/open.ts';

interface Size {
  readonly batch: number;
  readonly time: number;
  readonly features: number;
}

const swap = (x: Tensor) => transpose(x, [1, 0, ...x.shape.map((_, i) => i).slice(2)]);

/** A loop over time that shows the batch in front, as layers do. */
function layer(b: StepBuilder, x: Tensor, weight: Tensor, reversed = false): Tensor {
  const [batch] = x.shape;
  const units = weight.shape[1];
  const start = broadcastTo(b.constant(0), [batch, units]);
  const walked = scan(
    { init: [start], sequences: [swap(x)], constants: [weight], length: x.shape[1], reverse: reversed },
    ([h], [step], [w]) => {
      const next = tanh(add(mul(h, 0.5), matmul(step, w)));
      return { carry: [next], outputs: [next] };
    },
  );
  return swap(walked.outputs[0]);
}

/** What may stand between layers: [B, T, F] to [B, T, F]. */
const between: Readonly<Record<string, (b: StepBuilder, x: Tensor, size: Size) => Tensor>> = {
  sigmoid: (_, x) => sigmoid(x),
  'plus a number for each feature': (b, x) =>
    add(
      x,
      b.constant(
        Array.from({ length: x.shape[2] }, (_, i) => i / 7),
        [x.shape[2]],
      ),
    ),
  'times a fed one': (b, x, size) => mul(x, b.input('gate', [size.batch, size.time, size.features])),
  'times a fed mask': (b, x, size) => mul(x, expandDims(b.input('mask', [size.batch, size.time]), 2)),
  'plus itself half as fast': (_, x) => add(x, mul(x, 0.5)),
  dense: (b, x) => tanh(matmul(x, b.state('square'))),
  softmax: (_, x) => {
    const e = exp(sub(x, max(x, { axes: [2], keepDims: true })));
    return mul(e, sigmoid(sum(e, { axes: [2], keepDims: true })));
  },
  'concatenated and cut': (_, x, { batch, time, features }) =>
    slice(concat([x, mul(x, 2)], 2), [0, 0, 1], [batch, time, features]),
  'cut and padded in time': (_, x, { batch, time, features }) =>
    pad(slice(x, [0, 1, 0], [batch, time - 1, features]), [0, 0, 0], [0, 1, 0]),
  'turned around in time': (_, x) => reverse(x, 1),
  'turned around in the batch': (_, x) => reverse(x, 0),
  'split in the batch and put together': (_, x) => concat(split(x, 2, 0).reverse(), 0),
  'minus its mean over time': (_, x) => sub(x, broadcastTo(mean(x, { axes: [1], keepDims: true }), x.shape)),
  'minus its mean over the batch': (_, x) => sub(x, broadcastTo(mean(x, { axes: [0], keepDims: true }), x.shape)),
  'as one row of numbers': (_, x) => reshape(tanh(reshape(x, [x.shape[0], x.shape[1] * x.shape[2]])), x.shape),
  'where it is largest': (_, x) => add(x, oneHot(argmax(x), x.shape[2])),
  'its sum over features': (_, x) => mul(x, broadcastTo(sum(x, { axes: [2], keepDims: true }), x.shape)),
};

type Step = keyof typeof between | 'layer' | 'layer backwards';

function model(b: StepBuilder, size: Size, steps: readonly Step[], shows: boolean) {
  const { batch, time, features } = size;
  const given = new Map<string, Tensor>();
  const once: StepBuilder = {
    ...b,
    input(name, ...rest) {
      const known = given.get(name) ?? b.input(name, ...rest);
      given.set(name, known);
      return known;
    },
  };
  let x = once.input('x', [batch, time, features]);
  for (const step of steps)
    x = step.startsWith('layer') ? layer(once, x, b.state('square'), step !== 'layer') : between[step](once, x, size);
  const error = square(sub(once.input('y', [batch, time, features]), x));
  const loss = sum(mean(error, { axes: [2] }));
  const [dw, dx] = gradients([loss], [b.constant(1)], [b.state('square'), given.get('x') as Tensor]);
  return {
    outputs: {
      ...(shows && { x }),
      loss,
      ...(dw && { dw }),
      dx: dx as Tensor,
      last: slice(x, [0, time - 1, 0], [batch, 1, features]),
    },
  };
}

const wave = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * k + n));

function compiledOn(
  machine: Awaited<ReturnType<typeof openMachine>>,
  size: Size,
  steps: readonly Step[],
  shows = true,
  stacksFrom?: number,
): CompiledStep {
  const space = new StateSpace(machine);
  const { features } = size;
  // The columns of products of it are interleaved.
  space.declare('square', [features, features], { groups: shows && features % 4 === 0 ? 4 : 1 });
  space.set('square', wave(features * features, 0.37));
  return compileStep(space, 'model', (b) => model(b, size, steps, shows), { stacksFrom });
}

const machine = await openMachine();
const oracle = await openMachine({ host: 'oracle' });

function feedOf({ batch, time, features }: Size) {
  const n = batch * time * features;
  return { x: wave(n, 0.7), y: wave(n, 0.3), gate: wave(n, 0.9), mask: wave(batch * time, 1.3).map(Math.round) };
}

describe('values are those of the graph as it was traced', () => {
  const step = fc.constantFrom('layer', 'layer', 'layer backwards', ...Object.keys(between));
  const sizes = fc.record({
    batch: fc.constantFrom(2, 4, 18),
    time: fc.constantFrom(2, 5),
    features: fc.constantFrom(1, 3, 16, 20),
  });
  test('for any order of layers and operations', () => {
    fc.assert(
      fc.property(
        sizes,
        fc.array(step, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(0, 1e9),
        (size, steps, from) => {
          const feed = feedOf(size);
          const [got] = compiledOn(machine, size, steps, true, from).runSync([feed]);
          const [want] = compiledOn(oracle, size, steps).runSync([feed]);
          for (const name of Object.keys(want)) {
            const largest = Math.max(1, ...want[name].map(Math.abs));
            want[name].forEach((v, i) => {
              if (!(Math.abs(got[name][i] - v) < 3e-5 * largest))
                throw new Error(`${name}[${i}]: ${got[name][i]}, not ${v}`);
            });
          }
        },
      ),
      { numRuns: 300, seed: 20 },
    );
  });
});

const size = { batch: 32, time: 10, features: 32 };

/** Elements of the largest copy in a program. */
function largestCopy(text: string): number {
  const copies = text.split(/^\s*COPY /m).slice(1);
  const sizes = copies.map((copy) => [...(copy.match(/^.*(\n\s*\| dims .*)*/)?.[0] ?? '').matchAll(/ size=(\d+)/g)]);
  return Math.max(0, ...sizes.map((dims) => dims.reduce((n, [, size]) => n * Number(size), 1)));
}

const isMachine = machine.traits.host !== 'oracle';

test.runIf(isMachine)('nothing is transposed in a step that feeds a loop and compares what it stacks', () => {
  for (const steps of [
    ['layer'],
    ['layer', 'layer'],
    ['layer', 'dense'],
    ['layer', 'times a fed mask', 'layer backwards'],
  ]) {
    const text = compiledOn(machine, size, steps, false).explain();
    expect(text, steps.join()).not.toMatch(/= transpose\(/);
    expect(largestCopy(text), steps.join()).toBeLessThan(size.batch * size.time * size.features);
  }
});

test.runIf(isMachine)('an input that nothing walks over is fed as it is', () => {
  expect(compiledOn(machine, size, ['dense']).explain()).not.toMatch(/timeMajor|transpose/);
});

test('rows are picked, and results placed, in any order', async () => {
  const given = { batch: 4, time: 5, features: 3 };
  const rowSize = given.time * given.features;
  for (const host of [machine, oracle]) {
    const compiled = compiledOn(host, given, ['layer']);
    const feed = feedOf(given);
    const [plain] = await compiled.run([feed]);
    const rows = Int32Array.of(2, 0, 3, 1);
    const turned = (data: Float32Array) => ({ data, size: rowSize, rows });
    const data = host.traits.host === 'oracle' ? new Float64Array(6 * rowSize) : new Float32Array(6 * rowSize);
    const staged = compiled.stage([{ x: turned(feed.x), y: turned(feed.y) }]);
    const [result] = await staged.run([], (_, name) =>
      name === 'x' ? { data, size: rowSize, first: 0, rows: rows.map((r) => r + 2) } : null,
    );
    expect(Object.keys(result)).not.toContain('x');
    expect([...data]).toEqual([...new Array(2 * rowSize).fill(0), ...plain.x]);
    const [behind] = [new (data.constructor as typeof Float32Array)(6 * rowSize)];
    await compiled
      .stage([feed])
      .run([], (_, name) => (name === 'x' ? { data: behind, size: rowSize, first: 1, rows: null } : null));
    expect([...behind.subarray(rowSize, 5 * rowSize)]).toEqual([...plain.x]);
  }
});
