/** Writes the instructions of a planned graph. */
import { UnrolledError } from '../core/errors.ts';
import { type Graph, type Node, scanAttributes, type Value } from '../ir/graph.ts';
import { Init, LANES, Precision } from '../ir/kernels.ts';
import { type CopyDimension, columnRuns, copyDimensions, layoutOf, productTNScratch, roundUp } from '../ir/lower.ts';
import type { Fields, Reference } from '../ir/program.ts';
import { operationOf } from '../ops/op.ts';
import { countsOf, holds } from './active-rows.ts';
import { encodeChain } from './chains.ts';
import type { Listing } from './listing.ts';
import { partsOfProduct, replacesRows } from './operands.ts';
import { type Footing, footingOf, isWhole, type Place, samePlace } from './places.ts';
import type { PlannedGraph, PlannedScan } from './planned.ts';
import { scanParts } from './scan-parts.ts';
import { viewOf, viewOps } from './views.ts';

export interface EmitContext {
  readonly listing: Listing;
  /** A float in all lanes, among the constants. */
  readonly splat: (value: number) => Reference;
  /** Memory for the registers of chains, shared by all of them. */
  readonly registers: Place;
  readonly panelOf: (rows: number, blocks: number, period: number) => number;
  /** Counts the floating-point operations of products. */
  readonly count: (operations: number) => void;
  /** In a loop with active rows the machine tells them by the first dimension of a copy. */
  readonly keepRows?: boolean;
}

/** Rows of a block along the sums of `PRODUCT_TN`. */
export const K_BLOCK = 256;

/** Elements of scratch for PRODUCT_TN: packed panels of both sides. */
export function outerScratch(rows: number, rightPitch: number, widest: number): number {
  return productTNScratch(rightPitch / LANES, [widest], Math.min(K_BLOCK, roundUp(Math.max(1, rows))));
}

const precisionOf = ({ attributes }: Node): number =>
  Precision[attributes.precision === 'bfloat16' ? 'bfloat16' : 'float32'];

export function emitGraph(planned: PlannedGraph, context: EmitContext): void {
  new Emitter(planned, context).run();
}

class Emitter {
  private readonly planned: PlannedGraph;
  private readonly context: EmitContext;
  private readonly listing: Listing;

  constructor(planned: PlannedGraph, context: EmitContext) {
    this.planned = planned;
    this.context = context;
    this.listing = context.listing;
  }

  run(): void {
    for (const node of this.planned.graph.nodes) this.node(node);
    for (const { from, to } of this.planned.finals) this.copy(from, to);
  }

  private place(v: Value): Place {
    return this.planned.places.get(v) as Place;
  }

  private at(v: Value): Reference {
    return this.listing.at(this.place(v));
  }

  private node(node: Node): void {
    switch (node.op) {
      case 'input':
      case 'constant':
        return;
      case 'scan':
        return this.scan(node);
      case 'product':
        return this.product(node);
      case 'pack':
        return this.pack(node);
      case 'productTN':
        return this.outer(node);
      case 'chain':
        return this.chain(node);
      case 'relayout':
        return this.copy(this.place(node.inputs[0]), this.place(node.outputs[0]));
      case 'concat':
        return this.concat(node);
      default:
        return this.lower(node);
    }
  }

  /** Parts of a value that are not views of it are copied, as far as they are boxes from its place. */
  private copyParts(node: Node): boolean {
    const source = this.place(node.inputs[0]);
    const missing = node.outputs.filter((v) => this.place(v).buffer !== source.buffer);
    const boxes = missing.map((v) => viewOf(node, v, source, this.place(v).footing, true));
    if (boxes.some((box) => !box)) return false;
    missing.forEach((v, i) => this.copy(boxes[i] as Place, this.place(v)));
    return true;
  }

  /** An operation by its own rule; views need nothing, and a reshape that is none is a copy of rows. */
  private lower(node: Node): void {
    if (viewOps.has(node.op) && this.copyParts(node)) return;
    if (node.op === 'reshape') return this.reshape(node);
    const { lower } = operationOf(node.op);
    if (!lower) throw new UnrolledError('INTERNAL', `operation ${node.op} (${node.path}) cannot be compiled`);
    const operand = (v: Value) => ({ type: v.type, layout: this.place(v).footing, at: this.at(v) });
    lower({
      attributes: node.attributes,
      inputs: node.inputs.map(operand),
      outputs: node.outputs.map(operand),
      emit: (name, fields, repeats) => this.listing.emit(name, fields, repeats),
    });
  }

  // ---- copies

  /** A copy of equal logical values between any two footings. */
  copy(from: Place, to: Place): void {
    if (samePlace(from, to)) return;
    for (const { dims, src, dst } of copyPlan(from.footing, to.footing))
      this.listing.emit(
        'COPY',
        { src: this.listing.at(from, src), dst: this.listing.at(to, dst) },
        { dims: copyDimensions(dims, this.context.keepRows) },
      );
  }

  private concat(node: Node): void {
    const target = this.place(node.outputs[0]);
    const axis = node.attributes.axis as number;
    const shape = node.outputs[0].type.shape;
    const last = shape.length - 1;
    const { groups, pitch } = target.footing;
    const inner = shape.slice(axis + 1, -1).reduce((a, b) => a * b, 1);
    let before = 0;
    node.inputs.forEach((v, i) => {
      const from = this.place(v);
      const { cols } = from.footing;
      let to: Place;
      if (axis === last && groups > 1)
        to = {
          ...target,
          offset: target.offset + i * LANES,
          footing: { ...footingOf(layoutOf(v.type.shape)), pitch, step: groups * LANES },
        };
      else if (axis === last)
        to = { ...target, offset: target.offset + before, footing: { ...footingOf(layoutOf(v.type.shape)), pitch } };
      else to = { ...target, offset: target.offset + before * inner * pitch };
      const isThere =
        from.buffer === target.buffer &&
        from.offset === to.offset &&
        (axis !== last || from.footing.step === to.footing.step);
      if (!isThere) {
        if (axis === last) this.copy(from, to);
        else this.copyRows(from, v, to, shape, axis, cols);
      }
      before += v.type.shape[axis];
    });
  }

  /** Part of a concatenation along an axis before the last. */
  private copyRows(from: Place, value: Value, to: Place, shape: readonly number[], axis: number, cols: number): void {
    const inner = shape.slice(axis + 1, -1).reduce((a, b) => a * b, 1);
    const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
    const count = value.type.shape[axis] * inner;
    const dims: CopyDimension[] = [
      { size: outer, srcStride: count * from.footing.pitch, dstStride: shape[axis] * inner * to.footing.pitch },
      { size: count, srcStride: from.footing.pitch, dstStride: to.footing.pitch },
      { size: cols, srcStride: 1, dstStride: 1 },
    ];
    const [src, dst] = [this.listing.at(from), this.listing.at(to)];
    this.listing.emit('COPY', { src, dst }, { dims: copyDimensions(dims) });
  }

  private reshape(node: Node): void {
    const [from, to] = [this.place(node.inputs[0]), this.place(node.outputs[0])];
    const through = this.planned.scratch.get(node);
    const dense = (cols: number, rows: number): Footing => ({ rows, cols, groups: 1, pitch: cols, step: LANES });
    const [a, b] = [from.footing, to.footing];
    if (through) {
      this.copy(from, { ...through, footing: dense(a.cols, a.rows) });
      this.copy({ ...through, footing: dense(b.cols, b.rows) }, to);
      return;
    }
    const [wide, narrow] = a.cols >= b.cols ? [a, b] : [b, a];
    const per = narrow.cols ? wide.cols / narrow.cols : 1;
    const stride = (f: Footing) => (f === wide ? [f.pitch, narrow.cols] : [f.pitch * per, f.pitch]);
    const [src, dst] = [stride(a), stride(b)];
    const dims = [
      { size: wide.rows, srcStride: src[0], dstStride: dst[0] },
      { size: per, srcStride: src[1], dstStride: dst[1] },
      { size: narrow.cols, srcStride: 1, dstStride: 1 },
    ];
    this.listing.emit('COPY', { src: this.listing.at(from), dst: this.listing.at(to) }, { dims: copyDimensions(dims) });
  }

  // ---- products

  /** The pieces of an operand along k, in the order in which the right-hand side is packed. */
  private segments(v: Value, without = -1): Fields[] {
    const place = this.place(v);
    const { pitch } = place.footing;
    return joinedRuns(place.footing, without).map(({ at, count }) => ({
      at: this.listing.at(place, at),
      pitch,
      step: 1,
      count,
    }));
  }

  private product(node: Node): void {
    const result = node.outputs[0];
    const segmentCount = node.attributes.segments as number;
    const packed = node.inputs[segmentCount];
    const init = node.attributes.init === 'zero' ? null : node.inputs[segmentCount + 1];
    const counted = node.attributes.counted as string | undefined;
    const { footing } = this.place(result);
    const { without = [], period = 0, apart = 0 } = partsOfProduct(node);
    const parts = node.inputs.slice(0, segmentCount).map((v, i) => this.segments(v, without[i]));
    const segments = parts.flat();
    const [total, cols] = packed.type.shape;
    this.context.count(2 * footing.rows * total * cols);
    const kind = Init[node.attributes.init as keyof typeof Init];
    const initAt = init ? this.at(init) : this.at(result);
    if (footing.cols === 1) {
      this.listing.emit(
        'MATVEC',
        { rows: footing.rows, dst: this.at(result), init: kind, initAt, w: this.at(packed) },
        { segments },
      );
      return;
    }
    const blocks = this.place(packed).footing.pitch / LANES;
    this.listing.emit(
      'PRODUCT',
      {
        rows: footing.rows,
        blocks,
        dst: this.at(result),
        dstPitch: footing.pitch,
        init: kind,
        initAt,
        initPitch: init ? this.place(init).footing.pitch : 0,
        packed: this.at(packed),
        panel: this.context.panelOf(footing.rows, blocks, period),
        total,
        ...this.counted(node, result),
        fill: counted === 'zero' ? 1 : 0,
        precision: precisionOf(node),
        period,
        apart: parts.slice(0, apart).flat().length,
      },
      { segments },
    );
  }

  /** Where a product over all steps finds how many rows of each are valid: the last operand. */
  private counted(node: Node, rows: Value): Fields {
    if (!node.attributes.counted) return {};
    const [groups, groupRows] = rows.type.shape;
    return { groups, groupRows, countsAt: this.at(node.inputs[node.inputs.length - 1]) };
  }

  private pack(node: Node): void {
    const packed = node.outputs[0];
    const { footing } = this.place(packed);
    const [total, cols] = packed.type.shape;
    const nn = node.attributes.form === 'nn';
    const runs: Fields[] = node.inputs.flatMap((v) => {
      const place = this.place(v);
      const { pitch } = place.footing;
      if (nn) return [{ at: this.listing.at(place), step: pitch, count: v.type.shape[0] }];
      return joinedRuns(place.footing).map(({ at, count }) => ({ at: this.listing.at(place, at), step: 1, count }));
    });
    const dst = this.at(packed);
    if (cols === 1) {
      this.listing.emit('PACK', { dst, panel: 0, blocks: 0, cols: 1, nStep: 1, total }, { runs });
      return;
    }
    const blocks = footing.pitch / LANES;
    const nStep = nn ? 1 : this.place(node.inputs[0]).footing.pitch;
    const panel = this.context.panelOf(node.attributes.rows as number, blocks, partsOfProduct(node).period ?? 0);
    const precision = precisionOf(node);
    this.listing.emit(
      'PACK',
      { dst, panel, blocks, cols: nn ? footing.pitch : cols, nStep, total, precision },
      { runs },
    );
  }

  private outer(node: Node): void {
    const [right, ...left] = node.attributes.counted ? node.inputs.slice(0, -1) : node.inputs;
    const b = this.place(right);
    const rows = b.footing.rows;
    const sums = node.attributes.sums ? 1 : 0;
    const sumAt = sums ? this.at(node.outputs[left.length]) : this.at(node.outputs[0]);
    const { without = [], period = 0 } = partsOfProduct(node);
    const width = (i: number) => node.outputs[i].type.shape[1];
    this.context.count(left.reduce((n, v, i) => n + 2 * rows * this.place(v).footing.cols * width(i), 0));
    const segments = left.map((v, i) => {
      const a = this.place(v);
      const dst = this.place(node.outputs[i]);
      return {
        at: this.listing.at(a),
        pitch: a.footing.pitch,
        cols: a.footing.cols,
        dst: this.listing.at(dst),
        dstPitch: dst.footing.pitch,
        without: (without[i] ?? -1) + 1,
      };
    });
    if (b.footing.cols === 1) {
      const vector = segments.map(({ at, pitch, cols, dst }) => ({ at, pitch, cols, dst }));
      this.listing.emit('VECTOR_TN', { rows, b: this.at(right), accumulate: 0, sums, sumAt }, { segments: vector });
      return;
    }
    const blocks = layoutOf(right.type.shape, b.footing.groups).pitch / LANES;
    const scratch = this.planned.scratch.get(node) as Place;
    this.listing.emit(
      'PRODUCT_TN',
      {
        rows,
        blocks,
        b: this.at(right),
        bPitch: b.footing.pitch,
        accumulate: 0,
        sums,
        sumAt,
        scratch: this.listing.at(scratch),
        kBlock: K_BLOCK,
        scratchFloats: scratch.footing.cols,
        ...this.counted(node, right),
        precision: precisionOf(node),
        period,
      },
      { segments },
    );
  }

  // ---- chains and loops

  private chain(node: Node): void {
    const { fields, views, ops } = encodeChain(
      node,
      (v) => this.place(v),
      (p) => this.listing.at(p),
      this.context.splat,
    );
    if (!fields.vectors) return;
    this.bringTables(node);
    const write = () =>
      this.listing.emit('CHAIN', { ...fields, scratch: this.listing.at(this.context.registers) }, { views, ops });
    if (!node.attributes.counted) return write();
    // The rows of the list that name one.
    const at = this.at(node.inputs[node.inputs.length - 1]);
    this.listing.repeat(node, 1, { rows: fields.vectors / fields.perRow, at, stride: 0 }, write);
  }

  /** Tables of which a chain replaces rows, where they could not stay in their places. */
  private bringTables(node: Node): void {
    const body = node.attributes.body as Graph;
    node.outputs.forEach((v, i) => {
      if (!replacesRows(v)) return;
      const [table] = body.outputs[i].node.inputs;
      this.copy(this.place(node.inputs[body.inputs.indexOf(table)]), this.place(v));
    });
  }

  private scan(node: Node): void {
    const planned = this.planned.scans.get(node);
    if (!planned) throw new UnrolledError('INTERNAL', 'a scan without a plan');
    for (const { value, to } of planned.inits) this.start(value, to);
    const { length, body, reverse } = scanAttributes(node);
    const counts = countsOf(node);
    const context = {
      ...this.context,
      keepRows: counts !== null,
      count: (n: number) => this.context.count(n * length),
    };
    if (!length) return;
    const active = counts && {
      rows: body.outputs[0].type.shape[0],
      at: this.listing.at(this.place(counts), reverse ? length - 1 : 0),
      stride: reverse ? -1 : 1,
    };
    this.listing.repeat(planned.loop, length, active, () => {
      emitGraph(planned.body, context);
      if (counts) this.hold(node, planned, counts);
    });
  }

  /**
   * What a loop with active rows does for the others: carries go on, stacks that somebody reads there are zero, and to both comes what is
   * held for them. What is stacked comes first, since carries may be renewed in their place, and zeros last, since a stack may stand over
   * a sequence that is read.
   */
  private hold(node: Node, planned: PlannedScan, counts: Value): void {
    const { carries, stacked } = scanParts(node);
    const inside = (v: Value) => planned.body.places.get(v) as Place;
    const writes: { target: Place; sources: Place[]; order: number }[] = [];
    [...carries, ...stacked].forEach(({ inner, held = [] }, i) => {
      // A stack of carries has no target of its own.
      const target = planned.targets[i]?.place;
      const isStack = i >= carries.length;
      if (!target || (isStack && this.isUnreadBeside(node, i, counts))) return;
      const sources = [...(isStack ? [] : [inner]), ...held].map(inside);
      const order = !isStack ? 1 : sources.length ? 0 : 2;
      if (sources.length !== 1 || !samePlace(sources[0], target)) writes.push({ target, sources, order });
    });
    for (const { target, sources } of writes.sort((a, b) => a.order - b.order)) {
      const { rows, groups, cols, pitch, step } = target.footing;
      this.listing.emit(
        'HOLD',
        {
          rows,
          blocks: (groups * roundUp(cols / groups)) / LANES,
          dst: this.listing.at(target),
          dstPitch: pitch,
          dstStep: step,
        },
        {
          sources: sources.map((place) => ({
            at: this.listing.at(place),
            pitch: place.footing.pitch,
            step: place.footing.step,
          })),
        },
      );
    }
  }

  /** Whether all that read a stack leave out the rows that the loop leaves out. */
  private isUnreadBeside(node: Node, output: number, counts: Value): boolean {
    const value = node.outputs[output];
    const { graph } = this.planned;
    if (graph.outputs.includes(value)) return false;
    return graph.nodes.every(
      (n) =>
        !n.inputs.includes(value) ||
        (countsOf(n) === counts && !holds(n, value)) ||
        (n.attributes.counted && n.inputs[n.inputs.length - 1] === counts),
    );
  }

  /** Brings the start of a carry to its place. */
  private start(value: Value, to: Place): void {
    const { node } = value;
    const source = node.op === 'broadcast' ? node.inputs[0].node : node;
    const data = source.op === 'constant' ? (source.attributes.data as Float64Array) : null;
    if (data?.length === 1 && isWhole(to) && value.type.dtype === 'f32')
      this.listing.emit('FILL', {
        dst: this.listing.at(to),
        count: to.footing.rows * to.footing.pitch,
        value: data[0],
      });
    else this.copy(this.place(value), to);
  }
}

/** Runs of columns in the order of memory, those that touch joined. @param without a group that is left out; -1: none */
function joinedRuns(footing: Footing, without = -1): { at: number; count: number }[] {
  const runs: { at: number; count: number }[] = [];
  const units = footing.cols / footing.groups;
  for (const { column, at, count } of columnRuns(footing)) {
    if (without >= 0 && Math.floor(column / units) === without) continue;
    const before = runs[runs.length - 1];
    if (before && before.at + before.count === at) before.count += count;
    else runs.push({ at, count });
  }
  return runs;
}

/**
 * Loops of a copy between two footings of the same logical value. Interleaved columns are cut into groups, blocks and lanes; between two numbers
 * of groups, into what stands together on both sides.
 */
function copyPlan(a: Footing, b: Footing): { dims: CopyDimension[]; src: number; dst: number }[] {
  const groups = Math.max(a.groups, b.groups);
  const rows = { size: a.rows, srcStride: a.pitch, dstStride: b.pitch };
  const simple = (f: Footing) => f.groups === 1 && f.step === LANES;
  if (simple(a) && simple(b)) return [{ dims: [rows, { size: a.cols, srcStride: 1, dstStride: 1 }], src: 0, dst: 0 }];
  if (a.groups > 1 && b.groups > 1 && a.groups !== b.groups) {
    const [from, to] = [columnRuns(a), columnRuns(b)];
    return from.flatMap((one) =>
      to.flatMap((other) => {
        const start = Math.max(one.column, other.column);
        const size = Math.min(one.column + one.count, other.column + other.count) - start;
        if (size <= 0) return [];
        const dims = [rows, { size, srcStride: 1, dstStride: 1 }];
        return [{ dims, src: one.at + start - one.column, dst: other.at + start - other.column }];
      }),
    );
  }
  const u = a.cols / groups;
  const blocks = Math.floor(u / LANES);
  const tail = u % LANES;
  const groupStride = (f: Footing) => (f.groups > 1 ? LANES : u);
  const blockStride = (f: Footing) => (f.groups > 1 ? f.groups * LANES : f.step);
  const group = { size: groups, srcStride: groupStride(a), dstStride: groupStride(b) };
  const plans: { dims: CopyDimension[]; src: number; dst: number }[] = [];
  const lanes = (size: number): CopyDimension => ({ size, srcStride: 1, dstStride: 1 });
  if (blocks)
    plans.push({
      dims: [rows, group, { size: blocks, srcStride: blockStride(a), dstStride: blockStride(b) }, lanes(LANES)],
      src: 0,
      dst: 0,
    });
  if (tail)
    plans.push({ dims: [rows, group, lanes(tail)], src: blocks * blockStride(a), dst: blocks * blockStride(b) });
  return plans;
}
