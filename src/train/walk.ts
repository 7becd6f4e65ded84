/**
 * Batches through the machine, many in a hand-over. While one hand-over runs, the next is brought together and written to where the machine
 * will read it, so that data and machine do not wait for each other. How many steps go together depends on time; what they compute does not.
 */
import type { CompiledStep, Destinations, Feed, Result, StagedFeeds } from '../engine/compile.ts';
import type { ReadyBatch } from './batches.ts';
import type { Session } from './session.ts';

/** How long one hand-over should take: long enough that the crossing costs nothing, short enough for progress and interruption. */
const targetMilliseconds = 100;
/**
 * Feeds of one hand-over together stay below this where they are more than one step, whatever their time: small enough that what was written
 * is still in the cache when the machine reads it. Two are in memory at once.
 */
const targetBytes = 4 * 1024 * 1024;

/** How many steps to hand over, learnt from how long the last ones took. */
export class Pace {
  private steps = 1;

  count(bytesPerStep: number, limit: number): number {
    const byBytes = Math.max(1, Math.floor(targetBytes / Math.max(1, bytesPerStep)));
    return Math.max(1, Math.min(this.steps, byBytes, limit));
  }

  learn(steps: number, milliseconds: number): void {
    const wanted = Math.round((steps * targetMilliseconds) / Math.max(milliseconds, 0.01));
    this.steps = Math.max(1, Math.min(wanted, steps * 64, 4096));
  }
}

/** Where batches come from; null: there are no more. */
export type NextBatch = () => ReadyBatch | null | Promise<ReadyBatch | null>;

export interface Walk {
  readonly session: Session;
  readonly pace: Pace;
  readonly next: NextBatch;
  /** The step of a batch. */
  stepFor(batch: ReadyBatch): Promise<CompiledStep>;
  /** The same at once, while another step runs; null where it has to wait. */
  stepAhead(batch: ReadyBatch): CompiledStep | null;
  /** Called before a hand-over runs; the model is at rest. */
  begin?(): void | Promise<void>;
  /** Steps in the hand-over that begins after so many, at most. */
  limit?(done: number): number;
  /** What steps get beside their batch: keys and scalars of the steps that come so far ahead of the next one. */
  late?(steps: number): readonly Feed[];
  /** Where results of these batches go. */
  into?(batches: readonly ReadyBatch[]): Destinations;
  /** Whether batches may be asked for before the results of those before them are known. Default true. */
  readonly ahead?: boolean;
  readonly signal?: AbortSignal;
}

export interface HandOver {
  readonly batches: readonly ReadyBatch[];
  readonly results: readonly Result[];
}

interface Group {
  readonly batches: readonly ReadyBatch[];
  readonly step: CompiledStep;
  readonly staged: StagedFeeds;
}

/** Batches one after the other; one that was asked for may be waited for again. */
class Supply {
  private readonly next: NextBatch;
  private held: ReadyBatch | null = null;
  private asked: Promise<ReadyBatch | null> | null = null;
  private ended = false;

  constructor(next: NextBatch) {
    this.next = next;
  }

  /** The batch at hand, without taking it; null: the end. A promise where it is not there yet. */
  peek(): ReadyBatch | null | Promise<ReadyBatch | null> {
    if (this.held || this.ended) return this.held;
    if (this.asked) return this.asked;
    try {
      const given = this.next();
      if (!(given instanceof Promise)) return this.keep(given);
      this.asked = given.then((batch) => this.keep(batch));
    } catch (error) {
      this.asked = Promise.reject(error);
    }
    // A failure stays for whoever asks again: it is told when the batches before it have been used.
    this.asked.catch(() => undefined);
    return this.asked;
  }

  private keep(batch: ReadyBatch | null): ReadyBatch | null {
    this.asked = null;
    this.held = batch;
    this.ended = batch === null;
    return batch;
  }

  take(): void {
    this.held = null;
  }
}

/** The value, or `aborted` where the signal comes first. Leaves nothing behind at the signal. */
export function unlessAborted<T>(value: Promise<T>, signal: AbortSignal | undefined): Promise<T | 'aborted'> {
  if (!signal) return value;
  return new Promise((resolve, reject) => {
    const stop = () => resolve('aborted');
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    value.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/** Long enough for data that is there, too short for data that is not. */
function nextTurn(): Promise<'idle'> {
  return new Promise((resolve) => setTimeout(() => resolve('idle'), 0));
}

/**
 * Runs a step over all batches and yields the results, a hand-over at a time. Ends early, between two hand-overs, where the signal says so;
 * who asks for more must look at it. What the source throws comes after the results of all steps before it.
 */
export async function* walkBatches(walk: Walk): AsyncGenerator<HandOver> {
  const { session, pace, signal, ahead = true } = walk;
  const supply = new Supply(walk.next);
  let following: Promise<Group | null> | null = null;
  let done = 0;

  /** @param running what the machine is doing meanwhile; null: nothing, and then what is there is not kept waiting */
  const gather = async (running: Promise<unknown> | null, after: number): Promise<Group | null> => {
    const given = supply.peek();
    const first = given instanceof Promise ? await unlessAborted(given, signal) : given;
    if (first === null || first === 'aborted') return null;
    const step = running ? walk.stepAhead(first) : await walk.stepFor(first);
    if (!step) return null;
    const most = pace.count(first.bytes, walk.limit?.(after) ?? Number.POSITIVE_INFINITY);
    const batches = [first];
    supply.take();
    const idle = running?.then(
      () => 'idle' as const,
      () => 'idle' as const,
    );
    while (batches.length < most) {
      const next = supply.peek();
      const waited = next instanceof Promise ? Promise.race([next, idle ?? nextTurn()]) : next;
      const batch =
        waited instanceof Promise ? await unlessAborted(waited, signal).catch(() => 'failed' as const) : waited;
      if (batch === null || batch === 'idle' || batch === 'aborted' || batch === 'failed') break;
      if (batch.key !== first.key || batch.trainer !== first.trainer) break;
      batches.push(batch);
      supply.take();
    }
    return { batches, step, staged: step.stage(batches.map((own) => own.feed())) };
  };

  try {
    for (;;) {
      // A step that could not be made ready while another one ran is made now.
      const group: Group | null = (await following) ?? (signal?.aborted ? null : await gather(null, done));
      following = null;
      if (!group) return;
      if (signal?.aborted) {
        group.staged.discard();
        return;
      }
      const { batches } = group;
      await walk.begin?.();
      const start = performance.now();
      const running = session.runStaged(group.staged, () => walk.late?.(batches.length) ?? [], walk.into?.(batches));
      done += batches.length;
      if (ahead) {
        // A few turns, so that the run reaches the machine before this thread is busy with the next data.
        for (let turn = 0; turn < 8; turn++) await null;
        following = gather(running, done);
        // Its failure is looked at when it is waited for.
        following.catch(() => undefined);
      }
      const results = await running;
      pace.learn(batches.length, performance.now() - start);
      yield { batches, results };
    }
  } finally {
    void following?.then(
      (group) => group?.staged.discard(),
      () => undefined,
    );
  }
}
