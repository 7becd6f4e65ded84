/** Stochastic gradient descent, with momentum (Polyak 1964; Nesterov 1983, in the form of Sutskever et al. 2013). */
import { beyondKeras, flag, option } from '../../layers/options.ts';
import { add, mul, sub } from '../../ops/pointwise.ts';
import { floatFromKeras, floatToKeras, learningRateOption } from '../schedules/schedule.ts';
import { defineOptimizer, type Update } from './optimizer.ts';

/**
 * Without momentum w -= lr g; else v = momentum v - lr g, w += v, or w += momentum v - lr g with `nesterov`.
 *
 * @example optimizers.sgd({ learningRate: 0.1, momentum: 0.9 })
 */
export const sgd = defineOptimizer({
  className: 'SGD',
  options: {
    /** Default 0.01. */
    learningRate: learningRateOption(0.01),
    /** Default 0. Keras takes no integer here, and JSON has no 0.0: then it is not written. */
    momentum: {
      ...beyondKeras(option<number>('a number from 0 to 1', (v) => typeof v === 'number' && v >= 0 && v <= 1, 0)),
      toKeras: floatToKeras,
      fromKeras: floatFromKeras,
    },
    /** Default false. */
    nesterov: flag(false),
  },
  slots: ({ momentum }) => ({ ...(momentum > 0 && { momentum: {} }) }),
  update({ momentum, nesterov }, { weight, gradient, slots, scalars }): Update {
    const step = mul(gradient, scalars.learningRate);
    if (!slots.momentum) return { weight: sub(weight, step), slots: {} };
    const v = sub(mul(slots.momentum, momentum), step);
    return { weight: add(weight, nesterov ? sub(mul(v, momentum), step) : v), slots: { momentum: v } };
  },
});
