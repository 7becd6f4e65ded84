/**
 * The learning-rate range test: a short training whose rate rises by equal factors, and the loss of every step. Smith, "Cyclical learning rates
 * for training neural networks" (2017), section 3.3. The model is as before when it is done.
 */
import { fail } from '../core/errors.ts';
import type { Feed } from '../engine/compile.ts';
import { showValue } from '../layers/options.ts';
import { chooseBatchSize } from './batches.ts';
import type { ModelData, Samples } from './data.ts';
import { refuseUnknown, type WeightOptions } from './model-options.ts';
import type { Network } from './network.ts';
import { isSlot } from './optimizers/slots.ts';
import type { Session, Values } from './session.ts';
import { arraySource } from './source.ts';
import { resetStates } from './states.ts';
import { haltedLeaf, resultOf } from './steps.ts';
import type { Counters, Trainer } from './trainer.ts';
import { Pace, walkBatches } from './walk.ts';

export interface FindLearningRateOptions extends WeightOptions {
  /** The first rate. Default 1e-7. */
  readonly from?: number;
  /** The last one. Default 10. */
  readonly to?: number;
  /** Steps from the first to the last. Default 100. */
  readonly steps?: number;
  /** Samples in a step. Default 32, or the model's fixed batch. */
  readonly batchSize?: number;
  /** How much of the smoothed loss comes from the steps before, from 0 to below 1. Default 0.9. */
  readonly smoothing?: number;
  /** The sweep ends where the smoothed loss is so many times its smallest value. Default 4. */
  readonly divergence?: number;
}

/** What a sweep has found. */
export interface FoundLearningRates {
  /** The rate of every step that was made. */
  readonly rates: readonly number[];
  /** The loss of every step, before its update. */
  readonly losses: readonly number[];
  /** Running means of the losses. */
  readonly smoothed: readonly number[];
  /** Whether the sweep ended before its last rate, because the loss rose or was not finite any more. */
  readonly diverged: boolean;
  /** The rate in the middle of the longest fall of the smoothed loss; null: it never fell. */
  readonly valley: number | null;
  /** The rate where the smoothed loss falls fastest; null: it never fell. */
  readonly steepest: number | null;
  /** What to try first: the valley, which is the steadier of the two. */
  readonly suggestion: number | null;
}

const optionNames = [
  'from',
  'to',
  'steps',
  'batchSize',
  'smoothing',
  'divergence',
  'sampleWeight',
  'classWeight',
  'mask',
];

/** Checks a sweep's own options. */
export function checkSweep(
  options: FindLearningRateOptions,
): Required<Pick<FindLearningRateOptions, 'from' | 'to' | 'steps' | 'smoothing' | 'divergence'>> {
  const where = 'findLearningRate';
  refuseUnknown(options, optionNames, where);
  const { from = 1e-7, to = 10, steps = 100, smoothing = 0.9, divergence = 4 } = options;
  const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value);
  if (!isNumber(from) || from <= 0) fail('ARGUMENT', `${where}: from`, 'a number above 0', showValue(from));
  if (!isNumber(to) || to <= from) fail('ARGUMENT', `${where}: to`, `a number above ${from}`, showValue(to));
  if (!Number.isInteger(steps) || steps < 2)
    fail('ARGUMENT', `${where}: steps`, 'a whole number from 2 on', showValue(steps));
  if (!isNumber(smoothing) || smoothing < 0 || smoothing >= 1)
    fail('ARGUMENT', `${where}: smoothing`, 'a number from 0 to below 1', showValue(smoothing));
  if (!isNumber(divergence) || divergence <= 1)
    fail('ARGUMENT', `${where}: divergence`, 'a number above 1', showValue(divergence));
  return { from, to, steps, smoothing, divergence };
}

/** What the sweep works on. */
export interface SweptModel {
  readonly session: Session;
  readonly network: Network;
  readonly counters: Counters;
  readonly trainer: Trainer;
  readonly set: Samples;
}

/** Keeps every value of the model, and gives the function that puts them back. */
function keep({ session, network, counters }: SweptModel): () => void {
  const { stateRows } = session;
  const before = { ...counters };
  const values = new Map<string, Values>(session.names().map((name) => [name, session.get(name)]));
  return () => {
    if (session.stateRows !== stateRows) resetStates(session, network, {});
    session.stateRows = stateRows;
    for (const name of session.names()) {
      const own = values.get(name);
      if (own) session.set(name, own);
      else if (isSlot(name)) session.remove(name);
    }
    if (session.has(haltedLeaf)) session.set(haltedLeaf, Float32Array.of(0));
    // Its slots may get another place when training starts.
    session.forget('train ');
    Object.assign(counters, before);
  };
}

/** Runs a sweep on data that has been checked. */
export async function sweepLearningRates(
  model: SweptModel,
  options: FindLearningRateOptions,
): Promise<FoundLearningRates> {
  const { from, to, steps, smoothing, divergence } = checkSweep(options);
  const { session, network, counters, trainer, set } = model;
  const batchSize = chooseBatchSize(options.batchSize, network, set.count, 'findLearningRate');
  trainer.checkBatches(set.count, batchSize, 'findLearningRate');
  const release = session.claim('findLearningRate');
  const restore = keep(model);
  const rateOf = (step: number) => from * (to / from) ** (step / (steps - 1));
  const found = { rates: [] as number[], losses: [] as number[], smoothed: [] as number[] };
  let diverged = false;
  let mean = 0;
  let best = Number.POSITIVE_INFINITY;
  /** Takes the loss of the next step; false: the sweep is over. */
  const take = (loss: number, good: boolean): boolean => {
    const step = found.rates.length;
    mean = smoothing * mean + (1 - smoothing) * loss;
    const value = mean / (1 - smoothing ** (step + 1));
    diverged = !good || !Number.isFinite(loss) || value > divergence * best;
    if (good && Number.isFinite(loss)) {
      found.rates.push(rateOf(step));
      found.losses.push(loss);
      found.smoothed.push(value);
      best = Math.min(best, value);
    }
    return !diverged && found.rates.length < steps;
  };
  try {
    const source = arraySource(set, batchSize, trainer, trainer.keepsRows, (iteration) =>
      trainer.order(iteration, set.count),
    );
    const pace = new Pace();
    for (let going = true; going; ) {
      const pass = source.open(counters.iteration, 0);
      const walk = walkBatches({
        session,
        pace,
        next: () => pass.next(),
        stepFor: (batch) => trainer.trainStep(batch.shapes),
        stepAhead: (batch) => trainer.trainStepAhead(batch.shapes),
        limit: () => steps - found.rates.length,
        late: (count): Feed[] =>
          Array.from({ length: count }, (_, ahead) => trainer.trainFeed(ahead, rateOf(found.rates.length + ahead))),
        ahead: false,
      });
      for await (const { results } of walk) {
        trainer.advance(results.length);
        for (const result of results)
          if (going) going = take(resultOf(result, 'loss')[0], resultOf(result, 'good')[0] !== 0);
        if (!going) break;
      }
    }
  } finally {
    restore();
    release();
  }
  const { valley, steepest } = suggestRates(found.rates, found.smoothed);
  return { ...found, diverged, valley, steepest, suggestion: valley };
}

/** Rates that a sweep speaks for. */
export function suggestRates(
  rates: readonly number[],
  losses: readonly number[],
): { readonly valley: number | null; readonly steepest: number | null } {
  const fall = longestFall(losses);
  const valley = fall.length > 1 ? rates[fall[Math.floor(fall.length / 2)]] : null;
  let steepest: number | null = null;
  let steepestSlope = 0;
  for (let k = 1; k + 1 < losses.length; k++) {
    const slope = (losses[k + 1] - losses[k - 1]) / Math.log(rates[k + 1] / rates[k - 1]);
    if (slope < steepestSlope) {
      steepestSlope = slope;
      steepest = rates[k];
    }
  }
  return { valley, steepest };
}

/** The places of the longest falling subsequence; the first of equal ones. */
function longestFall(values: readonly number[]): number[] {
  const lengths = values.map(() => 1);
  const before = values.map(() => -1);
  let end = values.length ? 0 : -1;
  for (let i = 0; i < values.length; i++) {
    for (let j = 0; j < i; j++)
      if (values[i] < values[j] && lengths[j] + 1 > lengths[i]) {
        lengths[i] = lengths[j] + 1;
        before[i] = j;
      }
    if (lengths[i] > lengths[end]) end = i;
  }
  const places: number[] = [];
  for (let i = end; i >= 0; i = before[i]) places.unshift(i);
  return places;
}

/** What can be swept: a compiled model. */
interface Sweepable {
  findLearningRate(x: ModelData, y: ModelData, options?: FindLearningRateOptions): Promise<FoundLearningRates>;
}

/**
 * Finds a learning rate: trains on shuffled batches with a rate that rises from `from` to `to` by equal factors, and looks at where the loss
 * falls. It ends where the loss rises far or stops being finite. Weights, the optimizer's values, states and counters are afterwards what they
 * were, to the bit; a schedule of the optimizer is left aside.
 *
 * Errors: STATE before `compile` and while the model is trained; DATA and SHAPE for data that does not fit; ARGUMENT for options.
 *
 * @example
 * const found = await findLearningRate(model, x, y, { from: 1e-6, to: 1, batchSize: 64 });
 * model.learningRate = found.suggestion ?? model.learningRate;
 * await writeFile('rates.svg', await plotLearningRates(found));
 */
export async function findLearningRate(
  model: Sweepable,
  x: ModelData,
  y: ModelData,
  options: FindLearningRateOptions = {},
): Promise<FoundLearningRates> {
  if (typeof model?.findLearningRate !== 'function')
    fail('ARGUMENT', 'findLearningRate', 'a model', showValue(model), 'Write `findLearningRate(model, x, y)`.');
  return model.findLearningRate(x, y, options);
}
