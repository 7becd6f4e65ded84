/** Ends the training when the loss is no number. Source: Keras 3, `keras/src/callbacks/terminate_on_nan.py`. */
import { UnrolledError } from '../../core/errors.ts';
import { flag, type OptionsIn, parseOptions } from '../../layers/options.ts';
import type { Callback } from './callback.ts';
import { say } from './notices.ts';

const options = {
  /** Let `fit` reject, and leave the other callbacks' `onTrainEnd` out. Default false: end as if by `stop`. */
  raiseError: flag(false),
};

export type TerminateOnNanOptions = OptionsIn<typeof options>;

/**
 * Ends the training without an error when the loss or a gradient stops being finite; `fit` then returns the history. Without this callback `fit`
 * rejects with NUMERIC. Either way the weights are those of the last good step.
 *
 * @example callbacks.terminateOnNan()
 */
export function terminateOnNan(given?: TerminateOnNanOptions): Callback {
  const { raiseError } = parseOptions(options, given, 'callbacks.terminateOnNan');
  return {
    name: 'terminateOnNan',
    onNonFinite(batch, loss, run) {
      if (raiseError)
        throw new UnrolledError(
          'NUMERIC',
          `NaN or Inf loss encountered at batch ${batch}. Loss value: ${loss}. Terminating training immediately.`,
        );
      say(run, `Batch ${batch}: Invalid loss, terminating training`);
      run.stop(`terminateOnNan: the loss of batch ${batch} is ${loss}`);
    },
  };
}
