/** Stops the training when a number has stopped improving. Source: Keras 3, `keras/src/callbacks/early_stopping.py`. */
import type { NdArray } from '../../core/array.ts';
import { finiteNumber, flag, type OptionsIn, parseOptions } from '../../layers/options.ts';
import type { Callback } from './callback.ts';
import { count, Monitor, monitorOptions, reference, verbosity } from './monitor.ts';
import { say } from './notices.ts';
import {
  checkState,
  readArray,
  readNumber,
  type StoredArray,
  type StoredNumber,
  storeArray,
  storeNumber,
} from './state.ts';

const options = {
  ...monitorOptions,
  /** A change by this or less is no improvement. Default 0. */
  minDelta: finiteNumber(0),
  /** Epochs without improvement after which to stop. Default 0. */
  patience: count(0),
  /** 1: say when it stops. Default 0. */
  verbose: verbosity(),
  /** The wait begins anew only with values better than this one. Default: none. */
  baseline: reference(),
  /** At the end of the training, also of one that was not stopped, put the weights of the best epoch back. Default false. */
  restoreBestWeights: flag(false),
  /** The first epoch, counted from 0, that is watched. Default 0. */
  startFromEpoch: count(0),
};

export type EarlyStoppingOptions = OptionsIn<typeof options>;

export interface EarlyStopping extends Callback {
  /** The best value so far; null: none. */
  readonly best: number | null;
  /** Counted from 0. */
  readonly bestEpoch: number;
  /** Epochs since the last improvement. */
  readonly wait: number;
  /** The epoch after which it stopped, counted from 0; 0: it did not. */
  readonly stoppedEpoch: number;
}

interface State {
  readonly wait: number;
  readonly stoppedEpoch: number;
  readonly best: StoredNumber;
  readonly bestEpoch: number;
  readonly bestWeights: readonly StoredArray[] | null;
}

/**
 * Stops when `monitor` has not improved for `patience` epochs.
 *
 * Errors: ARGUMENT where `mode: 'auto'` does not know the metric. A monitor that the logs do not have is warned of, with the names that they
 * have, and does not stop the training.
 *
 * @example callbacks.earlyStopping({ monitor: 'val_accuracy', patience: 3, restoreBestWeights: true })
 */
export function earlyStopping(given?: EarlyStoppingOptions): EarlyStopping {
  const config = parseOptions(options, given, 'callbacks.earlyStopping');
  const monitor = new Monitor(config, 'callbacks.earlyStopping');
  let wait = 0;
  let stoppedEpoch = 0;
  let best: number | null = null;
  let bestEpoch = 0;
  let bestWeights: NdArray[] | null = null;
  let restored = false;
  return {
    name: 'earlyStopping',
    get best() {
      return best;
    },
    get bestEpoch() {
      return bestEpoch;
    },
    get wait() {
      return wait;
    },
    get stoppedEpoch() {
      return stoppedEpoch;
    },
    onTrainBegin({ model }) {
      monitor.prepare(model);
      if (!restored) {
        wait = 0;
        stoppedEpoch = 0;
        best = null;
        bestEpoch = 0;
        bestWeights = null;
      }
      restored = false;
    },
    onEpochEnd(epoch, logs, run) {
      const current = monitor.value(
        logs,
        run.model,
        `Early stopping conditioned on metric \`${monitor.name}\` which is not available.`,
      );
      if (current === null || epoch < config.startFromEpoch) return;
      const keep = () => {
        bestEpoch = epoch;
        if (config.restoreBestWeights) bestWeights = run.model.getWeights();
      };
      if (config.restoreBestWeights && bestWeights === null) keep();
      wait++;
      if (monitor.improves(current, best)) {
        best = current;
        keep();
        if (config.baseline === null || monitor.improves(current, config.baseline)) wait = 0;
        return;
      }
      if (wait >= config.patience && epoch > 0) {
        stoppedEpoch = epoch;
        run.stop(`earlyStopping: '${monitor.name}' has not improved for ${wait} epochs`);
      }
    },
    onTrainEnd(_logs, run) {
      if (stoppedEpoch > 0 && config.verbose) say(run, `Epoch ${stoppedEpoch + 1}: early stopping`);
      if (!config.restoreBestWeights || bestWeights === null) return;
      if (config.verbose) say(run, `Restoring model weights from the end of the best epoch: ${bestEpoch + 1}.`);
      run.model.setWeights(bestWeights);
    },
    state: (): State => ({
      wait,
      stoppedEpoch,
      best: storeNumber(best),
      bestEpoch,
      bestWeights: bestWeights?.map(storeArray) ?? null,
    }),
    restore(state) {
      const kept = checkState<State>(
        state,
        ['wait', 'stoppedEpoch', 'best', 'bestEpoch', 'bestWeights'],
        'earlyStopping',
      );
      ({ wait, stoppedEpoch, bestEpoch } = kept);
      best = readNumber(kept.best);
      bestWeights = kept.bestWeights?.map(readArray) ?? null;
      restored = true;
    },
  };
}
