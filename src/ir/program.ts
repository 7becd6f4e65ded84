/**
 * The second language of the compiler: a flat program of integers for the machine (`native/vm.inl.h`).
 *
 * Layout of the encoded `Int32Array`:
 *   [magic, version, slots, codeLength, constants, arena, state, io,  slots x (segment, offset),  code,  constants as f32 bits]
 * arena, state and io are the numbers of elements that the program may touch in each segment (for one step).
 */
import { UnrolledError } from '../core/errors.ts';
import {
  chainOperations,
  type Field,
  type Instruction,
  type InstructionName,
  instructions,
  LANES,
  opcodeOf,
  Segment,
} from './kernels.ts';

export const PROGRAM_MAGIC = 0x756e726c;
export const PROGRAM_VERSION = 1;
const HEADER = 8;

/** A slot and an offset from it, in elements. */
export interface Reference {
  readonly slot: number;
  readonly offset: number;
}
export type FieldValue = number | Reference;
export type Fields = Readonly<Record<string, FieldValue>>;

export interface Slot {
  readonly segment: number;
  readonly offset: number;
}

export interface DecodedInstruction {
  readonly name: InstructionName;
  readonly fields: Fields;
  readonly repeats: Readonly<Record<string, readonly Fields[]>>;
  /** Where it begins in the code. */
  readonly position: number;
}

export interface Program {
  readonly slots: readonly Slot[];
  readonly code: Int32Array;
  readonly constants: Float32Array;
  readonly arena: number;
  readonly state: number;
  readonly io: number;
}

const bits = new DataView(new ArrayBuffer(4));
export function floatBits(x: number): number {
  bits.setFloat32(0, x);
  return bits.getInt32(0);
}
export function bitsFloat(i: number): number {
  bits.setInt32(0, i);
  return bits.getFloat32(0);
}

function broken(message: string): never {
  throw new UnrolledError('INTERNAL', `program: ${message}. This is a fault of the compiler; please report it.`);
}

const place = (row: string, repeat: string | null, field: string) => [row, repeat, field].filter(Boolean).join('.');

const nowhere: Reference = { slot: 0, offset: 0 };

function push(out: number[], fields: readonly Field[], values: Fields, row: string, repeat: string | null): void {
  for (const { name, kind, optional } of fields) {
    const value = values[name];
    if (kind === 'ref') {
      const at = value ?? (optional ? nowhere : undefined);
      if (typeof at !== 'object') broken(`${place(row, repeat, name)} is not a reference`);
      out.push(at.slot, at.offset);
    } else {
      const number = value ?? (optional ? 0 : undefined);
      if (typeof number !== 'number') broken(`${place(row, repeat, name)} is missing`);
      out.push(kind === 'f32' ? floatBits(number) : number);
    }
  }
}

/** Collects instructions, slots and constants; `finish` closes loops and gives the program. */
export class ProgramBuilder {
  readonly slots: Slot[] = [];
  private readonly code: number[] = [];
  /** As bits. */
  private readonly constants: number[] = [];
  private readonly constantAt = new Map<string, number>();
  private readonly splatAt = new Map<number, number>();
  private readonly open: number[] = [];

  slot(segment: number, offset: number): number {
    this.slots.push({ segment, offset });
    return this.slots.length - 1;
  }

  /** Constants are kept once; gives the offset in the segment of constants. */
  constant(data: Float32Array): number {
    // By their bits: integers among them are no numbers as floats, and would come back as others.
    const bits = new Int32Array(data.buffer, data.byteOffset, data.length);
    const key = bits.join();
    let at = this.constantAt.get(key);
    if (at === undefined) {
      at = this.constants.length;
      for (const one of bits) this.constants.push(one);
      while (this.constants.length % 16) this.constants.push(0);
      this.constantAt.set(key, at);
    }
    return at;
  }

  /** A number in all lanes of a block. */
  splat(value: number): number {
    const bits = floatBits(value);
    let at = this.splatAt.get(bits);
    if (at === undefined) {
      at = this.constant(new Float32Array(LANES).fill(value));
      this.splatAt.set(bits, at);
    }
    return at;
  }

  emit(name: InstructionName, fields: Fields = {}, repeats: Readonly<Record<string, readonly Fields[]>> = {}): void {
    const opcode = opcodeOf.get(name) as number;
    const row: Instruction = instructions[opcode];
    const out = this.code;
    const position = out.length;
    out.push(opcode, 0);
    push(out, row.fields, fields, name, null);
    for (const repeat of row.repeats) {
      const list = repeats[repeat.name] ?? [];
      out.push(list.length);
      for (const values of list) push(out, repeat.fields, values, name, repeat.name);
    }
    out[position + 1] = out.length - position;
    if (name === 'LOOP') this.open.push(position);
    if (name === 'NEXT') {
      const start = this.open.pop() ?? broken('NEXT without LOOP');
      this.code[start + 3] = this.code.length - (start + this.code[start + 1]);
    }
  }

  finish(sizes: { arena: number; state: number; io: number }): Program {
    if (this.open.length) broken('a loop is not closed');
    this.emit('END');
    const program: Program = {
      slots: this.slots,
      code: Int32Array.from(this.code),
      constants: new Float32Array(Int32Array.from(this.constants).buffer),
      ...sizes,
    };
    return program;
  }
}

/** The integers that the machine reads. */
export function encodeProgram(program: Program): Int32Array {
  const { slots, code, constants } = program;
  const out = new Int32Array(HEADER + 2 * slots.length + code.length + constants.length);
  out.set([
    PROGRAM_MAGIC,
    PROGRAM_VERSION,
    slots.length,
    code.length,
    constants.length,
    program.arena,
    program.state,
    program.io,
  ]);
  slots.forEach((s, i) => out.set([s.segment, s.offset], HEADER + 2 * i));
  out.set(code, HEADER + 2 * slots.length);
  out.set(new Int32Array(constants.buffer, constants.byteOffset, constants.length), out.length - constants.length);
  return out;
}

export function decodeProgram(data: Int32Array): Program {
  if (data[0] !== PROGRAM_MAGIC || data[1] !== PROGRAM_VERSION) broken('wrong magic or version');
  const [, , slotCount, codeLength, constantCount, arena, state, io] = data;
  const slots: Slot[] = [];
  for (let i = 0; i < slotCount; i++) slots.push({ segment: data[HEADER + 2 * i], offset: data[HEADER + 2 * i + 1] });
  const from = HEADER + 2 * slotCount;
  const constants = new Float32Array(data.slice(from + codeLength, from + codeLength + constantCount).buffer);
  return { slots, code: data.slice(from, from + codeLength), constants, arena, state, io };
}

export function* decodeInstructions(program: Program): Generator<DecodedInstruction> {
  const { code } = program;
  for (let position = 0; position < code.length; ) {
    const row: Instruction | undefined = instructions[code[position]];
    if (!row) broken(`unknown opcode ${code[position]} at ${position}`);
    const length = code[position + 1];
    let at = position + 2;
    const read = (list: readonly Field[]): Fields => {
      const values: Record<string, FieldValue> = {};
      for (const { name, kind } of list) {
        if (kind === 'ref') values[name] = { slot: code[at++], offset: code[at++] };
        else values[name] = kind === 'f32' ? bitsFloat(code[at++]) : code[at++];
      }
      return values;
    };
    const fields = read(row.fields);
    const repeats: Record<string, Fields[]> = {};
    for (const repeat of row.repeats) {
      const count = code[at++];
      if (count < 0 || count > length) broken(`bad count of ${repeat.name} at ${position}`);
      repeats[repeat.name] = Array.from({ length: count }, () => read(repeat.fields));
    }
    if (at !== position + length)
      broken(`${row.name} at ${position} has length ${length}, its fields need ${at - position}`);
    yield { name: row.name as InstructionName, fields, repeats, position };
    position = at;
  }
}

/** Lengths, opcodes, slots, nesting and the operands of chains are as the treaty says. */
export function verifyProgram(program: Program): void {
  const { slots } = program;
  const sizes = [program.arena, program.state, program.io, program.constants.length];
  for (const s of slots)
    if (!(s.segment in sizes) || s.offset < 0 || s.offset > sizes[s.segment])
      broken(`a slot points outside its segment (${s.segment}, ${s.offset})`);
  let depth = 0;
  let ended = false;
  const checkSlots = (values: Fields) => {
    for (const v of Object.values(values))
      if (typeof v === 'object' && !(v.slot in slots)) broken(`slot ${v.slot} does not exist`);
  };
  for (const { name, fields, repeats } of decodeInstructions(program)) {
    if (ended) broken('code after END');
    checkSlots(fields);
    for (const list of Object.values(repeats)) list.forEach(checkSlots);
    if (name === 'LOOP') depth++;
    if (name === 'NEXT' && --depth < 0) broken('NEXT without LOOP');
    if (name === 'END') ended = true;
    if (name === 'CHAIN') verifyChain(fields, repeats);
  }
  if (!ended || depth) broken('the program does not end');
}

function verifyChain(fields: Fields, repeats: Readonly<Record<string, readonly Fields[]>>): void {
  const views = repeats.views.length;
  const operands = views + (fields.registers as number);
  const written = new Set<number>();
  for (const { op, d, a, b, c } of repeats.ops as readonly Record<string, number>[]) {
    const row = chainOperations[op] ?? broken(`unknown chain operation ${op}`);
    [a, b, c].slice(0, row.arity).forEach((x, i) => {
      if (x < 0 || x >= operands) broken(`${row.name} reads operand ${x} of ${operands}`);
      const isView = x < views;
      if (row.memory === 'load' && !isView) broken(`${row.name} loads from a register`);
      if (row.memory === 'store' && isView !== i > 0) broken(`${row.name} takes a register${i ? ', and a view' : ''}`);
      if (!isView && !written.has(x)) broken(`${row.name} reads register ${x - views} before it is written`);
    });
    if (d < 0 || d >= operands) broken(`${row.name} writes operand ${d} of ${operands}`);
    if ((row.memory === 'load') === d < views && row.memory) broken(`${row.name} writes the wrong kind of operand`);
    written.add(d);
  }
}

const segmentNames = Object.keys(Segment);

/** Readable text: one instruction a line, loops indented. */
export function printProgram(program: Program): string {
  const lines = [
    `program: ${program.code.length} integers, ${program.slots.length} slots, arena ${program.arena}, state ${program.state}, io ${program.io}, constants ${program.constants.length}`,
  ];
  program.slots.forEach((s, i) => lines.push(`  s${i} = ${segmentNames[s.segment]}+${s.offset}`));
  const ref = (v: FieldValue) => (typeof v === 'object' ? `s${v.slot}${v.offset ? `+${v.offset}` : ''}` : String(v));
  const show = (values: Fields) =>
    Object.entries(values)
      .map(([k, v]) => `${k}=${ref(v)}`)
      .join(' ');
  let indent = '  ';
  for (const { name, fields, repeats } of decodeInstructions(program)) {
    if (name === 'NEXT') indent = indent.slice(2);
    lines.push(`${indent}${name} ${show(fields)}`.trimEnd());
    if (name === 'LOOP') {
      lines.push(`${indent}  | moves ${repeats.moves.map((m) => `s${m.slot}:${m.stride}`).join(' ')}`);
      indent += '  ';
    } else if (name === 'CHAIN') {
      const views = repeats.views.length;
      repeats.views.forEach((v, i) => lines.push(`${indent}  | v${i} ${show(v)}`));
      const operand = (x: number) => (x < views ? `v${x}` : `r${x - views}`);
      for (const { op, d, a, b, c } of repeats.ops as readonly Record<string, number>[]) {
        const row = chainOperations[op];
        lines.push(`${indent}  | ${operand(d)} = ${row.name} ${[a, b, c].slice(0, row.arity).map(operand).join(' ')}`);
      }
    } else
      for (const [key, list] of Object.entries(repeats))
        for (const v of list) lines.push(`${indent}  | ${key} ${show(v)}`);
  }
  return lines.join('\n');
}
