/** Where the batches of a call come from: arrays cut into batches, or a stream of batches. A pass goes once over all of it. */
import { fail, UnrolledError } from '../core/errors.ts';
import { batchesOf, Cut, type ReadyBatch, wholeBatch } from './batches.ts';
import type { Samples } from './data.ts';
import type { Trainer } from './trainer.ts';

/** One pass over data. */
export interface Pass {
  /** The trainer of the data; that of a stream takes a look at its first batch. Null where nothing is trained or measured. */
  trainer(): Trainer | null | Promise<Trainer | null>;
  /** null: there are no more. */
  next(): ReadyBatch | null | Promise<ReadyBatch | null>;
  /** Ends the pass before its end. */
  close(): Promise<void>;
}

export interface BatchSource {
  /** Batches in a pass; null where only its end tells. */
  readonly count: number | null;
  /** Samples in a pass; null where only its end tells. */
  readonly samples: number | null;
  /** Whether there is one pass only. */
  readonly once: boolean;
  /**
   * Starts a pass.
   *
   * @param iteration steps of the optimizer before it, from which the order of the data follows
   * @param skip batches at its start that are left out
   */
  open(iteration: number, skip: number): Pass;
}

/** Arrays, cut into batches. */
export function arraySource(
  set: Samples,
  batchSize: number,
  trainer: Trainer | null,
  keepsRows: boolean,
  orderOf: ((iteration: number) => Int32Array) | null,
): BatchSource {
  const batches = batchesOf(set.count, batchSize);
  const cut = new Cut(set, trainer, keepsRows);
  return {
    count: batches.length,
    samples: set.count,
    once: false,
    open(iteration, skip) {
      const order = orderOf?.(iteration) ?? null;
      let at = skip;
      return {
        trainer: () => trainer,
        next: () => (at < batches.length ? cut.batch(batches[at++], order) : null),
        close: async () => undefined,
      };
    },
  };
}

/** What an iterator of either kind gives. */
export type AnyIterator = Iterator<unknown> | AsyncIterator<unknown>;

/** A batch of a stream, brought into form. @param where the batch, for messages */
export type Assemble = (item: unknown, where: string) => { readonly set: Samples; readonly trainer: Trainer | null };

/** Streams of batches; what is shared by all passes. */
export function streamSource(settings: {
  readonly count: number | null;
  readonly once: boolean;
  readonly where: string;
  readonly iterate: (iteration: number) => AnyIterator | Promise<AnyIterator>;
  readonly assemble: Assemble;
  readonly keepsRows: () => boolean;
}): BatchSource {
  const { count, once, where, iterate, assemble, keepsRows } = settings;
  return {
    count,
    samples: null,
    once,
    open: (iteration, skip) => new StreamPass(() => iterate(iteration), skip, where, assemble, keepsRows),
  };
}

class StreamPass implements Pass {
  private readonly start: () => AnyIterator | Promise<AnyIterator>;
  private readonly where: string;
  private readonly assemble: Assemble;
  private readonly keepsRows: () => boolean;
  private skip: number;
  private at = 0;
  private iterator: AnyIterator | null = null;
  private waiting = false;
  /** A batch that was looked at and not taken. */
  private first: IteratorResult<unknown> | null = null;

  constructor(
    start: () => AnyIterator | Promise<AnyIterator>,
    skip: number,
    where: string,
    assemble: Assemble,
    keepsRows: () => boolean,
  ) {
    this.start = start;
    this.skip = skip;
    this.where = where;
    this.assemble = assemble;
    this.keepsRows = keepsRows;
  }

  async next(): Promise<ReadyBatch | null> {
    for (;;) {
      const item = await this.pull();
      if (item.done) return null;
      const at = this.at++;
      if (this.skip > 0) {
        this.skip--;
        continue;
      }
      const { set, trainer } = this.assemble(item.value, `${this.where}: batch ${at + 1}`);
      return wholeBatch(set, trainer, this.keepsRows());
    }
  }

  async trainer(): Promise<Trainer | null> {
    this.first ??= await this.pull();
    if (this.first.done) fail('DATA', this.where, 'at least one batch', 'none');
    return this.assemble(this.first.value, `${this.where}: batch 1`).trainer;
  }

  private async pull(): Promise<IteratorResult<unknown>> {
    const { first } = this;
    this.first = null;
    if (first) return first;
    this.waiting = true;
    try {
      this.iterator ??= await this.start();
      return await this.iterator.next();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new UnrolledError(
        error instanceof UnrolledError ? error.code : 'DATA',
        `${this.where}: the data failed at batch ${this.at + 1}: ${message}`,
        { cause: error },
      );
    } finally {
      this.waiting = false;
    }
  }

  /** Lets the iterator clean up; not waited for where it is still busy with a batch, which may never come. */
  async close(): Promise<void> {
    const ended = Promise.resolve(this.iterator?.return?.()).catch(() => undefined);
    if (!this.waiting) await ended;
  }
}

/** A place in a pass. */
export interface PassPosition {
  /** Steps of the optimizer before the pass. */
  readonly start: number;
  /** Batches taken from it. */
  readonly taken: number;
}

/**
 * Passes cut into epochs, as Keras cuts them: without a number of steps an epoch is a pass; with one, the next epoch goes on where the last one
 * stopped, and a pass that ends within an epoch ends this epoch.
 */
export class Epochs {
  private readonly source: BatchSource;
  private readonly given: number | null;
  private readonly where: string;
  private pass: Pass | null = null;
  /** Steps of the optimizer before the pass. */
  private start = 0;
  /** Batches of the pass before the epoch. */
  private before = 0;
  private count: number | null;
  private passes = 0;
  private skipped = 0;

  /** @param steps of an epoch; null: a whole pass */
  constructor(source: BatchSource, steps: number | null, where: string) {
    this.source = source;
    this.given = steps;
    this.where = where;
    this.count = source.count;
  }

  /** Steps in an epoch; null where it is not known yet. */
  get steps(): number | null {
    return this.given ?? this.count;
  }

  /** Where the pass stands after so many steps of the epoch that runs: what `resume` needs. */
  within(done: number): PassPosition {
    return { start: this.start, taken: this.before + done };
  }

  /** The same between two epochs; null: the next one starts a pass. */
  between(): PassPosition | null {
    return this.pass && this.given !== null ? { start: this.start, taken: this.before } : null;
  }

  /** Goes on within a pass. @param done steps of the epoch that are among those taken */
  resume({ start, taken }: PassPosition, done: number): void {
    this.open(start, taken);
    this.before = taken - done;
    this.skipped = done;
  }

  /** The trainer of the data. @param iteration steps of the optimizer before its first pass */
  async trainer(iteration: number): Promise<Trainer> {
    if (!this.pass) this.open(iteration, 0);
    return (await (this.pass as Pass).trainer()) as Trainer;
  }

  private open(iteration: number, skip: number): void {
    this.pass = this.source.open(iteration, skip);
    this.start = iteration;
    this.before = skip;
    this.passes++;
  }

  /** The batches of the epoch that begins now. @param iteration steps of the optimizer before it */
  begin(iteration: number): { next(): Promise<ReadyBatch | null> | ReadyBatch | null; readonly ranOut: () => boolean } {
    const { given } = this;
    let at = this.skipped;
    this.skipped = 0;
    if (!this.pass) this.open(iteration, 0);
    let ranOut = false;
    const end = (): null => {
      // A source that does not tell its length has told it now.
      if (this.before === 0 && !this.source.once) this.count ??= at;
      this.pass = null;
      ranOut = given !== null;
      return null;
    };
    const counted = (batch: ReadyBatch): ReadyBatch => {
      at++;
      return batch;
    };
    const again = async (): Promise<ReadyBatch | null> => {
      // The last epoch took the last batch without knowing it.
      this.open(iteration, 0);
      const batch = await (this.pass as Pass).next();
      if (batch) return counted(batch);
      return fail('DATA', this.where, 'at least one batch', 'none');
    };
    const checked = (batch: ReadyBatch | null): ReadyBatch | null | Promise<ReadyBatch | null> => {
      if (batch) return counted(batch);
      if (at > 0 || this.source.once) {
        if (at === 0 && this.before === 0) fail('DATA', this.where, 'at least one batch', 'none');
        return end();
      }
      return this.passes > 0 && this.before > 0 ? again() : fail('DATA', this.where, 'at least one batch', 'none');
    };
    return {
      ranOut: () => ranOut,
      next: () => {
        if (given !== null && at >= given) return null;
        const batch = (this.pass as Pass).next();
        return batch instanceof Promise ? batch.then(checked) : checked(batch);
      },
    };
  }

  /** After an epoch. @param done its steps */
  async end(done: number): Promise<void> {
    this.before += done;
    if (this.given === null) await this.close();
    else if (this.source.count !== null && this.before >= this.source.count) await this.close();
  }

  /** Whether nothing is left. */
  get exhausted(): boolean {
    return this.source.once && this.pass === null && this.passes > 0;
  }

  async close(): Promise<void> {
    const { pass } = this;
    this.pass = null;
    await pass?.close();
  }
}
