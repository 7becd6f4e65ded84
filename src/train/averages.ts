/**
 * The numbers of an epoch from the results of its steps: the loss weighted by samples, metrics out of the totals that their steps add up.
 * Everything is kept in float64, so the order of magnitude of an epoch does not matter.
 */
import { fail } from '../core/errors.ts';
import type { Result } from '../engine/compile.ts';
import type { Reported } from './compilation.ts';
import { resultOf, totalKey } from './steps.ts';

/** What exact resume keeps of a half-done epoch: plain JSON. */
export interface AveragesState {
  readonly loss: number;
  readonly samples: number;
  /** Totals of every metric, by its name. */
  readonly totals: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>;
}

export class Averages {
  private readonly reported: readonly Reported[];
  private readonly totals: readonly Record<string, Float64Array>[];
  private loss = 0;
  private samples = 0;

  constructor(reported: readonly Reported[]) {
    this.reported = reported;
    this.totals = reported.map(() => ({}));
  }

  add(result: Result, samples: number): void {
    this.loss += resultOf(result, 'loss')[0] * samples;
    this.samples += samples;
    this.reported.forEach(({ name }, i) => {
      const sums = this.totals[i];
      if (!Object.keys(sums).length) this.prepare(sums, name, result);
      for (const key of Object.keys(sums)) {
        const values = resultOf(result, totalKey(name, key));
        for (let k = 0; k < values.length; k++) sums[key][k] += values[k];
      }
    });
  }

  /** Room for the totals of a metric, which are known from its first step. */
  private prepare(sums: Record<string, Float64Array>, name: string, result: Result): void {
    const start = totalKey(name, '');
    // A name with a slash in it may begin with another one.
    for (const [key, values] of Object.entries(result))
      if (key.startsWith(start) && !key.includes('/', start.length))
        sums[key.slice(start.length)] = new Float64Array(values.length);
  }

  /** `loss`, then the metrics in the order of `compile`. One that has several values is `name_0`, `name_1` and so on. */
  logs(): Record<string, number> {
    const logs: Record<string, number> = { loss: this.samples ? this.loss / this.samples : 0 };
    this.reported.forEach(({ name, result }, i) => {
      if (!Object.keys(this.totals[i]).length) return;
      const value = result(this.totals[i]);
      if (typeof value === 'number') logs[name] = value;
      else
        value.forEach((one, k) => {
          logs[`${name}_${k}`] = one;
        });
    });
    return logs;
  }

  /** What has been added so far, to go on with `restore` in another process. */
  state(): AveragesState {
    const totals = this.reported.map(({ name }, i) => [
      name,
      Object.fromEntries(Object.entries(this.totals[i]).map(([key, sums]) => [key, Array.from(sums)])),
    ]);
    return { loss: this.loss, samples: this.samples, totals: Object.fromEntries(totals) };
  }

  /** Goes on from a state. Throws STATE where the metrics are others. */
  restore({ loss, samples, totals }: AveragesState): void {
    const names = this.reported.map(({ name }) => name);
    const given = Object.keys(totals);
    if (given.length !== names.length || names.some((name) => !given.includes(name)))
      fail('STATE', 'averages: restore', `totals of ${names.join(', ') || 'no metric'}`, given.join(', ') || 'none');
    this.loss = loss;
    this.samples = samples;
    names.forEach((name, i) => {
      for (const [key, sums] of Object.entries(totals[name])) this.totals[i][key] = Float64Array.from(sums);
    });
  }
}
