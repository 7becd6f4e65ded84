/** Lowers the learning rate when a number has stopped improving. Source: Keras 3, `keras/src/callbacks/reduce_lr_on_plateau.py`. */
import { finiteNumber, type OptionsIn, option, parseOptions } from '../../layers/options.ts';
import type { Callback } from './callback.ts';
import { count, Monitor, monitorOptions, verbosity } from './monitor.ts';
import { say } from './notices.ts';
import { checkState, readNumber, type StoredNumber, storeNumber } from './state.ts';

const options = {
  ...monitorOptions,
  /** By which the learning rate is multiplied. Default 0.1. */
  factor: option<number>('a number above 0 and below 1', (v) => typeof v === 'number' && v > 0 && v < 1, 0.1),
  /** Epochs without improvement after which to lower it. Default 10. */
  patience: count(10),
  /** 1: say when it lowers. Default 0. */
  verbose: verbosity(),
  /** A change by this or less is no improvement. Default 1e-4. */
  minDelta: finiteNumber(1e-4),
  /** Epochs after a lowering that do not count. Default 0. */
  cooldown: count(0),
  /** Never below this. Default 0. */
  minLr: option<number>('a number from 0 on', (v) => typeof v === 'number' && v >= 0, 0),
};

export type ReduceLrOnPlateauOptions = OptionsIn<typeof options>;

export interface ReduceLrOnPlateau extends Callback {
  /** The best value so far; null: none. */
  readonly best: number | null;
  /** Epochs since the last improvement. */
  readonly wait: number;
}

interface State {
  readonly wait: number;
  readonly cooldownCounter: number;
  readonly best: StoredNumber;
}

/**
 * Multiplies the learning rate by `factor` when `monitor` has not improved for `patience` epochs. Adds `learning_rate`, the one of the epoch,
 * to the logs.
 *
 * Errors: ARGUMENT where `mode: 'auto'` does not know the metric; STATE where the optimizer follows a schedule.
 *
 * @example callbacks.reduceLrOnPlateau({ monitor: 'val_loss', factor: 0.5, patience: 3, minLr: 1e-5 })
 */
export function reduceLrOnPlateau(given?: ReduceLrOnPlateauOptions): ReduceLrOnPlateau {
  const config = parseOptions(options, given, 'callbacks.reduceLrOnPlateau');
  const monitor = new Monitor(config, 'callbacks.reduceLrOnPlateau');
  let wait = 0;
  let cooldownCounter = 0;
  let best: number | null = null;
  let restored = false;
  return {
    name: 'reduceLrOnPlateau',
    get best() {
      return best;
    },
    get wait() {
      return wait;
    },
    onTrainBegin({ model }) {
      monitor.prepare(model);
      // A rate that follows a schedule refuses this: better now than after many epochs.
      model.learningRate = Number(model.learningRate);
      if (!restored) {
        wait = 0;
        cooldownCounter = 0;
        best = null;
      }
      restored = false;
    },
    onEpochEnd(epoch, logs, run) {
      const { model } = run;
      logs.learning_rate = model.learningRate;
      const current = monitor.value(
        logs,
        model,
        `Learning rate reduction is conditioned on metric \`${monitor.name}\` which is not available.`,
      );
      if (current === null) return;
      if (cooldownCounter > 0) {
        cooldownCounter--;
        wait = 0;
      }
      if (monitor.improves(current, best)) {
        best = current;
        wait = 0;
        return;
      }
      if (cooldownCounter > 0) return;
      wait++;
      const old = model.learningRate;
      if (wait < config.patience || Math.fround(old) <= Math.fround(config.minLr)) return;
      model.learningRate = Math.max(old * config.factor, config.minLr);
      if (config.verbose)
        say(run, `\nEpoch ${epoch + 1}: ReduceLROnPlateau reducing learning rate to ${model.learningRate}.`);
      cooldownCounter = config.cooldown;
      wait = 0;
    },
    state: (): State => ({ wait, cooldownCounter, best: storeNumber(best) }),
    restore(state) {
      const kept = checkState<State>(state, ['wait', 'cooldownCounter', 'best'], 'reduceLrOnPlateau');
      ({ wait, cooldownCounter } = kept);
      best = readNumber(kept.best);
      restored = true;
    },
  };
}
