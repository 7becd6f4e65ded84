/**
 * The phases after tracing, in two parts: `lowerTrace` up to where the columns of every value stand in which order, and `Compilation`, which
 * gives the values their places and writes the program.
 */
import { sizeOf } from '../core/shape.ts';
import type { Graph, Value } from '../ir/graph.ts';
import { LANES, Segment } from '../ir/kernels.ts';
import { floatsOf, type Layout, layoutOf } from '../ir/lower.ts';
import type { Program } from '../ir/program.ts';
import type { MachineTraits } from '../vm/vm.ts';
import type { Trace } from './1-trace.ts';
import { simplify } from './4-simplify.ts';
import { fuse } from './5-fuse.ts';
import { planGraph } from './6-plan.ts';
import { emitGraph, outerScratch } from './7-emit.ts';
import { carryStackOf, entryFloats } from './carry-stacks.ts';
import { chainScratch, mayOverwrite } from './chains.ts';
import { moveIntoLoops } from './into-loops.ts';
import { assignLayouts, type Groups, type LaidOut } from './layouts.ts';
import { Listing } from './listing.ts';
import { pack } from './packing.ts';
import { panelOf } from './panels.ts';
import { Arena, fixedBuffer, type Place, whole } from './places.ts';
import type { Target } from './planned.ts';
import { shareParts } from './shared-parts.ts';
import type { Leaf } from './state.ts';
import type { Plan } from './step.ts';
import { settleTimeMajor, TIME_MAJOR, takeTimeMajor } from './time-major.ts';
import { keepTouchedRows } from './touched-rows.ts';
import { verified, verifiedProgram } from './verification.ts';

/** Rows of a step from which one contracted product per step is faster than hoisting the input's out of the loop. */
const CONTRACT_FROM = 16;
/** Elements of a stack that does not stay in the cache. */
const STACKS_FROM = 1 << 18;
/** Elements between values in io: they may be read, and whole vectors written, beyond the end of a value. */
const SLACK = LANES;

/** An input or a result of a step in io. */
export interface Port {
  readonly name: string;
  readonly value: Value;
  readonly layout: Layout;
  readonly offset: number;
  /** [B, T, ...] outside, [T, B, ...] in io. */
  readonly timeMajor: boolean;
}

/** Results by name, and the leaves that are written; together in the order of the graph's outputs. */
export type Results = Pick<Trace, 'outputs' | 'updates'>;

export interface Lowered extends LaidOut {
  /** Results, by their place among the outputs, that stand as [T, B, ...] for [B, T, ...]. */
  readonly timeMajor: ReadonlySet<number>;
}

/**
 * Simplified and fused, with an order of columns for every value.
 *
 * @param groupsOf that of a leaf of the state
 * @param turns whether what is fed and given back may stand with the time in front
 */
export function lowerTrace(
  graph: Graph,
  { outputs, updates }: Results,
  groupsOf: (leaf: string) => number,
  { turns = false, stacksFrom = STACKS_FROM }: { readonly turns?: boolean; readonly stacksFrom?: number } = {},
): Lowered {
  const simple = verified(simplify(turns ? takeTimeMajor(graph) : graph, { contractFrom: CONTRACT_FROM }));
  const settled = settleTimeMajor(simple, turns ? outputs.length : 0);
  const moved = verified(moveIntoLoops(keepTouchedRows(settled.graph), stacksFrom));
  const fused = verified(fuse(verified(shareParts(moved))));
  const groupsOfOutput = (i: number) => {
    if (i >= outputs.length) return groupsOf(updates[i - outputs.length]);
    // What is turned on its way out is copied in whole rows.
    return settled.timeMajor.has(i) ? 1 : null;
  };
  const laid = assignLayouts(fused, groupsOfOutput);
  verified(laid.graph);
  return { ...laid, timeMajor: settled.timeMajor };
}

/** The memory that programs share. */
export interface Leaves {
  readonly floats: number;
  leaf(name: string): Pick<Leaf, 'layout' | 'offset'> & { readonly size?: number };
}

export const layoutIn = (groups: Groups, v: Value): Layout => layoutOf(v.type.shape, groups.get(v) ?? 1);

/** The phases of memory, for one machine. */
export class Compilation {
  readonly name: string;
  readonly inputs: Port[] = [];
  readonly outputs: Port[] = [];
  readonly program: Program;
  readonly plan: Plan;
  readonly ioFloats: number;
  readonly graph: Graph;
  readonly arena: Arena;

  constructor(leaves: Leaves, traits: MachineTraits, { graph, groups, timeMajor }: Lowered, results: Results) {
    this.name = graph.name;
    this.graph = graph;
    const updateAt = (i: number) => (i >= results.outputs.length ? results.updates[i - results.outputs.length] : null);
    const layout = (v: Value) => layoutIn(groups, v);
    const inState = (key: string, own: Layout) => {
      const leaf = leaves.leaf(key);
      return fixedBuffer(Segment.state, leaf.offset, leaf.size ?? floatsOf(own), key);
    };

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
      if (value.node.attributes.kind === 'io') {
        const own = layout(value);
        const offset = take(floatsOf(own));
        const swapped = value.node.attributes[TIME_MAJOR] === true;
        this.inputs.push({ name: key, value, layout: own, offset, timeMajor: swapped });
        places.set(value, whole(fixedBuffer(Segment.io, offset, floatsOf(own), key), own));
      } else {
        const own = leaves.leaf(key).layout;
        states.set(key, value);
        places.set(value, whole(inState(key, own), own));
      }
    }
    const targets: Target[] = graph.outputs.map((value, i) => {
      const own = layout(value);
      const key = updateAt(i);
      if (key !== null) {
        const occupant = states.get(key) ?? null;
        const buffer = occupant ? (places.get(occupant) as Place).buffer : inState(key, leaves.leaf(key).layout);
        return { place: whole(buffer, own), occupant };
      }
      // The stack of a carry is made in io: with room for the entry that does not belong to it.
      const stack = carryStackOf(value);
      const entry = stack ? entryFloats(value, stack, layout) : 0;
      const lead = stack ? stack.entry * entry : 0;
      const start = take(floatsOf(own) + entry);
      const name = results.outputs[i];
      this.outputs.push({ name, value, layout: own, offset: start + lead, timeMajor: timeMajor.has(i) });
      const buffer = fixedBuffer(Segment.io, start, floatsOf(own) + entry, name);
      return { place: { ...whole(buffer, own), offset: lead }, occupant: null };
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
    const numbers = whole(constants, layoutOf([]));
    emitGraph(planned, {
      listing,
      splat: (value) => listing.at(numbers, listing.builder.splat(value)),
      registers: whole(registerBuffer, layoutOf([registers])),
      panelOf: (rows, blocks, period) => panelOf(traits.vector, rows, blocks, period),
      count: (n) => {
        flops += n;
      },
    });
    this.ioFloats = io + SLACK;
    this.program = verifiedProgram(listing.finish({ arena, state: leaves.floats, io: this.ioFloats }));
    this.plan = { arenaBytes: arena * 4, stateBytes: leaves.floats * 4, ioBytes: this.ioFloats * 4, flops };
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
