/** What `test/golden/callbacks.py` recorded of Keras. */
import { readFileSync } from 'node:fs';
import type { StoredNumber } from './recorder.ts';

type Logs = Record<string, StoredNumber>;
type Options = Record<string, unknown>;

export interface GoldenCallbacks {
  early_stopping: {
    options: Options;
    logs: Logs[];
    steps: [best: StoredNumber, wait: number, bestEpoch: number, stop: boolean][];
    stopped: number;
    set_to: number | null;
    said: string;
  }[];
  reduce_lr: {
    options: Options;
    logs: Logs[];
    steps: [best: StoredNumber, wait: number, before: number, after: number][];
  }[];
  checkpoint: {
    options: Options & { filepath: string };
    logs: Logs[];
    batch_logs: Logs[][];
    saved: string[];
    best: StoredNumber;
    said: string;
  }[];
  csv: { separator: string; append: boolean; runs: Logs[][]; text: string }[];
  formats: [value: number, whole: boolean, specification: string, text: string][];
  progress: {
    target: number | null;
    verbose: 1 | 2;
    steps: { time: number; current: number; logs: Record<string, number>; finalize: boolean; said: string }[];
  }[];
}

export const golden = JSON.parse(
  readFileSync(new URL('../../golden/callbacks.json', import.meta.url), 'utf8'),
) as GoldenCallbacks;
