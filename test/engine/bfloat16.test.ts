/** Products that round their operands to bfloat16: compiled, against the oracle, whose rounding is exact. */
import { describe, expect, test } from 'vitest';
import { roundBfloat16 } from '../../src/core/bfloat16.ts';
import { compileStep, type TracedStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { StateSpace } from '../../src/engine/state.ts';
import { matmul, matmulNT, matmulTN } from '../../src/ops/matmul.ts';
import { add, tanh } from '../../src/ops/pointwise.ts';
import { scan } from '../../src/ops/scan.ts';
import { constant, type Tensor } from '../../src/ops/tensor.ts';
import { openMachine } from '../../src/vm/open.ts';

const machine = await openMachine();
const oracle = await openMachine({ host: 'oracle' });

const values = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * 12.9898 * (seed + 1)));

function close(got: ArrayLike<number>, want: ArrayLike<number>, tolerance: number): void {
  expect(got.length).toBe(want.length);
  const largest = Array.from(want).reduce((m, w) => Math.max(m, Math.abs(w)), 1);
  for (let i = 0; i < want.length; i++)
    if (!(Math.abs(got[i] - want[i]) <= tolerance * largest)) expect.fail(`[${i}]: ${got[i]} instead of ${want[i]}`);
}

test('rounding: to the nearest, ties to even, NaN and infinities kept', () => {
  const ulp = 2 ** -7;
  expect([1 + ulp / 2, 1 + 1.5 * ulp, 1 + ulp / 2 + 2 ** -20, -1 - ulp / 2].map(roundBfloat16)).toEqual([
    ...[1, 1 + 2 * ulp, 1 + ulp, -1],
  ]);
  expect([Number.NaN, Number.POSITIVE_INFINITY, -3.4028234e38, 0, -0].map(roundBfloat16)).toEqual([
    ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0],
  ]);
});

describe(`on ${machine.traits.host} ${machine.traits.isa}`, () => {
  const products = { nn: matmul, nt: matmulNT, tn: matmulTN };
  for (const [rows, k, n] of [
    [1, 5, 7],
    [3, 1, 2],
    [4, 16, 1],
    [33, 47, 65],
    [7, 600, 20],
  ])
    for (const form of ['nn', 'nt', 'tn'] as const)
      test(`${form} with ${rows} rows, ${k} and ${n}, and its gradients`, () => {
        const a = form === 'tn' ? [rows, k] : [rows, k];
        const b = { nn: [k, n], nt: [n, k], tn: [rows, n] }[form];
        const trace = (builder: { input(name: string, shape: number[]): Tensor }): TracedStep => {
          const x = builder.input('a', a);
          const y = builder.input('b', b);
          const z = products[form](x, y, 'bfloat16');
          const found = gradients([z], [z], [x, y]) as Tensor[];
          return { outputs: { z, da: found[0], db: found[1] } };
        };
        const feed = { a: values(rows * k, 1), b: values(b[0] * b[1], 2) };
        const [got, want] = [machine, oracle].map(
          (m) => compileStep(new StateSpace(m), form, trace).runSync([feed])[0],
        );
        close(got.z, want.z, 2e-6);
        // The cotangent is z: where it lies between two bfloat16, the last bit decides which one it becomes.
        for (const name of ['da', 'db']) close(got[name], want[name], 2e-3);
        // By hand, so that both cannot leave the rounding out.
        const round = n === 1 ? (x: number) => x : roundBfloat16;
        let first = 0;
        const count = form === 'tn' ? rows : k;
        for (let i = 0; i < count; i++) {
          const [p, q] = { nn: [i, i * n], nt: [i, i], tn: [i * k, i * n] }[form];
          first += round(feed.a[p]) * round(feed.b[q]);
        }
        expect(Math.abs(want.z[0] - first)).toBeLessThan(1e-12 * count);
      });

  test.each([1, 20])(
    'a loop of %i rows: products hoisted, contracted and summed round as the ones that were written',
    (rows) => {
      const [length, features, units] = [6, 9, 18];
      const trace =
        (precision: 'float32' | 'bfloat16') =>
        (b: {
          readonly graph: import('../../src/ir/graph.ts').Graph;
          input(name: string, shape: number[]): Tensor;
        }): TracedStep => {
          b.graph.precision = precision;
          const [x, w, u] = [
            b.input('x', [length, rows, features]),
            b.input('w', [features, units]),
            b.input('u', [units, units]),
          ];
          const zero = constant(b.graph, new Float32Array(rows * units), [rows, units]);
          const { outputs } = scan(
            { init: [zero], sequences: [x], constants: [w, u], length },
            ([h], [now], [kernel, own]) => {
              const next = tanh(add(matmul(now, kernel), matmul(h, own)));
              return { carry: [next], outputs: [next] };
            },
          );
          const [y] = outputs;
          b.graph.precision = 'float32';
          const [dx, dw, du] = gradients([y], [y], [x, w, u]) as Tensor[];
          return { outputs: { y, dx, dw, du } };
        };
      const feed = {
        x: values(length * rows * features, 3),
        w: values(features * units, 4),
        u: values(units * units, 5),
      };
      const run = (m: typeof machine, precision: 'float32' | 'bfloat16') =>
        compileStep(new StateSpace(m), 'loop', trace(precision)).runSync([feed])[0];
      const [got, want, full] = [run(machine, 'bfloat16'), run(oracle, 'bfloat16'), run(oracle, 'float32')];
      for (const name of Object.keys(want)) close(got[name], want[name], 3e-3);
      expect(Math.max(...want.y.map((v, i) => Math.abs(v - full.y[i])))).toBeGreaterThan(1e-3);
    },
  );
});
