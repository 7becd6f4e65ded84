/** What a value of many rows and steps holds: how large it is, and where it stops being a finite number. */
import type { NdArray } from '../core/array.ts';

/** Where a value stops being finite, in the order of a walk. */
export interface FirstBad {
  /** The index of the step; null: the value has no time. */
  readonly step: number | null;
  readonly kind: 'NaN' | 'infinite';
  /** Rows in which it is so at this step. */
  readonly rows: readonly number[];
}

export interface Statistics {
  /** The largest |x| of the finite ones. */
  readonly largest: number;
  /** Where that is; null: the value has no time. */
  readonly largestStep: number | null;
  readonly nans: number;
  readonly infinities: number;
  readonly first: FirstBad | null;
}

/**
 * @param values (B, T, ...) or (B, ...)
 * @param time whether the second axis is time
 * @param mask (B, T): which steps count; null: all
 * @param backwards whether the last step comes first
 */
export function statisticsOf(values: NdArray, time: boolean, mask: NdArray | null, backwards: boolean): Statistics {
  const { data, shape } = values;
  const [batch, second] = shape.length ? shape : [1];
  const length = time ? second : 1;
  const size = data.length / Math.max(1, batch * length);
  let [largest, largestStep, nans, infinities] = [0, 0, 0, 0];
  let first: { step: number; kind: FirstBad['kind']; rows: number[] } | null = null;
  for (let k = 0; k < length; k++) {
    const t = backwards ? length - 1 - k : k;
    for (let b = 0; b < batch; b++) {
      if (time && mask && !mask.data[b * length + t]) continue;
      let kind: FirstBad['kind'] | null = null;
      for (let i = (b * length + t) * size, end = i + size; i < end; i++) {
        const x = Math.abs(data[i]);
        if (x > largest && x < Number.POSITIVE_INFINITY) [largest, largestStep] = [x, t];
        else if (Number.isNaN(x)) {
          nans++;
          kind ??= 'NaN';
        } else if (x === Number.POSITIVE_INFINITY) {
          infinities++;
          kind = 'infinite';
        }
      }
      if (!kind) continue;
      first ??= { step: t, kind, rows: [] };
      if (first.step === t) {
        first.rows.push(b);
        // An infinity comes before the NaN that follows from it.
        if (kind === 'infinite') first.kind = kind;
      }
    }
  }
  return {
    largest,
    largestStep: time ? largestStep : null,
    nans,
    infinities,
    first: first && { ...first, step: time ? first.step : null },
  };
}
