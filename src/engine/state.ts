/**
 * The values that live as long as a model: parameters, optimizer slots, counters. One memory for all; every leaf has a name, a
 * shape and a layout that all programs share. On the oracle a leaf is a float64 array of its own.
 */
import { fail, UnrolledError } from '../core/errors.ts';
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
  private memory: Float32Array;
  private size = 0;
  private io: Float32Array | null = null;

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
      const larger = this.machine.allocate(Math.max(this.size, Math.ceil(this.memory.length * 1.5)));
      larger.set(this.memory);
      this.memory = larger;
    }
    return this.memory;
  }

  /** Memory of at least so many elements for the io of a run. One piece is kept and grows, whatever the shapes of the steps. */
  takeIo(floats: number): Float32Array {
    const kept = this.io;
    this.io = null;
    return kept && kept.length >= floats ? kept : this.machine.allocate(floats);
  }

  /** Gives it back for the next run. */
  returnIo(memory: Float32Array): void {
    if (!this.io || this.io.length < memory.length) this.io = memory;
  }

  /** Adds a leaf of zeros. */
  declare(name: string, shape: Shape, options: LeafOptions = {}): void {
    if (this.leaves.has(name)) throw new UnrolledError('INTERNAL', `state ${name} is declared twice`);
    const layout = layoutOf(shape, options.groups ?? 1);
    this.leaves.set(name, { type: { dtype: options.dtype ?? 'f32', shape }, layout, offset: this.size });
    // 16 elements may be read beyond a value; between leaves there is always one more block.
    this.size += floatsOf(layout) + 16;
    if (this.isExact) this.exact.set(name, new Float64Array(sizeOf(shape)));
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
