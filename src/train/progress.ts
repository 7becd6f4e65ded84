/**
 * Progress as Keras prints it: a bar of 20 that is redrawn (verbose 1), or one line an epoch (verbose 2). Metrics have four decimals, or
 * exponent form at 1e-3 and below. Source: Keras 3, `keras/src/utils/progbar.py`.
 */

const barWidth = 20;
/** Seconds between two redraws. */
const interval = 0.05;

export interface ProgressOptions {
  /** Number of steps. */
  readonly target: number;
  readonly verbose: 0 | 1 | 2;
  /** Whether the line can be redrawn; else each state is a line of its own. */
  readonly dynamic: boolean;
  write(text: string): void;
  /** Seconds. */
  now(): number;
}

/** `0.1250`, `9.8000e-04`. */
export function formatMetric(value: number, signed = true): string {
  const size = signed ? Math.abs(value) : value;
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  return size > 1e-3 ? value.toFixed(4) : exponent(value);
}

/** Python's `%.4e`: at least two digits of exponent. */
function exponent(value: number): string {
  return value.toExponential(4).replace(/e([+-])(\d)$/, 'e$10$2');
}

/** ` 12ms/step`. */
export function formatStepTime(seconds: number): string {
  if (seconds >= 1 || seconds === 0) return ` ${seconds.toFixed(0)}s/step`;
  return seconds >= 1e-3 ? ` ${(seconds * 1e3).toFixed(0)}ms/step` : ` ${(seconds * 1e6).toFixed(0)}us/step`;
}

function formatEta(seconds: number): string {
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0');
  if (seconds > 3600) return `${Math.floor(seconds / 3600)}:${two((seconds % 3600) / 60)}:${two(seconds % 60)}`;
  return seconds > 60 ? `${Math.floor(seconds / 60)}:${two(seconds % 60)}` : `${Math.floor(seconds)}s`;
}

/** The bar of one epoch. */
export class ProgressBar {
  private readonly options: ProgressOptions;
  private readonly start: number;
  private lastDraw = 0;
  private afterFirst: number | null = null;
  private lastWidth = 0;

  constructor(options: ProgressOptions) {
    this.options = options;
    this.start = options.now();
  }

  /** @param logs averages so far, in the order in which they are shown */
  update(current: number, logs: Readonly<Record<string, number>>, finalize = current >= this.options.target): void {
    const { verbose, target } = this.options;
    const now = this.options.now();
    const perStep = this.stepTime(current, now);
    const digits = String(target).length;
    const count = `${String(current).padStart(digits)}/${target}`;
    if (verbose === 1) {
      if (now - this.lastDraw < interval && !finalize) return;
      this.draw(count, current, logs, now, perStep, finalize);
      this.lastDraw = now;
    } else if (verbose === 2 && finalize) {
      const metrics = Object.entries(logs).map(([key, value]) => ` - ${key}: ${formatMetric(value, false)}`);
      this.options.write(
        `${count} - ${(now - this.start).toFixed(0)}s -${formatStepTime(perStep)}${metrics.join('')}\n`,
      );
    }
  }

  private draw(
    count: string,
    current: number,
    logs: Readonly<Record<string, number>>,
    now: number,
    perStep: number,
    finalize: boolean,
  ): void {
    const { target, dynamic } = this.options;
    const filled = Math.floor((barWidth * current) / Math.max(1, target));
    const rule = (n: number) => '━'.repeat(n);
    const bar = `\x1b[1m${count}\x1b[0m ${filled > 0 ? `\x1b[32m${rule(filled)}\x1b[0m` : ''}\x1b[37m${rule(barWidth - filled)}\x1b[0m`;
    const time = finalize ? `${(now - this.start).toFixed(0)}s` : formatEta(perStep * (target - current));
    const metrics = Object.entries(logs).map(([key, value]) => ` - ${key}: ${formatMetric(value)}`);
    const info = ` \x1b[1m${time}\x1b[0m${formatStepTime(perStep)}${metrics.join('')}`;
    const width = count.length + 1 + barWidth + info.length - 8;
    const back = dynamic ? `${'\b'.repeat(this.lastWidth)}\r` : '\n';
    const cover = ' '.repeat(Math.max(0, this.lastWidth - width));
    this.options.write(`${back}${bar}${info}${cover}${finalize ? '\n' : ''}`);
    this.lastWidth = width;
  }

  /** Seconds per step, without the first one, which holds the compilation. */
  private stepTime(current: number, now: number): number {
    if (!current) return 0;
    const time =
      this.afterFirst !== null && current > 1 ? (now - this.afterFirst) / (current - 1) : (now - this.start) / current;
    if (current === 1) this.afterFirst = now;
    return time;
  }
}

/** Where progress goes in this process: the standard output of Node, the console of a browser. */
export function processWriter(): { write(text: string): void; dynamic: boolean; terminal: boolean } {
  if (typeof process !== 'undefined' && process.stdout?.write)
    return { write: (text) => void process.stdout.write(text), dynamic: true, terminal: process.stdout.isTTY === true };
  return { write: (text) => console.log(text.trim()), dynamic: false, terminal: false };
}
