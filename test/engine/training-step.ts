/** A training step of a recurrent layer written with operations alone, for the tests of the compiler. */
import type { StepBuilder, TracedStep } from '../../src/engine/compile.ts';
import { type GradientOptions, gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { matmul } from '../../src/ops/matmul.ts';
import { add, mul, sigmoid, square, sub, tanh } from '../../src/ops/pointwise.ts';
import { mean } from '../../src/ops/reduce.ts';
import { scan } from '../../src/ops/scan.ts';
import { broadcastTo, reshape, slice, split } from '../../src/ops/shape.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import type { Machine } from '../../src/vm/vm.ts';

export interface StepCell {
  readonly gates: number;
  readonly biases: number;
  readonly carries: number;
  step(carry: Tensor[], x: Tensor, weights: Tensor[]): Tensor[];
}

export const stepCells: Readonly<Record<string, StepCell>> = {
  lstm: {
    gates: 4,
    biases: 1,
    carries: 2,
    step([h, c], x, [w, u, b]) {
      const [i, f, g, o] = split(add(add(matmul(x, w), matmul(h, u)), b), 4, -1);
      const next = add(mul(sigmoid(f), c), mul(sigmoid(i), tanh(g)));
      return [mul(sigmoid(o), tanh(next)), next];
    },
  },
  gru: {
    gates: 3,
    biases: 2,
    carries: 1,
    step([h], x, [w, u, b, r]) {
      const [xz, xr, xh] = split(add(matmul(x, w), b), 3, -1);
      const [hz, hr, hh] = split(add(matmul(h, u), r), 3, -1);
      const z = sigmoid(add(xz, hz));
      const candidate = tanh(add(xh, mul(sigmoid(add(xr, hr)), hh)));
      return [add(mul(z, h), mul(sub(1, z), candidate))];
    },
  },
  simpleRnn: {
    gates: 1,
    biases: 1,
    carries: 1,
    step: ([h], x, [w, u, b]) => [tanh(add(add(matmul(x, w), matmul(h, u)), b))],
  },
  // A cell that nobody has written kernels for.
  own: {
    gates: 2,
    biases: 1,
    carries: 1,
    step([h], x, [w, u, b]) {
      const [f, n] = split(add(add(matmul(x, w), matmul(h, u)), b), 2, -1);
      const forget = sigmoid(f);
      return [add(h, mul(forget, sub(tanh(n), h)))];
    },
  },
};

export interface Sizes {
  readonly batch: number;
  readonly time: number;
  readonly features: number;
  readonly units: number;
}

/** A space with the weights of a cell, drawn by a fixed rule. */
export function spaceOf(machine: Machine, cell: StepCell, { features, units }: Sizes): StateSpace {
  const space = new StateSpace(machine);
  const wide = cell.gates * units;
  const shapes = { kernel: [features, wide], recurrent: [units, wide], bias: [cell.biases, wide] };
  for (const [name, shape] of Object.entries(shapes)) {
    space.declare(name, shape, { groups: cell.gates });
    const size = shape[0] * shape[1];
    space.set(
      name,
      Float32Array.from({ length: size }, (_, i) => Math.sin(1 + i * 12.9898) / Math.sqrt(units)),
    );
  }
  return space;
}

/** Mean squared error of all outputs, and plain gradient descent. */
export function trainingStep(cell: StepCell, { batch, time, features, units }: Sizes, options: GradientOptions = {}) {
  return (b: StepBuilder): TracedStep => {
    const x = b.input('x', [time, batch, features]);
    const y = b.input('y', [time, batch, units]);
    const names = ['kernel', 'recurrent', 'bias'];
    const [w, u, biases] = names.map((name) => b.state(name));
    const wide = cell.gates * units;
    const rows = Array.from({ length: cell.biases }, (_, i) => reshape(slice(biases, [i, 0], [1, wide]), [wide]));
    const init = Array.from({ length: cell.carries }, () => broadcastTo(b.constant(0), [batch, units]));
    const { outputs } = scan(
      { init, sequences: [x], constants: [w, u, ...rows], length: time },
      (carry, [now], weights) => {
        const next = cell.step(carry, now, weights);
        return { carry: next, outputs: [next[0]] };
      },
    );
    const loss = mean(square(sub(outputs[0], y)));
    const weights = [w, u, biases];
    const found = gradients([loss], [b.constant(1)], weights, options);
    const updates = Object.fromEntries(names.map((name, i) => [name, sub(weights[i], mul(found[i] as Tensor, 0.1))]));
    return { outputs: { loss, last: outputs[0] }, updates };
  };
}
