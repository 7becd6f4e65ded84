/** The error of a training that was stopped by its AbortSignal. */
import { UnrolledError } from '../core/errors.ts';
import type { History } from './history.ts';

/** Code INTERRUPTED. The model holds the weights after the last step that ran; nothing is lost. */
export class TrainingInterrupted extends UnrolledError {
  /** The last epoch that was finished, counted from 0; null: none. */
  readonly lastFinishedEpoch: number | null;
  readonly history: History;

  constructor(epoch: number, batch: number, history: History, cause: unknown) {
    const last = history.epoch.length ? history.epoch[history.epoch.length - 1] : null;
    const finished = last === null ? 'no epoch was finished' : `the last finished epoch is ${last + 1}`;
    super(
      'INTERRUPTED',
      `fit: stopped in epoch ${epoch + 1} after batch ${batch}; ${finished}. The model holds the weights of the last step.`,
      { cause },
    );
    this.name = 'TrainingInterrupted';
    this.lastFinishedEpoch = last;
    this.history = history;
  }
}
