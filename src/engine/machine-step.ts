/** A step on a machine: the phases after tracing, memory for its inputs and results, and its runs. */
import { UnrolledError } from '../core/errors.ts';
import { sizeOf } from '../core/shape.ts';
import { printGraph } from '../ir/graph.ts';
import { encodeProgram, printProgram } from '../ir/program.ts';
import type { LoadedProgram } from '../vm/vm.ts';
import type { Trace } from './1-trace.ts';
import { Compilation, lowerTrace, type Port } from './compilation.ts';
import { describeMemory, formatBytes } from './explain.ts';
import { type Blocks, blocksOf, copyBlocks, type Elements, pack, unpack } from './packing.ts';
import type { StateSpace } from './state.ts';
import {
  type CompiledStep,
  type CompileOptions,
  type Destination,
  type Destinations,
  type Feed,
  type FeedValue,
  gathered,
  isGathered,
  type Plan,
  type Result,
  type StagedFeeds,
} from './step.ts';

/** @param trace makes the trace once more */
export function machineStep(
  space: StateSpace,
  traced: Trace,
  options: CompileOptions,
  trace: () => Trace,
): CompiledStep {
  const compiled = compileTrace(space, traced, options);
  checkPlan(compiled, options);
  return new MachineStep(space, compiled, () => compileTrace(space, trace(), options));
}

function compileTrace(space: StateSpace, traced: Trace, { stacksFrom }: CompileOptions): Compilation {
  const laid = lowerTrace(traced.graph, traced, (key) => space.leaf(key).layout.groups, { turns: true, stacksFrom });
  return new Compilation(space, space.machine.traits, laid, traced);
}

/** Throws MEMORY for a plan that is larger than the limit, or than what a program can address. */
export function checkPlan({ name, plan, program }: Compilation, options: CompileOptions): void {
  const total = plan.arenaBytes + plan.ioBytes + plan.stateBytes;
  const limit = options.memoryLimit ?? Number.POSITIVE_INFINITY;
  if (total > limit || program.arena > 0x7fffffff) refuse(name, total, limit);
}

function refuse(name: string, bytes: number, limit: number): never {
  const bound = Number.isFinite(limit) ? formatBytes(limit) : '8 GiB in one arena';
  throw new UnrolledError(
    'MEMORY',
    `${name}: expected a plan of at most ${bound}, received one of ${formatBytes(bytes)} (${bytes} bytes). Use a smaller batch, shorter sequences or fewer units.`,
  );
}

/** A place in io with how it is written and read. */
interface Access extends Omit<Port, 'value'> {
  readonly size: number;
  readonly isInteger: boolean;
  readonly blocks: Blocks | null;
}

/** Without the value, which would keep its graph. */
const accessOf = ({ value: { type }, ...port }: Port): Access => ({
  ...port,
  size: sizeOf(type.shape),
  isInteger: type.dtype === 'i32',
  blocks: blocksOf(type.shape, port.layout, port.timeMajor),
});

const nowhere: Destinations = () => null;

/** Models keep the steps of many shapes: nothing is held of the graph and what else has been compiled from. */
class MachineStep implements CompiledStep {
  readonly plan: Plan;
  private readonly space: StateSpace;
  private readonly compileAgain: () => Compilation;
  /** Encoded until the first run. */
  private loaded: LoadedProgram | Int32Array;
  private readonly ioFloats: number;
  private readonly writesState: boolean;
  private readonly inputs: readonly Access[];
  private readonly outputs: readonly Access[];

  constructor(space: StateSpace, compiled: Compilation, compileAgain: () => Compilation) {
    this.space = space;
    this.compileAgain = compileAgain;
    this.loaded = encodeProgram(compiled.program);
    this.ioFloats = compiled.ioFloats;
    this.plan = compiled.plan;
    this.writesState = compiled.graph.outputs.length > compiled.outputs.length;
    this.inputs = compiled.inputs.map(accessOf);
    this.outputs = compiled.outputs.map(accessOf);
  }

  private get program(): LoadedProgram {
    if (this.loaded instanceof Int32Array) this.loaded = this.space.machine.load(this.loaded);
    return this.loaded;
  }

  run(feeds: readonly Feed[]): Promise<Result[]> {
    return this.stage(feeds).run();
  }

  stage(feeds: readonly Feed[]): StagedFeeds {
    const io = this.space.takeIo(this.ioFloats * feeds.length);
    this.pack(io, feeds);
    return {
      run: async (late = [], into = nowhere) => {
        this.pack(io, late);
        const { machine, buffer } = this.space;
        await machine.run(this.program, buffer, this.used(io, feeds.length), this.options(feeds.length));
        return this.results(io, feeds.length, into);
      },
      discard: () => this.space.returnIo(io),
    };
  }

  runSync(feeds: readonly Feed[]): Result[] {
    const io = this.space.takeIo(this.ioFloats * feeds.length);
    this.pack(io, feeds);
    const { machine, buffer } = this.space;
    machine.runSync(this.program, buffer, this.used(io, feeds.length), this.options(feeds.length));
    return this.results(io, feeds.length, nowhere);
  }

  /** The part of a piece of io that a run needs: what a worker is sent. */
  private used(io: Float32Array, steps: number): Float32Array {
    return io.subarray(0, this.ioFloats * steps);
  }

  explain(): string {
    const { graph, program, arena } = this.compileAgain();
    return [printGraph(graph), printProgram(program), describeMemory(arena, this.plan)].join('\n\n');
  }

  private options(steps: number) {
    return { ioStride: this.ioFloats, steps, writesState: this.writesState };
  }

  /** Writes what the feeds have to its place. */
  private pack(io: Float32Array, feeds: readonly Feed[]): void {
    const integers = new Int32Array(io.buffer, io.byteOffset, io.length);
    for (let step = 0; step < feeds.length; step++) {
      const feed = feeds[step];
      const at = step * this.ioFloats;
      for (const input of this.inputs) {
        const value = feed[input.name];
        if (value !== undefined) this.write(value, input, input.isInteger ? integers : io, at + input.offset);
      }
    }
  }

  private write(value: FeedValue, { blocks, layout }: Access, memory: Elements, at: number): void {
    if (typeof value === 'number') {
      memory[at] = value;
      return;
    }
    if (!blocks) return pack(gathered(value), layout, memory, at);
    const [data, rows] = isGathered(value) ? [value.data, value.rows] : [value, null];
    const { counts, run, placed, logical } = blocks;
    const box = {
      counts,
      run,
      toAt: at,
      fromAt: 0,
      toStrides: placed,
      fromStrides: logical,
      leaves: false,
      toRows: null,
      fromRows: rows,
    };
    copyBlocks(this.space.machine, memory, ArrayBuffer.isView(data) ? data : Array.from(data), box);
  }

  private results(io: Float32Array, steps: number, into: Destinations): Result[] {
    const integers = new Int32Array(io.buffer, io.byteOffset, io.length);
    const results: Result[] = [];
    for (let step = 0; step < steps; step++) {
      const result: Result = {};
      const at = step * this.ioFloats;
      for (const output of this.outputs) {
        const memory = output.isInteger ? integers : io;
        const place = into(step, output.name, output.isInteger ? 'int32' : 'float32');
        if (place) this.read(output, memory, at + output.offset, place);
        else result[output.name] = this.resultOf(output, memory, at + output.offset);
      }
      results.push(result);
    }
    this.space.returnIo(io);
    return results;
  }

  private resultOf(output: Access, memory: Elements, at: number): Result[string] {
    const { size, layout, blocks, isInteger } = output;
    const data = isInteger ? new Int32Array(size) : new Float32Array(size);
    if (size === 1) data[0] = memory[at];
    else if (blocks) this.read(output, memory, at, { data, size: blocks.logical[0], first: 0, rows: null });
    else unpack(memory, at, layout, data);
    return data;
  }

  /** Writes a result to where it is wanted. */
  private read(output: Access, memory: Elements, at: number, { data, size, first, rows }: Destination): void {
    const { blocks, name } = output;
    if (!blocks) return data.set(this.resultOf(output, memory, at), first * size);
    if (blocks.logical[0] !== size) throw new UnrolledError('INTERNAL', `${name} has rows of another size`);
    const { counts, run, placed, logical } = blocks;
    const toAt = rows ? 0 : first * size;
    const box = {
      counts,
      run,
      toAt,
      fromAt: at,
      toStrides: logical,
      fromStrides: placed,
      leaves: true,
      toRows: rows,
      fromRows: null,
    };
    copyBlocks(this.space.machine, data, memory, box);
  }
}
