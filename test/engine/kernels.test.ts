/** Every operation, compiled, held against the oracle on the machine that the environment chooses; gradients too. */
import { describe, expect, test } from 'vitest';
import { compileStep, type TracedStep } from '../../src/engine/compile.ts';
import { gradients } from '../../src/engine/gradients.ts';
import { evaluateGraph } from '../../src/engine/oracle.ts';
import { StateSpace } from '../../src/engine/state.ts';
import type { Tensor } from '../../src/ops/tensor.ts';
import { openMachine } from '../../src/vm/open.ts';
import { buildCase } from '../ops/case.ts';
import { cases } from '../ops/cases.ts';
import { drawInputs } from '../ops/inputs.ts';

const machine = await openMachine();

/** Cases that float32 cannot follow: the second operand of these is an activation, in -1..1, and its square must not overflow. */
const skipped = ['dtanh: special values with every other', 'dsigmoid: special values with every other'];

function compare(name: string, got: ArrayLike<number>, want: Float64Array, tolerance: number): void {
  expect(got.length, name).toBe(want.length);
  // Sums of many terms are held against the largest of the values beside them.
  const largest = want.reduce((m, w) => (Number.isFinite(w) ? Math.max(m, Math.abs(w)) : m), 1);
  const scale = Math.min(largest, 64);
  for (let i = 0; i < want.length; i++) {
    const w = want[i];
    const exact = Object.is(got[i], w) || got[i] === w || got[i] === Math.fround(w);
    if (exact) continue;
    const error = Math.abs(got[i] - w) / Math.max(scale, Math.abs(w));
    if (!(error <= tolerance)) expect.fail(`${name}[${i}]: ${got[i]} instead of ${w} (off by ${error})`);
  }
}

describe.skipIf(machine.traits.host === 'oracle')(
  `compiled operations on ${machine.traits.host} ${machine.traits.isa}`,
  () => {
    for (const entry of cases.filter((c) => !skipped.includes(`${c.op}: ${c.name}`))) {
      test(`${entry.op}: ${entry.name}`, () => {
        const inputs = drawInputs(entry, 7);
        const feed = Object.fromEntries(inputs.map((x, i) => [`input${i}`, x.data]));
        const built = buildCase(entry);
        const exact = evaluateGraph(built.graph, new Map(built.inputs.map((t, i) => [t.value, inputs[i]])));
        const step = compileStep(new StateSpace(machine), entry.name, (b): TracedStep => {
          const tensors = entry.inputs.map(({ shape, dtype }, i) => b.input(`input${i}`, shape, dtype));
          const outputs = [entry.build(tensors)].flat();
          return { outputs: Object.fromEntries(outputs.map((t, i) => [`output${i}`, t])) };
        });
        const [result] = step.runSync([feed]);
        built.outputs.forEach((t, i) => {
          const want = exact.get(t.value)?.data as Float64Array;
          compare(`output${i}`, result[`output${i}`], want, entry.kernelTolerance ?? 2e-6);
        });
      });
    }

    for (const entry of cases.filter((c) => !c.inputs.some((x) => x.values === 'special'))) {
      test(`gradients of ${entry.op}: ${entry.name}`, () => {
        const inputs = drawInputs(entry, 11);
        // Each output is weighed by itself, so that cotangents are not all alike.
        const withGradients = (tensors: Tensor[]): Tensor[] => {
          const outputs = [entry.build(tensors)].flat().filter((t) => t.dtype === 'f32');
          const floats = tensors.filter((t) => t.dtype === 'f32');
          return gradients(outputs, outputs, floats).filter((t): t is Tensor => t !== null);
        };
        const built = buildCase({ ...entry, build: withGradients });
        if (!built.outputs.length) return;
        const exact = evaluateGraph(built.graph, new Map(built.inputs.map((t, i) => [t.value, inputs[i]])));
        const step = compileStep(new StateSpace(machine), entry.name, (b): TracedStep => {
          const tensors = entry.inputs.map(({ shape, dtype }, i) => b.input(`input${i}`, shape, dtype));
          return { outputs: Object.fromEntries(withGradients(tensors).map((t, i) => [`d${i}`, t])) };
        });
        const [result] = step.runSync([Object.fromEntries(inputs.map((x, i) => [`input${i}`, x.data]))]);
        built.outputs.forEach((t, i) => {
          const want = exact.get(t.value)?.data as Float64Array;
          compare(`d${i}`, result[`d${i}`], want, entry.kernelTolerance ?? 1e-5);
        });
      });
    }
  },
);
