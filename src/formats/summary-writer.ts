/** Event files for TensorBoard from a loop of one's own. */
import { fail } from '../core/errors.ts';
import { EventFile } from './tensorboard.ts';

/** Numbers of any shape: an array of this library, a typed array, a list. */
export type SummaryValues = ArrayLike<number> | { readonly data: ArrayLike<number> };

export interface SummaryWriter {
  /** A point of a curve. */
  scalar(tag: string, value: number, step: number): void;
  /** How values are spread, in 30 buckets; those that are not finite are left out. */
  histogram(tag: string, values: SummaryValues, step: number): void;
  /** A text, shown as Markdown. */
  text(tag: string, markdown: string, step: number): void;
  /** Waits until all is written. Throws IO where the disk refuses. */
  flush(): Promise<void>;
  /** Writes the rest and closes the file. */
  close(): Promise<void>;
}

/** Events that are kept before they are written without being asked to. */
const pendingLimit = 1000;

/**
 * Writes one event file in a folder, which TensorBoard shows as a run. What is written can be seen after `flush`, which also happens by itself
 * every thousand events. The file is made with the first of them.
 *
 * Errors: ARGUMENT for a tag that is empty or a step that is no whole number; STATE after `close`; IO, at `flush` and `close`, where the disk
 * refuses.
 *
 * @param logDir the folder; it is made where there is none
 * @example
 * const writer = summaryWriter('runs/own');
 * for (let step = 0; step < 100; step++) writer.scalar('loss', Math.exp(-step / 20), step);
 * await writer.close();
 */
export function summaryWriter(logDir: string): SummaryWriter {
  let pending: ((events: EventFile) => void)[] = [];
  let file: EventFile | null = null;
  let closed = false;
  let tail: Promise<void> = Promise.resolve();

  const write = async (): Promise<void> => {
    if (!pending.length && !file) return;
    file ??= await EventFile.open({ folder: logDir });
    const events = pending;
    pending = [];
    for (const event of events) event(file);
    file.flush();
  };
  const flush = (): Promise<void> => {
    // What went wrong is told to whoever waits for it, and tried again by the next one.
    tail = tail.catch(() => undefined).then(write);
    return tail;
  };
  const add = (what: string, tag: string, step: number, event: (events: EventFile) => void): void => {
    if (closed) fail('STATE', `summaryWriter.${what}`, 'an open writer', 'one that is closed');
    if (typeof tag !== 'string' || !tag)
      fail('ARGUMENT', `summaryWriter.${what}`, 'a tag', JSON.stringify(tag) ?? 'none');
    if (!Number.isSafeInteger(step)) fail('ARGUMENT', `summaryWriter.${what}`, 'a whole number as step', String(step));
    const time = Date.now() / 1000;
    pending.push((events) => events.at(time, () => event(events)));
    if (pending.length >= pendingLimit) flush().catch(() => undefined);
  };
  return {
    scalar(tag, value, step) {
      if (typeof value !== 'number') fail('ARGUMENT', 'summaryWriter.scalar', 'a number', typeof value);
      add('scalar', tag, step, (events) => events.scalar(tag, value, step));
    },
    histogram(tag, values, step) {
      const data = 'data' in values ? values.data : values;
      if (typeof data?.length !== 'number') fail('ARGUMENT', 'summaryWriter.histogram', 'numbers', typeof values);
      // The caller may change its array before it is written.
      const kept = Float64Array.from(data);
      add('histogram', tag, step, (events) => events.histogram(tag, kept, step));
    },
    text(tag, markdown, step) {
      add('text', tag, step, (events) => events.text(tag, String(markdown), step));
    },
    flush,
    async close() {
      closed = true;
      try {
        await flush();
      } finally {
        file?.close();
        file = null;
      }
    },
  };
}
