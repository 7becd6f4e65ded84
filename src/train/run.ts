/** A run of training: what it works on, where it stands, and its snapshot. */
import { fail } from '../core/errors.ts';
import type { NumericError } from './anomaly.ts';
import type { Averages } from './averages.ts';
import type { ReadyBatch } from './batches.ts';
import type { TrainedModel, TrainingRun } from './callbacks/callback.ts';
import type { FitOptions } from './fit.ts';
import { History } from './history.ts';
import type { Hooks } from './hooks.ts';
import type { Inspection } from './inspect.ts';
import { type InspectBatchOptions, inspectBatch } from './inspect-batch.ts';
import type { Network } from './network.ts';
import { valuesOf } from './resume.ts';
import type { Session } from './session.ts';
import { type DataSettings, encodeSnapshot, type RunPosition } from './snapshot.ts';
import type { BatchSource, Epochs } from './source.ts';
import type { Counters } from './trainer.ts';

/** What a run works on. */
export interface TrainingJob {
  /** `fit`, `train`: for messages. */
  readonly where: string;
  readonly model: TrainedModel;
  readonly seed: number;
  /** Its class. */
  readonly optimizer: string;
  readonly session: Session;
  readonly counters: Counters;
  /** Known when the first batch is there. */
  readonly network: () => Network;
  readonly training: BatchSource;
  readonly validation: BatchSource | null;
  readonly data: DataSettings;
  readonly options: FitOptions;
  /** Whether each step is yielded, before the next one is asked for. */
  readonly everyStep: boolean;
}

/** The run as hooks see it, and what it knows of itself. */
export class Run implements TrainingRun {
  readonly model: TrainedModel;
  readonly epochs: number;
  readonly signal?: AbortSignal;
  readonly write: (text: string) => void;
  readonly history = new History();
  private readonly job: TrainingJob;
  private readonly batches: Epochs;
  private readonly validations: Epochs | null;
  epoch = 0;
  batch = 0;
  stopped = false;
  averages: Averages | null = null;
  /** Of the last step. */
  latest: ReadyBatch | null = null;
  hooks: Hooks | null = null;
  /** Looks where the step that is not finite went wrong, once. Null: all are finite. */
  findNonFinite: (() => Promise<NumericError>) | null = null;

  constructor(job: TrainingJob, batches: Epochs, validations: Epochs | null, write: (text: string) => void) {
    this.job = job;
    this.model = job.model;
    this.epochs = job.options.epochs ?? 1;
    this.signal = job.options.signal;
    this.write = write;
    this.batches = batches;
    this.validations = validations;
  }

  get steps(): number | null {
    return this.batches.steps;
  }

  stop(reason?: string): void {
    this.stopped = true;
    if (reason !== undefined) this.history.stopReason = reason;
  }

  inspect(options: InspectBatchOptions = {}): Promise<Inspection> {
    return inspectBatch(this.job.session, this.latest, options);
  }

  nonFinite(): Promise<NumericError> {
    if (!this.findNonFinite)
      fail('STATE', 'run.nonFinite', 'a step that is not finite', 'none', 'Call it in onNonFinite.');
    return this.findNonFinite();
  }

  private position(): RunPosition {
    const { epoch, batch, stopped } = this;
    const pass = batch > 0 ? this.batches.within(batch) : this.batches.between();
    const validation = this.job.validation?.once ? (this.validations?.between() ?? null) : null;
    return { epoch, batch, pass, validation, stopped };
  }

  snapshot(): Uint8Array {
    const { session, counters, seed, data } = this.job;
    return encodeSnapshot({
      seed,
      optimizer: this.job.optimizer,
      counters: { ...counters },
      stateRows: session.stateRows,
      position: this.position(),
      data,
      averages: this.batch > 0 ? (this.averages?.state() ?? null) : null,
      history: { ...this.history },
      callbacks: this.hooks?.states() ?? [],
      values: valuesOf(session),
    });
  }
}
