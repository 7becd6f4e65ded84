/** From the sub-graph of a chain to the operations of the CHAIN instruction. */
import type { Shape } from '../core/shape.ts';
import type { Graph, Node, Value } from '../ir/graph.ts';
import { chainOpcodeOf, LANES } from '../ir/kernels.ts';
import { roundUp } from '../ir/lower.ts';
import type { Fields, Reference } from '../ir/program.ts';
import { operationOf } from '../ops/op.ts';
import { chainShape, isIndexed, operandKind } from './operands.ts';
import type { Place } from './places.ts';

/** Blocks of 16 floats in a row of the iteration, and in all of it. */
export interface Iteration {
  readonly perRow: number;
  readonly vectors: number;
  /** Floats in a row that are there: all of them but for a lone row or column. */
  readonly cols: number;
}

export function iterationOf({ footing }: Place): Iteration {
  const { rows, cols, groups } = footing;
  if (cols === 1 || rows === 1) {
    const perRow = groups > 1 ? (groups * roundUp(cols / groups)) / LANES : roundUp(rows * cols) / LANES;
    return { perRow, vectors: perRow, cols: groups > 1 ? perRow * LANES : rows * cols };
  }
  const perRow = (groups * roundUp(cols / groups)) / LANES;
  return { perRow, vectors: perRow * rows, cols: groups > 1 ? perRow * LANES : cols };
}

/** Whether the vectors of a place follow each other with one step, over the ends of rows. */
function isFlat({ footing }: Place, { perRow }: Iteration): boolean {
  const { rows, cols, pitch, step } = footing;
  return rows === 1 || cols === 1 || pitch === perRow * step;
}

/** Whether whole vectors may be written: nothing else stands behind the last float of a row. */
function takesWholeVectors(place: Place, iteration: Iteration): boolean {
  const { footing, buffer, offset, moves } = place;
  if (footing.step !== LANES) return true;
  if (footing.tight && iteration.cols % LANES) return false;
  if (footing.cols === 1 || footing.rows === 1) {
    const alone = !moves.length && offset + iteration.perRow * LANES <= buffer.floats && offset === 0;
    return alone || iteration.cols % LANES === 0 || (footing.cols > 1 && footing.pitch === iteration.perRow * LANES);
  }
  return footing.pitch === iteration.perRow * LANES;
}

export interface ChainCode {
  readonly fields: { vectors: number; perRow: number; block: number; registers: number };
  readonly views: readonly Fields[];
  readonly ops: readonly Fields[];
}

/** How many registers at most: one per node and per operand that must be loaded. */
export function registersOf(body: Graph): number {
  return body.nodes.length + body.inputs.length;
}

const MAX_BLOCK = 16;
/** Bytes that the views and registers of a block may take together, to stay in L1 beside the rest. */
const BLOCK_BYTES = 16384;

export function chainScratch(body: Graph): number {
  return registersOf(body) * MAX_BLOCK * LANES;
}

export function encodeChain(
  node: Node,
  placeOf: (v: Value) => Place,
  at: (place: Place) => Reference,
  constant: (value: number) => Reference,
): ChainCode {
  const body = node.attributes.body as Graph;
  const writer = new ChainWriter(node, body, placeOf, at, constant);
  return writer.write();
}

const opcodeOf = (name: string) => chainOpcodeOf.get(name) as number;

type View = { readonly at: Reference; readonly step: number; readonly pitch: number; readonly cols: number };

/** An operand before numbers are known: registers are numbered after the views. */
type Operand = { view: number } | { register: number };

class ChainWriter {
  private readonly views: View[] = [];
  private readonly ops: { op: number; d: Operand; x: Operand[] }[] = [];
  private readonly operandOf = new Map<Value, Operand>();
  private readonly free: number[] = [];
  private registers = 0;
  private readonly iteration: Iteration;
  private readonly shape: Shape;
  private readonly node: Node;
  private readonly body: Graph;
  private readonly placeOf: (v: Value) => Place;
  private readonly at: (place: Place) => Reference;
  private readonly constant: (value: number) => Reference;
  /** Views by their offsets. */
  private readonly viewsAt = new Map<number, number[]>();

  constructor(
    node: Node,
    body: Graph,
    placeOf: (v: Value) => Place,
    at: (place: Place) => Reference,
    constant: (value: number) => Reference,
  ) {
    this.node = node;
    this.body = body;
    this.placeOf = placeOf;
    this.at = at;
    this.constant = constant;
    this.shape = chainShape(node);
    // A table that rows of are replaced has more of them than the chain goes over.
    const place = placeOf(node.outputs[0]);
    const rows = this.replaces(body.outputs[0]) ? this.shape[0] : place.footing.rows;
    this.iteration = iterationOf({ ...place, footing: { ...place.footing, rows } });
  }

  write(): ChainCode {
    const lastUse = new Map<Value, number>();
    const { nodes } = this.body;
    for (let i = 0; i < nodes.length; i++) for (const v of nodes[i].inputs) lastUse.set(v, i);
    for (let i = 0; i < nodes.length; i++) {
      const n = nodes[i];
      if (n.op === 'input') continue;
      if (n.op === 'constant')
        this.operandOf.set(n.outputs[0], this.view(this.constant((n.attributes.data as Float64Array)[0]), 0));
      else if (n.op === 'putRows') this.put(n, lastUse, i);
      else {
        const x = n.op === 'pickRows' ? this.indexed(n) : n.inputs.map((v) => this.operand(v));
        for (let k = 0; k < n.inputs.length; k++) {
          const v = n.inputs[k];
          if (lastUse.get(v) === i && n.inputs.indexOf(v) === k) this.release(v);
        }
        this.operation(n, x, lastUse);
      }
    }
    const registers = this.registers;
    const number = (o: Operand | undefined) => (!o ? 0 : 'view' in o ? o.view : this.views.length + o.register);
    const ops = this.ops.map(({ op, d, x }) => ({
      op,
      d: number(d),
      a: number(x[0]),
      b: number(x[1]),
      c: number(x[2]),
    }));
    const { vectors, perRow } = this.iteration;
    const operands = Math.max(1, this.views.length + registers);
    const block = Math.max(4, Math.min(MAX_BLOCK, Math.floor(BLOCK_BYTES / (LANES * 4) / operands)));
    return { fields: { vectors, perRow, block, registers }, views: this.views, ops };
  }

  private operation(n: Node, x: Operand[], lastUse: ReadonlyMap<Value, number>): void {
    const value = n.outputs[0];
    const opcode = opcodeOf(n.op === 'pickRows' ? 'LOAD_INDEXED' : (operationOf(n.op).pointwise?.chain as string));
    const result = this.body.outputs.indexOf(value);
    if (result < 0) {
      const d = this.register();
      this.operandOf.set(value, d);
      this.ops.push({ op: opcode, d, x });
      if (!lastUse.has(value)) this.release(value);
      return;
    }
    const place = this.placeOf(this.node.outputs[result]);
    if (n.op !== 'pickRows' && isFlat(place, this.iteration) && takesWholeVectors(place, this.iteration)) {
      const d = this.view(this.at(place), place.footing.step);
      this.operandOf.set(value, d);
      this.ops.push({ op: opcode, d, x });
      return;
    }
    const d = this.register();
    this.operandOf.set(value, d);
    this.ops.push({ op: opcode, d, x });
    const { pitch, step } = place.footing;
    const target = this.view(this.at(place), step, pitch, this.iteration.cols);
    this.ops.push({ op: opcodeOf('STORE'), d: target, x: [d] });
    if (!lastUse.has(value)) this.release(value);
  }

  private replaces(value: Value): boolean {
    return value.node.op === 'putRows';
  }

  /** The views of a table and of a list of its rows. */
  private indexed({ inputs: [table, list] }: Node, place = this.outer(table)): Operand[] {
    const { rows, step, pitch } = place.footing;
    return [this.view(this.at(place), step, pitch, rows), this.view(this.at(this.outer(list)), 0, 1)];
  }

  /** Replaces rows of the table, which stands where the output is. */
  private put(n: Node, lastUse: ReadonlyMap<Value, number>, i: number): void {
    const place = this.placeOf(this.node.outputs[this.body.outputs.indexOf(n.outputs[0])]);
    const [table, list] = this.indexed(n, place);
    const values = n.inputs[2];
    let x = this.operand(values);
    const isView = 'view' in x;
    if (isView) {
      const register = this.register();
      this.ops.push({ op: opcodeOf('MOVE'), d: register, x: [x] });
      x = register;
    }
    this.ops.push({ op: opcodeOf('STORE_INDEXED'), d: table, x: [x, list] });
    if (lastUse.get(values) === i) this.release(values);
    if (isView && 'register' in x) this.free.push(x.register);
  }

  /** Where an operand of the body stands. */
  private outer(v: Value): Place {
    return this.placeOf(this.node.inputs[this.body.inputs.indexOf(v)]);
  }

  private view(at: Reference, step: number, pitch = 0, cols = 0): Operand {
    const others = this.viewsAt.get(at.offset);
    const isSame = (v: View) => v.at.slot === at.slot && v.step === step && v.pitch === pitch && v.cols === cols;
    const same = others?.find((i) => isSame(this.views[i]));
    if (same !== undefined) return { view: same };
    const view = this.views.push({ at, step, pitch, cols }) - 1;
    if (others) others.push(view);
    else this.viewsAt.set(at.offset, [view]);
    return { view };
  }

  private register(): Operand {
    return { register: this.free.pop() ?? this.registers++ };
  }

  private release(value: Value): void {
    const operand = this.operandOf.get(value);
    if (!operand || 'view' in operand) return;
    this.free.push(operand.register);
  }

  /** An operand of the body: a value made before, or a view of memory, through a load where it is not flat. */
  private operand(v: Value): Operand {
    const known = this.operandOf.get(v);
    if (known) return known;
    const place = this.outer(v);
    const kind = operandKind(v.type.shape, this.shape);
    const { pitch, step } = place.footing;
    let operand: Operand;
    if (kind === 'same' && isFlat(place, this.iteration)) operand = this.view(this.at(place), step);
    else {
      const load = { same: 'LOAD', row: 'LOAD_ROW', column: 'LOAD_COLUMN', scalar: 'LOAD_SCALAR', other: '' }[kind];
      const from = this.view(this.at(place), step, kind === 'column' ? 1 : pitch, this.iteration.cols);
      operand = this.register();
      this.ops.push({ op: opcodeOf(load), d: operand, x: [from] });
    }
    this.operandOf.set(v, operand);
    return operand;
  }
}

/**
 * Whether output `output` of a chain may be written where operand `operand` stands: no operation after the one that makes it, and no load,
 * reads the operand. All operations of a block run before the next block, so that only the order within it counts.
 */
export function mayOverwrite(node: Node, output: number, operand: number): boolean {
  const body = node.attributes.body as Graph;
  const read = body.inputs[operand];
  const maker = body.outputs[output].node;
  const made = body.nodes.indexOf(maker);
  const shape = chainShape(node);
  if (maker.op === 'putRows') {
    // A row is read before it is replaced, by the same list.
    const [table, list] = maker.inputs;
    const readsBefore = (n: Node, i: number) =>
      i <= made && (n === maker || (n.op === 'pickRows' && n.inputs[1] === list));
    return read === table && body.nodes.every((n, i) => !n.inputs.includes(read) || readsBefore(n, i));
  }
  if (!read || isIndexed(node, operand)) return false;
  if (operandKind(read.type.shape, shape) !== 'same') return false;
  return body.nodes.every((n, i) => i <= made || !n.inputs.includes(read));
}
