/** What `fit` returns. */

/** Values per epoch, in the order loss, metrics, then the same of the validation data with `val_` in front. */
export class History {
  /** Epochs that were run, counted from 0. */
  readonly epoch: number[] = [];
  /** By name; shorter than `epoch` where a value is not there after every epoch, as with `validationFreq`. */
  readonly history: Record<string, number[]> = {};
  /** By name: after which epochs, counted from 0, the values of `history` were measured. */
  readonly epochs: Record<string, number[]> = {};
  /** What `stop` was given; null: nobody stopped the training, or without saying why. */
  stopReason: string | null = null;

  add(epoch: number, logs: Readonly<Record<string, number>>): void {
    this.epoch.push(epoch);
    for (const [name, value] of Object.entries(logs)) this.append(name, value, epoch);
  }

  /** Takes over what hooks have changed or added in the logs of the last epoch. @param before the logs that were added */
  amend(before: Readonly<Record<string, number>>, logs: Readonly<Record<string, number>>): void {
    for (const [name, value] of Object.entries(logs)) {
      if (!Object.hasOwn(before, name)) this.append(name, value, this.epoch[this.epoch.length - 1]);
      else this.history[name][this.history[name].length - 1] = value;
    }
  }

  /** Goes on from the history of an interrupted run. */
  restore(saved: {
    readonly epoch: readonly number[];
    readonly history: Readonly<Record<string, readonly number[]>>;
    readonly epochs?: Readonly<Record<string, readonly number[]>>;
    readonly stopReason?: string | null;
  }): void {
    this.epoch.push(...saved.epoch);
    for (const [name, values] of Object.entries(saved.history)) {
      this.history[name] = [...values];
      this.epochs[name] = [...(saved.epochs?.[name] ?? saved.epoch.slice(0, values.length))];
    }
    this.stopReason = saved.stopReason ?? null;
  }

  private append(name: string, value: number, epoch: number): void {
    this.history[name] ??= [];
    this.history[name].push(value);
    this.epochs[name] ??= [];
    this.epochs[name].push(epoch);
  }
}
