/** Watching one number of the logs. Source: Keras 3, `keras/src/callbacks/monitor_callback.py`. */
import { fail } from '../../core/errors.ts';
import { choice, option } from '../../layers/options.ts';
import type { Direction, Logs, TrainedModel } from './callback.ts';
import { Warnings } from './notices.ts';

/** A number of epochs. */
export const count = (fallback: number) =>
  option<number>('a whole number from 0 on', (v) => Number.isSafeInteger(v) && (v as number) >= 0, fallback);

/** A value that others are held against. Nothing is better than NaN, so that it is none. */
export const reference = () =>
  option<number | null>('a number, or null', (v) => v === null || (typeof v === 'number' && !Number.isNaN(v)), null);

/** Whether a callback says what it does: 0 or 1. */
export const verbosity = () => option<0 | 1>('0 or 1', (v) => v === 0 || v === 1, 0);

/** Options of every callback that watches a number. */
export const monitorOptions = {
  /** The number's name in the logs: `loss`, a metric, `learning_rate`, or `val_` and the name. Default `val_loss`. */
  monitor: option<string>('a name in the logs', (v) => typeof v === 'string' && v.length > 0, 'val_loss'),
  /** Whether the number is to fall or to rise; `auto`: known from the metric. Default `auto`. */
  mode: choice(['auto', 'min', 'max'], 'auto'),
};

export interface MonitorSettings {
  readonly monitor: string;
  readonly mode: 'auto' | Direction;
  /** Smaller changes are no improvement. */
  readonly minDelta?: number;
}

export class Monitor {
  readonly name: string;
  private readonly minDelta: number;
  private readonly owner: string;
  private readonly warnings = new Warnings();
  private direction: Direction | null;

  /** @param owner the callback, for messages */
  constructor({ monitor, mode, minDelta = 0 }: MonitorSettings, owner: string) {
    this.name = monitor;
    this.minDelta = Math.abs(minDelta);
    this.owner = owner;
    this.direction = mode === 'auto' ? null : mode;
  }

  /** Finds out which values are better. Throws ARGUMENT where `auto` cannot tell. */
  prepare(model: TrainedModel): void {
    if (this.direction !== null) return;
    const metric = this.name.replace(/^val_/, '');
    if (metric === 'loss') this.direction = 'min';
    if (this.direction !== null) return;
    const directions = model.metricDirections();
    // One of several values of a metric has a number behind the name.
    this.direction = directions[metric] ?? directions[metric.replace(/_\d+$/, '')] ?? null;
    if (this.direction !== null) return;
    const known = Object.keys(directions).filter((name) => directions[name] !== null);
    fail(
      'ARGUMENT',
      `${this.owner}.monitor`,
      `one of ${known.join(', ')}, or ${known.length > 1 ? 'these' : 'this'} with val_ in front, or a \`mode\``,
      `'${this.name}', of which it is not known whether more or less is better`,
      "Pass `mode: 'max'` if it is to rise, `mode: 'min'` if it is to fall.",
    );
  }

  /**
   * The number; null, with a warning that names those that there are, where the logs do not have it.
   *
   * @param without what the warning begins with
   */
  value(logs: Logs, model: TrainedModel, without: string): number | null {
    this.prepare(model);
    const value = logs[this.name];
    if (value !== undefined) return value;
    this.warnings.warn(`${without} Available metrics are: ${Object.keys(logs).join(',')}.`);
    return null;
  }

  /** Whether a value is better than another by more than `minDelta`; null: there is none yet. Compared as float32, as Keras does. */
  improves(value: number, reference: number | null): boolean {
    if (reference === null) return true;
    return this.direction === 'min'
      ? Math.fround(value + this.minDelta) < Math.fround(reference)
      : Math.fround(value - this.minDelta) > Math.fround(reference);
  }
}
