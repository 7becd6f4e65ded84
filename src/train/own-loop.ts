/** Training as a loop of one's own. */
import type { History } from './history.ts';
import { type TrainingStep, trainingLoop } from './loop.ts';
import type { TrainingJob } from './run.ts';

/**
 * The steps of a training, one after the other; each runs when the loop asks for it. Leaving the loop (break, return, an error of one's own)
 * ends the training after the last step; the model holds its weights and is free again.
 *
 * @example
 * for await (const step of model.train(x, y, { epochs: 10 })) {
 *   if (step.logs.accuracy > 0.95) break;
 * }
 */
export class TrainingSteps implements AsyncIterable<TrainingStep> {
  private readonly job: TrainingJob;
  private finished: History | null = null;
  private last: TrainingStep | null = null;

  constructor(job: TrainingJob) {
    this.job = job;
  }

  /** Of the epochs that are finished; null before the first step. */
  get history(): History | null {
    return this.finished ?? this.last?.history ?? null;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TrainingStep, History> {
    const steps = trainingLoop(this.job);
    let ended = false;
    try {
      for (;;) {
        const { done, value } = await steps.next();
        if (done) {
          ended = true;
          this.finished = value;
          return value;
        }
        this.last = value;
        yield value;
      }
    } finally {
      if (!ended) await steps.return(undefined as never);
    }
  }
}
