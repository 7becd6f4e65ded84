/**
 * Gives every value its place, before anything runs. Values live in buffers of one arena, which share memory where their lifetimes
 * do not meet. Results are made where they are needed: updates in the state, carries in the stack of their steps, parts of a
 * concatenation in it. A carry that is also stacked lives in a stack of T+1 steps: step t reads entry t and writes
 * entry t+1 (the other way round in a reversed scan), so that nothing is copied. Where the steps are a result, the stack stands in io.
 */
import type { Graph, Node, Value } from '../ir/graph.ts';
import { scanAttributes } from '../ir/graph.ts';
import { LANES } from '../ir/kernels.ts';
import { floatsOf, type Layout, layoutOf } from '../ir/lower.ts';
import { type CarryStack, carryStackOf } from './carry-stacks.ts';
import type { Groups } from './layouts.ts';
import { replacesRows } from './operands.ts';
import { findOverlays } from './overlays.ts';
import { Arena, type Buffer, footingOf, isWhole, type Place, samePlace, stepOf, whole, within } from './places.ts';
import type { Copy, PlannedGraph, PlannedScan, Target } from './planned.ts';
import { readersOf } from './rewrite.ts';
import { packedFloats, partOf, viewOf, viewOps } from './views.ts';

export interface PlanContext {
  readonly groups: Groups;
  /** A place in the segment of constants for a constant node. */
  readonly constant: (value: Value, layout: Layout) => Place;
  /** Elements of scratch that a node needs while it runs. */
  readonly scratchOf: (node: Node, layoutOf: (v: Value) => Layout) => number;
  /** Whether operation `write` of the chain may write where operand `read` stands. */
  readonly mayOverwrite: (chain: Node, output: number, operand: number) => boolean;
}

const unplaced = new Set(['input', 'constant', 'scan', ...viewOps]);

export function planGraph(
  graph: Graph,
  arena: Arena,
  inputs: ReadonlyMap<Value, Place>,
  targets: readonly (Target | null)[],
  context: PlanContext,
): PlannedGraph {
  return new Planner(graph, arena, inputs, targets, context).plan();
}

class Planner {
  private readonly graph: Graph;
  private readonly arena: Arena;
  private readonly context: PlanContext;
  private readonly inputs: ReadonlyMap<Value, Place>;
  private readonly targets: readonly (Target | null)[];
  private readonly places = new Map<Value, Place>();
  private readonly wanted = new Map<Value, Place>();
  private readonly scans = new Map<Node, PlannedScan>();
  private readonly scratch = new Map<Node, Place>();
  private readonly finals: Copy[] = [];
  private readonly position = new Map<Node, number>();
  private readonly readers: Map<Value, Node[]>;
  /** What stands in each buffer. */
  private readonly occupants = new Map<Buffer, Value[]>();

  constructor(
    graph: Graph,
    arena: Arena,
    inputs: ReadonlyMap<Value, Place>,
    targets: readonly (Target | null)[],
    context: PlanContext,
  ) {
    this.graph = graph;
    this.arena = arena;
    this.inputs = inputs;
    this.targets = targets;
    this.context = context;
    graph.nodes.forEach((node, i) => this.position.set(node, i));
    this.readers = readersOf(graph.nodes);
  }

  plan(): PlannedGraph {
    const { graph } = this;
    this.wantTargets();
    this.wantOverlays();
    for (const node of [...graph.nodes].reverse()) if (node.op === 'concat') this.wantParts(node);
    graph.nodes.forEach((node, i) => this.place(node, i));
    this.finish();
    const { places, scans, finals, scratch } = this;
    return { graph, places, scans, finals, scratch };
  }

  private layout(v: Value): Layout {
    return layoutOf(v.type.shape, this.context.groups.get(v) ?? 1);
  }

  private at(v: Value): Place {
    return this.places.get(v) as Place;
  }

  private put(v: Value, place: Place): void {
    this.places.set(v, place);
    const there = this.occupants.get(place.buffer);
    if (there) there.push(v);
    else this.occupants.set(place.buffer, [v]);
  }

  private touch(buffer: Buffer, i: number): void {
    if (!this.arena.has(buffer)) return;
    buffer.first = Math.min(buffer.first, i);
    buffer.last = Math.max(buffer.last, i);
  }

  // ---- where results are wanted

  private wantTargets(): void {
    this.graph.outputs.forEach((value, i) => {
      const target = this.targets[i];
      if (target && this.mayMakeAt(value, target)) this.wanted.set(value, target.place);
    });
  }

  /** Stacks of activations are made where their gradients will be. */
  private wantOverlays(): void {
    for (const { gradients, activations } of findOverlays(this.graph, (v) => this.context.groups.get(v) ?? 1)) {
      if (this.wanted.has(gradients) || activations.some((v) => this.wanted.has(v))) continue;
      const place = this.fresh(gradients, this.position.get(activations[0].node) as number);
      this.wanted.set(gradients, place);
      const { groups, pitch } = place.footing;
      activations.forEach((v, g) =>
        this.wanted.set(v, within(place, g * LANES, { ...this.layout(v), pitch, step: groups * LANES })),
      );
    }
  }

  private mayMakeAt(value: Value, { place, occupant }: Target): boolean {
    const takesPart = value.node.op === 'chain' && !replacesRows(value);
    if (this.wanted.has(value) || unplaced.has(value.node.op) || (!takesPart && !isWhole(place))) return false;
    if (!occupant) return true;
    const made = this.position.get(value.node) as number;
    return (this.readers.get(occupant) ?? []).every((node) => {
      const at = this.position.get(node) as number;
      if (viewOps.has(node.op)) return node.outputs.every((v) => this.isReadBefore(v, made));
      if (at !== made) return at < made;
      if (node.op !== 'chain') return false;
      return node.inputs.every((v, k) => v !== occupant || this.context.mayOverwrite(node, value.index, k));
    });
  }

  /** Whether a value and its views are read only before a position. */
  private isReadBefore(value: Value, position: number): boolean {
    return (this.readers.get(value) ?? []).every(
      (node) =>
        (this.position.get(node) as number) < position &&
        (!viewOps.has(node.op) || node.outputs.every((v) => this.isReadBefore(v, position))),
    );
  }

  private wantParts(node: Node): void {
    const result = node.outputs[0];
    const target = this.wanted.get(result) ?? this.fresh(result, this.position.get(node) as number);
    this.wanted.set(result, target);
    node.inputs.forEach((part, i) => {
      const place = partOf(node, i, target, this.layout(part));
      if (!place || this.wanted.has(part) || node.inputs.indexOf(part) !== i || unplaced.has(part.node.op)) return;
      const onlyChains = (this.readers.get(part) ?? []).every((r) => r === node || r.op === 'chain');
      const takesPart = part.node.op === 'chain' && !replacesRows(part) && onlyChains;
      if (this.graph.outputs.includes(part) || (!isWhole(place) && !takesPart)) return;
      this.wanted.set(part, place);
    });
  }

  private fresh(value: Value, i: number): Place {
    const layout = this.layout(value);
    const floats = value.node.op === 'pack' ? packedFloats(value.type.shape[0], layout) : floatsOf(layout);
    return whole(this.arena.add(floats, i, label(value.node)), layout);
  }

  // ---- places in order

  private place(node: Node, i: number): void {
    for (const v of node.inputs) this.touch(this.at(v).buffer, i);
    if (node.op === 'input') this.put(node.outputs[0], this.inputs.get(node.outputs[0]) as Place);
    else if (node.op === 'constant')
      this.put(node.outputs[0], this.context.constant(node.outputs[0], this.layout(node.outputs[0])));
    else if (node.op === 'scan') this.placeScan(node, i);
    else {
      const floats = this.context.scratchOf(node, (v) => this.layout(v));
      if (floats) {
        const layout = layoutOf([floats]);
        this.scratch.set(node, whole(this.arena.add(floats, i, `${label(node)} (scratch)`), layout));
      }
      for (const v of node.outputs) {
        const place = this.viewPlace(node, v) ?? this.wanted.get(v) ?? this.overwritten(node, v, i) ?? this.fresh(v, i);
        this.put(v, place);
        this.touch(place.buffer, i);
      }
    }
  }

  private viewPlace(node: Node, v: Value): Place | null {
    if (!viewOps.has(node.op)) return null;
    const onlyChains = !this.graph.outputs.includes(v) && (this.readers.get(v) ?? []).every((r) => r.op === 'chain');
    return viewOf(node, v, this.at(node.inputs[0]), this.layout(v), onlyChains);
  }

  /** The place of an operand of a chain that nothing reads afterwards, for a result of the same layout. */
  private overwritten(node: Node, v: Value, i: number): Place | null {
    if (node.op !== 'chain') return null;
    const layout = this.layout(v);
    for (let k = 0; k < node.inputs.length; k++) {
      const operand = node.inputs[k];
      const place = this.at(operand);
      const { buffer, footing } = place;
      const fits =
        isWhole(place) &&
        footing.rows === layout.rows &&
        footing.cols === layout.cols &&
        footing.groups === layout.groups;
      if (!fits || place.offset || buffer.floats !== floatsOf(layout) || !this.arena.has(buffer)) continue;
      if (this.isHeld(buffer, operand, i) || !this.context.mayOverwrite(node, v.index, k)) continue;
      if (node.inputs.some((x, j) => j !== k && this.at(x).buffer === buffer)) continue;
      if (node.outputs.some((x) => x !== v && this.places.get(x)?.buffer === buffer)) continue;
      return { ...place, footing: footingOf(layout) };
    }
    return null;
  }

  /** Whether anything in a buffer is read after position i, or leaves the graph. */
  private isHeld(buffer: Buffer, operand: Value, i: number): boolean {
    for (const value of this.occupants.get(buffer) ?? []) {
      if (this.graph.outputs.includes(value) || value.node.op === 'input') return true;
      if ((this.readers.get(value) ?? []).some((r) => (this.position.get(r) as number) > i)) return true;
    }
    if (operand.node.op === 'input') return true;
    for (const place of this.wanted.values()) if (place.buffer === buffer) return true;
    return false;
  }

  // ---- scans

  private placeScan(node: Node, i: number): void {
    const { body, length, reverse, carries, sequences } = scanAttributes(node);
    const inner = new Map<Value, Place>();
    const targets: (Target | null)[] = body.outputs.map(() => null);
    const inits: { value: Value; to: Place }[] = [];
    const results: (Place | null)[] = body.outputs.map(() => null);
    const loop = node;
    body.inputs.forEach((v, k) => {
      if (k < carries) return;
      const outer = this.at(node.inputs[k]);
      if (k >= carries + sequences) inner.set(v, outer);
      else
        inner.set(
          v,
          v.type.shape.length
            ? stepOf(outer, loop, this.layout(v), length, reverse)
            : scalarStep(outer, loop, length, reverse),
        );
    });
    for (let c = 0; c < carries; c++) {
      const start = body.inputs[c];
      const layout = this.layout(start);
      const stacks = node.outputs.filter((v) => carryStackOf(v)?.carry === c);
      const stride = layout.rows * layout.pitch;
      const steps = stacks.length ? length : 0;
      const floats = stride * (steps + 1);
      const buffer =
        this.roomForStack(stacks, stride, floats) ?? this.arena.add(floats, i, `${label(node)} carry ${c}`);
      const at = (entry: number, moving: boolean): Place => ({
        buffer,
        offset: entry * stride,
        moves: moving && stacks.length ? [{ loop, stride: reverse ? -stride : stride }] : [],
        footing: footingOf(layout),
      });
      const entries = stacks.length
        ? { first: reverse ? steps : 0, out: reverse ? Math.max(0, steps - 1) : 1, last: reverse ? 0 : steps }
        : { first: 0, out: 0, last: 0 };
      inner.set(start, at(entries.first, true));
      targets[c] = { place: at(entries.out, true), occupant: stacks.length ? null : start };
      inits.push({ value: node.inputs[c], to: at(entries.first, false) });
      results[c] = at(entries.last, false);
      for (const v of stacks)
        results[v.index] = { ...whole(buffer, this.layout(v)), offset: (carryStackOf(v) as CarryStack).entry * stride };
    }
    body.outputs.forEach((v, j) => {
      if (j < carries || results[j]) return;
      const outer = node.outputs[j];
      const wish = this.wanted.get(outer);
      const place =
        wish && (isWhole(wish) || v.node.op === 'chain')
          ? wish
          : whole(
              this.arena.add(floatsOf(this.layout(outer)), i, `${label(node)} stack ${j - carries}`),
              this.layout(outer),
            );
      results[j] = place;
      const step = v.type.shape.length
        ? stepOf(place, loop, this.layout(v), length, reverse)
        : scalarStep(place, loop, length, reverse);
      targets[j] = { place: step, occupant: null };
    });
    const bodyArena = new Arena();
    const planned = planGraph(body, bodyArena, inner, targets, this.context);
    const size = bodyArena.allocate();
    if (size) {
      const holder = this.arena.add(size, i, `${label(node)} body`);
      for (const b of bodyArena.buffers) b.within = holder;
    }
    node.outputs.forEach((v, j) => {
      const place = results[j] as Place;
      this.put(v, place);
      this.touch(place.buffer, i);
    });
    this.scans.set(node, { loop, body: planned, inits, targets });
  }

  /** The buffer of an output that is one of these stacks, where it has room for the entry beside. */
  private roomForStack(stacks: readonly Value[], stride: number, floats: number): Buffer | null {
    for (const v of stacks) {
      const place = this.targets[this.graph.outputs.indexOf(v)]?.place;
      const offset = (carryStackOf(v) as CarryStack).entry * stride;
      if (place && !place.moves.length && place.offset === offset && place.buffer.floats === floats)
        return place.buffer;
    }
    return null;
  }

  // ---- the end

  /** Copies what stands elsewhere. A copy that another one would overwrite goes through scratch. */
  private finish(): void {
    const end = this.graph.nodes.length;
    const pending: Copy[] = [];
    this.graph.outputs.forEach((v, i) => {
      const from = this.at(v);
      this.touch(from.buffer, end);
      const target = this.targets[i];
      if (target && !samePlace(from, target.place)) pending.push({ from, to: target.place });
    });
    const overwritten = (copy: Copy) => pending.some((other) => other !== copy && other.to.buffer === copy.from.buffer);
    const staged = pending.map((copy) => {
      if (!overwritten(copy)) return copy;
      const buffer = this.arena.add(floatsOf(copy.to.footing), end, 'staged output');
      const through = whole(buffer, layoutLike(copy.to));
      this.finals.push({ from: copy.from, to: through });
      return { from: through, to: copy.to };
    });
    this.finals.push(...staged);
  }
}

function layoutLike(place: Place): Layout {
  const { rows, cols, groups } = place.footing;
  return layoutOf(rows === 1 && cols === 1 ? [] : [rows, cols], groups);
}

function scalarStep(place: Place, loop: object, length: number, reverse: boolean): Place {
  const stepped = within(place, reverse ? Math.max(0, length - 1) : 0, footingOf(layoutOf([])));
  return { ...stepped, moves: [...place.moves, { loop, stride: reverse ? -1 : 1 }] };
}

function label(node: Node): string {
  return `${node.path ? `${node.path} ` : ''}${node.op}`;
}
