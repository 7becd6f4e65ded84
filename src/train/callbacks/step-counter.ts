/** For callbacks that do something every so many steps, counted over the epochs; how many were handed over together makes no difference. */
import { option } from '../../layers/options.ts';
import type { Callback, Logs, TrainingRun } from './callback.ts';
import { checkState } from './state.ts';

/** How often: after every epoch, or after so many steps. */
export const stepFrequency = () =>
  option<'epoch' | number>(
    "'epoch' or a positive number of steps",
    (v) => v === 'epoch' || (Number.isSafeInteger(v) && (v as number) > 0),
    'epoch',
  );

interface State {
  readonly since: number;
  readonly total: number;
  readonly epoch: number;
  readonly lastBatch: number | null;
}

export class StepCounter {
  private readonly frequency: number;
  private since = 0;
  private steps = 0;
  private lastBatch: number | null = null;
  private now = 0;
  private restored = false;

  constructor(frequency: number) {
    this.frequency = frequency;
  }

  /** The epoch that runs, counted from 0. */
  get current(): number {
    return this.now;
  }

  /** Steps so far. */
  get total(): number {
    return this.steps;
  }

  /** Begins to count anew. A counter that was just restored goes on. */
  begin(): void {
    if (this.restored) return;
    this.since = 0;
    this.steps = 0;
    this.lastBatch = null;
  }

  epoch(epoch: number): void {
    // A run that is resumed within an epoch goes on counting.
    if (!this.restored || epoch !== this.now) this.lastBatch = null;
    this.restored = false;
    this.now = epoch;
  }

  /** Counts up to a batch of this epoch; whether so many steps are full. */
  add(batch: number): boolean {
    const more = this.lastBatch === null || batch <= this.lastBatch ? batch + 1 : batch - this.lastBatch;
    this.since += more;
    this.steps += more;
    this.lastBatch = batch;
    this.restored = false;
    if (this.since < this.frequency) return false;
    this.since = 0;
    return true;
  }

  /** The callback with batch hooks that run `act` every so many steps. */
  listen<C extends Callback>(
    callback: C,
    act: (batch: number, logs: Logs, run: TrainingRun) => void | Promise<void>,
  ): C {
    const counter = this;
    const hooks = {
      get batchFrequency() {
        return counter.frequency - counter.since;
      },
      async onBatchEnd(batch: number, logs: Logs, run: TrainingRun) {
        if (counter.add(batch)) await act(batch, logs, run);
      },
    };
    return Object.defineProperties(callback, Object.getOwnPropertyDescriptors(hooks));
  }

  state(): State {
    return { since: this.since, total: this.steps, epoch: this.now, lastBatch: this.lastBatch };
  }

  restore(state: unknown): void {
    const kept = checkState<State>(state, ['since', 'total', 'epoch', 'lastBatch'], 'steps');
    this.since = kept.since;
    this.steps = kept.total;
    this.now = kept.epoch;
    this.lastBatch = kept.lastBatch;
    this.restored = true;
  }
}
