/**
 * Truncated backpropagation through time: sequences are trained on in windows, with an optimizer step for each, and the state goes from window
 * to window without a gradient. For a batch of sequences of T steps:
 *
 * ```
 * state = what the layers start with                     // zeros, or the initial states that the model is given
 * for end = stride, 2 stride, ... while end - stride < T
 *   from = max(0, end - window)
 *   outputs = model(x[from .. end]), starting with the state that was kept at step `from`, as a number   // .. T in the last window
 *   loss = over the steps that are new, end - stride .. end
 *   step of the optimizer with the gradient of this loss, which goes back to step `from`
 *   the state at the step where the next window begins is kept, as this pass had it
 * ```
 *
 * So every step counts in one loss, and its gradient goes back over at least window - stride steps (fewer at the start) and at most `window`.
 * With window >= T and no stride it is backpropagation through all of time.
 *
 * Source: R. J. Williams and J. Peng, "An efficient gradient-based algorithm for on-line training of recurrent network trajectories" (1990),
 * BPTT(h; h') with h = window and h' = stride; I. Sutskever, "Training recurrent neural networks" (2013), section 2.8.6, k1 = stride and
 * k2 = window. They go back through the activations of earlier windows; here a window is computed anew with the weights of its step, so
 * that its gradient is that of a function of them.
 *
 * The loss of an epoch is the mean over all steps. Metrics that are a mean over samples count every window alike.
 *
 * Limits: models whose outputs follow time, of layers that run from the first step to the last; draws (dropout) are made anew for every window,
 * and penalties on the outputs of layers are taken over all of its steps.
 */
import { fail } from '../core/errors.ts';
import { showValue } from '../layers/options.ts';
import type { WindowShape } from './windows.ts';

export interface Truncation {
  /** Steps that a gradient goes back over at most. */
  readonly window: number;
  /** New steps in every window: an optimizer step after each so many. From 1 to `window`; default `window`, and windows do not overlap. */
  readonly stride?: number;
}

/** Throws ARGUMENT for what is none. */
export function checkTruncation(given: unknown, where: string): Required<Truncation> {
  const plain = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : null;
  if (!plain) return fail('ARGUMENT', where, '{ window, stride }', showValue(given));
  for (const key of Object.keys(plain))
    if (key !== 'window' && key !== 'stride') fail('ARGUMENT', where, 'window and stride', `'${key}'`);
  const { window, stride = window } = plain;
  const whole = (n: unknown): n is number => typeof n === 'number' && Number.isInteger(n) && n >= 1;
  if (!whole(window)) fail('ARGUMENT', `${where}: window`, 'a number of steps from 1 on', showValue(window));
  if (!whole(stride) || stride > window)
    fail('ARGUMENT', `${where}: stride`, `a number of steps from 1 to the window, ${window}`, showValue(stride));
  return { window, stride };
}

/** A window of a sequence. */
export interface Window extends WindowShape {
  readonly from: number;
  readonly to: number;
}

/** The windows of sequences of a length, in order. */
export function windowsOf(length: number, { window, stride }: Required<Truncation>): Window[] {
  const starts: number[] = [];
  for (let before = 0; before < length; before += stride) starts.push(before);
  const from = starts.map((before) => Math.max(0, before + stride - window));
  const to = starts.map((before) => Math.min(length, before + stride));
  return starts.map((before, i) => ({
    from: from[i],
    to: to[i],
    fresh: to[i] - before,
    // A window that begins with the sequence needs nothing of the one before.
    kept: i + 1 < starts.length ? from[i + 1] - from[i] : 0,
  }));
}
