/**
 * A compiled model in training: the steps for its shapes, the counters that a step is fed from, and the slots of its optimizer. Built when
 * the shape of the targets is known.
 */
import type { RandomKey } from '../core/random.ts';
import type { Shape } from '../core/shape.ts';
import type { CompiledStep, Feed, FeedValue } from '../engine/compile.ts';
import type { InTime } from '../layers/in-time.ts';
import type { Objective } from './compilation.ts';
import { type InTimePlan, inputsInTime } from './in-time.ts';
import type { LookOptions } from './inspect-trace.ts';
import { learningRateAt } from './learning-rate.ts';
import { keepsRows, type Network } from './network.ts';
import type { Optimizer } from './optimizers/optimizer.ts';
import { declareSlots, optimizedWeights, slotLeaf } from './optimizers/slots.ts';
import type { Session } from './session.ts';
import { checkEvenBatches, prepareStates } from './states.ts';
import { type BatchShapes, feedNames, haltedLeaf, shapesKey, traceEvaluate, traceTrain } from './steps.ts';
import { checkWindowed, planWindows, prepareWindows } from './windows.ts';

/** What training counts, and what is saved to go on. */
export interface Counters {
  /** Steps of training: those that only gathered gradients count too. */
  iteration: number;
  /** Where it is a number: schedules follow from the iteration. */
  learningRate: number;
}

export class Trainer {
  readonly session: Session;
  readonly objective: Objective;
  private readonly network: Network;
  private readonly optimizer: Optimizer;
  private readonly counters: Counters;
  private readonly stepKey: RandomKey;
  private readonly shuffleKey: RandomKey;
  private readonly scalarNames: readonly string[];
  private plan: InTimePlan | null = null;

  constructor(
    session: Session,
    network: Network,
    optimizer: Optimizer,
    objective: Objective,
    counters: Counters,
    key: RandomKey,
  ) {
    this.session = session;
    this.network = network;
    this.optimizer = optimizer;
    this.objective = objective;
    this.counters = counters;
    this.stepKey = key.split('step');
    this.shuffleKey = key.split('shuffle');
    this.scalarNames = Object.keys(optimizer.scalars(0, 1));
  }

  /** Makes room for the optimizer's slots and the flag of a bad step. */
  declareSlots(): void {
    if (!this.session.has(haltedLeaf)) this.session.declare(haltedLeaf, []);
    declareSlots(this.session, this.optimizer, optimizedWeights(this.network));
  }

  /** Tells objectives apart in the keys of steps. */
  get objectiveKey(): string {
    return this.objective.outputs
      .map(({ output, loss, lossWeight, metrics, target }) => {
        const own = metrics.map(({ name, metric }) => `${name}=${metric.className}`).join(',');
        return `${output}*${lossWeight}:${loss.className} ${own} ${target.join('x')}`;
      })
      .join(';');
  }

  /** Whether a row goes on in the same row of the next batch. */
  get keepsRows(): boolean {
    return keepsRows(this.network);
  }

  /** Throws SHAPE for data that stateful layers cannot be trained on. */
  checkBatches(count: number, batchSize: number, where: string): void {
    checkEvenBatches(this.network, count, batchSize, where);
  }

  /**
   * How the inputs stand to time, for training on windows of sequences of a length. Throws where that cannot be.
   *
   * @param lengths of the sequences of all inputs
   */
  windowed(shapes: readonly Shape[], where: string): { readonly kinds: readonly InTime[]; readonly length: number } {
    this.plan ??= planWindows(this.network, where);
    const kinds = inputsInTime(this.network);
    return { kinds, length: checkWindowed(this.plan, this.objective, kinds, shapes, where) };
  }

  private hasWindows({ window, inputs, masks }: BatchShapes, mayDeclare: boolean): boolean {
    return (
      !window || !this.plan || prepareWindows(this.session, this.network, this.plan, { inputs, masks }, mayDeclare)
    );
  }

  /** The step of training for batches of a shape. */
  trainStep(batch: BatchShapes): Promise<CompiledStep> {
    this.declareSlots();
    prepareStates(this.session, this.network, batch.inputs[0][0]);
    this.hasWindows(batch, true);
    return this.session.prepare(...this.trainTrace(batch));
  }

  /** The same at once, while another step runs; null where it has to wait for it. */
  trainStepAhead(batch: BatchShapes): CompiledStep | null {
    return this.session.has(haltedLeaf) && this.hasStates(batch) && this.hasWindows(batch, false)
      ? this.session.prepareNow(...this.trainTrace(batch))
      : null;
  }

  private trainTrace(batch: BatchShapes): [key: string, trace: ReturnType<typeof traceTrain>] {
    const shapes = { ...batch, memory: this.session.timeMemory };
    return [
      `train ${shapesKey(shapes)} ${this.objectiveKey}`,
      traceTrain(this.network, this.objective, this.optimizer, this.scalarNames, shapes, this.plan),
    ];
  }

  /** The step that measures batches of a shape. */
  evaluateStep(batch: BatchShapes): Promise<CompiledStep> {
    prepareStates(this.session, this.network, batch.inputs[0][0]);
    return this.session.prepare(...this.evaluateTrace(batch));
  }

  /** The same at once, while another step runs; null where it has to wait for it. */
  evaluateStepAhead(batch: BatchShapes): CompiledStep | null {
    return this.hasStates(batch) ? this.session.prepareNow(...this.evaluateTrace(batch)) : null;
  }

  private evaluateTrace(batch: BatchShapes): [key: string, trace: ReturnType<typeof traceEvaluate>] {
    return [`evaluate ${shapesKey(batch)} ${this.objectiveKey}`, traceEvaluate(this.network, this.objective, batch)];
  }

  private hasStates({ inputs }: BatchShapes): boolean {
    return !this.keepsRows || this.session.stateRows === inputs[0][0];
  }

  /** The learning rate of a step. */
  learningRate(iteration: number): number {
    return learningRateAt({ optimizer: this.optimizer }, this.counters, iteration);
  }

  /** Key and scalars of a step that comes `ahead` of the next one. @param learningRate in place of the optimizer's */
  trainFeed(ahead: number, learningRate?: number): Feed {
    const iteration = this.counters.iteration + ahead;
    const feed: Record<string, FeedValue> = { [feedNames.key]: this.stepKey.split(iteration).words };
    const scalars = this.optimizer.scalars(iteration, learningRate ?? this.learningRate(iteration));
    for (const name of this.scalarNames) feed[feedNames.scalar(name)] = scalars[name];
    return feed;
  }

  /** The draws of the next step alone. */
  drawFeed(): Feed {
    return { [feedNames.key]: this.stepKey.split(this.counters.iteration).toInt32() };
  }

  /** The weights by path. */
  get weightPaths(): readonly string[] {
    return this.network.weights.map(({ path }) => path);
  }

  /** How a step of training is looked into. */
  lookOptions(shapes: BatchShapes): LookOptions {
    const { network, objective, optimizer, plan: windows } = this;
    return { network, objective, optimizer, windows, training: true, shapes: { ...shapes, memory: 'full' } };
  }

  /** Puts the moving averages in the place of the weights, where the optimizer keeps them: what Keras does when fit ends. */
  useAverages(): void {
    if (!this.optimizer.config.useEma || this.counters.iteration === 0) return;
    for (const { path } of optimizedWeights(this.network)) {
      const leaf = slotLeaf(path, 'average');
      if (this.session.has(leaf)) this.session.set(path, this.session.get(leaf));
    }
  }

  /** Counts steps that were written. */
  advance(steps: number): void {
    this.counters.iteration += steps;
  }

  /** The order of the samples in a pass over them. @param iteration steps of the optimizer before it */
  order(iteration: number, count: number): Int32Array {
    return this.shuffleKey.split(iteration).permutation(count);
  }
}
