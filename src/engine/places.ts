/** Where values stand in memory: buffers with lifetimes, places in them, and the arena that holds them all. */
import { LANES, Segment } from '../ir/kernels.ts';
import { type Layout, roundUp } from '../ir/lower.ts';

/** A layout in memory where the blocks of a row need not be next to each other. */
export interface Footing extends Layout {
  /** Elements from one block of a row to the next; 16 where the row is contiguous. */
  readonly step: number;
  /** Other values stand right behind the last column of a row: nothing may be written there. */
  readonly tight?: boolean;
}

/** A piece of a segment. In the arena it has a lifetime, in positions of the schedule, and gets its offset when all are known. */
export interface Buffer {
  readonly segment: number;
  readonly floats: number;
  offset: number;
  first: number;
  last: number;
  /** What it is for, in the arena map of `explain`. */
  readonly label: string;
  /** For a buffer of a loop body: the buffer that holds the whole body. */
  within: Buffer | null;
}

/** A moving pointer: the loop, and the elements that it moves on by in every pass. */
export interface Move {
  readonly loop: object;
  readonly stride: number;
}

export interface Place {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly moves: readonly Move[];
  readonly footing: Footing;
}

export function footingOf(layout: Layout): Footing {
  const { rows, cols, groups, pitch } = layout;
  return { rows, cols, groups, pitch, step: LANES };
}

/** Whether the rows of a place stand as in a buffer of its own. */
export function isWhole({ footing }: Place): boolean {
  const { cols, groups, pitch, step, tight } = footing;
  return !tight && step === LANES && pitch === (cols === 1 ? 1 : groups * roundUp(cols / groups));
}

export function fixedBuffer(segment: number, offset: number, floats: number, label: string): Buffer {
  return { segment, floats, offset, first: 0, last: 0, label, within: null };
}

/** All buffers of the arena of one schedule. */
export class Arena {
  readonly buffers: Buffer[] = [];
  private readonly own = new Set<Buffer>();

  add(floats: number, at: number, label: string): Buffer {
    const buffer: Buffer = {
      segment: Segment.arena,
      floats: roundUp(floats),
      offset: 0,
      first: at,
      last: at,
      label,
      within: null,
    };
    this.buffers.push(buffer);
    this.own.add(buffer);
    return buffer;
  }

  has(buffer: Buffer): boolean {
    return this.own.has(buffer);
  }

  /**
   * Gives offsets so that buffers alive at the same time do not overlap: the largest first, each at the lowest free place.
   * Returns the size in elements. 16 more elements follow every buffer, since they may be read.
   */
  allocate(): number {
    // In the order of their offsets.
    const placed: Buffer[] = [];
    let size = 0;
    const bySize = [...this.buffers].sort((a, b) => b.floats - a.floats || a.first - b.first);
    for (const buffer of bySize) {
      let at = 0;
      for (const b of placed) {
        if (b.first > buffer.last || buffer.first > b.last) continue;
        if (at + buffer.floats + LANES <= b.offset) break;
        at = Math.max(at, b.offset + b.floats + LANES);
      }
      buffer.offset = at;
      let place = placed.length;
      while (place > 0 && placed[place - 1].offset > at) place--;
      placed.splice(place, 0, buffer);
      size = Math.max(size, at + buffer.floats + LANES);
    }
    return size;
  }
}

export function absoluteOffset(buffer: Buffer): number {
  return buffer.offset + (buffer.within ? absoluteOffset(buffer.within) : 0);
}

/** The same memory seen from an offset, with another footing. */
export function within(place: Place, offset: number, footing: Footing): Place {
  return { buffer: place.buffer, offset: place.offset + offset, moves: place.moves, footing };
}

/** A value that fills a buffer. */
export function whole(buffer: Buffer, layout: Layout): Place {
  return { buffer, offset: 0, moves: [], footing: footingOf(layout) };
}

/** One step of a stack of `length`, in a loop that walks it. */
export function stepOf(place: Place, loop: object, layout: Layout, length: number, reverse: boolean): Place {
  const stride = layout.rows * place.footing.pitch;
  return {
    buffer: place.buffer,
    offset: place.offset + (reverse ? Math.max(0, length - 1) * stride : 0),
    moves: [...place.moves, { loop, stride: reverse ? -stride : stride }],
    footing: { ...layout, pitch: place.footing.pitch, step: place.footing.step },
  };
}

export function samePlace(a: Place, b: Place): boolean {
  return (
    a.buffer === b.buffer &&
    a.offset === b.offset &&
    a.footing.pitch === b.footing.pitch &&
    a.footing.step === b.footing.step &&
    a.moves.length === b.moves.length &&
    a.moves.every((m, i) => m.loop === b.moves[i].loop && m.stride === b.moves[i].stride)
  );
}
