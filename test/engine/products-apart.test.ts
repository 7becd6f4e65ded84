/** One product for gates that add what comes of the input and of the state but for one part, and one stack for their gradients. */
import { describe, expect, test } from 'vitest';
import { compileStep, type StepBuilder, type TracedStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import type { Precision } from '../../src/ir/graph.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { add, mul, sigmoid, square, sub, tanh } from '../../src/ops/pointwise.ts';
import { mean } from '../../src/ops/reduce.ts';
import { scan } from '../../src/ops/scan.ts';
import { broadcastTo, split } from '../../src/ops/shape.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { openMachine } from '../../src/vm/open.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { loopsOf } from './printed-loops.ts';

const machine = await openMachine();
const oracle = await openMachine({ host: 'oracle' });

interface Case {
  readonly batch: number;
  readonly time: number;
  readonly features: number;
  readonly units: number;
  /** Gates and the candidate. */
  readonly parts: number;
  readonly biases: readonly ('x' | 'h')[];
  /** Whether the columns of the weights stand by groups. */
  readonly groups: boolean;
  readonly stateFirst?: boolean;
  /** The weights that are trained. */
  readonly trained?: readonly string[];
  readonly precision?: Precision;
  readonly reverse?: boolean;
}

const usual: Case = { batch: 20, time: 5, features: 11, units: 24, parts: 3, biases: ['x', 'h'], groups: true };

/** Gates g with all but the last part added; the candidate weighs what comes of the state. */
function trace(c: Case): (b: StepBuilder) => TracedStep {
  const { batch, time, features, units, parts, precision } = c;
  return (b) => {
    const x = b.input('x', [time, batch, features]);
    const y = b.input('y', [time, batch, units]);
    const names = ['w', 'u', ...c.biases.map((name) => `b${name}`)];
    const leaves = names.map((name) => b.state(name));
    const { outputs } = scan(
      {
        init: [broadcastTo(b.constant(0), [batch, units])],
        sequences: [x],
        constants: leaves,
        length: time,
        reverse: c.reverse ?? false,
      },
      ([h], [now], [w, u, ...rows]) => {
        const row = (name: 'x' | 'h') => (c.biases.includes(name) ? rows[c.biases.indexOf(name)] : null);
        const product = (left: Tensor, right: Tensor, bias: Tensor | null) => {
          const made = matmul(left, right, precision);
          return split(bias ? add(made, bias) : made, parts, -1);
        };
        const made: Record<string, Tensor[]> = {};
        for (const name of c.stateFirst ? ['h', 'x'] : ['x', 'h'])
          made[name] = name === 'x' ? product(now, w, row('x')) : product(h, u, row('h'));
        const gates = made.x.slice(0, -1).map((v, i) => sigmoid(c.stateFirst ? add(made.h[i], v) : add(v, made.h[i])));
        const reset = gates.reduce((a, g) => mul(a, g));
        const candidate = tanh(add(made.x[parts - 1], mul(reset, made.h[parts - 1])));
        const next = add(mul(gates[0], h), mul(sub(1, gates[0]), candidate));
        return { carry: [next], outputs: [next] };
      },
    );
    const trained = names.filter((name) => c.trained?.includes(name) ?? true);
    const loss = mean(square(sub(outputs[0], y)));
    const found = gradients([loss], [b.constant(1)], [...trained.map((name) => leaves[names.indexOf(name)]), x]);
    const updates = Object.fromEntries(
      trained.map((name, i) => [name, sub(leaves[names.indexOf(name)], mul(found[i] as Tensor, 0.1))]),
    );
    return { outputs: { loss, last: outputs[0], dx: found[trained.length] as Tensor }, updates };
  };
}

function spaceOf(on: Machine, { features, units, parts, biases, groups }: Case): StateSpace {
  const space = new StateSpace(on);
  const shapes = { w: [features, parts * units], u: [units, parts * units] };
  const rows = Object.fromEntries(biases.map((name) => [`b${name}`, [parts * units]]));
  for (const [name, shape] of Object.entries({ ...shapes, ...rows })) {
    space.declare(name, shape, { groups: groups ? parts : 1 });
    const size = shape.reduce((a, b) => a * b);
    space.set(
      name,
      Float32Array.from({ length: size }, (_, i) => Math.sin(1 + i * 12.9898 + name.length) / Math.sqrt(units)),
    );
  }
  return space;
}

const wave = (n: number, k: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(k + i * 1.7));

function close(got: ArrayLike<number>, want: ArrayLike<number>, tolerance: number, what: string): void {
  expect(got.length).toBe(want.length);
  for (let i = 0; i < want.length; i++)
    if (!(Math.abs(got[i] - want[i]) <= tolerance)) expect.fail(`${what}[${i}]: ${got[i]} instead of ${want[i]}`);
}

/** Two steps on the machine and on the oracle; gives the printed program. */
function bothWays(c: Case, tolerance = 3e-6): string {
  const spaces = [machine, oracle].map((on) => spaceOf(on, c));
  const [step, exact] = spaces.map((space) => compileStep(space, 'apart', trace(c)));
  const { batch, time, features, units } = c;
  const feed = { x: wave(time * batch * features, 1), y: wave(time * batch * units, 2) };
  const [got, want] = [step, exact].map((s) => s.runSync([feed, feed]));
  want.forEach((result, i) => {
    for (const [name, values] of Object.entries(result)) close(got[i][name], values, tolerance, `${i}: ${name}`);
  });
  for (const name of spaces[0].names()) close(spaces[0].get(name), spaces[1].get(name), tolerance, name);
  return step.explain();
}

const onMachine = describe.skipIf(machine.traits.host === 'oracle');

onMachine('gates that add all parts but the last', () => {
  const cases: Partial<Case>[] = [
    {},
    { parts: 2 },
    { parts: 5 },
    { biases: ['x'] },
    { biases: ['h'] },
    { biases: [] },
    { groups: false },
    { groups: false, units: 16 },
    { stateFirst: true },
    { reverse: true },
    { units: 16, features: 16, batch: 33 },
    { units: 2, features: 1 },
    { units: 1, features: 3 },
    { units: 131, features: 70, batch: 17, time: 2 },
    { time: 1 },
  ];
  test.each(cases)('%o: one product, as on the oracle', (some) => {
    const c = { ...usual, ...some };
    const loops = loopsOf(bothWays(c));
    // One column for each part is a matter of vectors, and a single step of no loop at all.
    if (c.units > 1 && c.time > 1)
      expect(loops).toEqual([
        ['CHAIN', 'PRODUCT'],
        ['CHAIN', 'PRODUCT'],
      ]);
  });

  test('their gradients are one stack, over the activations', () => {
    const c = { ...usual, batch: 32, features: 32, units: 64, time: 400 };
    const step = compileStep(spaceOf(machine, c), 'apart', trace(c));
    const stack = c.batch * c.time * c.units * 4;
    // Four parts in the place of their activations, the states, what the gates give together, and the derivative of the loss.
    expect(step.plan.arenaBytes).toBeLessThan(6.2 * stack);
    expect(step.explain().match(/^ *PRODUCT_TN /gm)).toHaveLength(1);
  });

  test('operations are counted as what they are', () => {
    const { batch, time, features, units, parts } = usual;
    const step = compileStep(spaceOf(machine, usual), 'apart', trace(usual));
    // Forward, the gradients of both weights, of the input and of the state.
    expect(step.plan.flops).toBe(2 * batch * time * parts * units * 3 * (features + units));
  });

  test('weights of which one is not trained', () => {
    for (const trained of [['w'], ['u', 'bh'], ['bx', 'bh'], []]) bothWays({ ...usual, trained });
  });

  test('operands that are rounded are multiplied apart', () => {
    const loops = loopsOf(bothWays({ ...usual, precision: 'bfloat16' }, 4e-3));
    expect(loops[0]).toEqual(['CHAIN', 'PRODUCT', 'PRODUCT']);
  });
});
