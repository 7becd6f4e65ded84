/** What the tests of models that run step by step share. */
import { expect } from 'vitest';
import { NdArray as Arrays, type NdArray } from '../../src/core/array.ts';
import { openMachine } from '../../src/index.ts';

export const rows = 3;
export const steps = 6;
export const features = 5;
export const { traits } = await openMachine();
const tolerance = traits.host === 'oracle' ? 1e-12 : 1e-6;

/** Numbers between -1 and 1 that repeat nothing. */
export const wave = (size: number, from = 0) =>
  Float32Array.from({ length: size }, (_, i) => Math.sin((i + from) * 1.7) * Math.cos(i * 0.31 + from));

export const sequence = (length = steps) => Arrays.from(wave(rows * length * features), [rows, length, features]);

/** One step of a sequence, (rows, ...). */
export function stepOf(x: NdArray, t: number): NdArray {
  const [count, length, ...rest] = x.shape;
  const size = rest.reduce((a, b) => a * b, 1);
  const data = x.data.slice(0, count * size);
  for (let r = 0; r < count; r++)
    data.set(x.data.subarray((r * length + t) * size, (r * length + t + 1) * size), r * size);
  return Arrays.from(data, [count, ...rest]);
}

/** The first steps of a sequence. */
function firstOf(x: NdArray, steps: number): NdArray {
  const [count, length, ...rest] = x.shape;
  const size = rest.reduce((a, b) => a * b, 1);
  const data = x.data.slice(0, count * steps * size);
  for (let r = 0; r < count; r++)
    data.set(x.data.subarray(r * length * size, (r * length + steps) * size), r * steps * size);
  return Arrays.from(data, [count, steps, ...rest]);
}

export function expectClose(found: NdArray, wanted: NdArray, what: string): void {
  expect(found.shape, what).toEqual(wanted.shape);
  wanted.data.forEach((value: number, i: number) => {
    expect(Math.abs(found.data[i] - value), `${what}, element ${i}: ${found.data[i]} and ${value}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(value)),
    );
  });
}

export interface Streamed {
  predict(x: NdArray | NdArray[]): Promise<NdArray | NdArray[]>;
  setWeights(weights: NdArray[]): void;
  getWeights(): NdArray[];
  stream(options: { rows: number }): Promise<{ step(x: NdArray | (NdArray | null)[]): NdArray | NdArray[] }>;
  build?(shape: readonly (number | null)[]): void;
}

/** Weights that no initialiser gives: biases that are not zero. Variances stay positive. */
export function stirred<
  M extends { setWeights(w: NdArray[]): void; getWeights(): NdArray[]; weights: readonly { readonly path: string }[] },
>(made: M): M {
  const { weights } = made;
  made.setWeights(
    made.getWeights().map(({ shape, data }, i) => {
      const values = wave(data.length, i + 1).map((v) => v * 0.6);
      return Arrays.from(/variance/i.test(weights[i].path) ? values.map((v) => v * v + 0.5) : values, shape);
    }),
  );
  return made;
}

/** Every step against the model on the steps so far. */
export async function expectStreams(
  made: Streamed,
  x: NdArray,
  sequences: readonly number[] = [],
  further: NdArray[] = [],
): Promise<void> {
  const stepper = await made.stream({ rows });
  for (let t = 0; t < x.shape[1]; t++) {
    const now = further.length ? [stepOf(x, t), ...further] : stepOf(x, t);
    const found = [stepper.step(now)].flat();
    const wanted = [await made.predict(further.length ? [firstOf(x, t + 1), ...further] : firstOf(x, t + 1))].flat();
    expect(found.length).toBe(wanted.length);
    found.forEach((y, i) => {
      expectClose(y, sequences.includes(i) ? stepOf(wanted[i], t) : wanted[i], `step ${t}, output ${i}`);
    });
  }
}
