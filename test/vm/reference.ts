/**
 * A machine in float64 that runs a program instruction by instruction, from the text of the treaty (src/ir/kernels.ts) alone. Its memories
 * hold numbers; an i32 is the number that it means.
 */
import { roundBfloat16 } from '../../src/core/bfloat16.ts';
import { chainOperations, Init, Reduction, Segment } from '../../src/ir/kernels.ts';
import {
  type DecodedInstruction,
  decodeInstructions,
  type Fields,
  type Program,
  type Reference,
} from '../../src/ir/program.ts';
import { chainFormulas } from './reference-chain.ts';

/** Philox4x32-10 of Salmon et al. (2011), by big integers. */
export function philox(key: readonly number[], counter: readonly number[]): number[] {
  const word = (x: bigint) => x & 0xffffffffn;
  let [k0, k1] = key.map((x) => BigInt(x >>> 0));
  let [c0, c1, c2, c3] = counter.map((x) => BigInt(x >>> 0));
  for (let round = 0; round < 10; round++) {
    const a = c0 * 0xd2511f53n;
    const b = c2 * 0xcd9e8d57n;
    [c0, c1, c2, c3] = [(b >> 32n) ^ c1 ^ k0, word(b), (a >> 32n) ^ c3 ^ k1, word(a)];
    k0 = word(k0 + 0x9e3779b9n);
    k1 = word(k1 + 0xbb67ae85n);
  }
  return [c0, c1, c2, c3].map(Number);
}

const bits = new DataView(new ArrayBuffer(4));

/** The 16 bits of the bfloat16 next to a number. */
function upperHalf(x: number): number {
  bits.setFloat32(0, roundBfloat16(x));
  return bits.getUint16(0);
}

/** The first or the second number of a pair. */
function half(pair: number, index: number): number {
  bits.setUint32(0, (index ? Math.floor(pair / 65536) : pair % 65536) * 65536);
  return bits.getFloat32(0);
}

export class BadId extends Error {
  readonly id: number;
  constructor(id: number) {
    super(`id ${id}`);
    this.id = id;
  }
}

type Numbers = Record<string, number>;

class ReferenceMachine {
  private readonly memories: Float64Array[];
  /** Rows of the loop that runs now, and how many of them are active. */
  private active: { all: number; now: number } | null = null;
  private readonly pointers: { memory: Float64Array; at: number }[];

  constructor(program: Program, memories: Float64Array[], ioAt: number) {
    this.memories = memories;
    this.pointers = program.slots.map((s) => ({
      memory: this.memories[s.segment],
      at: s.offset + (s.segment === Segment.io ? ioAt : 0),
    }));
  }

  execute(list: readonly DecodedInstruction[], from = 0): number {
    for (let i = from; i < list.length; i++) {
      const { name, fields, repeats } = list[i];
      if (name === 'NEXT' || name === 'END') return i;
      if (name === 'LOOP') {
        let end = skip(list, i);
        const counts = fields.activeAt as Reference;
        const { memory, at } = this.pointers[counts.slot];
        for (let n = 0; n < (fields.count as number); n++) {
          const all = fields.activeRows as number;
          const count = memory[at + counts.offset + n * (fields.activeStride as number)];
          this.active = all ? { all, now: Math.min(all, Math.max(0, count)) } : null;
          end = this.execute(list, i + 1);
          this.active = null;
          for (const m of repeats.moves as Numbers[]) this.pointers[m.slot].at += m.stride;
        }
        for (const m of repeats.moves as Numbers[]) this.pointers[m.slot].at -= m.stride * (fields.count as number);
        i = end;
      } else this.instruction(name, fields, repeats);
    }
    return list.length;
  }

  private rowsNow(rows: number): number {
    return this.active && rows === this.active.all ? this.active.now : rows;
  }

  /** Whether a row counts, where only some of each group do. */
  private isValid(f: Numbers & Record<string, Reference & number>, row: number): boolean {
    if (!f.groups) return true;
    const count = this.get(f.countsAt, Math.floor(row / f.groupRows));
    return row % f.groupRows < count;
  }

  private get(ref: Reference, index: number): number {
    const { memory, at } = this.pointers[ref.slot];
    // Behind the end stands something that must have no meaning.
    return memory[at + ref.offset + index] ?? 0;
  }
  private set(ref: Reference, index: number, value: number): void {
    const { memory, at } = this.pointers[ref.slot];
    const place = at + ref.offset + index;
    if (place < 0 || place >= memory.length) throw new RangeError('a write outside of its memory');
    memory[place] = value;
  }

  private instruction(name: string, fields: Fields, repeats: Readonly<Record<string, readonly Fields[]>>): void {
    const f = fields as unknown as Numbers & Record<string, Reference & number>;
    const list = (key: string) => repeats[key] as unknown as (Numbers & { at: Reference; dst: Reference })[];
    const id = (r: number) => this.get(f.ids, Math.floor(r / f.inner) * f.idsPitch + (r % f.inner));
    const goodId = (r: number) => {
      const x = id(r);
      if (!(x >= 0 && x < f.vocabulary)) throw new BadId(x);
      return x;
    };
    switch (name) {
      case 'PRODUCT':
        this.product(f, list('segments'));
        return;
      case 'HOLD':
        for (let r = this.rowsNow(f.rows); r < f.rows; r++)
          for (let c = 0; c < f.blocks * 16; c++) {
            const at = (pitch: number, step: number) => r * pitch + Math.floor(c / 16) * step + (c % 16);
            const value = list('sources').reduce((sum, s) => sum + this.get(s.at, at(s.pitch, s.step)), 0);
            this.set(f.dst, at(f.dstPitch, f.dstStep), value);
          }
        return;
      case 'PACK':
        this.pack(f, list('runs'));
        return;
      case 'MATVEC':
        for (let r = 0; r < this.rowsNow(f.rows); r++) {
          let sum = f.init === Init.zero ? 0 : this.get(f.initAt, f.init === Init.row ? 0 : r);
          let k = 0;
          for (const s of list('segments'))
            for (let i = 0; i < s.count; i++) sum += this.get(s.at, r * s.pitch + i * s.step) * this.get(f.w, k++);
          this.set(f.dst, r, sum);
        }
        return;
      case 'PRODUCT_TN': {
        const rounded = f.precision ? roundBfloat16 : (x: number) => x;
        for (const s of list('segments'))
          for (let c = 0; c < s.cols; c++) {
            let to = c * s.dstPitch;
            for (let n = 0; n < f.blocks * 16; n++) {
              if (s.without && Math.floor(n / 16) % f.period === s.without - 1) continue;
              let sum = f.accumulate ? this.get(s.dst, to) : 0;
              for (let r = 0; r < f.rows; r++)
                if (this.isValid(f, r))
                  sum += rounded(this.get(s.at, r * s.pitch + c)) * rounded(this.get(f.b, r * f.bPitch + n));
              this.set(s.dst, to++, sum);
            }
          }
        if (f.sums)
          for (let n = 0; n < f.blocks * 16; n++) {
            let sum = f.accumulate ? this.get(f.sumAt, n) : 0;
            for (let r = 0; r < f.rows; r++) if (this.isValid(f, r)) sum += this.get(f.b, r * f.bPitch + n);
            this.set(f.sumAt, n, sum);
          }
        return;
      }
      case 'VECTOR_TN': {
        for (const s of list('segments'))
          for (let c = 0; c < s.cols; c++) {
            let sum = f.accumulate ? this.get(s.dst, c) : 0;
            for (let r = 0; r < f.rows; r++) sum += this.get(s.at, r * s.pitch + c) * this.get(f.b, r);
            this.set(s.dst, c, sum);
          }
        if (!f.sums) return;
        let sum = f.accumulate ? this.get(f.sumAt, 0) : 0;
        for (let r = 0; r < f.rows; r++) sum += this.get(f.b, r);
        this.set(f.sumAt, 0, sum);
        return;
      }
      case 'CHAIN':
        this.chain(f, list('views'), repeats.ops as readonly Numbers[]);
        return;
      case 'REDUCE_LAST':
        for (let r = 0; r < f.rows; r++) {
          const row = Array.from({ length: f.cols }, (_, c) => this.get(f.src, r * f.pitch + c));
          this.set(f.dst, Math.floor(r / f.inner) * f.dstPitch + (r % f.inner), reduce(f.kind, row));
        }
        return;
      case 'REDUCE_MIDDLE':
        for (let o = 0; o < f.outer; o++)
          for (let v = 0; v < f.blocks * 16; v++) {
            const column = Array.from({ length: f.middle }, (_, m) =>
              this.get(f.src, o * f.outerStride + m * f.middleStride + v),
            );
            this.set(f.dst, o * f.dstOuterStride + v, reduce(f.kind, column));
          }
        return;
      case 'COPY': {
        const dims = list('dims');
        const walk = (d: number, from: number, to: number): void => {
          if (d === dims.length) this.set(f.dst, to, this.get(f.src, from));
          else
            for (let i = 0; i < (d ? dims[d].size : this.rowsNow(dims[d].size)); i++)
              walk(d + 1, from + i * dims[d].srcStride, to + i * dims[d].dstStride);
        };
        walk(0, 0, 0);
        return;
      }
      case 'FILL':
        for (let i = 0; i < f.count; i++) this.set(f.dst, i, f.value);
        return;
      case 'GATHER': {
        const ids = Array.from({ length: f.rows }, (_, r) => goodId(r));
        ids.forEach((x, r) => {
          for (let n = 0; n < f.blocks * 16; n++)
            this.set(f.dst, r * f.dstPitch + n, this.get(f.table, x * f.tablePitch + n));
        });
        return;
      }
      case 'SCATTER_ADD': {
        const ids = Array.from({ length: f.rows }, (_, r) => goodId(r));
        const width = f.blocks ? f.blocks * 16 : 1;
        for (let v = 0; v < f.vocabulary; v++) for (let n = 0; n < width; n++) this.set(f.dst, v * f.dstPitch + n, 0);
        ids.forEach((x, r) => {
          for (let n = 0; n < width; n++) {
            const at = x * f.dstPitch + n;
            this.set(f.dst, at, this.get(f.dst, at) + this.get(f.src, r * f.srcPitch + n));
          }
        });
        return;
      }
      case 'DISTINCT': {
        const ids = Array.from({ length: f.rows }, (_, r) => goodId(r));
        const names = [...new Set(ids)];
        if (f.clear) for (let v = 0; v < f.vocabulary; v++) this.set(f.table, v, -1);
        names.forEach((x, k) => this.set(f.table, x, k));
        for (let k = 0; k < f.most; k++) this.set(f.list, k, names[k] ?? -1);
        ids.forEach((x, r) => {
          const place = Math.floor(r / f.inner) * f.placesPitch + (r % f.inner);
          this.set(f.places, place, names.indexOf(x));
        });
        this.set(f.number, 0, names.length);
        return;
      }
      case 'ONE_HOT':
        for (let r = 0; r < f.rows; r++)
          for (let c = 0; c < f.blocks * 16; c++)
            this.set(f.dst, r * f.dstPitch + c, c < f.depth && c === id(r) ? 1 : 0);
        return;
      case 'RANDOM': {
        const key = [this.get(f.key, 0), this.get(f.key, 1)];
        for (let r = 0; r < f.rows; r++)
          for (let c = 0; c < f.cols; c++) {
            const i = r * f.cols + c;
            const word = philox(key, [Math.floor(i / 4), 0, f.stream, 0])[i % 4];
            this.set(f.dst, r * f.pitch + c, (word >>> 8) * 2 ** -24);
          }
        return;
      }
      default:
        throw new Error(`the reference does not know ${name}`);
    }
  }

  private product(
    f: Numbers & Record<string, Reference & number>,
    segments: readonly (Numbers & { at: Reference })[],
  ): void {
    const width = f.blocks * 16;
    const pairs = Math.ceil(f.total / 2);
    const out = new Map<number, number[]>();
    for (let r = 0; r < this.rowsNow(f.rows); r++) {
      if (!this.isValid(f, r)) {
        if (f.fill) out.set(r, new Array<number>(width).fill(0));
        continue;
      }
      const row: number[] = [];
      out.set(r, row);
      const start = (to: number) =>
        f.init === Init.zero ? 0 : this.get(f.initAt, (f.init === Init.matrix ? r * f.initPitch : 0) + to);
      /** Element (r, n) of the product alone, of the segments from one to another. */
      const element = (n: number, from: number, end: number) => {
        const panel = Math.floor(n / (f.panel * 16));
        const first = panel * f.panel * 16;
        const panelWidth = Math.min(f.panel * 16, width - first);
        let sum = 0;
        let k = 0;
        segments.forEach((s, i) => {
          for (let j = 0; j < s.count; j++, k++) {
            if (i < from || i >= end) continue;
            sum += f.precision
              ? roundBfloat16(this.get(s.at, r * s.pitch + j * s.step)) *
                half(this.get(f.packed, first * pairs + (k >> 1) * panelWidth + n - first), k % 2)
              : this.get(s.at, r * s.pitch + j * s.step) *
                this.get(f.packed, first * f.total + k * panelWidth + n - first);
          }
        });
        return sum;
      };
      for (let block = 0; block < f.blocks; block++) {
        const isApart = f.period && block % f.period === f.period - 1;
        const parts = isApart
          ? [[0, f.apart] as const, [f.apart, segments.length] as const]
          : [[0, segments.length] as const];
        for (const [from, end] of parts)
          for (let n = block * 16; n < block * 16 + 16; n++) row.push(start(row.length) + element(n, from, end));
      }
    }
    out.forEach((row, r) => row.forEach((x, n) => this.set(f.dst, r * f.dstPitch + n, x)));
  }

  private pack(f: Numbers & Record<string, Reference & number>, runs: readonly (Numbers & { at: Reference })[]): void {
    const width = f.panel ? f.blocks * 16 : 1;
    const panelWidth = f.panel ? f.panel * 16 : 1;
    if (f.precision) return this.packPairs(f, runs);
    let place = 0;
    for (let first = 0; first < width; first += panelWidth)
      for (const run of runs)
        for (let k = 0; k < run.count; k++)
          for (let n = first; n < Math.min(first + panelWidth, width); n++) {
            const inside = !f.panel || n < f.cols;
            this.set(f.dst, place++, inside ? this.get(run.at, k * run.step + n * f.nStep) : 0);
          }
  }

  /** A pair is kept as the whole number that its 32 bits are. */
  private packPairs(
    f: Numbers & Record<string, Reference & number>,
    runs: readonly (Numbers & { at: Reference })[],
  ): void {
    const width = f.blocks * 16;
    const rows = runs.flatMap((run) => Array.from({ length: run.count }, (_, k) => ({ run, k })));
    let place = 0;
    for (let first = 0; first < width; first += f.panel * 16)
      for (let k = 0; k < rows.length; k += 2)
        for (let n = first; n < Math.min(first + f.panel * 16, width); n++) {
          const bits = [rows[k], rows[k + 1]].map((row) =>
            row && n < f.cols ? upperHalf(this.get(row.run.at, row.k * row.run.step + n * f.nStep)) : 0,
          );
          this.set(f.dst, place++, bits[0] + bits[1] * 65536);
        }
  }

  private chain(
    f: Numbers & Record<string, Reference & number>,
    views: readonly (Numbers & { at: Reference })[],
    ops: readonly Numbers[],
  ): void {
    const registers = Array.from({ length: f.registers }, () => new Float64Array(f.block * 16));
    const byRow = this.active !== null && f.vectors === f.perRow * this.active.all;
    const vectors = byRow ? f.perRow * (this.active?.now ?? 0) : f.vectors;
    for (let v0 = 0; v0 < vectors; v0 += f.block) {
      const count = Math.min(f.block, vectors - v0);
      for (const { op, d, a, b, c } of ops) {
        const row = chainOperations[op];
        const operands = [a, b, c].slice(0, row.arity);
        for (let v = v0; v < v0 + count; v++) {
          const r = Math.floor(v / f.perRow);
          const j = v % f.perRow;
          for (let lane = 0; lane < 16; lane++) {
            const flat = (x: number) =>
              x < views.length
                ? this.get(views[x].at, v * views[x].step + lane)
                : registers[x - views.length][(v - v0) * 16 + lane];
            const view = views[row.memory === 'store' ? d : a];
            if (row.name.endsWith('_INDEXED')) {
              const i = this.get(views[b].at, r * views[b].pitch);
              const at = i >= 0 && i < view.cols ? i * view.pitch + j * view.step + lane : null;
              if (row.memory === 'load')
                registers[d - views.length][(v - v0) * 16 + lane] = at === null ? 0 : this.get(view.at, at);
              else if (at !== null) this.set(view.at, at, flat(a));
              continue;
            }
            if (row.memory === 'store') {
              if (j * 16 + lane < view.cols) this.set(view.at, r * view.pitch + j * view.step + lane, flat(a));
              continue;
            }
            const places: Record<string, () => number> = {
              LOAD: () => r * view.pitch + j * view.step + lane,
              LOAD_ROW: () => j * view.step + lane,
              LOAD_COLUMN: () => r * view.pitch,
              LOAD_SCALAR: () => 0,
            };
            const [x, y, z] = row.memory ? [0, 0, 0] : operands.map(flat);
            const result = row.memory ? this.get(view.at, places[row.name]()) : chainFormulas[row.name](x, y, z);
            if (d < views.length) this.set(views[d].at, v * views[d].step + lane, result);
            else registers[d - views.length][(v - v0) * 16 + lane] = result;
          }
        }
      }
    }
  }
}

function skip(list: readonly DecodedInstruction[], at: number): number {
  let depth = 0;
  for (let i = at; i < list.length; i++) {
    if (list[i].name === 'LOOP') depth++;
    if (list[i].name === 'NEXT' && --depth === 0) return i;
  }
  throw new Error('a loop without an end');
}

function reduce(kind: number, x: readonly number[]): number {
  const notNumber = x.findIndex(Number.isNaN);
  if (kind === Reduction.argmax) return notNumber >= 0 ? notNumber : Math.max(0, x.indexOf(Math.max(...x)));
  if (notNumber >= 0) return Number.NaN;
  if (kind === Reduction.sum) return x.reduce((a, b) => a + b, 0);
  return kind === Reduction.max ? Math.max(...x) : Math.min(...x);
}

/** Runs a program; state and io are changed in place. */
export function runReference(
  program: Program,
  state: Float64Array,
  io: Float64Array,
  ioStride: number,
  steps: number,
): void {
  const instructions = [...decodeInstructions(program)];
  const arena = new Float64Array(program.arena);
  for (let n = 0; n < steps; n++) {
    const memories = [arena, state, io, Float64Array.from(program.constants)];
    new ReferenceMachine(program, memories, n * ioStride).execute(instructions);
  }
}
