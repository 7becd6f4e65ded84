/** The callbacks of a run: who is called when, in which order, and what a hook that throws is told as. */
import type { Callback, EpochLogs, Logs, TrainingRun } from './callbacks/callback.ts';

/** A hook threw. */
export class HookFailure extends Error {
  constructor(callback: Callback, place: number, hook: string, cause: unknown) {
    const name = callback.name ? `'${callback.name}'` : `number ${place + 1}`;
    super(`fit: ${hook} of callback ${name} threw: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

interface Listener {
  readonly callback: Callback;
  readonly place: number;
}

const listens = ({ onBatchBegin, onBatchEnd }: Callback) => onBatchBegin !== undefined || onBatchEnd !== undefined;

export class Hooks {
  private readonly all: readonly Listener[];
  private readonly last: readonly Listener[];
  private readonly listeners: readonly Listener[];
  private readonly run: TrainingRun;
  /** Steps since the batch hooks of a callback were called last, by its place. */
  private readonly since: number[];
  private begun = false;

  constructor(callbacks: readonly Callback[], run: TrainingRun) {
    const placed = callbacks.map((callback, place) => ({ callback, place }));
    this.all = placed.filter(({ callback }) => !callback.last);
    this.last = placed.filter(({ callback }) => callback.last);
    this.listeners = [...this.all, ...this.last].filter(({ callback }) => listens(callback));
    this.run = run;
    this.since = callbacks.map(() => 0);
  }

  private async each(
    listeners: readonly Listener[],
    hook: string,
    call: (callback: Callback) => void | Promise<void>,
  ): Promise<void> {
    for (const { callback, place } of listeners) {
      try {
        await call(callback);
      } catch (error) {
        throw new HookFailure(callback, place, hook, error);
      }
    }
  }

  private everyone(hook: string, call: (callback: Callback) => void | Promise<void>): Promise<void> {
    return this.each([...this.all, ...this.last], hook, call);
  }

  trainBegin(): Promise<void> {
    this.begun = true;
    return this.everyone('onTrainBegin', (c) => c.onTrainBegin?.(this.run));
  }

  trainEnd(logs: Logs): Promise<void> {
    return this.everyone('onTrainEnd', (c) => c.onTrainEnd?.(logs, this.run));
  }

  /** The first error is the one that is told. Those who have not heard of a beginning do not hear of the end. */
  async trainError(error: unknown): Promise<void> {
    if (!this.begun) return;
    for (const { callback } of [...this.all, ...this.last])
      try {
        await callback.onTrainError?.(error, this.run);
      } catch {
        // That of the training goes on its way.
      }
  }

  epochBegin(epoch: number): Promise<void> {
    this.since.fill(0);
    return this.everyone('onEpochBegin', (c) => c.onEpochBegin?.(epoch, this.run));
  }

  /** @param between called before the callbacks that come last */
  async epochEnd(epoch: number, logs: EpochLogs, between: () => void): Promise<void> {
    await this.each(this.all, 'onEpochEnd', (c) => c.onEpochEnd?.(epoch, logs, this.run));
    between();
    await this.each(this.last, 'onEpochEnd', (c) => c.onEpochEnd?.(epoch, logs, this.run));
  }

  testBegin(): Promise<void> {
    return this.everyone('onTestBegin', (c) => c.onTestBegin?.(this.run));
  }

  testEnd(logs: Logs): Promise<void> {
    return this.everyone('onTestEnd', (c) => c.onTestEnd?.(logs, this.run));
  }

  nonFinite(batch: number, loss: number): Promise<void> {
    return this.everyone('onNonFinite', (c) => c.onNonFinite?.(batch, loss, this.run));
  }

  /**
   * Steps until somebody has to be called; infinite where nobody listens. Those that will be called for steps on their way are taken to want
   * as many again.
   *
   * @param onTheirWay steps that run, and have not been counted yet
   */
  stepsToNext(onTheirWay = 0): number {
    const after = (own: Listener) => {
      const left = this.left(own);
      return left > onTheirWay ? left - onTheirWay : Math.max(1, own.callback.batchFrequency ?? 1);
    };
    return this.listeners.reduce((least, own) => Math.min(least, after(own)), Number.POSITIVE_INFINITY);
  }

  private left({ callback, place }: Listener): number {
    return Math.max(1, (callback.batchFrequency ?? 1) - this.since[place]);
  }

  /** Whether somebody is called at every step, and may change what the next one finds. */
  get everyStep(): boolean {
    return this.listeners.some(({ callback }) => (callback.batchFrequency ?? 1) <= 1);
  }

  batchBegin(batch: number): Promise<void> {
    const due = this.listeners.filter(({ place }) => this.since[place] === 0);
    return this.each(due, 'onBatchBegin', (c) => c.onBatchBegin?.(batch, this.run));
  }

  /** After a hand-over. @param batch index of its last step */
  batchEnd(batch: number, steps: number, logs: Logs): Promise<void> {
    const due = this.listeners.filter((own) => this.left(own) <= steps);
    for (const { place } of this.listeners) this.since[place] += steps;
    return this.callBatchEnd(due, batch, logs);
  }

  /** After the last step of an epoch: those that have not heard of it. */
  batchesEnd(batch: number, logs: Logs): Promise<void> {
    return this.callBatchEnd(
      this.listeners.filter(({ place }) => this.since[place] > 0),
      batch,
      logs,
    );
  }

  private callBatchEnd(due: readonly Listener[], batch: number, logs: Logs): Promise<void> {
    // All of them first: what one of them saves says of all that they have been called.
    for (const { place } of due) this.since[place] = 0;
    return this.each(due, 'onBatchEnd', (c) => c.onBatchEnd?.(batch, logs, this.run));
  }

  /** What the callbacks keep, by their place in the list. */
  states(): CallbackState[] {
    return [...this.all, ...this.last]
      .sort((a, b) => a.place - b.place)
      .map(({ callback, place }) => ({
        name: callback.name ?? null,
        since: this.since[place],
        ...(callback.state ? { state: callback.state() } : {}),
      }));
  }

  /** Gives back what `states` gave: to the callback at the same place, or the only one of the same name. */
  restore(states: readonly CallbackState[]): void {
    for (const { callback, place } of [...this.all, ...this.last]) {
      const name = callback.name ?? null;
      const named = states.filter((own) => own.name === name);
      const own = states[place]?.name === name ? states[place] : named.length === 1 ? named[0] : undefined;
      if (!own) continue;
      this.since[place] = own.since;
      if (!('state' in own) || !callback.restore) continue;
      try {
        callback.restore(own.state);
      } catch (error) {
        throw new HookFailure(callback, place, 'restore', error);
      }
    }
  }
}

/** What is saved of a callback. */
export interface CallbackState {
  readonly name: string | null;
  /** Steps since its batch hooks were called. */
  readonly since: number;
  /** Missing: it has none. */
  readonly state?: unknown;
}
