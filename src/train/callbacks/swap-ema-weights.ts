/** Measures with the moving averages of the weights. Source: Keras 3, `keras/src/callbacks/swap_ema_weights.py`. */
import type { NdArray } from '../../core/array.ts';
import { flag, type OptionsIn, parseOptions } from '../../layers/options.ts';
import type { Callback, TrainedModel } from './callback.ts';
import { checkState, readArray, type StoredArray, storeArray } from './state.ts';

const options = {
  /**
   * Also between the end of an epoch and the beginning of the next one, so that callbacks behind this one, such as modelCheckpoint, see the
   * averages. Default false.
   */
  swapOnEpoch: flag(false),
};

export type SwapEmaWeightsOptions = OptionsIn<typeof options>;

interface State {
  readonly weights: readonly StoredArray[] | null;
}

/**
 * Puts the moving averages, which an optimizer with `useEma` keeps, in the place of the weights while `fit` validates, and the weights back
 * after it. When `fit` ends the model holds the averages, however it ends.
 *
 * Errors: STATE where the optimizer keeps no averages.
 *
 * @example
 * model.compile({ optimizer: optimizers.adam({ useEma: true }), loss: 'mse' });
 * await model.fit(x, y, {
 *   validationSplit: 0.2,
 *   callbacks: [callbacks.swapEmaWeights({ swapOnEpoch: true }), callbacks.modelCheckpoint({ filepath: 'best.unrolled' })],
 * });
 */
export function swapEmaWeights(given?: SwapEmaWeightsOptions): Callback {
  const { swapOnEpoch } = parseOptions(options, given, 'callbacks.swapEmaWeights');
  /** The weights while the averages are in their place. */
  let weights: NdArray[] | null = null;
  let restored = false;
  const swapIn = (model: TrainedModel) => {
    if (weights) return;
    const averages = model.averagedWeights();
    weights = model.getWeights();
    model.setWeights(averages);
  };
  const swapOut = (model: TrainedModel) => {
    if (weights) model.setWeights(weights);
    weights = null;
  };
  return {
    name: 'swapEmaWeights',
    onTrainBegin({ model }) {
      // Throws where there are none.
      model.averagedWeights();
      if (!restored) weights = null;
      restored = false;
    },
    onEpochBegin: (_epoch, { model }) => swapOut(model),
    onTestBegin: (run) => swapIn(run.model),
    onTestEnd: (_logs, { model }) => swapOut(model),
    onEpochEnd(_epoch, _logs, { model }) {
      if (swapOnEpoch) swapIn(model);
    },
    state: (): State => ({ weights: weights?.map(storeArray) ?? null }),
    restore(state) {
      weights = checkState<State>(state, ['weights'], 'swapEmaWeights').weights?.map(readArray) ?? null;
      restored = true;
    },
  };
}
