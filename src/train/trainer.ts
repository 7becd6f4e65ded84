/**
 * A compiled model in training: the steps for its shapes, the counters that a step is fed from, and the slots of its optimizer. Built when
 * the shape of the targets is known.
 */
import type { RandomKey } from '../core/random.ts';
import type { CompiledStep, Feed, Result } from '../engine/compile.ts';
import { Averages } from './averages.ts';
import { batchesOf, Pace, walkBatches } from './batches.ts';
import type { Objective } from './compilation.ts';
import type { Dataset } from './data.ts';
import { type Network, statesOf } from './network.ts';
import type { Optimizer } from './optimizers/optimizer.ts';
import type { Session } from './session.ts';
import { checkEvenBatches, prepareStates } from './states.ts';
import { type BatchShapes, feedNames, haltedLeaf, shapesKey, slotLeaf, traceEvaluate, traceTrain } from './steps.ts';

/** What training counts, and what is saved to go on. */
export interface Counters {
  /** Steps of the optimizer. */
  iteration: number;
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
    for (const { path, spec, trainable } of this.network.weights) {
      if (!trainable) continue;
      for (const slot of this.optimizer.slots) {
        const leaf = slotLeaf(path, slot);
        if (!this.session.has(leaf)) this.session.declare(leaf, spec.shape, spec.groups);
      }
    }
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
    return statesOf(this.network).length > 0;
  }

  /** Throws SHAPE for data that stateful layers cannot be trained on. */
  checkBatches(count: number, batchSize: number, where: string): void {
    checkEvenBatches(this.network, count, batchSize, where);
  }

  trainStep(shapes: BatchShapes): Promise<CompiledStep> {
    this.declareSlots();
    prepareStates(this.session, this.network, shapes.inputs[0][0]);
    const trace = traceTrain(this.network, this.objective, this.optimizer, this.scalarNames, shapes);
    return this.session.prepare(`train ${shapesKey(shapes)} ${this.objectiveKey}`, trace);
  }

  private evaluateStep(shapes: BatchShapes): Promise<CompiledStep> {
    prepareStates(this.session, this.network, shapes.inputs[0][0]);
    return this.session.prepare(
      `evaluate ${shapesKey(shapes)} ${this.objectiveKey}`,
      traceEvaluate(this.network, this.objective, shapes),
    );
  }

  /** Key and scalars of a step that comes `ahead` of the next one. */
  trainFeed(ahead: number): Feed {
    const iteration = this.counters.iteration + ahead;
    const feed: Record<string, ArrayLike<number>> = { [feedNames.key]: this.stepKey.split(iteration).toInt32() };
    const scalars = this.optimizer.scalars(iteration, this.counters.learningRate);
    for (const [name, value] of Object.entries(scalars)) feed[feedNames.scalar(name)] = Float64Array.of(value);
    return feed;
  }

  /** Counts steps that were written. */
  advance(steps: number): void {
    this.counters.iteration += steps;
  }

  /** The order of the samples in the epoch that starts now. */
  order(count: number): Int32Array {
    return this.shuffleKey.split(this.counters.iteration).permutation(count);
  }

  /** Loss and metrics over a data set. */
  async evaluate(
    set: Dataset,
    batchSize: number,
    each?: (done: number, logs: Record<string, number>, results: readonly Result[]) => void,
  ): Promise<Record<string, number>> {
    const averages = new Averages(this.objective.reported);
    checkEvenBatches(this.network, set.count, batchSize, 'evaluate');
    const batches = batchesOf(set.count, batchSize);
    let done = 0;
    const walk = walkBatches({
      session: this.session,
      set,
      batches,
      order: null,
      pace: new Pace(),
      limit: Number.POSITIVE_INFINITY,
      stepFor: (shapes) => this.evaluateStep(shapes),
      keepsRows: this.keepsRows,
    });
    for await (const { batches: group, results } of walk) {
      results.forEach((result, i) => averages.add(result, group[i].to - group[i].from));
      done += group.length;
      each?.(done, averages.logs(), results);
    }
    return averages.logs();
  }
}
