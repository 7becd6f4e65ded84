/** A step on a machine: the phases after tracing, memory for its inputs and results, and its runs. */
import { UnrolledError } from '../core/errors.ts';
import { sizeOf } from '../core/shape.ts';
import { printGraph } from '../ir/graph.ts';
import type { Layout } from '../ir/lower.ts';
import { encodeProgram, printProgram } from '../ir/program.ts';
import type { LoadedProgram } from '../vm/vm.ts';
import type { Trace } from './1-trace.ts';
import { Compilation, lowerTrace } from './compilation.ts';
import { describeMemory, formatBytes } from './explain.ts';
import { pack, unpack } from './packing.ts';
import type { StateSpace } from './state.ts';
import {
  type CompiledStep,
  type CompileOptions,
  type Feed,
  type FeedValue,
  gathered,
  isGathered,
  type Plan,
  type Result,
  type StagedFeeds,
} from './step.ts';

export function machineStep(space: StateSpace, traced: Trace, options: CompileOptions): CompiledStep {
  const laid = lowerTrace(traced.graph, traced, (key) => space.leaf(key).layout.groups);
  const compiled = new Compilation(space, space.machine.traits, laid, traced);
  const loaded = checkedLoad(space, compiled, options);
  return new MachineStep(space, compiled, loaded);
}

/** Throws MEMORY for a plan that is larger than the limit, or than what a program can address. */
export function checkPlan({ name, plan, program }: Compilation, options: CompileOptions): void {
  const total = plan.arenaBytes + plan.ioBytes + plan.stateBytes;
  const limit = options.memoryLimit ?? Number.POSITIVE_INFINITY;
  if (total > limit || program.arena > 0x7fffffff) refuse(name, total, limit);
}

function checkedLoad(space: StateSpace, compiled: Compilation, options: CompileOptions): () => LoadedProgram {
  checkPlan(compiled, options);
  let program: LoadedProgram | null = null;
  return () => {
    program ??= space.machine.load(encodeProgram(compiled.program));
    return program;
  };
}

function refuse(name: string, bytes: number, limit: number): never {
  const bound = Number.isFinite(limit) ? formatBytes(limit) : '8 GiB in one arena';
  throw new UnrolledError(
    'MEMORY',
    `${name}: expected a plan of at most ${bound}, received one of ${formatBytes(bytes)} (${bytes} bytes). Use a smaller batch, shorter sequences or fewer units.`,
  );
}

/** Rows of a larger array are copied straight to where the machine reads them, if they stand there as they are. */
function packFeed(value: FeedValue, layout: Layout, memory: Float32Array | Int32Array, at: number): void {
  const isPlain = layout.groups === 1 && (layout.cols === 1 || layout.pitch === layout.cols);
  if (!isGathered(value) || !isPlain) return pack(gathered(value), layout, memory, at);
  const { data, size, rows } = value;
  for (let r = 0; r < rows.length; r++) memory.set(data.subarray(rows[r] * size, (rows[r] + 1) * size), at + r * size);
}

class MachineStep implements CompiledStep {
  readonly plan: Plan;
  private readonly space: StateSpace;
  private readonly compiled: Compilation;
  private readonly program: () => LoadedProgram;
  private readonly writesState: boolean;

  constructor(space: StateSpace, compiled: Compilation, program: () => LoadedProgram) {
    this.space = space;
    this.compiled = compiled;
    this.program = program;
    this.plan = compiled.plan;
    this.writesState = compiled.graph.outputs.length > compiled.outputs.length;
  }

  run(feeds: readonly Feed[]): Promise<Result[]> {
    return this.stage(feeds).run();
  }

  stage(feeds: readonly Feed[]): StagedFeeds {
    const io = this.space.takeIo(this.compiled.ioFloats * feeds.length);
    this.pack(io, feeds);
    return {
      run: async (late = []) => {
        this.pack(io, late);
        const { machine, buffer } = this.space;
        await machine.run(this.program(), buffer, this.used(io, feeds.length), this.options(feeds.length));
        return this.results(io, feeds.length);
      },
      discard: () => this.space.returnIo(io),
    };
  }

  runSync(feeds: readonly Feed[]): Result[] {
    const io = this.space.takeIo(this.compiled.ioFloats * feeds.length);
    this.pack(io, feeds);
    const { machine, buffer } = this.space;
    machine.runSync(this.program(), buffer, this.used(io, feeds.length), this.options(feeds.length));
    return this.results(io, feeds.length);
  }

  /** The part of a piece of io that a run needs: what a worker is sent. */
  private used(io: Float32Array, steps: number): Float32Array {
    return io.subarray(0, this.compiled.ioFloats * steps);
  }

  explain(): string {
    const { graph, program, arena, plan } = this.compiled;
    return [printGraph(graph), printProgram(program), describeMemory(arena, plan)].join('\n\n');
  }

  private options(steps: number) {
    return { ioStride: this.compiled.ioFloats, steps, writesState: this.writesState };
  }

  /** Writes what the feeds have to its place. */
  private pack(io: Float32Array, feeds: readonly Feed[]): void {
    const { inputs, ioFloats } = this.compiled;
    const integers = new Int32Array(io.buffer, io.byteOffset, io.length);
    feeds.forEach((feed, step) => {
      for (const { name, value, layout, offset } of inputs)
        if (feed[name])
          packFeed(feed[name], layout, value.type.dtype === 'i32' ? integers : io, step * ioFloats + offset);
    });
  }

  private results(io: Float32Array, steps: number): Result[] {
    const { outputs, ioFloats } = this.compiled;
    const integers = new Int32Array(io.buffer, io.byteOffset, io.length);
    const results = Array.from({ length: steps }, (_, step) => {
      const result: Result = {};
      for (const { name, value, layout, offset } of outputs) {
        const size = sizeOf(value.type.shape);
        const values = value.type.dtype === 'i32' ? new Int32Array(size) : new Float32Array(size);
        unpack(value.type.dtype === 'i32' ? integers : io, step * ioFloats + offset, layout, values);
        result[name] = values;
      }
      return result;
    });
    this.space.returnIo(io);
    return results;
  }
}
