/**
 * Where a model's values live and its steps run. Until the first run the values are plain arrays; then the machine is opened and they move
 * into its memory. Runs of one model follow each other; several models do not wait for each other.
 */
import { fail } from '../core/errors.ts';
import { type Shape, sizeOf } from '../core/shape.ts';
import {
  type CompiledStep,
  compileStep,
  type Feed,
  type Result,
  type StepBuilder,
  type TracedStep,
} from '../engine/compile.ts';
import { StateSpace } from '../engine/state.ts';
import { openMachine } from '../vm/open.ts';
import type { Machine } from '../vm/vm.ts';

export type Values = Float32Array | Float64Array;

interface Declaration {
  readonly shape: Shape;
  readonly groups: number;
  values: Values;
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
  private readonly steps = new Map<string, CompiledStep>();
  private space: StateSpace | null = null;
  private tail: Promise<unknown> = Promise.resolve();
  private running = 0;
  /** Rows whose recurrent states are kept (`states.ts`); null: none. */
  stateRows: number | null = null;

  constructor(machine: Machine | null, memoryLimit: number | undefined) {
    this.open = machine ? async () => machine : processMachine;
    this.memoryLimit = memoryLimit;
  }

  /** Adds a value. */
  declare(name: string, shape: Shape, groups = 1, values?: Values): void {
    this.requireRest(name);
    const declaration = { shape, groups, values: values ?? new Float32Array(sizeOf(shape)) };
    this.declared.set(name, declaration);
    if (this.space) this.move(this.space, name, declaration);
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

  /** A copy, in logical order. */
  get(name: string): Values {
    this.requireRest(name);
    if (this.space) return this.space.get(name);
    return (this.declared.get(name) as Declaration).values.slice();
  }

  set(name: string, values: Values): void {
    this.requireRest(name);
    const declaration = this.declared.get(name) as Declaration;
    if (this.space) this.space.set(name, values);
    else declaration.values = values.slice();
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

  private move(space: StateSpace, name: string, { shape, groups, values }: Declaration): void {
    space.declare(name, shape, { groups });
    space.set(name, values);
    (this.declared.get(name) as Declaration).values = new Float32Array(0);
  }

  private async attached(): Promise<StateSpace> {
    if (!this.space) {
      const space = new StateSpace(await this.open());
      for (const [name, declaration] of this.declared) this.move(space, name, declaration);
      this.space = space;
    }
    return this.space;
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
    const space = await this.attached();
    const step = this.steps.get(key) ?? compileStep(space, key.split(' ')[0], trace, { memoryLimit: this.memoryLimit });
    // The last one used stands at the end; the one at the front is given up first.
    this.steps.delete(key);
    this.steps.set(key, step);
    for (const oldest of this.steps.keys()) {
      if (this.steps.size <= keptSteps) break;
      this.steps.delete(oldest);
    }
    return step;
  }

  /** Runs a step once for every feed, in one hand-over. */
  run(step: CompiledStep, feeds: readonly Feed[]): Promise<Result[]> {
    return this.queue(async () => {
      this.running++;
      try {
        return await step.run(feeds);
      } finally {
        this.running--;
      }
    });
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
