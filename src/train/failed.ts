/** The error of a training that something went wrong in. */
import { UnrolledError } from '../core/errors.ts';
import { type AnomalyReport, NumericError } from './anomaly.ts';
import type { History } from './history.ts';

/**
 * A callback or the data threw, or the loss stopped being finite. The code is that of the cause, INTERRUPTED for a cause that is no error of
 * this library. The model holds the weights of the last finished step.
 */
export class TrainingFailed extends UnrolledError {
  /** The epoch in which it happened, counted from 0. */
  readonly epoch: number;
  /** Steps of this epoch that were done. */
  readonly batch: number;
  /** The last epoch that was finished, counted from 0; null: none. */
  readonly lastFinishedEpoch: number | null;
  /** Of the epochs that were finished. */
  readonly history: History;
  /** For NUMERIC, where it began. */
  readonly report: AnomalyReport | null;

  constructor(
    what: string,
    cause: unknown,
    place: { readonly epoch: number; readonly batch: number },
    history: History,
  ) {
    const last = history.epoch.length ? history.epoch[history.epoch.length - 1] : null;
    const where = place.batch
      ? `after batch ${place.batch} of epoch ${place.epoch + 1}`
      : last === null
        ? 'as they were at the start'
        : `at the end of epoch ${last + 1}`;
    const kept =
      `The model holds the weights ${where}; ` +
      `${last === null ? 'no epoch was finished' : `the last finished epoch is ${last + 1}, and \`history\` of this error has them`}.`;
    super(
      cause instanceof UnrolledError ? cause.code : 'INTERRUPTED',
      `${/[.!?]$/.test(what) ? what : `${what}.`} ${kept}`,
      { cause },
    );
    this.name = 'TrainingFailed';
    this.epoch = place.epoch;
    this.batch = place.batch;
    this.lastFinishedEpoch = last;
    this.history = history;
    this.report = cause instanceof NumericError ? cause.report : null;
  }
}
