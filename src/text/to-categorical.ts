/** Class numbers to rows of zeros with a one, with the semantics of Keras's `to_categorical` (keras/src/utils/numerical_utils.py). */
import { type ArrayInput, NdArray } from '../core/array.ts';
import { fail } from '../core/errors.ts';

/**
 * `[...shape of x, classes]` in f32; a last axis of 1 is dropped first. Classes: `numClasses`, or the largest label and one.
 * Unlike NumPy, negative labels do not count from the end: they are refused.
 *
 * @example toCategorical([0, 2], 3).toNested() // [[1, 0, 0], [0, 0, 1]]
 */
export function toCategorical(x: ArrayInput, numClasses?: number | null): NdArray {
  const labels = NdArray.from(x);
  const { data } = labels;
  if (numClasses != null && !(Number.isInteger(numClasses) && numClasses > 0))
    fail(
      'ARGUMENT',
      'toCategorical.numClasses',
      'a positive integer, or nothing for the largest label and one',
      String(numClasses),
    );
  if (numClasses == null && data.length === 0)
    fail('DATA', 'toCategorical', 'at least one label, or numClasses', 'no label');
  let classes = numClasses ?? 0;
  if (numClasses == null) for (const label of data) classes = Math.max(classes, Math.trunc(label) + 1);
  const out = new Float32Array(data.length * classes);
  data.forEach((label: number, i: number) => {
    const c = Math.trunc(label);
    if (!(c >= 0 && c < classes))
      fail('DATA', `toCategorical: label ${i}`, `a class in 0..${classes - 1}`, String(label));
    out[i * classes + c] = 1;
  });
  const { shape } = labels;
  const kept = shape.length > 1 && shape[shape.length - 1] === 1 ? shape.slice(0, -1) : shape;
  return NdArray.from(out, [...kept, classes]);
}
