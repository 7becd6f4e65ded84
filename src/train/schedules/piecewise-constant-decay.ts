/** Piecewise constant rates. Keras 3, `keras.optimizers.schedules.PiecewiseConstantDecay`. */
import { fail } from '../../core/errors.ts';
import { option } from '../../layers/options.ts';
import { defineKerasSchedule, floatFromKeras, floatToKeras, scheduleName } from './schedule.ts';

const numbers = () =>
  option<readonly number[], true>(
    'a list of numbers',
    (v) => Array.isArray(v) && v.every((n) => typeof n === 'number' && Number.isFinite(n)),
    undefined,
    true,
  );

/**
 * values[0] up to and with the iteration boundaries[0], values[1] up to and with boundaries[1], ..., the last value after that.
 *
 * @example schedules.piecewiseConstantDecay({ boundaries: [1000, 2000], values: [0.1, 0.01, 0.001] })
 */
export const piecewiseConstantDecay = defineKerasSchedule({
  className: 'PiecewiseConstantDecay',
  options: {
    /** Iterations, rising. */
    boundaries: numbers(),
    /** One more than there are boundaries. */
    values: {
      ...numbers(),
      toKeras: (values: readonly number[]) => values.map(floatToKeras),
      fromKeras: (json: unknown) => (Array.isArray(json) ? json.map(floatFromKeras) : json),
    },
    name: scheduleName('PiecewiseConstant'),
  },
  check({ boundaries, values }, where) {
    if (values.length !== boundaries.length + 1)
      fail(
        'ARGUMENT',
        `${where}.values`,
        `${boundaries.length + 1} numbers, one more than boundaries`,
        `${values.length}`,
      );
    if (boundaries.some((b, i) => i > 0 && b <= boundaries[i - 1]))
      fail('ARGUMENT', `${where}.boundaries`, 'rising iterations', boundaries.join(', '));
  },
  value({ boundaries, values }, iteration) {
    const at = boundaries.findIndex((boundary) => iteration <= boundary);
    return values[at < 0 ? boundaries.length : at];
  },
});
