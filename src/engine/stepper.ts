/**
 * A step that is run again and again, one call for each, with memory of its own: what it carries from step to step, the parameters that it
 * reads as they are, and what was made ready from the others (packed weights). A step allocates nothing.
 */
import type { Shape } from '../core/shape.ts';
import { sizeOf } from '../core/shape.ts';
import { printGraph, type Value } from '../ir/graph.ts';
import { columnRuns, floatsOf, type Layout, layoutOf, roundUp } from '../ir/lower.ts';
import { encodeProgram, printProgram } from '../ir/program.ts';
import type { Dense } from '../ops/op.ts';
import type { Tensor } from '../ops/tensor.ts';
import type { BoundProgram, LoadedProgram, Machine } from '../vm/vm.ts';
import { type StepBuilder, type Trace, type TracedStep, traceStep } from './1-trace.ts';
import { Compilation, type Leaves, layoutIn, lowerTrace, type Port } from './compilation.ts';
import { describeMemory } from './explain.ts';
import { HeldRows } from './held-rows.ts';
import { checkPlan } from './machine-step.ts';
import { evaluateGraph } from './oracle.ts';
import { pack, unpack } from './packing.ts';
import { cutPrepared } from './prepared.ts';
import { inlineSingleSteps } from './single-steps.ts';
import type { CompileOptions, Plan } from './step.ts';
import { verified } from './verification.ts';
import { packedFloats } from './views.ts';

/** Values in logical order, row-major. */
export type StepValues = Float32Array | Float64Array | Int32Array;

export interface StepperBuilder extends StepBuilder {
  /** What the step before left under this name, [rows, ...]; zeros at the start. Write it by `updates`. */
  carry(name: string, shape: Shape): Tensor;
}

export interface Parameter {
  readonly shape: Shape;
  readonly groups: number;
}

export interface CompiledStepper {
  readonly plan: Plan;
  /** What is carried from step to step. */
  readonly carried: ReadonlyMap<string, Shape>;
  /** Written to before a run. */
  readonly inputs: ReadonlyMap<string, StepValues>;
  /** Overwritten by each run. */
  readonly outputs: ReadonlyMap<string, StepValues>;
  /** Takes the present values of the parameters; once before the first run, and when they have changed. */
  prepare(valuesOf: (name: string) => ArrayLike<number>): void;
  run(): void;
  /** A run that leaves the rows that are not active as they are, states and outputs. */
  runRows(active: ArrayLike<number | boolean>): void;
  /** The same off the calling thread. Nothing may be read or written until it settles. */
  runAsync(active?: ArrayLike<number | boolean>): Promise<void>;
  /** A copy. */
  get(name: string): StepValues;
  set(name: string, values: ArrayLike<number>): void;
  explain(): string;
}

/** Traces and compiles a step. `parameterOf` tells the parameters that `state` of the builder may name. */
export function compileStepper(
  machine: Machine,
  name: string,
  parameterOf: (name: string) => Parameter,
  trace: (builder: StepperBuilder) => TracedStep,
  options: CompileOptions = {},
): CompiledStepper {
  const carried = new Map<string, Shape>();
  const leafOf = (key: string) => {
    const { shape, groups } = carried.has(key) ? { shape: carried.get(key) as Shape, groups: 1 } : parameterOf(key);
    return { type: { dtype: 'f32', shape } as const, groups };
  };
  const traced = traceStep(
    name,
    leafOf,
    (builder) =>
      trace({
        ...builder,
        carry(key, shape) {
          carried.set(key, shape);
          return builder.state(key);
        },
      }),
    options.precision,
  );
  verified(traced.graph);
  return machine.traits.host === 'oracle'
    ? new ExactStepper(traced, carried)
    : new MachineStepper(machine, traced, carried, parameterOf, options);
}

// ---- on the oracle

class ExactStepper implements CompiledStepper {
  readonly plan: Plan = { arenaBytes: 0, stateBytes: 0, ioBytes: 0, flops: 0 };
  readonly carried: ReadonlyMap<string, Shape>;
  readonly inputs = new Map<string, StepValues>();
  readonly outputs = new Map<string, StepValues>();
  private readonly traced: Trace;
  private readonly values = new Map<string, Float64Array>();

  constructor(traced: Trace, carried: ReadonlyMap<string, Shape>) {
    this.traced = traced;
    this.carried = carried;
    for (const [name, shape] of carried) this.values.set(name, new Float64Array(sizeOf(shape)));
    for (const [name, { type }] of traced.inputs) this.inputs.set(name, new Float64Array(sizeOf(type.shape)));
    traced.outputs.forEach((name, i) => {
      this.outputs.set(name, new Float64Array(sizeOf(traced.graph.outputs[i].type.shape)));
    });
  }

  prepare(valuesOf: (name: string) => ArrayLike<number>): void {
    for (const name of this.traced.states.keys())
      if (!this.carried.has(name)) this.values.set(name, Float64Array.from(valuesOf(name)));
  }

  run(): void {
    const { graph, states, inputs, outputs, updates } = this.traced;
    const given = new Map<Value, Dense>();
    for (const [name, value] of states)
      given.set(value, { shape: value.type.shape, data: this.values.get(name) as Float64Array });
    for (const [name, value] of inputs)
      given.set(value, { shape: value.type.shape, data: Float64Array.from(this.inputs.get(name) as StepValues) });
    const found = evaluateGraph(graph, given);
    const results = graph.outputs.map((v) => Float64Array.from((found.get(v) as Dense).data));
    outputs.forEach((name, i) => this.outputs.get(name)?.set(results[i]));
    updates.forEach((name, i) => this.values.set(name, results[outputs.length + i]));
  }

  runRows(active: ArrayLike<number | boolean>): void {
    const held = new HeldRows();
    const before = [...this.carried].map(([name, shape]) => ({ name, shape, values: this.get(name) }));
    for (const { values, shape } of before) held.add(values, shape);
    this.traced.outputs.forEach((name, i) => {
      held.add(this.outputs.get(name) as StepValues, this.traced.graph.outputs[i].type.shape);
    });
    this.run();
    for (const { name, values } of before) values.set(this.values.get(name) as Float64Array);
    held.restore(active);
    for (const { name, values } of before) this.set(name, values);
  }

  async runAsync(active?: ArrayLike<number | boolean>): Promise<void> {
    if (active) this.runRows(active);
    else this.run();
  }

  get(name: string): StepValues {
    return Float64Array.from(this.values.get(name) as Float64Array);
  }

  set(name: string, values: ArrayLike<number>): void {
    this.values.set(name, Float64Array.from(values));
  }

  explain(): string {
    return printGraph(this.traced.graph);
  }
}

// ---- on a machine

interface OwnLeaf {
  readonly layout: Layout;
  readonly offset: number;
  readonly size: number;
}

/** The memory of a stepper: places by name. */
class OwnLeaves implements Leaves {
  floats = 0;
  private readonly known = new Map<string, OwnLeaf>();

  declare(name: string, layout: Layout, size = floatsOf(layout)): void {
    this.known.set(name, { layout, offset: this.floats, size });
    // 16 elements may be read beyond a value.
    this.floats += roundUp(size) + 16;
  }

  leaf(name: string): OwnLeaf {
    return this.known.get(name) as OwnLeaf;
  }
}

/** Copies between a value in logical order and its place, in runs that were cut once. None where both are the same memory. */
type Transfer = readonly { readonly logical: StepValues; readonly placed: StepValues }[];

function joined(io: Float32Array, { value, layout, offset }: Port): { values: StepValues; transfer: Transfer } {
  const size = sizeOf(value.type.shape);
  const memory = value.type.dtype === 'i32' ? new Int32Array(io.buffer, io.byteOffset, io.length) : io;
  const { rows, cols, groups, pitch } = layout;
  if (groups === 1 && (rows === 1 || cols === 1 || pitch === cols))
    return { values: memory.subarray(offset, offset + size), transfer: [] };
  const values = value.type.dtype === 'i32' ? new Int32Array(size) : new Float32Array(size);
  const runs = columnRuns(layout);
  const transfer = Array.from({ length: rows }, (_, r) =>
    runs.map(({ column, at, count }) => ({
      logical: values.subarray(r * cols + column, r * cols + column + count),
      placed: memory.subarray(offset + r * pitch + at, offset + r * pitch + at + count),
    })),
  ).flat();
  return { values, transfer };
}

class MachineStepper implements CompiledStepper {
  readonly plan: Plan;
  readonly carried: ReadonlyMap<string, Shape>;
  readonly inputs = new Map<string, StepValues>();
  readonly outputs = new Map<string, StepValues>();
  private readonly machine: Machine;
  private readonly leaves = new OwnLeaves();
  private readonly compiled: Compilation;
  private readonly loaded: LoadedProgram;
  private readonly bound: BoundProgram;
  private readonly preparation: { readonly compiled: Compilation; readonly loaded: LoadedProgram } | null;
  /** Parameters that the step reads as they are. */
  private readonly direct: readonly string[];
  private readonly into: Transfer;
  private readonly from: Transfer;
  private held: HeldRows | null = null;

  constructor(
    machine: Machine,
    traced: Trace,
    carried: ReadonlyMap<string, Shape>,
    parameterOf: (name: string) => Parameter,
    options: CompileOptions,
  ) {
    this.machine = machine;
    this.carried = carried;
    const groupsOf = (key: string) => (carried.has(key) ? 1 : parameterOf(key).groups);
    const { graph, groups, timeMajor } = lowerTrace(inlineSingleSteps(traced.graph), traced, groupsOf);
    const isParameter = (key: string) => traced.states.has(key) && !carried.has(key);
    const { prepare, step, kept } = cutPrepared(graph, groups, isParameter);
    verified(step);
    for (const [key, shape] of carried) this.leaves.declare(key, layoutOf(shape));
    this.direct = step.inputs.map((v) => v.node.attributes.name as string).filter(isParameter);
    for (const key of this.direct) this.leaves.declare(key, layoutOf(parameterOf(key).shape, groupsOf(key)));
    for (const { name, made } of kept) {
      const layout = layoutIn(groups, made);
      const isPacked = made.node.op === 'pack';
      this.leaves.declare(name, layout, isPacked ? packedFloats(made.type.shape[0], layout) : floatsOf(layout));
    }
    this.compiled = new Compilation(this.leaves, machine.traits, { graph: step, groups, timeMajor }, traced);
    checkPlan(this.compiled, options);
    this.plan = this.compiled.plan;
    this.loaded = machine.load(encodeProgram(this.compiled.program));
    this.bound = machine.bind(this.loaded);
    this.preparation = null;
    if (prepare) {
      verified(prepare);
      const results = { outputs: [], updates: kept.map(({ name }) => name) };
      const compiled = new Compilation(this.leaves, machine.traits, { graph: prepare, groups, timeMajor }, results);
      this.preparation = { compiled, loaded: machine.load(encodeProgram(compiled.program)) };
    }
    const { io } = this.bound;
    const into = this.compiled.inputs.map((port) => {
      const { values, transfer } = joined(io, port);
      this.inputs.set(port.name, values);
      return transfer;
    });
    const from = this.compiled.outputs.map((port) => {
      const { values, transfer } = joined(io, port);
      this.outputs.set(port.name, values);
      return transfer;
    });
    this.into = into.flat();
    this.from = from.flat();
  }

  prepare(valuesOf: (name: string) => ArrayLike<number>): void {
    const { state } = this.bound;
    for (const name of this.direct) {
      const { layout, offset } = this.leaves.leaf(name);
      pack(valuesOf(name), layout, state, offset);
    }
    if (!this.preparation) return;
    const { compiled, loaded } = this.preparation;
    const io = this.machine.allocate(compiled.ioFloats);
    for (const { name, layout, offset } of compiled.inputs) pack(valuesOf(name), layout, io, offset);
    this.machine.runSync(loaded, state, io, { ioStride: compiled.ioFloats, steps: 1, writesState: true });
  }

  run(): void {
    const { into, from } = this;
    for (let i = 0; i < into.length; i++) into[i].placed.set(into[i].logical);
    this.bound.run();
    for (let i = 0; i < from.length; i++) from[i].logical.set(from[i].placed);
  }

  runRows(active: ArrayLike<number | boolean>): void {
    this.held ??= this.rowsToHold();
    this.held.save();
    this.run();
    this.held.restore(active);
  }

  private rowsToHold(): HeldRows {
    const held = new HeldRows();
    const { state } = this.bound;
    for (const [name, shape] of this.carried) {
      const { layout, offset } = this.leaves.leaf(name);
      const floats = shape.length === 1 ? shape[0] : layout.rows * layout.pitch;
      held.add(state.subarray(offset, offset + floats), shape);
    }
    for (const { name, value } of this.compiled.outputs)
      held.add(this.outputs.get(name) as StepValues, value.type.shape);
    return held;
  }

  async runAsync(active?: ArrayLike<number | boolean>): Promise<void> {
    if (active) {
      this.held ??= this.rowsToHold();
      this.held.save();
    }
    const { into, from, bound } = this;
    for (const { logical, placed } of into) placed.set(logical);
    await this.machine.run(this.loaded, bound.state, bound.io, {
      ioStride: this.compiled.ioFloats,
      steps: 1,
      writesState: true,
    });
    for (const { logical, placed } of from) logical.set(placed);
    if (active) this.held?.restore(active);
  }

  get(name: string): StepValues {
    const { layout, offset } = this.leaves.leaf(name);
    const values = new Float32Array(sizeOf(this.carried.get(name) as Shape));
    unpack(this.bound.state, offset, layout, values);
    return values;
  }

  set(name: string, values: ArrayLike<number>): void {
    const { layout, offset } = this.leaves.leaf(name);
    pack(values, layout, this.bound.state, offset);
  }

  explain(): string {
    const parts = this.preparation ? [this.preparation.compiled, this.compiled] : [this.compiled];
    return parts
      .map(({ graph, program, arena, plan }) =>
        [printGraph(graph), printProgram(program), describeMemory(arena, plan)].join('\n\n'),
      )
      .join('\n\n');
  }
}
