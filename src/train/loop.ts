/**
 * The training loop: epochs of batches, validation, progress, callbacks, snapshots. Steps run off the main thread, many in a hand-over. `fit`
 * runs it to its end; `train` gives each step to a loop of one's own.
 */
import { UnrolledError } from '../core/errors.ts';
import type { Result } from '../engine/compile.ts';
import { readWhole } from '../formats/file.ts';
import { type NumericError, numericError } from './anomaly.ts';
import { Averages } from './averages.ts';
import type { Logs } from './callbacks/callback.ts';
import { runEvaluate } from './evaluate.ts';
import { TrainingFailed } from './failed.ts';
import { validatesAfter } from './fit.ts';
import type { History } from './history.ts';
import { HookFailure, Hooks } from './hooks.ts';
import { TrainingInterrupted } from './interrupted.ts';
import { ProgressBar, processWriter } from './progress.ts';
import { checkSame, restoreValuesOf } from './resume.ts';
import { Run, type TrainingJob } from './run.ts';
import { decodeSnapshot, type SnapshotParts } from './snapshot.ts';
import { Epochs } from './source.ts';
import { haltedLeaf, resultOf } from './steps.ts';
import type { Trainer } from './trainer.ts';
import { type HandOver, Pace, unlessAborted, walkBatches } from './walk.ts';

/** A step of training that is done. */
export interface TrainingStep {
  /** Counted from 0. */
  readonly epoch: number;
  /** Of the epoch, counted from 0. */
  readonly batch: number;
  /** Steps that the model has been trained for, this one included. */
  readonly iteration: number;
  /** Of this batch, before its step. */
  readonly loss: number;
  /** Of this batch. */
  readonly metrics: Logs;
  /** Averages of the epoch so far: loss and metrics. */
  readonly logs: Logs;
  /** The one that this step was made with. */
  readonly learningRate: number;
  /** Of the epochs that are finished. */
  readonly history: History;
  /** Ends the training after this step; what `onTrainEnd` does still happens. */
  stop(reason?: string): void;
  /** Everything that exact resume needs: `train(data, { resumeFrom })` goes on after this step. */
  snapshot(): Uint8Array;
}

/** Keras's order on screen: names sorted. */
function sorted(logs: Logs): Record<string, number> {
  return Object.fromEntries(
    Object.keys(logs)
      .sort()
      .map((key) => [key, logs[key]]),
  );
}

const ranOut =
  'Your input ran out of data; interrupting the epoch. Make sure that your data gives at least `stepsPerEpoch * epochs` batches; ' +
  '`repeat()` of a Dataset gives as many as are asked for.';

/** Runs the epochs. Returns the history; leaving it early ends the training in good order. */
export async function* trainingLoop(job: TrainingJob): AsyncGenerator<TrainingStep, History> {
  const release = job.session.claim(job.where);
  const { options } = job;
  const training = new Epochs(job.training, options.stepsPerEpoch ?? null, job.where);
  const validation =
    job.validation && new Epochs(job.validation, options.validationSteps ?? null, `${job.where}: validationData`);
  const loop = new Loop(job, training, validation);
  let left = true;
  try {
    await loop.begin();
    yield* loop.epochs();
    left = false;
    return await loop.end();
  } catch (error) {
    left = false;
    throw await loop.failed(error);
  } finally {
    try {
      await training.close();
      await validation?.close();
      // A loop of one's own that was left by break.
      if (left) await loop.end();
    } catch (error) {
      // biome-ignore lint/correctness/noUnsafeFinally: nothing else is on its way here
      throw await loop.failed(error);
    } finally {
      release();
    }
  }
}

/** Runs it to its end. */
export async function runFit(job: TrainingJob): Promise<History> {
  const loop = trainingLoop(job);
  for (;;) {
    const { done, value } = await loop.next();
    if (done) return value;
  }
}

class Loop {
  private readonly job: TrainingJob;
  private readonly training: Epochs;
  private readonly validation: Epochs | null;
  private readonly run: Run;
  private readonly hooks: Hooks;
  private readonly verbose: 0 | 1 | 2;
  private readonly writer: ReturnType<typeof processWriter>;
  private readonly pace = new Pace();
  private trainer: Trainer | null = null;
  private logs: Record<string, number> = {};
  /** Of the last step that ran. */
  private learningRate = 0;

  constructor(job: TrainingJob, training: Epochs, validation: Epochs | null) {
    this.job = job;
    this.training = training;
    this.validation = validation;
    const { write, verbose, callbacks = [] } = job.options;
    this.writer = write ? { write, dynamic: true, terminal: true } : processWriter();
    const shown = verbose === undefined || verbose === 'auto' ? (this.writer.terminal ? 1 : 2) : verbose;
    // A bar among the callbacks takes the place of this one.
    this.verbose = callbacks.some(({ name }) => name === 'progressBar') ? 0 : shown;
    this.run = new Run(job, training, validation, this.writer.write);
    this.hooks = new Hooks(callbacks, this.run);
    this.run.hooks = this.hooks;
  }

  private interrupt(): void {
    const { run } = this;
    if (run.signal?.aborted) throw new TrainingInterrupted(run.epoch, run.batch, run.history, run.signal.reason);
  }

  /** What went wrong, after the callbacks have been told. */
  async failed(error: unknown): Promise<unknown> {
    const explained = this.explained(error);
    await this.hooks.trainError(explained);
    return explained;
  }

  /** What went wrong, with where the training stood and what is kept. */
  private explained(error: unknown): unknown {
    const { run } = this;
    if (error instanceof TrainingInterrupted || error instanceof TrainingFailed) return error;
    if (error instanceof HookFailure) return new TrainingFailed(error.message, error.cause, run, run.history);
    // Before the first step nothing has happened that would have to be told.
    if (this.trainer === null) return error;
    return error instanceof UnrolledError ? new TrainingFailed(error.message, error, run, run.history) : error;
  }

  // ---- before

  async begin(): Promise<void> {
    const { job, run, training } = this;
    run.epoch = job.options.initialEpoch ?? 0;
    this.interrupt();
    const found = await this.snapshot();
    if (found) {
      checkSame(found.parts, { seed: job.seed, optimizer: job.optimizer, data: job.data }, found.where);
      const { position } = found.parts;
      if (position.pass) training.resume(position.pass, position.batch);
      if (position.validation) this.validation?.resume(position.validation, 0);
    }
    const iteration = found?.parts.counters.iteration ?? job.counters.iteration;
    const trainer = await unlessAborted(training.trainer(iteration), run.signal);
    if (trainer === 'aborted') return this.interrupt();
    trainer.declareSlots();
    if (found) this.restore(trainer, found.parts, found.where);
    this.trainer = trainer;
    await this.hooks.trainBegin();
  }

  /** The snapshot to go on with: what a callback finds goes before what was given, because it was written later. */
  private async snapshot(): Promise<{ readonly parts: SnapshotParts; readonly where: string } | null> {
    const { callbacks = [], resumeFrom } = this.job.options;
    for (const callback of callbacks) {
      const where = `fit: snapshot of ${callback.name ?? 'a callback'}`;
      const bytes = await callback.resume?.();
      if (bytes) return { parts: decodeSnapshot(bytes, where), where };
    }
    if (resumeFrom === undefined) return null;
    const where = 'fit: resumeFrom';
    const bytes = typeof resumeFrom === 'string' ? await readWhole(resumeFrom) : resumeFrom;
    return { parts: decodeSnapshot(bytes, where), where };
  }

  private restore(trainer: Trainer, parts: SnapshotParts, where: string): void {
    const { job, run } = this;
    const { position, averages, history } = parts;
    // Before the values: this can refuse, and then nothing has changed.
    if (averages) {
      run.averages = new Averages(trainer.objective.reported);
      run.averages.restore(averages);
      this.logs = run.averages.logs();
    }
    restoreValuesOf(job.session, job.network(), trainer, parts, where);
    Object.assign(job.counters, parts.counters);
    run.history.restore(history);
    run.epoch = position.epoch;
    run.batch = position.batch;
    run.stopped = position.stopped;
    this.hooks.restore(parts.callbacks);
  }

  // ---- epochs

  async *epochs(): AsyncGenerator<TrainingStep> {
    const { run } = this;
    while (run.epoch < run.epochs && !(run.stopped && run.batch === 0)) {
      this.interrupt();
      const { epoch } = run;
      // A resumed run goes on within its epoch; what its hooks did at the beginning is in what they keep.
      if (run.batch === 0) {
        await this.hooks.epochBegin(epoch);
        if (run.stopped) return;
        run.averages = new Averages((this.trainer as Trainer).objective.reported);
      }
      const bar = this.progress();
      yield* this.steps(bar);
      if (run.batch === 0) return;
      await this.epochEnd(epoch, bar);
    }
  }

  private progress(): ProgressBar {
    const { run, writer, verbose } = this;
    if (verbose && run.epochs > 1) writer.write(`Epoch ${run.epoch + 1}/${run.epochs}\n`);
    return new ProgressBar({ ...writer, target: run.steps, verbose, now: () => performance.now() / 1000 });
  }

  /** The steps of an epoch that are left. */
  private async *steps(bar: ProgressBar): AsyncGenerator<TrainingStep> {
    const { job, run, hooks, training } = this;
    const batches = training.begin(job.counters.iteration);
    const from = run.batch;
    const trainerOf = (batch: { readonly trainer: Trainer | null }) => batch.trainer as Trainer;
    const walk = walkBatches({
      session: job.session,
      pace: this.pace,
      next: batches.next,
      begin: () => hooks.batchBegin(run.batch),
      stepFor: (batch) => trainerOf(batch).trainStep(batch.shapes),
      stepAhead: (batch) => trainerOf(batch).trainStepAhead(batch.shapes),
      limit: (done) => (job.everyStep ? 1 : hooks.stepsToNext(from + done - run.batch)),
      late: (steps) => {
        const trainer = this.trainer as Trainer;
        this.learningRate = trainer.learningRate(job.counters.iteration);
        return Array.from({ length: steps }, (_, ahead) => trainer.trainFeed(ahead));
      },
      ahead: !job.everyStep && !hooks.everyStep,
      signal: run.signal,
    });
    // A run that was stopped within its epoch and then interrupted has only the end of the epoch before it.
    for await (const handOver of run.stopped ? [] : walk) {
      const good = await this.count(handOver);
      const last = handOver.results[handOver.results.length - 1];
      if (run.steps === null || run.batch < run.steps) bar.update(run.batch, sorted(this.logs));
      if (good) await hooks.batchEnd(run.batch - 1, handOver.batches.length, this.logs);
      if (good && job.everyStep) yield this.step(last, handOver.batches[handOver.batches.length - 1].samples);
      this.interrupt();
      if (run.stopped) break;
    }
    this.interrupt();
    if (run.batch > 0) await hooks.batchesEnd(run.batch - 1, this.logs);
    if (batches.ranOut() && !run.stopped) console.warn(ranOut);
    if (training.exhausted) run.stop();
    await training.end(run.batch);
  }

  /** Counts what was written, up to a step that is not finite; false: there was one, and a hook wants to go on to the end of the epoch. */
  private async count({ batches, results }: HandOver): Promise<boolean> {
    const { job, run } = this;
    const bad = results.findIndex((result) => resultOf(result, 'good')[0] === 0);
    const good = bad < 0 ? results.length : bad;
    const averages = run.averages as Averages;
    for (let i = 0; i < good; i++) averages.add(results[i], batches[i].samples);
    job.counters.iteration += good;
    run.batch += good;
    if (good) run.latest = batches[good - 1];
    this.logs = averages.logs();
    if (bad < 0) return true;
    job.session.set(haltedLeaf, Float32Array.of(0));
    const loss = resultOf(results[bad], 'loss')[0];
    const batch = batches[bad];
    const failed = { session: job.session, trainer: batch.trainer ?? (this.trainer as Trainer), batch, loss };
    const where = `fit: epoch ${run.epoch + 1}, batch ${run.batch + 1}`;
    let found: Promise<NumericError> | null = null;
    run.findNonFinite = () => {
      found ??= numericError(where, failed);
      return found;
    };
    await this.hooks.nonFinite(run.batch, loss);
    if (run.stopped) return false;
    throw await run.nonFinite();
  }

  private step(result: Result, samples: number): TrainingStep {
    const { job, run, logs, learningRate } = this;
    const own = new Averages((this.trainer as Trainer).objective.reported);
    own.add(result, samples);
    const { loss, ...metrics } = own.logs();
    return {
      epoch: run.epoch,
      batch: run.batch - 1,
      iteration: job.counters.iteration,
      loss,
      metrics,
      logs,
      learningRate,
      history: run.history,
      stop: (reason) => run.stop(reason),
      snapshot: () => run.snapshot(),
    };
  }

  private async epochEnd(epoch: number, bar: ProgressBar): Promise<void> {
    const { run, hooks, job } = this;
    const trained = this.logs;
    const logs = { ...trained };
    this.logs = logs;
    if (this.validation && validatesAfter(epoch, job.options.validationFreq)) {
      const measured = await this.validate(this.validation);
      for (const [name, value] of Object.entries(measured)) logs[`val_${name}`] = value;
    }
    const done = run.batch;
    const before = { ...logs };
    run.history.add(epoch, before);
    run.epoch = epoch + 1;
    run.batch = 0;
    await hooks.epochEnd(epoch, logs, () => run.history.amend(before, logs));
    // What the hooks added comes last, as they added it.
    const measured = Object.fromEntries(Object.entries(before).filter(([name]) => !Object.hasOwn(trained, name)));
    bar.update(done, { ...sorted(trained), ...sorted(measured), ...logs }, true);
  }

  private async validate(epochs: Epochs): Promise<Logs> {
    const { hooks, run, job } = this;
    await hooks.testBegin();
    // Every validation starts at the beginning, but for data that can be read once.
    if (!job.validation?.once) await epochs.close();
    const { logs, done } = await runEvaluate({
      session: job.session,
      next: epochs.begin(0).next,
      steps: null,
      where: `${job.where}: validationData`,
      signal: run.signal,
    });
    this.interrupt();
    await epochs.end(done);
    await hooks.testEnd(logs);
    return logs;
  }

  // ---- after

  async end(): Promise<History> {
    this.trainer?.useAverages();
    await this.hooks.trainEnd(this.logs);
    return this.run.history;
  }
}
