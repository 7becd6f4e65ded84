/** Pointwise work that a loop does itself, step by step: what moves, what stays, and that the values are the same. */
import { describe, expect, test } from 'vitest';
import { type CompiledStep, compileStep, type StepBuilder } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { add, exp, mul, sigmoid, square, sub, tanh } from '../../src/ops/pointwise.ts';
import { mean, sum } from '../../src/ops/reduce.ts';
import { scan } from '../../src/ops/scan.ts';
import { broadcastTo, expandDims } from '../../src/ops/shape.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { openMachine } from '../../src/vm/open.ts';
import { onThreads } from '../vm/scene.ts';
import { loopsOf } from './printed-loops.ts';

const machine = await openMachine();
const oracle = await openMachine({ host: 'oracle' });
const [time, batch, units] = [6, 20, 24];
const shape = [time, batch, units];
const stack = time * batch * units * 4;

/** All steps of h' = tanh(x + h w). */
function recurrence(b: StepBuilder, x: Tensor, name: string): Tensor {
  const start = broadcastTo(b.constant(0), [batch, units]);
  return scan({ init: [start], sequences: [x], constants: [b.state(name)], length: time }, ([h], [x], [w]) => {
    const next = tanh(add(x, matmul(h, w)));
    return { carry: [next], outputs: [next] };
  }).outputs[0];
}

type Outcome = Readonly<Record<string, Tensor>>;

/** The loss, what else is asked for, and the gradients of the weights. */
const losses: Readonly<Record<string, (b: StepBuilder, h: Tensor, y: Tensor) => { loss: Tensor; beside?: Outcome }>> = {
  'mean squared error': (_, h, y) => ({ loss: mean(mean(square(sub(h, y)), { axes: [2] })) }),
  'of everything at once': (_, h, y) => ({ loss: mean(square(sub(h, y))) }),
  'of rows with a weight each': (b, h, y) => {
    const weight = b.input('weight', [time, batch]);
    return { loss: sum(mul(mean(square(sub(y, h)), { axes: [2] }), weight)) };
  },
  'through a mask over features, two losses': (b, h, y) => {
    const kept = mul(h, b.input('mask', shape));
    return { loss: add(mean(square(sub(y, kept))), mul(sum(square(kept)), 0.01)) };
  },
  'with weights of rows beside each feature': (b, h, y) => {
    const weight = expandDims(b.input('weight', [time, batch]), 2);
    return { loss: mean(mul(square(sub(y, h)), weight)) };
  },
  'whose gradient follows from its value': (_, h, y) => {
    const error = mean(square(sub(y, h)));
    return { loss: mul(error, exp(error)) };
  },
  'of what is a result as well': (_, h, y) => {
    const difference = sub(y, h);
    return { loss: mean(square(difference)), beside: { difference } };
  },
  'of a function that costs': (_, h, y) => ({ loss: mean(square(sub(sigmoid(h), y))) }),
};

function step(space: StateSpace, name: string, stacksFrom?: number): CompiledStep {
  for (const [k, key] of ['w1', 'w2'].entries()) {
    space.declare(key, [units, units]);
    space.set(
      key,
      wave(units * units, k + 0.3).map((v) => v / 4),
    );
  }
  return compileStep(
    space,
    name,
    (b) => {
      const below = recurrence(b, b.input('x', shape), 'w1');
      const { loss, beside } = losses[name](b, recurrence(b, below, 'w2'), b.input('y', shape));
      const [one, two] = gradients([loss], [b.constant(1)], [b.state('w1'), b.state('w2')]) as Tensor[];
      return { outputs: { loss, one, two, ...beside } };
    },
    { stacksFrom },
  );
}

const wave = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(i * k + n));
const given: Readonly<Record<string, Float32Array>> = {
  x: wave(time * batch * units, 0.7),
  y: wave(time * batch * units, 0.3),
  mask: wave(time * batch * units, 0.9).map(Math.round),
  weight: wave(time * batch, 1.3).map(Math.abs),
};

/** What the inputs of a loss are. */
function feedOf(name: string): Record<string, Float32Array> {
  const names = ['x', 'y', ...(name.includes('mask') ? ['mask'] : []), ...(/weight/.test(name) ? ['weight'] : [])];
  return Object.fromEntries(names.map((key) => [key, given[key]]));
}

describe.skipIf(machine.traits.host === 'oracle')('work moves into loops', () => {
  test.each(Object.keys(losses))('values as on the oracle, on any number of threads: %s', (name) => {
    const [want] = step(new StateSpace(oracle), name).runSync([feedOf(name)]);
    const moved = step(new StateSpace(machine), name, 0);
    const [got] = moved.runSync([feedOf(name)]);
    for (const [key, values] of Object.entries(want)) {
      const largest = Math.max(1e-3, ...values.map(Math.abs));
      values.forEach((v, i) => expect(Math.abs(got[key][i] - v), `${key}[${i}]`).toBeLessThan(3e-5 * largest));
    }
    if (machine.traits.host === 'native')
      for (const threads of [2, 3]) expect(onThreads(threads, () => moved.runSync([feedOf(name)]))).toEqual([got]);
  });

  test('a loss and its derivative are made where the gradient is needed', () => {
    const moved = step(new StateSpace(machine), 'mean squared error', 0);
    const still = step(new StateSpace(machine), 'mean squared error');
    const [, , backward] = loopsOf(moved.explain());
    expect(backward).toEqual(['CHAIN', 'PRODUCT', 'REDUCE_LAST']);
    expect(loopsOf(still.explain())[2]).toEqual(['CHAIN', 'PRODUCT']);
    // Neither the gradient of the loss nor the squares are stacked.
    expect(moved.plan.arenaBytes).toBeLessThan(still.plan.arenaBytes - stack);
  });

  test.each([
    ['whose gradient follows from its value', ['CHAIN', 'PRODUCT']],
    ['of what is a result as well', ['CHAIN', 'PRODUCT']],
  ])('what is needed before or elsewhere is made before: %s', (name, backward) => {
    expect(loopsOf(step(new StateSpace(machine), name, 0).explain())[2]).toEqual(backward);
  });

  test('small stacks stay', () => {
    const text = (from?: number) => step(new StateSpace(machine), 'mean squared error', from).explain();
    expect(text()).toBe(text(1 << 18));
    expect(text(time * batch * units)).toBe(text(0));
    expect(text(time * batch * units + 1)).toBe(text());
  });
});
