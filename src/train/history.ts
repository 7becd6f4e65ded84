/** What `fit` returns. */

/** Values per epoch, in the order loss, metrics, then the same of the validation data with `val_` in front. */
export class History {
  /** Epochs that were run, counted from 0. */
  readonly epoch: number[] = [];
  readonly history: Record<string, number[]> = {};

  add(epoch: number, logs: Readonly<Record<string, number>>): void {
    this.epoch.push(epoch);
    for (const [name, value] of Object.entries(logs)) {
      this.history[name] ??= [];
      this.history[name].push(value);
    }
  }
}
