/** Ends the training when the loss is no number. Source: Keras 3, `keras/src/callbacks/terminate_on_nan.py`. */
import { flag, type OptionsIn, parseOptions } from '../../layers/options.ts';
import { type AnomalyReport, NumericError } from '../anomaly.ts';
import type { Callback } from './callback.ts';
import { say } from './notices.ts';

const options = {
  /** Let `fit` reject, and leave the other callbacks' `onTrainEnd` out. Default false: end as if by `stop`. */
  raiseError: flag(false),
};

export type TerminateOnNanOptions = OptionsIn<typeof options>;

export interface TerminateOnNan extends Callback {
  /** Where it began: layer, step, statistic. Null: every step was finite, or a closer look was not possible. */
  readonly report: AnomalyReport | null;
}

/**
 * Ends the training without an error when the loss or a gradient stops being finite; `fit` then returns the history, and its `stopReason` and
 * this callback's `report` say where it began. Without this callback `fit` rejects with NUMERIC. Either way the weights are those of the last
 * good step.
 *
 * @example
 * const guard = callbacks.terminateOnNan();
 * await model.fit(x, y, { callbacks: [guard] });
 * if (guard.report) console.log(String(guard.report)); // a table of all layers
 */
export function terminateOnNan(given?: TerminateOnNanOptions): TerminateOnNan {
  const { raiseError } = parseOptions(options, given, 'callbacks.terminateOnNan');
  let report: AnomalyReport | null = null;
  return {
    name: 'terminateOnNan',
    get report() {
      return report;
    },
    onTrainBegin() {
      report = null;
    },
    async onNonFinite(batch, loss, run) {
      const found = await run.nonFinite();
      report = found.report;
      if (raiseError)
        throw new NumericError(
          `NaN or Inf loss encountered at batch ${batch}. Loss value: ${loss}. Terminating training immediately. ${found.message}`,
          report,
        );
      const began = report ? report.describe() : found.message;
      say(run, `Batch ${batch}: Invalid loss, terminating training\n${began}`);
      run.stop(`terminateOnNan: the loss of batch ${batch} is ${loss}. ${began}`);
    },
  };
}
