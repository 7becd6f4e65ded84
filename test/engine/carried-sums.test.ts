/** Gradients that are sums over rows alone (scales, peepholes): carried row by row, so that no step of them is stored. */
import { expect, test } from 'vitest';
import { compileStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { add, mul, square, tanh } from '../../src/ops/pointwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { scan } from '../../src/ops/scan.ts';
import { broadcastTo } from '../../src/ops/shape.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { openMachine } from '../../src/vm/open.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { loopsOf } from './printed-loops.ts';

const machine = await openMachine();
const oracle = await openMachine({ host: 'oracle' });
const [batch, units] = [12, 32];

/** h' = tanh(a x + b h): Li et al., "Independently recurrent neural network" (2018). The loss looks at the last state alone. */
function independent(on: Machine, time: number) {
  const space = new StateSpace(on);
  for (const [k, name] of ['a', 'b'].entries()) {
    space.declare(name, [units]);
    space.set(
      name,
      Float32Array.from({ length: units }, (_, i) => Math.sin(i + k)),
    );
  }
  return compileStep(space, 'independent', (builder) => {
    const start = broadcastTo(builder.constant(0), [batch, units]);
    const weights = [builder.state('a'), builder.state('b')];
    const sequences = [builder.input('x', [time, batch, units])];
    const { carry } = scan({ init: [start], sequences, constants: weights, length: time }, ([h], [x], [a, b]) => ({
      carry: [tanh(add(mul(x, a), mul(h, b)))],
      outputs: [],
    }));
    const loss = sum(square(carry[0]));
    const [da, db] = gradients([loss], [builder.constant(1)], weights) as Tensor[];
    return { outputs: { loss, da, db } };
  });
}

test('values as on the oracle', () => {
  const x = Float32Array.from({ length: 9 * batch * units }, (_, i) => Math.sin(i * 0.7));
  const [got] = independent(machine, 9).runSync([{ x }]);
  const [want] = independent(oracle, 9).runSync([{ x }]);
  for (const [name, values] of Object.entries(want))
    values.forEach((v, i) => expect(got[name][i], `${name}[${i}]`).toBeCloseTo(v, 4));
});

test.skipIf(machine.traits.host === 'oracle')('nothing of the steps is kept for them', () => {
  const [short, long] = [20, 120].map((time) => independent(machine, time));
  expect(loopsOf(long.explain())).toEqual([['CHAIN'], ['CHAIN']]);
  // The states of all steps are all that grows with their number: the backward loop reads them.
  const state = batch * units * 4;
  expect(long.plan.arenaBytes - short.plan.arenaBytes).toBeLessThan(1.2 * 100 * state);
});
