/** Programs that are made ready once and run again and again, on memories of their own. */
import { describe, expect, test } from 'vitest';
import { Segment } from '../../src/ir/kernels.ts';
import { encodeProgram, type Program, ProgramBuilder } from '../../src/ir/program.ts';
import { openMachine } from '../../src/vm/open.ts';
import { opFields, view } from './contract-chain.ts';
import { candidates } from './machines.ts';

/** state += io, 16 floats; io = the new state. */
function accumulator(): Program {
  const b = new ProgramBuilder();
  const state = { slot: b.slot(Segment.state, 0), offset: 0 };
  const io = { slot: b.slot(Segment.io, 0), offset: 0 };
  const scratch = { slot: b.slot(Segment.arena, 0), offset: 0 };
  b.emit(
    'CHAIN',
    { vectors: 1, perRow: 1, block: 1, registers: 0, scratch },
    { views: [view(state), view(io)], ops: [opFields('ADD', 0, 0, 1), opFields('MOVE', 1, 0)] },
  );
  return b.finish({ arena: 0, state: 16, io: 16 });
}

/** Looks up one row of a table of four. */
function lookUp(): Program {
  const b = new ProgramBuilder();
  const table = { slot: b.slot(Segment.state, 0), offset: 0 };
  const io = b.slot(Segment.io, 0);
  b.emit('GATHER', {
    rows: 1,
    ids: { slot: io, offset: 16 },
    inner: 1,
    idsPitch: 1,
    table,
    tablePitch: 16,
    vocabulary: 4,
    blocks: 1,
    dst: { slot: io, offset: 0 },
    dstPitch: 16,
  });
  return b.finish({ arena: 0, state: 64, io: 32 });
}

for (const candidate of candidates) {
  describe.skipIf(candidate.missing)(
    `${candidate.name}${candidate.missing ? ` (${candidate.missing})` : ''}`,
    async () => {
      if (candidate.missing) return;
      const machine = await candidate.open();

      test('starts with zeros and keeps its memories from run to run', async () => {
        const program = machine.load(encodeProgram(accumulator()));
        const bound = machine.bind(program);
        const other = machine.bind(program);
        expect([...bound.state, ...bound.io]).toEqual(new Array(32).fill(0));
        for (let k = 1; k <= 3; k++) {
          bound.io.fill(2);
          bound.run();
          expect([...bound.io]).toEqual(new Array(16).fill(2 * k));
        }
        expect([...bound.state]).toEqual(new Array(16).fill(6));
        expect([...other.state]).toEqual(new Array(16).fill(0));
        // An ordinary run takes the same memories.
        bound.io.fill(1);
        await machine.run(program, bound.state, bound.io, { ioStride: 0, steps: 1, writesState: true });
        machine.runSync(program, bound.state, bound.io, { ioStride: 0, steps: 1, writesState: true });
        expect([...bound.state]).toEqual(new Array(16).fill(14));
        program.release();
        bound.io.fill(1);
        bound.run();
        expect(bound.state[0]).toBe(15);
      });

      test('says what was wrong in a run, and runs again', () => {
        const bound = machine.bind(machine.load(encodeProgram(lookUp())));
        bound.state.set(Float32Array.from({ length: 64 }, (_, i) => i));
        const ids = new Int32Array(bound.io.buffer, bound.io.byteOffset, bound.io.length);
        ids[16] = 9;
        expect(() => bound.run()).toThrow(/ids within the vocabulary, received 9/);
        ids[16] = 3;
        bound.run();
        expect([...bound.io.subarray(0, 16)]).toEqual(Array.from({ length: 16 }, (_, i) => 48 + i));
      });

      test('refuses a program that was released', () => {
        const program = machine.load(encodeProgram(accumulator()));
        program.release();
        expect(() => machine.bind(program)).toThrow(/one that was released/);
      });
    },
  );
}

test('the oracle binds no programs', async () => {
  const oracle = await openMachine({ host: 'oracle', isa: 'float64' });
  expect(() => oracle.bind({ arena: 0, release: () => {} })).toThrow(/the oracle/);
});
