/** What every host checks before a run, and the errors that it gives after one. */
import { fail, UnrolledError } from '../core/errors.ts';
import { LANES } from '../ir/kernels.ts';
import type { LoadedProgram, RunOptions } from './vm.ts';

/** Elements that a program touches in each memory, from the head of its encoding. */
export interface ProgramSizes {
  readonly arena: number;
  readonly state: number;
  readonly io: number;
}

export function sizesOf(encoded: Int32Array): ProgramSizes {
  return { arena: encoded[5], state: encoded[6], io: encoded[7] };
}

/** Bytes behind the end of a memory that the machine may read. */
export const SLACK_BYTES = LANES * 4;

function checkMemory(name: string, memory: Float32Array, needed: number): void {
  if (memory.length < needed) fail('ARGUMENT', `machine.run: ${name}`, `at least ${needed} floats`, `${memory.length}`);
  if (memory.byteOffset + needed * 4 + SLACK_BYTES > memory.buffer.byteLength && needed > 0)
    fail('ARGUMENT', `machine.run: ${name}`, 'memory from machine.allocate', 'an array of other origin');
}

export function checkRun(sizes: ProgramSizes, state: Float32Array, io: Float32Array, options: RunOptions): void {
  const { ioStride, steps } = options;
  if (!Number.isInteger(steps) || steps < 0 || !Number.isInteger(ioStride) || ioStride < 0)
    fail('ARGUMENT', 'machine.run', 'steps and ioStride as whole numbers from 0', `${steps} and ${ioStride}`);
  checkMemory('state', state, sizes.state);
  checkMemory('io', io, steps ? (steps - 1) * ioStride + sizes.io : 0);
}

export function refuseProgram(reason: string, position: number): never {
  throw new UnrolledError(
    'INTERNAL',
    `machine.load: the program is refused: ${reason} (at integer ${position} of its code). This is a fault of the compiler; please report it.`,
  );
}

export function refuseMemory(bytes: number, available?: number): never {
  const size = (n: number) => `${(n / 2 ** 20).toFixed(1)} MiB`;
  fail(
    'MEMORY',
    'machine.run',
    available ? `a plan that fits ${size(available)}` : 'a plan that fits the memory of this machine',
    `one of ${size(bytes)}`,
    'Use smaller batches or shorter sequences.',
  );
}

/** Throws by the outcome of a run: [status, detail, position, step]. */
export function checkOutcome(outcome: readonly number[] | undefined, bytes: number): void {
  const [status, detail, , step] = outcome ?? [0];
  if (status === 1)
    fail(
      'DATA',
      `step ${step} of the run`,
      'ids within the vocabulary',
      `${detail}`,
      'Check the inputs of the embedding.',
    );
  if (status === 2) refuseMemory(bytes);
}

/** The host's own kind of program, or an error where it was released or came from another machine. */
export function ownProgram<T extends LoadedProgram>(
  program: LoadedProgram,
  kind: abstract new (...args: never[]) => T,
): T {
  if (!(program instanceof kind))
    fail('ARGUMENT', 'machine.run', 'a program that this machine loaded', 'one of another machine');
  return program;
}
