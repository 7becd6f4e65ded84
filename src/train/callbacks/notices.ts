/** What callbacks say: messages where progress is written, warnings on the console. */
import { processWriter } from '../progress.ts';
import type { TrainingRun } from './callback.ts';

/** One line, where the progress of the run is written. */
export function say(run: TrainingRun, message: string): void {
  (run.write ?? processWriter().write)(`${message}\n`);
}

/** Each text once in an object's life. */
export class Warnings {
  private readonly given = new Set<string>();

  warn(text: string): void {
    if (this.given.has(text)) return;
    this.given.add(text);
    console.warn(text);
  }
}
