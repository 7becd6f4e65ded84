/** Reads golden files (`*.json` here, each made by the script beside it) and compares arrays with them. */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { NdArray } from '../../src/core/array.ts';
import { openMachine } from '../../src/vm/open.ts';
import type { Machine } from '../../src/vm/vm.ts';

/** Numbers as the scripts write them: whole numbers of 1/unit (exact in float32), indices, or float64 in full. */
export type Stored =
  | { shape: number[]; units: number[] }
  | { shape: number[]; ids: number[] }
  | { shape: number[]; data: number[] };

/** The oracle and the machine that this process would choose; one alone where UNROLLED_HOST forces it. */
export async function goldenMachines(): Promise<Machine[]> {
  const chosen = await openMachine();
  return process.env.UNROLLED_HOST ? [chosen] : [await openMachine({ host: 'oracle' }), chosen];
}

/** Stored numbers that are compared with. */
export type Precise = { shape: number[]; data: number[] };

export function readGolden<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8')) as T;
}

export function restore(stored: Stored, unit: number): NdArray {
  if ('ids' in stored) return NdArray.from(Int32Array.from(stored.ids), stored.shape);
  if ('units' in stored)
    return NdArray.from(
      Float32Array.from(stored.units, (n) => n / unit),
      stored.shape,
    );
  return NdArray.from(Float64Array.from(stored.data), stored.shape);
}

/** Same shape, and no element further away than `tolerance` times the largest magnitude of the expected array. */
export function expectClose(actual: NdArray, expected: Precise, tolerance: number, what: string): void {
  expect(actual.shape, `shape of ${what}`).toEqual(expected.shape);
  expect(relativeDistance(actual.data, expected.data), `relative distance of ${what}`).toBeLessThanOrEqual(tolerance);
}

/** The largest difference over the largest expected magnitude (over 1 where all expected are zero). */
export function relativeDistance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let distance = 0;
  let scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    if (!(difference <= distance)) distance = difference; // a NaN stays
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return distance / (scale || 1);
}
