/** One point against all peers: every contestant warms up, finds out how many steps make a measurement, and then they take turns. */
import type { StepOrder } from './peers/peer.ts';
import type { Point, Work } from './points.ts';
import { median } from './report.ts';

/** What takes turns at a point. */
export interface Contestant {
  readonly name: string;
  /** One step makes a measurement, in two rounds. */
  readonly slow?: boolean;
  /** Milliseconds per step. */
  run(order: StepOrder): Promise<number>;
}

export interface Measured {
  readonly median: number;
  readonly fastest: number;
  readonly steps: number;
  readonly times: readonly number[];
}

const mebibyte = 2 ** 20;
/** The data of one measurement is held at once. */
const mostData = 96 * mebibyte;
const fewestSteps = 3;

function stepsThatFit({ batch, time, features, units }: Point): number {
  return Math.max(fewestSteps, Math.floor(mostData / (4 * batch * time * (features + 2 * units))));
}

/** Milliseconds that a contestant runs before it is measured: what optimises itself while it runs has then done so. */
const warming = 500;

/**
 * Steps that take about `window` milliseconds, found by running until the contestant is warm. One that takes longer than the window has the
 * fewest.
 */
async function stepsFor(contestant: Contestant, point: Point, work: Work, window: number): Promise<number> {
  const most = stepsThatFit(point);
  // what is compiled at the first call (also for the number of steps at once) is not part of the estimate
  for (let trial = 0; trial < 2; trial++) await contestant.run({ ...point, work, steps: fewestSteps });
  const started = performance.now();
  let steps = fewestSteps;
  do {
    const estimate = await contestant.run({ ...point, work, steps });
    steps = Math.min(most, Math.max(fewestSteps, Math.ceil(window / estimate)));
  } while (performance.now() - started < warming);
  return steps;
}

export interface ContestOptions {
  readonly rounds: number;
  /** Milliseconds of one measurement. */
  readonly window: number;
  /** Told of every contestant when it is ready, with the milliseconds of its first step count. */
  progress?(name: string, milliseconds: number, steps: number): void;
}

export async function contest(
  contestants: readonly Contestant[],
  point: Point,
  work: Work,
  { rounds, window, progress }: ContestOptions,
): Promise<ReadonlyMap<string, Measured>> {
  const orders = new Map<string, StepOrder>();
  const times = new Map<string, number[]>();
  for (const contestant of contestants) {
    const { name, slow } = contestant;
    const steps = slow ? 1 : await stepsFor(contestant, point, work, window);
    const order = { ...point, work, steps };
    const warm = await contestant.run(order);
    orders.set(name, order);
    times.set(name, []);
    progress?.(name, warm, steps);
  }
  for (let round = 0; round < rounds; round++)
    for (const contestant of contestants) {
      const order = orders.get(contestant.name);
      if (order && !(contestant.slow && round > 1)) times.get(contestant.name)?.push(await contestant.run(order));
    }
  return new Map(
    [...times].map(([name, own]) => [
      name,
      { median: median(own), fastest: Math.min(...own), steps: orders.get(name)?.steps ?? 0, times: own },
    ]),
  );
}
