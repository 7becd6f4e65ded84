/** Averages of an epoch from the results of its steps: the loss weighted by samples, metrics by their counts. */
import type { Result } from '../engine/compile.ts';
import { resultOf } from './steps.ts';

export class Averages {
  private readonly names: readonly string[];
  private readonly totals: Float64Array;
  private readonly counts: Float64Array;
  private loss = 0;
  private samples = 0;

  constructor(names: readonly string[]) {
    this.names = names;
    this.totals = new Float64Array(this.names.length);
    this.counts = new Float64Array(this.names.length);
  }

  add(result: Result, samples: number): void {
    this.loss += resultOf(result, 'loss')[0] * samples;
    this.samples += samples;
    this.names.forEach((name, i) => {
      this.totals[i] += resultOf(result, `total/${name}`)[0];
      this.counts[i] += resultOf(result, `count/${name}`)[0];
    });
  }

  /** `loss`, then the metrics in the order of `compile`. */
  logs(): Record<string, number> {
    const logs: Record<string, number> = { loss: this.samples ? this.loss / this.samples : 0 };
    this.names.forEach((name, i) => {
      logs[name] = this.counts[i] ? this.totals[i] / this.counts[i] : 0;
    });
    return logs;
  }
}
