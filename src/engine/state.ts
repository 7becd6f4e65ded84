/**
 * The values that live as long as a model: parameters, optimizer slots, counters. One memory for all; every leaf has a name, a
 * shape and a layout that all programs share. On the oracle a leaf is a float64 array of its own.
 */
import { fail, UnrolledError } from '../core/errors.ts';
import { ownRoom, type Room } from '../core/room.ts';
import { formatShape, type Shape, sizeOf } from '../core/shape.ts';
import type { DType, Type } from '../ir/graph.ts';
import { floatsOf, type Layout, layoutOf } from '../ir/lower.ts';
import type { Machine } from '../vm/vm.ts';
import { pack, unpack } from './packing.ts';

export interface LeafOptions {
  /** Column groups whose blocks are interleaved in memory: 4 for the kernels of an LSTM, so that the gates of a unit stand together. */
  readonly groups?: number;
  readonly dtype?: DType;
}

export interface Leaf {
  readonly type: Type;
  readonly layout: Layout;
  /** Place in the state memory, in elements. */
  readonly offset: number;
}

export class StateSpace {
  readonly machine: Machine;
  private readonly leaves = new Map<string, Leaf>();
  private readonly exact = new Map<string, Float64Array>();
  /** Places of leaves that were taken away, by their size. */
  private readonly free = new Map<number, number[]>();
  private memory: Float32Array;
  private size = 0;
  private readonly io: Float32Array[] = [];

  constructor(machine: Machine) {
    this.machine = machine;
    this.memory = new Float32Array(0);
  }

  get isExact(): boolean {
    return this.machine.traits.host === 'oracle';
  }

  /** Elements in use. */
  get floats(): number {
    return this.size;
  }

  /** The memory that programs run on; it moves when leaves are declared. */
  get buffer(): Float32Array {
    if (this.memory.length < this.size) {
      const larger = this.machine.allocate(this.size);
      larger.set(this.memory);
      this.machine.discard?.(this.memory);
      this.memory = larger;
    }
    return this.memory;
  }

  /** Runs work that needs arrays no longer than it takes. */
  briefly<T>(work: (room: Room) => T): T {
    const made: Float32Array[] = [];
    const room: Room = (floats) => {
      const array = ownRoom(floats);
      made.push(array);
      return array;
    };
    try {
      return work(room);
    } finally {
      for (const array of made) this.machine.discard?.(array);
    }
  }

  /** Memory of at least so many elements for the io of a run. Two pieces are kept and grow: one runs while the next is filled. */
  takeIo(floats: number): Float32Array {
    const at = this.io.findIndex((piece) => piece.length >= floats);
    if (at >= 0) return this.io.splice(at, 1)[0];
    // What is too small makes room for what is taken now.
    this.drop(this.io.pop());
    return this.machine.allocate(floats);
  }

  /** Gives it back for a later run. */
  returnIo(memory: Float32Array): void {
    this.io.push(memory);
    this.io.sort((a, b) => b.length - a.length);
    if (this.io.length > 2) this.drop(this.io.pop());
  }

  private drop(memory: Float32Array | undefined): void {
    if (memory) this.machine.discard?.(memory);
  }

  /** Adds a leaf of zeros. */
  declare(name: string, shape: Shape, options: LeafOptions = {}): void {
    if (this.leaves.has(name)) throw new UnrolledError('INTERNAL', `state ${name} is declared twice`);
    const layout = layoutOf(shape, options.groups ?? 1);
    // 16 elements may be read beyond a value; between leaves there is always one more block.
    const floats = floatsOf(layout) + 16;
    const free = this.free.get(floats)?.pop();
    this.leaves.set(name, { type: { dtype: options.dtype ?? 'f32', shape }, layout, offset: free ?? this.size });
    if (free === undefined) this.size += floats;
    else this.buffer.fill(0, free, free + floats);
    if (this.isExact) this.exact.set(name, new Float64Array(sizeOf(shape)));
  }

  /** Takes a leaf away. Its room is used again by leaves of the same size; programs that read it must be forgotten. */
  remove(name: string): void {
    const { layout, offset } = this.leaf(name);
    const floats = floatsOf(layout) + 16;
    this.free.set(floats, [...(this.free.get(floats) ?? []), offset]);
    this.leaves.delete(name);
    this.exact.delete(name);
  }

  has(name: string): boolean {
    return this.leaves.has(name);
  }

  names(): string[] {
    return [...this.leaves.keys()];
  }

  leaf(name: string): Leaf {
    const leaf = this.leaves.get(name);
    if (!leaf) throw new UnrolledError('INTERNAL', `state ${name} is not declared`);
    return leaf;
  }

  shapeOf(name: string): Shape {
    return this.leaf(name).type.shape;
  }

  /** A copy in logical order; float64 on the oracle. */
  get(name: string): Float32Array | Float64Array {
    const leaf = this.leaf(name);
    if (this.isExact) return Float64Array.from(this.exact.get(name) as Float64Array);
    const values = new Float32Array(sizeOf(leaf.type.shape));
    if (leaf.type.dtype === 'f32') unpack(this.buffer, leaf.offset, leaf.layout, values);
    else unpack(this.integers(), leaf.offset, leaf.layout, values);
    return values;
  }

  set(name: string, values: ArrayLike<number>): void {
    const leaf = this.leaf(name);
    const size = sizeOf(leaf.type.shape);
    if (values.length !== size)
      fail('SHAPE', name, `${size} values for ${formatShape(leaf.type.shape)}`, `${values.length}`);
    if (this.isExact) this.exact.set(name, Float64Array.from(values));
    else pack(values, leaf.layout, leaf.type.dtype === 'f32' ? this.buffer : this.integers(), leaf.offset);
  }

  private integers(): Int32Array {
    const { buffer, byteOffset, length } = this.buffer;
    return new Int32Array(buffer, byteOffset, length);
  }
}
