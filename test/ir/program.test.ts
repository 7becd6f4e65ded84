/** The language of the machine: what goes in comes out, what is wrong is refused, and its print is stable. */
import { describe, expect, test } from 'vitest';
import { chainOpcodeOf, Segment } from '../../src/ir/kernels.ts';
import {
  decodeInstructions,
  decodeProgram,
  encodeProgram,
  type Program,
  ProgramBuilder,
  printProgram,
  verifyProgram,
} from '../../src/ir/program.ts';

function doubling(): Program {
  const b = new ProgramBuilder();
  const slot = b.slot(Segment.io, 0);
  const scratch = { slot: b.slot(Segment.arena, 0), offset: 0 };
  b.constant(Float32Array.of(1, 2, 3));
  b.emit('LOOP', { count: 3, body: 0 }, { moves: [{ slot, stride: 16 }] });
  b.emit(
    'CHAIN',
    { vectors: 1, perRow: 1, block: 4, registers: 1, scratch },
    {
      views: [{ at: { slot, offset: 0 }, step: 16, pitch: 0, cols: 0 }],
      ops: [
        { op: chainOpcodeOf.get('ADD') as number, d: 1, a: 0, b: 0, c: 0 },
        { op: chainOpcodeOf.get('MOVE') as number, d: 0, a: 1, b: 0, c: 0 },
      ],
    },
  );
  b.emit('NEXT');
  b.emit('FILL', { dst: { slot, offset: 5 }, count: 1, value: -0.5 });
  return b.finish({ arena: 64, state: 0, io: 48 });
}

test('encoding and decoding give the same program', () => {
  const program = doubling();
  const again = decodeProgram(encodeProgram(program));
  expect(again).toEqual({ ...program, slots: [...program.slots] });
  expect([...decodeInstructions(again)].map((i) => i.name)).toEqual(['LOOP', 'CHAIN', 'NEXT', 'FILL', 'END']);
  expect(() => verifyProgram(again)).not.toThrow();
});

test('integers among the constants keep their bits', () => {
  const b = new ProgramBuilder();
  // As floats all but the last are NaN, and four of those a signalling one.
  const integers = Int32Array.of(-1, -5_000_000, -8_000_000, -4_300_000, 2_140_000_000, 2_145_000_000, 7);
  const at = b.constant(new Float32Array(integers.buffer));
  const { constants } = decodeProgram(encodeProgram(b.finish({ arena: 0, state: 0, io: 0 })));
  expect(new Int32Array(constants.buffer, at * 4, integers.length)).toEqual(integers);
});

test('the print', () => {
  expect(printProgram(doubling())).toBe(
    [
      'program: 46 integers, 2 slots, arena 64, state 0, io 48, constants 16',
      '  s0 = io+0',
      '  s1 = arena+0',
      '  LOOP count=3 body=27 activeRows=0 activeAt=s0 activeStride=0',
      '    | moves s0:16',
      '    CHAIN vectors=1 perRow=1 block=4 registers=1 scratch=s1',
      '      | v0 at=s0 step=16 pitch=0 cols=0',
      '      | r0 = ADD v0 v0',
      '      | v0 = MOVE r0',
      '  NEXT',
      '  FILL dst=s0+5 count=1 value=-0.5',
      '  END',
    ].join('\n'),
  );
});

describe('the verifier refuses', () => {
  const broken = (change: (program: Program) => Program) => () => verifyProgram(change(doubling()));
  const withCode = (change: (code: Int32Array) => void) =>
    broken((p) => {
      const code = p.code.slice();
      change(code);
      return { ...p, code };
    });

  test('an unknown opcode', () => expect(withCode((c) => c.fill(999, 0, 1))).toThrow(/unknown opcode 999/));
  test('a wrong length', () => expect(withCode((c) => c.fill(7, 1, 2))).toThrow(/length/));
  test('a slot outside its segment', () =>
    expect(broken((p) => ({ ...p, slots: [{ segment: 2, offset: 49 }, p.slots[1]] }))).toThrow(/outside its segment/));
  test('a slot that does not exist', () =>
    expect(broken((p) => ({ ...p, slots: [p.slots[0]] }))).toThrow(/slot 1 does not exist/));
  test('a program without an end', () =>
    expect(broken((p) => ({ ...p, code: p.code.slice(0, -2) }))).toThrow(/does not end/));
  test('a register that is read before it is written', () => {
    const swapped = broken((p) => {
      const code = p.code.slice();
      // The second operation of the chain moves a register: let the first one read it.
      const at = code.length - 2 - 6 - 2 - 10;
      code[at + 2] = 1;
      return { ...p, code };
    });
    expect(swapped).toThrow(/reads register 0 before it is written/);
  });
  test('a loop that is not closed', () => {
    const b = new ProgramBuilder();
    b.emit('LOOP', { count: 1, body: 0 });
    expect(() => b.finish({ arena: 0, state: 0, io: 0 })).toThrow(/not closed/);
  });
  test('a field that is missing', () => {
    expect(() => new ProgramBuilder().emit('FILL', { count: 1, value: 0 })).toThrow(/FILL.dst is not a reference/);
  });
});
