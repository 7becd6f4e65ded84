/**
 * A model that takes its sequences one time step at a time: `step` gives what `predict` would give for the sequences so far, in time that
 * does not depend on their length. Nothing is allocated in a step.
 */
import { NdArray, type NdArrayData } from '../core/array.ts';
import { fail } from '../core/errors.ts';
import { formatShape, type Shape, sameShape, sizeOf } from '../core/shape.ts';
import { type CompiledStepper, compileStepper, type StepperBuilder } from '../engine/stepper.ts';
import { type NamedTensor, readSafetensors, writeSafetensors } from '../formats/wire/safetensors.ts';
import type { InTime, StepMemory } from '../layers/in-time.ts';
import { add } from '../ops/pointwise.ts';
import { reshape } from '../ops/shape.ts';
import type { Tensor } from '../ops/tensor.ts';
import { arrayOf, type ModelData } from './data.ts';
import { type InTimePlan, inputsInTime, memoriesOf, planInTime } from './in-time.ts';
import { refuseUnknown } from './model-options.ts';
import { keyedRandom, type Network, traceNetwork } from './network.ts';
import type { Session } from './session.ts';

export interface StreamOptions {
  /** Sequences that run side by side, each with states of its own. Default 1. */
  readonly rows?: number;
}

/** Values of one step in row-major order: (rows, features), or (rows) indices. */
export type StepInput = ArrayLike<number> | NdArray | number;

/** Rows that have a new step: 1 or true. */
export type ActiveRows = ArrayLike<number | boolean>;

const position = 'position';

interface InputRule {
  readonly name: string;
  readonly shape: Shape;
  /** Indices must be below this. */
  readonly below: number | null;
}

/** What `model.stream` gives. Output: one array, or a list for models of several outputs. */
export class Stepper<Output extends NdArray | NdArray[] = NdArray> {
  /** Sequences side by side. */
  readonly rows: number;
  /** The memory of the inputs, which `step()` reads: write to their `data`, or give `step` the values. */
  readonly inputs: readonly NdArray[];
  private readonly session: Session;
  private readonly compiled: CompiledStepper;
  private readonly rules: readonly InputRule[];
  private readonly outputs: readonly NdArray[];
  private readonly result: Output;
  private readonly limit: InTimePlan['limit'];
  /** Steps that each row had, where they are limited. */
  private readonly taken: Int32Array;
  private version = -1;
  private busy = false;

  /** Use `model.stream`. */
  constructor(
    session: Session,
    compiled: CompiledStepper,
    rows: number,
    rules: readonly InputRule[],
    outputs: readonly Shape[],
    limit: InTimePlan['limit'],
  ) {
    this.session = session;
    this.compiled = compiled;
    this.rows = rows;
    this.rules = rules;
    this.limit = limit;
    this.taken = new Int32Array(rows);
    this.inputs = rules.map(({ shape }, i) => NdArray.from(compiled.inputs.get(`x${i}`) as NdArrayData, shape));
    this.outputs = outputs.map((shape, i) => NdArray.from(compiled.outputs.get(`y${i}`) as NdArrayData, shape));
    this.result = (outputs.length === 1 ? this.outputs[0] : this.outputs) as Output;
    this.refresh();
  }

  /** The values of the first input: `stepper.input[0] = 0.5; stepper.step()`. */
  get input(): NdArrayData {
    return this.inputs[0].data;
  }

  /**
   * Takes one step of every row, on the calling thread.
   *
   * @param x (rows, features), or (rows) indices; a list for models of several inputs, where null leaves an input as it is; nothing: what was
   * written to `inputs`
   * @param active which rows have a new step; the others keep their states and repeat their outputs (zeros before the first step). Default: all
   * @returns the model's outputs for the sequences so far, (rows, ...). The same arrays at every call: copy what must outlive the next step.
   * @throws SHAPE for values of another size, DATA for numbers that are not finite and indices outside the vocabulary
   */
  step(x?: StepInput | readonly (StepInput | null)[] | null, active?: ActiveRows): Output {
    this.begin(x, active);
    if (active) this.compiled.runRows(active);
    else this.compiled.run();
    return this.result;
  }

  /** The same off the calling thread, for large models. Until it settles, the stepper must not be used. */
  async stepAsync(x?: StepInput | readonly (StepInput | null)[] | null, active?: ActiveRows): Promise<Output> {
    this.begin(x, active);
    this.busy = true;
    try {
      await this.compiled.runAsync(active);
    } finally {
      this.busy = false;
    }
    return this.result;
  }

  private begin(x: StepInput | readonly (StepInput | null)[] | null | undefined, active: ActiveRows | undefined): void {
    if (this.busy) this.refuseBusy();
    if (x !== undefined && x !== null) {
      if (this.inputs.length === 1) this.take(0, Array.isArray(x) && x.length === 1 ? x[0] : (x as StepInput));
      else this.takeAll(x as readonly (StepInput | null)[]);
    }
    if (active && active.length !== this.rows)
      fail('SHAPE', 'step: active', `${this.rows} values, one per row`, String(active.length));
    if (this.limit) this.count(this.limit, active);
    if (this.version !== this.session.version) this.refresh();
  }

  private refuseBusy(): never {
    fail('STATE', 'step', 'a stepper at rest', 'one whose stepAsync is running', 'Await it first.');
  }

  private takeAll(x: readonly (StepInput | null)[]): void {
    const count = this.inputs.length;
    if (!Array.isArray(x) || x.length !== count)
      fail('ARGUMENT', 'step', `a list of ${count} inputs, with null for those that stay`, `${x.length ?? typeof x}`);
    for (let i = 0; i < count; i++) if (x[i] !== null && x[i] !== undefined) this.take(i, x[i] as StepInput);
  }

  /** Copies and checks in one pass; nothing is changed by values that do not fit. */
  private take(i: number, x: StepInput): void {
    const target = this.inputs[i].data;
    const rule = this.rules[i];
    if (typeof x === 'number') {
      if (target.length !== 1) this.refuseSize(rule, 'a number');
      if (rule.below === null ? x - x !== 0 : !(x >= 0 && x < rule.below && x % 1 === 0)) this.refuseValue(rule, x);
      target[0] = x;
      return;
    }
    if (x instanceof NdArray && !isStepOf(x.shape, rule.shape)) this.refuseSize(rule, formatShape(x.shape));
    const values = x instanceof NdArray ? x.data : x;
    const size = target.length;
    if (values.length !== size) this.refuseSize(rule, `${values.length} values`);
    if (rule.below === null) {
      // The common kind has loops of its own, which the engine compiles for it alone.
      if (values instanceof Float32Array && target instanceof Float32Array) {
        if (!areFinite(values)) this.refuseValue(rule, firstOther(values));
        if (values !== target) target.set(values);
        return;
      }
      const other = firstOther(values);
      if (other !== 0) this.refuseValue(rule, other);
    } else {
      for (let k = 0; k < size; k++) {
        const id = values[k];
        if (!(id >= 0 && id < rule.below && id % 1 === 0)) this.refuseValue(rule, id);
      }
    }
    if (values !== target) for (let k = 0; k < size; k++) target[k] = values[k];
  }

  private refuseSize({ name, shape }: InputRule, received: string): never {
    fail('SHAPE', `step: ${name}`, `one step of ${this.rows} rows, ${formatShape(shape)}`, received);
  }

  private refuseValue({ name, below }: InputRule, value: number): never {
    fail('DATA', `step: ${name}`, below === null ? 'finite numbers' : `indices from 0 to ${below - 1}`, String(value));
  }

  private count({ path, steps }: NonNullable<InTimePlan['limit']>, active: ActiveRows | undefined): void {
    const { taken, rows } = this;
    for (let r = 0; r < rows; r++)
      if ((!active || active[r]) && taken[r] >= steps)
        fail('SHAPE', path, `at most ${steps} steps`, `step ${taken[r] + 1} of row ${r}`, 'Reset the row first.');
    for (let r = 0; r < rows; r++) if (!active || active[r]) taken[r]++;
  }

  /** Takes the model's present weights. While a step of the model runs, those from before stay in use. */
  private refresh(): void {
    const { session } = this;
    if (!session.isAtRest) return;
    this.compiled.prepare((path) => session.get(path));
    this.version = session.version;
  }

  // ---- states

  /** Everything that is carried from step to step, by path (`lstm/h`), (rows, ...) each; copies. */
  getStates(): Record<string, NdArray> {
    if (this.busy) this.refuseBusy();
    return Object.fromEntries(
      [...this.compiled.carried].map(([name, shape]) => [
        name,
        NdArray.from(this.compiled.get(name) as NdArrayData, shape),
      ]),
    );
  }

  /** Sets states by path; those that are not named stay. Throws before anything changes. */
  setStates(states: Readonly<Record<string, ModelData>>): void {
    if (this.busy) this.refuseBusy();
    const { carried } = this.compiled;
    const arrays = Object.entries(states).map(([name, given]): [string, NdArray] => {
      const shape = carried.get(name);
      if (!shape) fail('ARGUMENT', 'setStates', `states among ${[...carried.keys()].join(', ') || 'none'}`, name);
      const array = arrayOf(given, `setStates: ${name}`);
      if (!sameShape(array.shape, shape))
        fail('SHAPE', `setStates: ${name}`, formatShape(shape), formatShape(array.shape));
      return [name, array];
    });
    for (const [name, { data }] of arrays) this.compiled.set(name, data);
    this.recount();
  }

  /** Starts all sequences anew, or those of some rows. */
  reset(options: { readonly rows?: readonly number[] } = {}): void {
    refuseUnknown(options, ['rows'], 'reset');
    if (this.busy) this.refuseBusy();
    const { rows } = options;
    for (const row of rows ?? [])
      if (!Number.isInteger(row) || row < 0 || row >= this.rows)
        fail('ARGUMENT', 'reset: rows', `rows from 0 to ${this.rows - 1}`, String(row));
    const all = rows ?? Array.from({ length: this.rows }, (_, r) => r);
    for (const [name, shape] of this.compiled.carried) {
      const values = this.compiled.get(name);
      clearRows(values, all, sizeOf(shape) / this.rows);
      this.compiled.set(name, values);
    }
    for (const { data } of this.outputs) clearRows(data, all, data.length / this.rows);
    this.recount();
  }

  private recount(): void {
    if (this.limit && this.compiled.carried.has(position)) this.taken.set(this.compiled.get(position));
  }

  /** The states and the last outputs as bytes (safetensors), which `fromBytes` of a stepper of the same model and rows takes. */
  toBytes(): Uint8Array {
    const tensors = new Map<string, NamedTensor>();
    for (const [name, { shape, data }] of Object.entries(this.getStates()))
      tensors.set(`state/${name}`, { shape, data });
    this.outputs.forEach(({ shape, data }, i) => {
      tensors.set(`output/${i}`, { shape, data });
    });
    return writeSafetensors(tensors);
  }

  /** Goes on from where `toBytes` was called. Throws FORMAT, and changes nothing, for bytes of another model or number of rows. */
  fromBytes(bytes: Uint8Array): void {
    const where = 'fromBytes';
    const tensors = readSafetensors(bytes, where);
    const wanted = new Map<string, Shape>();
    for (const [name, shape] of this.compiled.carried) wanted.set(`state/${name}`, shape);
    this.outputs.forEach(({ shape }, i) => {
      wanted.set(`output/${i}`, shape);
    });
    for (const [name, shape] of wanted) {
      const found = tensors.get(name);
      if (!found || !sameShape(found.shape, shape))
        fail('FORMAT', `${where}: ${name}`, formatShape(shape), found ? formatShape(found.shape) : 'nothing');
    }
    for (const name of tensors.keys())
      if (!wanted.has(name)) fail('FORMAT', where, `tensors among ${[...wanted.keys()].join(', ')}`, `'${name}'`);
    const states: Record<string, NdArray> = {};
    for (const [name, { shape, data }] of tensors)
      if (name.startsWith('state/')) states[name.slice('state/'.length)] = NdArray.from(data, shape);
    this.setStates(states);
    this.outputs.forEach(({ data }, i) => {
      data.set((tensors.get(`output/${i}`) as NamedTensor).data);
    });
  }

  /** Graphs, programs and memory of a step, for people: first what runs when weights change, then the step. */
  explain(): string {
    return this.compiled.explain();
  }
}

function clearRows(
  values: { fill(value: number, from: number, to: number): unknown },
  rows: readonly number[],
  size: number,
) {
  for (const row of rows) values.fill(0, row * size, (row + 1) * size);
}

function areFinite(values: Float32Array): boolean {
  let sum = 0;
  for (let k = 0; k < values.length; k++) sum += values[k] * 0;
  return sum === 0;
}

/** The first that is not finite, or not a number; 0 where there is none. */
function firstOther(values: ArrayLike<number>): number {
  for (let k = 0; k < values.length; k++) if (values[k] - values[k] !== 0) return values[k];
  return 0;
}

/** Whether an array holds one step: its shape, or that with an axis of time of size 1 behind the rows. */
function isStepOf(given: Shape, shape: Shape): boolean {
  if (given.length === shape.length) return sameShape(given, shape);
  return given.length === shape.length + 1 && given[1] === 1 && sameShape([given[0], ...given.slice(2)], shape);
}

// ---- making one

/** Input shapes of the trace, and as users give them. */
function inputShapes(network: Network, kinds: readonly InTime[], rows: number) {
  return network.inputs.map(({ shape, name }, i) => {
    const rest = shape.slice(kinds[i] === 'steps' ? 2 : 1);
    if (rest.some((d) => d === null))
      fail('SHAPE', `stream: ${name}`, 'an input whose features are known', formatShape(shape));
    const own = [rows, ...(rest as Shape)];
    return { given: own, traced: kinds[i] === 'steps' ? [rows, 1, ...own.slice(1)] : own };
  });
}

/** Throws UNSUPPORTED, with the layer's path and the reason, for models that need whole sequences. */
export async function makeStepper<Output extends NdArray | NdArray[]>(
  session: Session,
  network: Network,
  options: StreamOptions,
  memoryLimit: number | undefined,
): Promise<Stepper<Output>> {
  refuseUnknown(options, ['rows'], 'stream');
  const rows = options.rows ?? 1;
  if (!Number.isInteger(rows) || rows < 1)
    fail('ARGUMENT', 'stream: rows', 'a number of sequences from 1 on', String(rows));
  const kinds = inputsInTime(network);
  const plan = planInTime(network, kinds);
  const shapes = inputShapes(network, kinds, rows);
  const outputs: Shape[] = [];
  const trace = (b: StepperBuilder) => {
    const inputs = network.inputs.map(({ dtype }, i) => b.input(`x${i}`, shapes[i].traced, dtype));
    const updates: Record<string, Tensor> = {};
    const memory: Omit<StepMemory, 'inputs'> = {
      recall: (name, shape) => b.carry(name, [rows, ...shape]),
      keep(name, value) {
        b.carry(name, value.shape);
        updates[name] = value;
      },
      position() {
        const before = b.carry(position, [rows]);
        updates[position] ??= add(before, 1);
        return before;
      },
    };
    b.graph.precision = b.precision;
    const result = traceNetwork(
      network,
      inputs,
      inputs.map(() => null),
      (path) => b.state(path),
      { training: false, random: keyedRandom(null), memoryOf: memoriesOf(network, plan, memory) },
    );
    const given = result.outputs.map((y, i) =>
      plan.outputs[i] === 'steps' ? reshape(y, [rows, ...y.shape.slice(2)]) : y,
    );
    outputs.push(...given.map(({ shape }) => shape));
    return { outputs: Object.fromEntries(given.map((y, i) => [`y${i}`, y])), updates };
  };
  const compiled = compileStepper(
    await session.machine(),
    'stream',
    (path) => ({ shape: session.shapeOf(path), groups: session.groupsOf(path) }),
    trace,
    { memoryLimit, precision: session.precision },
  );
  const rules = network.inputs.map(({ name, range, dtype }, i) => ({
    name,
    shape: shapes[i].given,
    below: range?.below ?? (dtype === 'i32' ? 2 ** 31 : null),
  }));
  return new Stepper<Output>(session, compiled, rows, rules, outputs, plan.limit);
}
