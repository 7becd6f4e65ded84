/**
 * The cells over time against NumPy in float64 (test/golden/cells.py): outputs, gradients of weights and inputs, with masks on the left,
 * on the right, with holes, and rows that are masked whole. Exact on the oracle, to float32 on the machine of this process.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { sizeOf } from '../../src/core/shape.ts';
import { modelFromKerasConfig } from '../../src/train/from-keras.ts';
import { openMachine } from '../../src/vm/open.ts';

type Nested = number | Nested[];
interface Case {
  title: string;
  layer: { class_name: string; config: Record<string, unknown> };
  x: Nested;
  mask: Nested | null;
  weights: Nested[];
  outputs: Nested[];
  cotangents: Nested[];
  inputGradients: Nested;
  weightGradients: Nested[];
}
const cases: Case[] = JSON.parse(readFileSync(new URL('../golden/cells.json', import.meta.url), 'utf8'));

const exact = (values: Nested) => NdArray.from(values, undefined, 'float64');

function expectClose(actual: NdArray, expected: Nested, tolerance: number, what: string): void {
  const wanted = exact(expected);
  expect(actual.shape, what).toEqual(wanted.shape);
  let scale = 1e-3;
  for (const v of wanted.data) scale = Math.max(scale, Math.abs(v));
  let worst = 0;
  for (let i = 0; i < sizeOf(wanted.shape); i++) worst = Math.max(worst, Math.abs(actual.data[i] - wanted.data[i]));
  expect(worst / scale, what).toBeLessThan(tolerance);
}

async function check(c: Case, host: 'oracle' | undefined, tolerance: number): Promise<void> {
  const x = exact(c.x);
  const model = modelFromKerasConfig(
    {
      class_name: 'Sequential',
      config: { layers: [{ class_name: 'InputLayer', config: { batch_shape: [null, ...x.shape.slice(1)] } }, c.layer] },
    },
    { machine: await openMachine(host ? { host } : {}) },
  );
  model.setWeights(c.weights.map(exact));
  const list = c.cotangents.length > 1;
  const { outputs, weightGradients, inputGradients } = await model.vjp(
    x,
    list ? c.cotangents.map(exact) : exact(c.cotangents[0]),
    c.mask ? { mask: c.mask } : {},
  );
  const got = (list ? outputs : [outputs]) as unknown as NdArray[];
  expect(got.length).toBe(c.outputs.length);
  got.forEach((y, i) => expectClose(y, c.outputs[i], tolerance, `output ${i}`));
  weightGradients.forEach((g, i) => expectClose(g, c.weightGradients[i], tolerance, `gradient of weight ${i}`));
  expectClose(inputGradients as NdArray, c.inputGradients, tolerance, 'gradient of the input');
}

describe('on the oracle, to 1e-10', () => {
  it.each(cases)('$title', (c) => check(c, 'oracle', 1e-10));
});

describe('on the machine of this process, to 1e-5 of the largest value', () => {
  it.each(cases)('$title', (c) => check(c, undefined, 1e-5));
});
