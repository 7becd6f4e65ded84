/**
 * Progress as Keras prints it: a bar of 20 that is redrawn (verbose 1), or one line an epoch (verbose 2). Metrics have four decimals, or
 * exponent form at 1e-3 and below. Where a line cannot be redrawn, as in a file, the bar is a line of its own at the end and every ten seconds
 * before, without colours. Source: Keras 3, `keras/src/utils/progbar.py`.
 */
import { exponential, fixed } from './decimals.ts';

const barWidth = 20;
/** Seconds between two redraws. */
const interval = 0.05;
/** Seconds between two lines where nothing can be redrawn. */
const plainInterval = 10;

/** Where progress goes. */
export interface ProgressWriter {
  write(text: string): void;
  /** Whether a line can be redrawn. */
  readonly dynamic: boolean;
  /** Width of a line that can be redrawn; missing: it has no end. */
  readonly columns?: number;
}

export interface ProgressOptions extends ProgressWriter {
  /** Number of steps; null: not known before the end. */
  readonly target: number | null;
  readonly verbose: 0 | 1 | 2;
  /** Seconds. */
  now(): number;
}

/** `0.1250`, `9.8000e-04`. */
export function formatMetric(value: number, signed = true): string {
  const size = signed ? Math.abs(value) : value;
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  return size > 1e-3 ? fixed(value, 4) : exponential(value, 4);
}

/** ` 12ms/step`. */
export function formatStepTime(seconds: number): string {
  if (seconds >= 1 || seconds === 0) return ` ${fixed(seconds, 0)}s/step`;
  return seconds >= 1e-3 ? ` ${fixed(seconds * 1e3, 0)}ms/step` : ` ${fixed(seconds * 1e6, 0)}us/step`;
}

function formatEta(seconds: number): string {
  const two = (n: number) => String(Math.floor(n)).padStart(2, '0');
  if (seconds > 3600) return `${Math.floor(seconds / 3600)}:${two((seconds % 3600) / 60)}:${two(seconds % 60)}`;
  return seconds > 60 ? `${Math.floor(seconds / 60)}:${two(seconds % 60)}` : `${Math.floor(seconds)}s`;
}

type Metrics = Readonly<Record<string, number>>;

/** The bar of one epoch. */
export class ProgressBar {
  private readonly options: ProgressOptions;
  private readonly start: number;
  private target: number | null;
  private lastDraw: number;
  private afterFirst: number | null = null;
  private lastWidth = 0;

  constructor(options: ProgressOptions) {
    this.options = options;
    this.target = options.target;
    this.start = options.now();
    this.lastDraw = options.dynamic ? 0 : this.start;
  }

  /**
   * @param current steps so far
   * @param logs averages so far, in the order in which they are shown
   * @param finalize whether it is the last one. Default: when the target is reached
   */
  update(current: number, logs: Metrics, finalize = this.target !== null && current >= this.target): void {
    const { verbose, dynamic } = this.options;
    if (finalize) this.target ??= current;
    const now = this.options.now();
    const perStep = this.stepTime(current, now);
    if (verbose === 1) {
      if (now - this.lastDraw < (dynamic ? interval : plainInterval) && !finalize) return;
      this.lastDraw = now;
      if (dynamic) this.redraw(current, logs, now, perStep, finalize);
      else this.options.write(`${this.text(current, logs, now, perStep, finalize, false)}\n`);
    } else if (verbose === 2 && finalize && this.target) {
      const count = `${String(current).padStart(String(this.target).length)}/${this.target}`;
      const metrics = Object.entries(logs).map(([key, value]) => ` - ${key}: ${formatMetric(value, false)}`);
      const time = `${fixed(now - this.start, 0)}s -${formatStepTime(perStep)}`;
      this.options.write(`${count} - ${time}${metrics.join('')}\n`);
    }
  }

  private redraw(current: number, logs: Metrics, now: number, perStep: number, finalize: boolean): void {
    const { columns } = this.options;
    let text = this.text(current, logs, now, perStep, finalize, true);
    let width = visible(text).length;
    // A line that is longer than the terminal could not be taken back.
    if (columns !== undefined && width >= columns && !finalize) {
      text = cut(text, columns - 1);
      width = columns - 1;
    }
    const cover = ' '.repeat(Math.max(0, this.lastWidth - width));
    this.options.write(`${'\b'.repeat(this.lastWidth)}\r${text}${cover}${finalize ? '\n' : ''}`);
    this.lastWidth = width;
  }

  private text(
    current: number,
    logs: Metrics,
    now: number,
    perStep: number,
    finalize: boolean,
    coloured: boolean,
  ): string {
    const { target } = this;
    const paint = (code: number, text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);
    const rule = (n: number) => '━'.repeat(n);
    let bar = `${String(current).padStart(7)}/Unknown`;
    if (target) {
      const filled = Math.min(barWidth, Math.floor((barWidth * current) / target));
      const done = filled > 0 ? paint(32, rule(filled)) : '';
      const count = `${String(current).padStart(String(target).length)}/${target}`;
      const open = coloured ? paint(37, rule(barWidth - filled)) : '─'.repeat(barWidth - filled);
      bar = `${paint(1, count)} ${done}${open}`;
    }
    const time = target && !finalize ? formatEta(perStep * (target - current)) : `${fixed(now - this.start, 0)}s`;
    const metrics = Object.entries(logs).map(([key, value]) => ` - ${key}: ${formatMetric(value)}`);
    return `${bar} ${paint(1, time)}${formatStepTime(perStep)}${metrics.join('')}`;
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

// biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of a terminal
const colour = /\x1b\[\d+m/g;

const visible = (text: string): string => text.replace(colour, '');

/** The first so many characters, colours not counted. */
function cut(text: string, width: number): string {
  let left = width;
  // Split at the colours, which stand at the odd places.
  const parts = text.split(new RegExp(`(${colour.source})`)).map((part, i) => {
    const own = i % 2 ? part : part.slice(0, left);
    if (i % 2 === 0) left -= own.length;
    return own;
  });
  return parts.join('');
}

/** Where progress goes in this process: the standard output of Node, the console of a browser. */
export function processWriter(): ProgressWriter & { readonly terminal: boolean } {
  if (typeof process !== 'undefined' && process.stdout?.write) {
    const terminal = process.stdout.isTTY === true;
    return {
      write: (text) => void process.stdout.write(text),
      dynamic: terminal,
      terminal,
      ...(terminal ? { columns: process.stdout.columns } : {}),
    };
  }
  return { write: (text) => console.log(text.trim()), dynamic: false, terminal: false };
}
