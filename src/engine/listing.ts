/** Instructions as a tree while they are written: slots and the moves of loops are known only when all of them stand. */
import type { InstructionName } from '../ir/kernels.ts';
import { type Fields, type Program, ProgramBuilder, type Reference } from '../ir/program.ts';
import { absoluteOffset, type Move, type Place } from './places.ts';

interface Line {
  readonly name: InstructionName;
  readonly fields: Fields;
  readonly repeats: Readonly<Record<string, readonly Fields[]>>;
}
/** Rows of a loop of which each pass works on the first so many alone. */
export interface ActiveRows {
  readonly rows: number;
  readonly at: Reference;
  readonly stride: number;
}

interface LoopLine {
  readonly loop: object;
  readonly count: number;
  readonly active: ActiveRows | null;
  readonly body: (Line | LoopLine)[];
}

interface SlotUse {
  readonly segment: number;
  readonly offset: number;
  readonly moves: readonly Move[];
}

export class Listing {
  private readonly root: (Line | LoopLine)[] = [];
  private current = this.root;
  private readonly slots: SlotUse[] = [];
  private readonly slotOf = new Map<string, number>();
  /** The slots of places that were asked for before. */
  private readonly known = new Map<Place, number>();
  private readonly loopNumbers = new Map<object, number>();
  readonly builder = new ProgramBuilder();

  emit(name: InstructionName, fields: Fields = {}, repeats: Readonly<Record<string, readonly Fields[]>> = {}): void {
    this.current.push({ name, fields, repeats });
  }

  /** Everything that `write` emits runs `count` times. */
  repeat(loop: object, count: number, active: ActiveRows | null, write: () => void): void {
    const outer = this.current;
    const line: LoopLine = { loop, count, active, body: [] };
    outer.push(line);
    this.current = line.body;
    write();
    this.current = outer;
  }

  /** A reference to a place. Places in one buffer that move alike share a slot, based where the first of them was met. */
  at(place: Place, offset = 0): Reference {
    const base = absoluteOffset(place.buffer);
    let slot = this.known.get(place);
    if (slot === undefined) {
      slot = this.slot(place, base);
      this.known.set(place, slot);
    }
    return { slot, offset: base + place.offset - this.slots[slot].offset + offset };
  }

  /** A slot is based at the lowest entry that its places may start from, so that offsets stay within the buffer. */
  private slot({ buffer, moves, offset }: Place, base: number): number {
    const { segment, floats } = buffer;
    const travel = moves.map((m) => `${this.loopNumber(m.loop)}:${m.stride}`).join();
    const key = moves.length ? `${segment}:${base}:${floats}:${travel}` : `${segment}`;
    let slot = this.slotOf.get(key);
    if (slot === undefined) {
      slot = this.slots.length;
      this.slots.push({ segment, offset: moves.length ? base + offset : 0, moves });
      this.slotOf.set(key, slot);
    }
    return slot;
  }

  private loopNumber(loop: object): number {
    let n = this.loopNumbers.get(loop);
    if (n === undefined) {
      n = this.loopNumbers.size;
      this.loopNumbers.set(loop, n);
    }
    return n;
  }

  finish(sizes: { arena: number; state: number; io: number }): Program {
    for (const { segment, offset } of this.slots) this.builder.slot(segment, offset);
    this.write(this.root);
    return this.builder.finish(sizes);
  }

  private write(lines: readonly (Line | LoopLine)[]): void {
    for (const line of lines) {
      if (!('loop' in line)) this.builder.emit(line.name, line.fields, line.repeats);
      else {
        const moves = this.slots.flatMap((s, slot) =>
          s.moves.filter((m) => m.loop === line.loop && m.stride !== 0).map((m) => ({ slot, stride: m.stride })),
        );
        const { active } = line;
        const rows = active && { activeRows: active.rows, activeAt: active.at, activeStride: active.stride };
        this.builder.emit('LOOP', { count: line.count, body: 0, ...rows }, { moves });
        this.write(line.body);
        this.builder.emit('NEXT');
      }
    }
  }
}
