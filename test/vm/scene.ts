/** A program with its memories, built by a test and then held against the reference: every element of state and io must agree. */
import { expect } from 'vitest';
import { Segment } from '../../src/ir/kernels.ts';
import { encodeProgram, type Program, ProgramBuilder, type Reference, verifyProgram } from '../../src/ir/program.ts';
import { getThreads, setThreads } from '../../src/vm/threads.ts';
import type { Machine } from '../../src/vm/vm.ts';
import { runReference } from './reference.ts';

/** Uniform in [0, 1), from a seed. */
export function generator(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How close an element must be; the reference's value is rounded to f32 first. */
export type Close = (expected: number, place: number) => number;

/** Products of numbers within -1..1, summed over k. */
export const sumTolerance =
  (k: number): Close =>
  (expected) =>
    2e-7 * (Math.sqrt(k) + 1) * Math.max(1, Math.abs(expected));

type Place = 'state' | 'io';

export class Scene {
  readonly builder = new ProgramBuilder();
  readonly random: () => number;
  private readonly values: Record<Place, number[]> = { state: [], io: [] };
  private readonly integers: Record<Place, Set<number>> = { state: new Set(), io: new Set() };
  private readonly slots: Record<Place | 'arena', number>;
  private arena = 0;

  constructor(seed = 1) {
    this.random = generator(seed);
    this.slots = {
      state: this.builder.slot(Segment.state, 0),
      io: this.builder.slot(Segment.io, 0),
      arena: this.builder.slot(Segment.arena, 0),
    };
  }

  /** Numbers within -1..1 as f32. */
  numbers(count: number): number[] {
    return Array.from({ length: count }, () => Math.fround(this.random() * 2 - 1));
  }

  /** Puts values behind what stands there, after a gap that must stay as it is. */
  put(values: readonly number[], place: Place = 'state', dtype: 'f32' | 'i32' = 'f32'): Reference {
    const memory = this.values[place];
    for (let i = 0; i < 5; i++) memory.push(700 + (memory.length % 13));
    const offset = memory.length;
    for (const x of values) {
      if (dtype === 'i32') this.integers[place].add(memory.length);
      memory.push(x);
    }
    return { slot: this.slots[place], offset };
  }

  /** Room for results, filled with what must be overwritten. */
  room(floats: number, place: Place = 'io', dtype: 'f32' | 'i32' = 'f32'): Reference {
    return this.put(new Array(floats).fill(-321), place, dtype);
  }

  scratch(floats: number): Reference {
    const offset = this.arena;
    this.arena += floats;
    return { slot: this.slots.arena, offset };
  }

  /** A slot of its own at the same place, for a loop to move. */
  moving(at: Reference): Reference {
    return { slot: this.builder.slot(this.segmentOf(at), at.offset), offset: 0 };
  }

  private segmentOf(at: Reference): number {
    return this.builder.slots[at.slot].segment;
  }

  finish(): Program {
    // The machine may read 16 elements beyond the end, so the memories end right behind the last value.
    const program = this.builder.finish({
      arena: this.arena,
      state: this.values.state.length,
      io: this.values.io.length,
    });
    verifyProgram(program);
    return program;
  }

  private memory(machine: Machine, place: Place): Float32Array {
    const memory = machine.allocate(this.values[place].length);
    const integers = new Int32Array(memory.buffer, memory.byteOffset, memory.length);
    this.values[place].forEach((x, i) => {
      if (this.integers[place].has(i)) integers[i] = x;
      else memory[i] = x;
    });
    return memory;
  }

  private read(memory: Float32Array, place: Place): number[] {
    const integers = new Int32Array(memory.buffer, memory.byteOffset, memory.length);
    return Array.from(memory, (x, i) => (this.integers[place].has(i) ? integers[i] : x));
  }

  /**
   * Runs the program on the machine and on the reference, and compares all of state and io. On the native host also on several threads,
   * however small the work: these must give the bits that one thread gives.
   */
  check(machine: Machine, close: Close = () => 0): void {
    const program = this.finish();
    const loaded = machine.load(encodeProgram(program));
    const run = () => {
      const memories = [this.memory(machine, 'state'), this.memory(machine, 'io')];
      machine.runSync(loaded, memories[0], memories[1], { ioStride: 0, steps: 1, writesState: true });
      return memories;
    };
    const [state, io] = run();
    if (machine.traits.host === 'native')
      for (const threads of threadCounts) {
        const shared = onThreads(threads, run);
        for (const [i, one] of [state, io].entries())
          expectSameBits(shared[i], one, `${i ? 'io' : 'state'} on ${threads} threads`);
      }
    loaded.release();
    const expected = { state: Float64Array.from(this.values.state), io: Float64Array.from(this.values.io) };
    runReference(program, expected.state, expected.io, 0, 1);
    compare(this.read(state, 'state'), expected.state, close, 'state');
    compare(this.read(io, 'io'), expected.io, close, 'io');
  }
}

export const threadCounts = [2, 3, 5];

/** What f gives while runs share out all that can be. Where f is async, the threads hold for the runs that it starts until it ends. */
export function onThreads<T>(threads: number, f: () => T): T {
  const before = getThreads();
  setThreads(threads, { smallestShare: 0 });
  let result: T;
  try {
    result = f();
  } catch (error) {
    setThreads(before);
    throw error;
  }
  if (result instanceof Promise) return result.finally(() => setThreads(before)) as T;
  setThreads(before);
  return result;
}

export function expectSameBits(received: ArrayBufferView, expected: ArrayBufferView, name: string): void {
  const bits = (x: ArrayBufferView) => new Int32Array(x.buffer, x.byteOffset, x.byteLength / 4);
  const [a, b] = [bits(received), bits(expected)];
  const place = a.findIndex((x, i) => x !== b[i]);
  if (a.length !== b.length || place >= 0) expect.fail(`${name}: other bits at ${place} of ${b.length}`);
}

export function compare(received: ArrayLike<number>, expected: ArrayLike<number>, close: Close, name: string): void {
  for (let i = 0; i < expected.length; i++) {
    const want =
      Math.abs(expected[i]) < 2 ** 31 && Number.isInteger(expected[i]) ? expected[i] : Math.fround(expected[i]);
    if (Object.is(want, received[i]) || want === received[i]) continue;
    const difference = Math.abs(received[i] - want);
    if (difference <= close(want, i)) continue;
    expect.fail(
      `${name}[${i}]: expected ${want}, received ${received[i]}, which is ${difference} off where ${close(want, i)} is allowed`,
    );
  }
}
