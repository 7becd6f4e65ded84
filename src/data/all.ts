/** The ways to a data set. */
import { fromArrays, fromGenerator } from './from-arrays.ts';
import { timeseries } from './timeseries.ts';

/** Data sets: `dataset.fromArrays(x, y).shuffle().batch(32)`. */
export const dataset = { fromArrays, fromGenerator, timeseries };
