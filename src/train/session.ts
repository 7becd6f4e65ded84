/**
 * Where a model's values live and its steps run. Until the first run the values are plain arrays, or not drawn yet; then the machine is opened
 * and they get their places in its memory. Runs of one model follow each other; several models do not wait for each other.
 */
import { fail } from '../core/errors.ts';
import { ownRoom, type Room } from '../core/room.ts';
import { type Shape, sizeOf } from '../core/shape.ts';
import {
  type CompiledStep,
  compileStep,
  type Destinations,
  type Feed,
  type Result,
  type StagedFeeds,
  type StepBuilder,
  type TracedStep,
} from '../engine/compile.ts';
import type { TimeMemory } from '../engine/gradients.ts';
import { StateSpace } from '../engine/state.ts';
import type { Precision } from '../ir/graph.ts';
import { openMachine } from '../vm/open.ts';
import type { Machine } from '../vm/vm.ts';
import type { SharedValue, ValueHolder } from './shared-weights.ts';

export type Values = Float32Array | Float64Array;

/** What a value starts with: its numbers, one for all of them, or what draws them when they are first needed. */
type Initial = Values | number | ((room: Room) => Values);

interface Declaration {
  readonly shape: Shape;
  readonly groups: number;
  /** Until the value has its place in the machine's memory. */
  initial: Initial;
}

function initialValues({ shape, initial }: Declaration, room: Room): Values {
  if (typeof initial === 'function') return initial(room);
  if (typeof initial !== 'number') return initial;
  if (initial === 0) return room(sizeOf(shape));
  const { buffer, byteOffset } = room(2 * sizeOf(shape));
  return new Float64Array(buffer, byteOffset, sizeOf(shape)).fill(initial);
}

/** Compiled steps that a model keeps: enough for the lengths of a bucketed data set, few enough that memory stays flat. */
const keptSteps = 256;

let shared: Promise<Machine> | null = null;

/** The machine of this process, opened at the first call. A failure is not kept, so that the next call tries again. */
export function processMachine(): Promise<Machine> {
  shared ??= openMachine().catch((error) => {
    shared = null;
    throw error;
  });
  return shared;
}

export class Session {
  private readonly open: () => Promise<Machine>;
  private readonly memoryLimit: number | undefined;
  private readonly declared = new Map<string, Declaration>();
  /** Those without a place in the machine's memory: none while a step runs. */
  private readonly unplaced = new Set<string>();
  private readonly steps = new Map<string, CompiledStep>();
  private space: StateSpace | null = null;
  private tail: Promise<unknown> = Promise.resolve();
  private running = 0;
  private claimed: string | null = null;
  private readonly fetched = new Map<SharedValue, { readonly owner: ValueHolder; readonly version: number }>();
  /** Values that other models have too, by name. */
  readonly shared = new Map<string, SharedValue>();
  /** Grows whenever values may have changed. */
  version = 0;
  /** What training keeps of the steps of a sequence. */
  timeMemory: TimeMemory = 'full';
  /** What products round their operands to. */
  precision: Precision = 'float32';
  /** Rows whose recurrent states are kept (`states.ts`); null: none. */
  stateRows: number | null = null;

  constructor(machine: Machine | null, memoryLimit: number | undefined) {
    this.open = machine ? async () => machine : processMachine;
    this.memoryLimit = memoryLimit;
  }

  /** Adds a value. */
  declare(name: string, shape: Shape, groups = 1, initial: Initial = 0): void {
    this.requireRest(name);
    this.declared.set(name, { shape, groups, initial });
    this.unplaced.add(name);
  }

  /** Takes a value away; its room is used again. */
  remove(name: string): void {
    this.requireRest(name);
    if (this.declared.delete(name) && !this.unplaced.delete(name)) this.space?.remove(name);
  }

  has(name: string): boolean {
    return this.declared.has(name);
  }

  names(): string[] {
    return [...this.declared.keys()];
  }

  shapeOf(name: string): Shape {
    return (this.declared.get(name) as Declaration).shape;
  }

  /** Column groups that stand interleaved in memory. */
  groupsOf(name: string): number {
    return (this.declared.get(name) as Declaration).groups;
  }

  /** Whether no step runs, so that values may be read. */
  get isAtRest(): boolean {
    return this.running === 0;
  }

  /** An array for large results. */
  room(floats: number): Float32Array {
    return this.space?.machine.room?.(floats) ?? new Float32Array(floats);
  }

  /** What the steps run on. */
  machine(): Promise<Machine> {
    return this.open();
  }

  /** Says that other models have a value too: who wrote it last owns it, and others fetch it from there. */
  share(name: string, value: SharedValue): void {
    this.shared.set(name, value);
  }

  /** Takes what other models have written. Throws STATE while one of them runs. */
  private fetch(name: string, value: SharedValue): void {
    const { owner } = value;
    if (owner === this) return;
    const last = this.fetched.get(value);
    if (last?.owner === owner && last.version === owner.version) return;
    const values = owner.get(value.name);
    this.fetched.set(value, { owner, version: owner.version });
    this.version++;
    this.write(name, values);
  }

  private own(name: string): void {
    const value = this.shared.get(name);
    if (!value) return;
    value.owner = this;
    value.name = name;
  }

  /** A copy, in logical order. */
  get(name: string): Values {
    this.requireRest(name);
    const value = this.shared.get(name);
    if (value) this.fetch(name, value);
    if (this.space && !this.unplaced.has(name)) return this.space.get(name);
    const declaration = this.declared.get(name) as Declaration;
    const values = initialValues(declaration, ownRoom);
    if (typeof declaration.initial === 'function') declaration.initial = values;
    return values.slice();
  }

  set(name: string, values: Values): void {
    this.requireRest(name);
    this.version++;
    this.own(name);
    this.write(name, values);
  }

  private write(name: string, values: Values): void {
    const declaration = this.declared.get(name) as Declaration;
    if (this.space && !this.unplaced.has(name)) this.space.set(name, values);
    else declaration.initial = values.slice();
  }

  /** Throws STATE while a step runs: values must not be touched then. */
  requireRest(name: string): void {
    if (this.running > 0)
      fail(
        'STATE',
        name,
        'a model at rest',
        'a model whose step is running',
        'Await fit, or read and write weights inside a callback.',
      );
  }

  /** Gives what has none its place in the machine's memory: all of it at once, so that the memory is made once. */
  private place(space: StateSpace): StateSpace {
    const placed = [...this.unplaced].map((name) => ({ name, declaration: this.declared.get(name) as Declaration }));
    for (const { name, declaration } of placed)
      if (!space.has(name)) space.declare(name, declaration.shape, { groups: declaration.groups });
    for (const { name, declaration } of placed) {
      // What has just got its place is zero.
      if (declaration.initial !== 0) space.briefly((room) => space.set(name, initialValues(declaration, room)));
      declaration.initial = 0;
      this.unplaced.delete(name);
    }
    return space;
  }

  private async attached(): Promise<StateSpace> {
    this.space ??= new StateSpace(await this.open());
    return this.place(this.space);
  }

  /** One piece of work at a time. */
  private queue<T>(work: () => Promise<T>): Promise<T> {
    const result = this.tail.then(work, work);
    this.tail = result.catch(() => undefined);
    return result;
  }

  /** The compiled step of a key; compiled at the first call. */
  prepare(key: string, trace: (builder: StepBuilder) => TracedStep): Promise<CompiledStep> {
    return this.queue(() => this.stepOf(key, trace));
  }

  private async stepOf(key: string, trace: (builder: StepBuilder) => TracedStep): Promise<CompiledStep> {
    return this.stepIn(await this.attached(), key, trace);
  }

  private stepIn(space: StateSpace, given: string, trace: (builder: StepBuilder) => TracedStep): CompiledStep {
    const { memoryLimit, precision } = this;
    const key = precision === 'float32' ? given : `${given} ${precision}`;
    const step = this.steps.get(key) ?? compileStep(space, key.split(' ')[0], trace, { memoryLimit, precision });
    // The last one used stands at the end; the one at the front is given up first.
    this.steps.delete(key);
    this.steps.set(key, step);
    for (const oldest of this.steps.keys()) {
      if (this.steps.size <= keptSteps) break;
      this.steps.delete(oldest);
    }
    return step;
  }

  /** The compiled step of a key at once, also while another one runs; null where the machine is not open yet. Its state must be declared. */
  prepareNow(key: string, trace: (builder: StepBuilder) => TracedStep): CompiledStep | null {
    return this.space && this.stepIn(this.place(this.space), key, trace);
  }

  /** Runs a step once for every feed, in one hand-over. */
  run(step: CompiledStep, feeds: readonly Feed[]): Promise<Result[]> {
    return this.queue(() => this.whileRunning(() => step.run(feeds)));
  }

  /** Runs what was staged. @param late what is known only when its turn has come */
  runStaged(staged: StagedFeeds, late: () => readonly Feed[], into?: Destinations): Promise<Result[]> {
    return this.queue(() => this.whileRunning(() => staged.run(late(), into)));
  }

  private async whileRunning<T>(work: () => Promise<T>): Promise<T> {
    for (const [name, value] of this.shared) this.fetch(name, value);
    if (this.space) this.place(this.space);
    // While it is trained, a model writes its weights; else it reads them.
    if (this.claimed !== null) for (const name of this.shared.keys()) this.own(name);
    this.running++;
    try {
      return await work();
    } finally {
      this.running--;
      this.version++;
    }
  }

  /**
   * Says that the model is trained from now on. Throws STATE where it already is, and otherwise gives the function that ends it.
   *
   * @param where what trains, such as `fit`
   */
  claim(where: string): () => void {
    this.requireUnclaimed(where);
    this.claimed = where;
    return () => {
      this.claimed = null;
    };
  }

  /** Throws STATE while the model is trained. */
  requireUnclaimed(where: string): void {
    if (this.claimed !== null)
      fail(
        'STATE',
        where,
        'a model that is not being trained',
        `one that ${this.claimed} is training`,
        'Await it, or leave the loop over train() with break, or train another model: models do not disturb each other.',
      );
  }

  /** Forgets compiled steps whose key starts so: after a change of the optimizer or the loss. */
  forget(prefix: string): void {
    for (const key of this.steps.keys()) if (key.startsWith(prefix)) this.steps.delete(key);
  }

  /** What has been compiled, by key. */
  compiled(): ReadonlyMap<string, CompiledStep> {
    return this.steps;
  }
}
