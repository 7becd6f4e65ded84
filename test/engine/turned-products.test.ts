/** Sums of products with turned weights of different widths, groups and origins, as the gradient of a value that several layers read. */
import { expect, test } from 'vitest';
import { compileStep, type StepBuilder, type TracedStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { sigmoid, square, tanh } from '../../src/ops/pointwise.ts';
import { sum } from '../../src/ops/reduce.ts';
import { slice, split } from '../../src/ops/shape.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { openMachine } from '../../src/vm/open.ts';

const weights = { wide: [9, 24, 1], gated: [9, 24, 4], narrow: [9, 3, 1], cut: [9, 40, 1] } as const;

function heads(b: StepBuilder): TracedStep {
  const x = b.input('x', [5, 9]);
  const w = Object.fromEntries(Object.keys(weights).map((name) => [name, b.state(name)])) as Record<string, Tensor>;
  const [i, f, g, o] = split(matmul(x, w.gated), 4, -1);
  const outputs = [
    tanh(matmul(x, w.wide)),
    ...[sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)],
    matmul(x, w.narrow),
    tanh(matmul(x, slice(w.cut, [0, 3], [9, 24]))),
  ];
  const losses = outputs.map((y) => sum(square(y)));
  const [dx] = gradients(
    losses,
    losses.map(() => b.constant(1)),
    [x],
  );
  return { outputs: { dx: dx as Tensor } };
}

test('the gradient is that of the oracle', async () => {
  const machines = [await openMachine(), await openMachine({ host: 'oracle' })];
  const x = Float32Array.from({ length: 45 }, (_, i) => Math.sin(i));
  const [got, want] = machines.map((machine) => {
    const space = new StateSpace(machine);
    for (const [name, [rows, cols, groups]] of Object.entries(weights)) {
      space.declare(name, [rows, cols], { groups });
      space.set(
        name,
        Float32Array.from({ length: rows * cols }, (_, i) => Math.sin(name.length + i * 0.37)),
      );
    }
    return compileStep(space, 'heads', heads).runSync([{ x }])[0].dx;
  });
  want.forEach((v, i) => expect(Math.abs(got[i] - v), `dx[${i}]`).toBeLessThan(1e-4 * Math.max(1, Math.abs(v))));
});
