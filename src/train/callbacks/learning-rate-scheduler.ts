/** Sets the learning rate before each epoch. Source: Keras 3, `keras/src/callbacks/learning_rate_scheduler.py`. */
import { fail } from '../../core/errors.ts';
import { type OptionsIn, option, parseOptions, showValue } from '../../layers/options.ts';
import type { Callback } from './callback.ts';
import { verbosity } from './monitor.ts';
import { say } from './notices.ts';

/** @param epoch counted from 0 @param learningRate the one so far @returns the one of this epoch */
export type LearningRateFunction = (epoch: number, learningRate: number) => number;

const options = {
  schedule: option<LearningRateFunction, true>(
    'a function of epoch and learning rate',
    (v) => typeof v === 'function',
    undefined,
    true,
  ),
  /** 1: say what it sets. Default 0. */
  verbose: verbosity(),
};

export type LearningRateSchedulerOptions = OptionsIn<typeof options>;

/**
 * Sets the learning rate to `schedule(epoch, learningRate)` before each epoch, and adds it to the logs as `learning_rate`. For a rate that
 * changes with every step give the optimizer a schedule.
 *
 * Errors: ARGUMENT where the function does not give a number from 0 on; STATE where the optimizer follows a schedule.
 *
 * @example callbacks.learningRateScheduler({ schedule: (epoch, rate) => (epoch < 10 ? rate : rate * Math.exp(-0.1)) })
 */
export function learningRateScheduler(given: LearningRateSchedulerOptions): Callback {
  const where = 'callbacks.learningRateScheduler';
  const { schedule, verbose } = parseOptions(options, given, where);
  return {
    name: 'learningRateScheduler',
    onEpochBegin(epoch, run) {
      const rate: unknown = schedule(epoch, run.model.learningRate);
      if (typeof rate !== 'number' || !Number.isFinite(rate) || rate < 0)
        fail('ARGUMENT', `${where}: schedule(${epoch}, ...)`, 'a number from 0 on', showValue(rate));
      run.model.learningRate = rate;
      if (verbose) say(run, `\nEpoch ${epoch + 1}: LearningRateScheduler setting learning rate to ${rate}.`);
    },
    onEpochEnd(_epoch, logs, { model }) {
      logs.learning_rate = model.learningRate;
    },
  };
}
