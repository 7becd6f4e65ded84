/** A step on a machine: the phases after tracing, memory for its inputs and results, and its runs. */
import { UnrolledError } from '../core/errors.ts';
import { sizeOf } from '../core/shape.ts';
import { type Graph, printGraph, type Value, verifyGraph } from '../ir/graph.ts';
import { LANES, Segment } from '../ir/kernels.ts';
import { floatsOf, type Layout, layoutOf } from '../ir/lower.ts';
import { encodeProgram, type Program, printProgram, verifyProgram } from '../ir/program.ts';
import type { LoadedProgram } from '../vm/vm.ts';
import type { Trace } from './1-trace.ts';
import { simplify } from './4-simplify.ts';
import { fuse } from './5-fuse.ts';
import { planGraph } from './6-plan.ts';
import { emitGraph, outerScratch } from './7-emit.ts';
import { chainScratch, mayOverwrite } from './chains.ts';
import { describeMemory, formatBytes } from './explain.ts';
import { assignLayouts } from './layouts.ts';
import { Listing } from './listing.ts';
import { pack, unpack } from './packing.ts';
import { panelOf } from './panels.ts';
import { Arena, fixedBuffer, type Place, whole } from './places.ts';
import type { Target } from './planned.ts';
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
} from './step.ts';

/** Rows of a step from which one contracted product per step is faster than hoisting the input's out of the loop. */
const CONTRACT_FROM = 16;
/** Elements between values in io: they may be read, and whole vectors written, beyond the end of a value. */
const SLACK = LANES;

interface Port {
  readonly name: string;
  readonly value: Value;
  readonly layout: Layout;
  readonly offset: number;
}

export function machineStep(space: StateSpace, traced: Trace, options: CompileOptions): CompiledStep {
  const compiled = new Compilation(space, traced);
  const loaded = checkedLoad(space, compiled, options);
  return new MachineStep(space, compiled, loaded);
}

function checkedLoad(space: StateSpace, compiled: Compilation, options: CompileOptions): () => LoadedProgram {
  const { arenaBytes, ioBytes, stateBytes } = compiled.plan;
  const total = arenaBytes + ioBytes + stateBytes;
  const limit = options.memoryLimit ?? Number.POSITIVE_INFINITY;
  if (total > limit || compiled.program.arena > 0x7fffffff) refuse(compiled.name, total, limit);
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

/** The phases after tracing, for one machine. */
class Compilation {
  readonly name: string;
  readonly inputs: Port[] = [];
  readonly outputs: Port[] = [];
  readonly program: Program;
  readonly plan: Plan;
  readonly ioFloats: number;
  readonly graph: Graph;
  readonly arena: Arena;

  constructor(space: StateSpace, traced: Trace) {
    this.name = traced.graph.name;
    const names = new Map<string, Value>();
    const simple = simplify(traced.graph, { contractFrom: CONTRACT_FROM });
    const fused = fuse(simple);
    verifyGraph(fused);
    const updateAt = (i: number) => (i >= traced.outputs.length ? traced.updates[i - traced.outputs.length] : null);
    const { graph, groups } = assignLayouts(fused, (i) => {
      const key = updateAt(i);
      return key === null ? null : space.leaf(key).layout.groups;
    });
    verifyGraph(graph);
    this.graph = graph;
    const layout = (v: Value) => layoutOf(v.type.shape, groups.get(v) ?? 1);

    // Inputs and results of a step stand behind each other in io.
    let io = 0;
    const take = (floats: number) => {
      const at = io;
      io += floats + SLACK;
      return at;
    };
    const places = new Map<Value, Place>();
    const states = new Map<string, Value>();
    for (const value of graph.inputs) {
      const key = value.node.attributes.name as string;
      if (value.node.attributes.kind === 'state') {
        const leaf = space.leaf(key);
        states.set(key, value);
        places.set(value, whole(fixedBuffer(Segment.state, leaf.offset, floatsOf(leaf.layout), key), leaf.layout));
      } else {
        const own = layout(value);
        const offset = take(floatsOf(own));
        names.set(key, value);
        this.inputs.push({ name: key, value, layout: own, offset });
        places.set(value, whole(fixedBuffer(Segment.io, offset, floatsOf(own), key), own));
      }
    }
    const targets: Target[] = graph.outputs.map((value, i) => {
      const own = layout(value);
      const key = updateAt(i);
      if (key !== null) {
        const occupant = states.get(key) ?? null;
        const leaf = space.leaf(key);
        const buffer = occupant
          ? (places.get(occupant) as Place).buffer
          : fixedBuffer(Segment.state, leaf.offset, floatsOf(leaf.layout), key);
        return { place: whole(buffer, own), occupant };
      }
      const offset = take(floatsOf(own));
      this.outputs.push({ name: traced.outputs[i], value, layout: own, offset });
      return { place: whole(fixedBuffer(Segment.io, offset, floatsOf(own), traced.outputs[i]), own), occupant: null };
    });

    const listing = new Listing();
    this.arena = new Arena();
    const registers = sizeOfRegisters(graph);
    const registerBuffer = this.arena.add(registers, 0, 'registers of chains');
    registerBuffer.last = graph.nodes.length;
    const constants = fixedBuffer(Segment.constants, 0, Number.MAX_SAFE_INTEGER, 'constants');
    const planned = planGraph(graph, this.arena, places, targets, {
      groups,
      constant: (value, own) => ({ ...whole(constants, own), offset: constantAt(listing, value, own) }),
      scratchOf: (node, of) => scratchOf(node, of),
      mayOverwrite,
    });
    const arena = this.arena.allocate();
    let flops = 0;
    const { traits } = space.machine;
    emitGraph(planned, {
      listing,
      splat: (value) =>
        listing.at({
          ...whole(constants, layoutOf([])),
          offset: listing.builder.constant(new Float32Array(LANES).fill(value)),
        }),
      registers: whole(registerBuffer, layoutOf([registers])),
      panelOf: (rows, blocks) => panelOf(traits.vector, rows, blocks),
      count: (n) => {
        flops += n;
      },
    });
    this.ioFloats = io + SLACK;
    this.program = listing.finish({ arena, state: space.floats, io: this.ioFloats });
    verifyProgram(this.program);
    this.plan = { arenaBytes: arena * 4, stateBytes: space.floats * 4, ioBytes: this.ioFloats * 4, flops };
  }
}

function constantAt(listing: Listing, value: Value, layout: Layout): number {
  const memory = new Float32Array(floatsOf(layout));
  const data = value.node.attributes.data as Float64Array;
  if (value.type.dtype === 'i32') pack(data, layout, new Int32Array(memory.buffer), 0);
  else pack(data, layout, memory, 0);
  return listing.builder.constant(memory);
}

function sizeOfRegisters(graph: Graph): number {
  let most = LANES;
  for (const node of graph.nodes) {
    const { body } = node.attributes;
    if (node.op === 'chain') most = Math.max(most, chainScratch(body as Graph));
    if (node.op === 'scan') most = Math.max(most, sizeOfRegisters(body as Graph));
  }
  return most;
}

function scratchOf(node: Value['node'], layout: (v: Value) => Layout): number {
  if (node.op === 'productTN') {
    const operands = node.attributes.counted ? node.inputs.slice(0, -1) : node.inputs;
    const [right, ...left] = operands.map(layout);
    return right.cols === 1 ? 0 : outerScratch(right.rows, right.pitch, Math.max(...left.map((l) => l.cols)));
  }
  if (node.op !== 'reshape') return 0;
  const [a, b] = [node.inputs[0], node.outputs[0]].map((v) => v.type.shape[v.type.shape.length - 1] ?? 1);
  return a && b && a % b && b % a ? sizeOf(node.outputs[0].type.shape) : 0;
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

  async run(feeds: readonly Feed[]): Promise<Result[]> {
    const io = this.feed(feeds);
    const { machine, buffer } = this.space;
    await machine.run(this.program(), buffer, this.used(io, feeds.length), this.options(feeds.length));
    return this.results(io, feeds.length);
  }

  runSync(feeds: readonly Feed[]): Result[] {
    const io = this.feed(feeds);
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

  private feed(feeds: readonly Feed[]): Float32Array {
    const { inputs, ioFloats } = this.compiled;
    const io = this.space.takeIo(ioFloats * feeds.length);
    const integers = new Int32Array(io.buffer, io.byteOffset, io.length);
    feeds.forEach((feed, step) => {
      for (const { name, value, layout, offset } of inputs)
        packFeed(feed[name], layout, value.type.dtype === 'i32' ? integers : io, step * ioFloats + offset);
    });
    return io;
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
